//! `ls`: what is in a remote directory.

mod matches;

use std::{cell::Cell, cmp::Ordering};

use fulmar_client::{Error, Session};
use fulmar_proto::{
    error::ErrorCode,
    listing::{Entry, EntryKind, EntryName},
    path::DirPath,
};

use crate::{
    exit_code::ExitCode,
    glob,
    output::{
        Failure, Printer,
        objects::{self, shown_name},
        table::{self, Align},
        units,
    },
    remote_path::RemotePath,
    session::Context,
    verb::LsArgs,
};

/// Up to here entries are sorted; more are printed as they come, so that no directory is too large for memory.
const MAX_SORTED_ENTRIES: usize = 10_000;

/// How wide a terminal is taken to be when it does not say.
const DEFAULT_WIDTH: usize = 80;

pub(super) async fn ls(context: &mut Context, args: &LsArgs) -> Result<ExitCode, Failure> {
    let typed = args.path.as_deref().unwrap_or(".");
    if !glob::is_pattern(typed)? {
        // A path that is none is told without a connection.
        RemotePath::resolve(&context.remote_dir, typed)?;
    }
    let session = context.session().await?;
    let form = Form::of(args, &context.printer);
    if let Some(code) = matches::ls(context, &session, typed, form).await? {
        return Ok(code);
    }
    let wanted = RemotePath::resolve(&context.remote_dir, typed)?;
    let mut output = Output::new(&context.printer, form, args.all, wanted.path.clone());
    match print_listing(&session, &wanted.path, &mut output).await {
        Ok(()) => Ok(ExitCode::Done),
        Err(error) if is_not_a_directory(&error) && !wanted.must_be_directory => {
            ls_file(context, &session, &wanted.path, typed, form).await
        }
        Err(error) => Err(context.failure(&error, typed)),
    }
}

async fn print_listing(session: &Session, directory: &DirPath, output: &mut Output<'_>) -> Result<(), Error> {
    let mut listing = session.list(directory, output.form.needs_details()).await?;
    while let Some(entries) = listing.next_page().await? {
        output.take(entries);
        if !output.printer.is_open() {
            return Ok(());
        }
    }
    output.finish();
    Ok(())
}

async fn ls_file(
    context: &Context,
    session: &Session,
    path: &DirPath,
    typed: &str,
    form: Form,
) -> Result<ExitCode, Failure> {
    let entry = session.stat(path).await.map_err(|error| context.failure(&error, typed))?;
    let parent = path.to_rel().map(|path| path.parent()).unwrap_or_default();
    let mut output = Output::new(&context.printer, form, true, parent);
    output.take(vec![entry]);
    output.finish();
    Ok(ExitCode::Done)
}

fn is_not_a_directory(error: &Error) -> bool {
    matches!(error, Error::Server(failure) if failure.code == ErrorCode::NOT_A_DIRECTORY)
}

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Objects,
    Table,
    Columns(usize),
    Names,
}

impl Form {
    fn of(args: &LsArgs, printer: &Printer) -> Self {
        match args.long {
            _ if printer.is_json() => Self::Objects,
            true => Self::Table,
            false if printer.stdout_is_terminal() => Self::Columns(terminal_width()),
            false => Self::Names,
        }
    }

    /// Whether entries are shown with what the catalog knows of them.
    fn needs_details(self) -> bool {
        matches!(self, Self::Objects | Self::Table)
    }
}

/// The terminal's width in columns.
pub(crate) fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(DEFAULT_WIDTH)
}

/// Collects entries, to print them sorted, until there are too many; from then on it prints them as they come.
struct Output<'a> {
    printer: &'a Printer,
    form: Form,
    all: bool,
    directory: DirPath,
    collected: Vec<Entry>,
    streaming: bool,
    hidden: u64,
    /// The table has its heading already.
    headed: Cell<bool>,
}

impl<'a> Output<'a> {
    fn new(printer: &'a Printer, form: Form, all: bool, directory: DirPath) -> Self {
        let (collected, streaming, hidden, headed) = (Vec::new(), false, 0, Cell::new(false));
        Self { printer, form, all, directory, collected, streaming, hidden, headed }
    }

    fn take(&mut self, mut entries: Vec<Entry>) {
        if !self.all {
            let before = entries.len();
            entries.retain(|entry| !name_of(entry).starts_with('.'));
            self.hidden += (before - entries.len()) as u64;
        }
        if self.streaming {
            return self.print(&entries);
        }
        self.collected.append(&mut entries);
        if self.collected.len() > MAX_SORTED_ENTRIES {
            self.streaming = true;
            self.printer.note(format_args!("more than {MAX_SORTED_ENTRIES} entries: not sorted"));
            let collected = std::mem::take(&mut self.collected);
            self.print(&collected);
        }
    }

    fn finish(&mut self) {
        if self.streaming {
            return;
        }
        let mut entries = std::mem::take(&mut self.collected);
        if entries.is_empty() {
            match self.hidden {
                0 => self.printer.data("(empty)"),
                hidden => {
                    self.printer.data(format_args!("(empty, but for {hidden} hidden: ls -a shows them)"));
                }
            }
            return;
        }
        entries.sort_by(by_name);
        self.print(&entries);
    }

    fn print(&self, entries: &[Entry]) {
        match self.form {
            Form::Objects => {
                for entry in entries {
                    self.printer.object(&objects::Entry::new(entry, self.path_of(entry)));
                }
            }
            Form::Table => {
                print_rows(self.printer, entries.iter().map(row), !self.headed.replace(true));
            }
            Form::Columns(width) if !self.streaming => {
                let names: Vec<String> = entries.iter().map(shown_name).collect();
                let palette = self.printer.palette();
                table::columns(&names, width, |name| palette.paint_name(name))
                    .iter()
                    .for_each(|line| self.printer.data(line));
            }
            Form::Columns(_) | Form::Names => {
                entries.iter().for_each(|entry| self.printer.data(shown_name(entry)));
            }
        }
    }

    fn path_of(&self, entry: &Entry) -> String {
        let name = name_of(entry);
        if self.directory.is_root() { name.to_owned() } else { format!("{}/{name}", self.directory.as_str()) }
    }
}

fn print_rows(printer: &Printer, rows: impl Iterator<Item = [String; 5]>, with_heading: bool) {
    let heading = with_heading.then(|| HEADING.map(str::to_owned));
    let rows: Vec<_> = heading.into_iter().chain(rows).collect();
    let align = [Align::Left, Align::Left, Align::Right, Align::Left, Align::Left];
    let lines = table::rows(align, &rows);
    lines
        .iter()
        .zip(&rows)
        .for_each(|(line, row)| printer.data(printer.palette().paint_row(line, &row[row.len() - 1])));
}

/// The columns of the table.
const HEADING: [&str; 5] = ["id", "type", "size", "modified", "name"];

fn row(entry: &Entry) -> [String; 5] {
    let catalog = entry.catalog.as_ref();
    let id = catalog.map_or_else(|| "-".to_owned(), |info| info.id.to_string());
    let r#type = match (entry.kind, catalog) {
        (EntryKind::File, Some(info)) => info.media_type.escaped().to_string(),
        (kind, _) => objects::kind_word(kind).to_owned(),
    };
    let size = match entry.kind {
        EntryKind::File => units::size(entry.size),
        _ => "-".to_owned(),
    };
    [id, r#type, size, units::table_time(entry.modified), shown_name(entry)]
}

fn name_of(entry: &Entry) -> &str {
    match &entry.name {
        EntryName::Servable(name) => name.as_str(),
        EntryName::Unservable(text) => text.as_str(),
    }
}

fn by_name(a: &Entry, b: &Entry) -> Ordering {
    name_of(a).cmp(name_of(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_proto::{path::Name, text::Text, time::Timestamp, upload::Mode};

    fn entry(name: &str, kind: EntryKind, size: u64) -> Entry {
        Entry {
            name: EntryName::Servable(Name::parse(name).expect("a name")),
            kind,
            size,
            modified: Timestamp::EPOCH,
            mode: Mode::masked(0o644),
            version: None,
            catalog: None,
        }
    }

    #[test]
    fn a_row_has_id_type_size_time_and_name() {
        assert_eq!(
            row(&entry("a.txt", EntryKind::File, 1_500)),
            ["-", "file", "1.50 kB", "1970-01-01 00:00:00Z", "a.txt"]
        );
        assert_eq!(
            row(&entry("in", EntryKind::Directory, 0)),
            ["-", "directory", "-", "1970-01-01 00:00:00Z", "in/"]
        );
    }

    #[test]
    fn a_hostile_name_is_shown_escaped() {
        let mut hostile = entry("x", EntryKind::File, 0);
        hostile.name = EntryName::Unservable(Text::new("\u{1b}]0;pwned\u{7}"));
        assert_eq!(shown_name(&hostile), "\\u{1b}]0;pwned\\u{7}");
    }

    #[test]
    fn dot_files_are_hidden_and_counted() {
        let printer = Printer::new(crate::output::PrinterOptions::default());
        let mut output = Output::new(&printer, Form::Names, false, DirPath::root());
        output.take(vec![entry(".a", EntryKind::File, 0), entry("b", EntryKind::File, 0)]);
        assert_eq!(output.hidden, 1);
        assert_eq!(output.collected.len(), 1);
    }

    #[test]
    fn beyond_the_bound_nothing_is_kept() {
        let quiet = crate::output::PrinterOptions { quiet: true, json: true, ..Default::default() };
        let printer = Printer::new(quiet);
        let mut output = Output::new(&printer, Form::Names, true, DirPath::root());
        let page = |count: usize| vec![entry("b", EntryKind::File, 0); count];
        output.take(page(MAX_SORTED_ENTRIES));
        assert_eq!(output.collected.len(), MAX_SORTED_ENTRIES);
        assert!(!output.streaming);
        output.take(page(1));
        assert!(output.streaming);
        output.take(page(1000));
        assert!(output.collected.is_empty());
    }
}
