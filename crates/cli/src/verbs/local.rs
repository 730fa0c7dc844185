//! `lls`, `lcd` and `lpwd`: the local side.

use std::{fs, io, path::Path, time::UNIX_EPOCH};

use fulmar_proto::{text::Escaped, time::Timestamp};

use super::terminal_width;
use crate::{
    exit_code::ExitCode,
    output::{
        Failure, Printer,
        objects::Done,
        table::{self, Align},
        units,
    },
    session::Context,
    verb::LlsArgs,
};

/// What is shown of a local file.
#[derive(Debug, PartialEq, Eq)]
struct LocalEntry {
    /// Escaped, a directory with a slash behind it.
    name: String,
    /// Of a regular file.
    size: Option<u64>,
    modified: Option<Timestamp>,
}

pub(super) async fn lls(context: &Context, args: &LlsArgs) -> Result<ExitCode, Failure> {
    let typed = args.path.as_deref().unwrap_or(Path::new("."));
    let dir = context.local_path(typed);
    let all = args.all;
    let entries = tokio::task::spawn_blocking(move || read_dir(&dir, all)).await;
    let entries = entries.map_err(io::Error::other).and_then(|read| read);
    let entries = entries.map_err(|error| Failure::local(typed, &error))?;
    let printer = &context.printer;
    if printer.is_json() {
        for entry in &entries {
            printer.object(&Done { path: Some(&entry.name), bytes: entry.size, ..Done::new("lls") });
        }
    } else if entries.is_empty() {
        printer.data("(empty)");
    } else if args.long {
        let rows: Vec<_> = entries.iter().map(row).collect();
        let align = [Align::Right, Align::Left, Align::Left];
        let lines = table::rows(align, &rows);
        lines
            .iter()
            .zip(&rows)
            .for_each(|(line, row)| printer.data(printer.palette().paint_row(line, &row[row.len() - 1])));
    } else {
        print_names(printer, entries);
    }
    Ok(ExitCode::Done)
}

fn print_names(printer: &Printer, entries: Vec<LocalEntry>) {
    let names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    if printer.stdout_is_terminal() {
        let palette = printer.palette();
        table::columns(&names, terminal_width(), |name| palette.paint_name(name))
            .iter()
            .for_each(|line| printer.data(line));
    } else {
        names.iter().for_each(|name| printer.data(name));
    }
}

fn row(entry: &LocalEntry) -> [String; 3] {
    let size = entry.size.map_or_else(|| "-".to_owned(), units::size);
    [size, entry.modified.map_or_else(|| "-".to_owned(), units::table_time), entry.name.clone()]
}

fn read_dir(dir: &Path, all: bool) -> io::Result<Vec<LocalEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !all && name.starts_with('.') {
            continue;
        }
        // What vanished meanwhile, or leads nowhere, is listed by its name alone.
        let metadata = fs::metadata(entry.path()).ok();
        let slash = if metadata.as_ref().is_some_and(fs::Metadata::is_dir) { "/" } else { "" };
        entries.push(LocalEntry {
            name: format!("{}{slash}", Escaped(&name)),
            size: metadata.as_ref().filter(|metadata| metadata.is_file()).map(fs::Metadata::len),
            modified: metadata.and_then(|metadata| modified(&metadata)),
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn modified(metadata: &fs::Metadata) -> Option<Timestamp> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::new(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos()).ok()
}

pub(super) fn lcd(context: &mut Context, typed: Option<&Path>) -> Result<ExitCode, Failure> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let typed = match (typed, &home) {
        (Some(typed), _) => typed,
        (None, Some(home)) => Path::new(home),
        (None, None) => return Err(Failure::usage("there is no home directory to change to")),
    };
    let wanted = context.local_path(typed);
    let dir = fs::canonicalize(&wanted).map_err(|error| Failure::local(typed, &error))?;
    // Reading it is what tells a directory that can be used from one that cannot.
    fs::read_dir(&dir).map_err(|error| Failure::local(typed, &error))?;
    context.local_dir = dir;
    Ok(ExitCode::Done)
}

pub(super) fn lpwd(context: &Context) -> ExitCode {
    let dir = context.local_dir.to_string_lossy();
    context.printer.object(&Done { path: Some(&dir), ..Done::new("lpwd") });
    context.printer.data(Escaped(&dir));
    ExitCode::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_entries_are_sorted_and_dot_files_hidden() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["b.txt", "a\u{1b}", ".hidden"] {
            fs::write(dir.path().join(name), "123").expect("written");
        }
        fs::create_dir(dir.path().join("sub")).expect("made");
        let names = |all| -> Vec<String> {
            read_dir(dir.path(), all).expect("read").into_iter().map(|entry| entry.name).collect()
        };
        assert_eq!(names(false), ["a\\u{1b}", "b.txt", "sub/"]);
        assert_eq!(names(true), [".hidden", "a\\u{1b}", "b.txt", "sub/"]);
        let sizes: Vec<_> =
            read_dir(dir.path(), false).expect("read").iter().map(|entry| entry.size).collect();
        assert_eq!(sizes, [Some(3), Some(3), None]);
    }
}
