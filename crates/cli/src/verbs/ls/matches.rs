//! What a pattern matches, shown as a listing: directories by their names, not by what is in them.

use fulmar_client::Session;
use fulmar_proto::{listing::EntryKind, text::Escaped};

use super::{Form, print_rows, row};
use crate::{
    exit_code::ExitCode,
    glob::{
        self, Wanted,
        remote::{RemoteMatch, RemoteMatches},
    },
    output::{Failure, hint::Hint, objects, table},
    remote_path::RemotePath,
    session::Context,
};

/// Lists what `typed` matches; none when it is a plain name.
pub(super) async fn ls(
    context: &Context,
    session: &Session,
    typed: &str,
    form: Form,
) -> Result<Option<ExitCode>, Failure> {
    match glob::remote::expand(context, session, typed, Wanted::Anything, form.needs_details()).await? {
        None => Ok(None),
        Some(matches) if matches.found.is_empty() => {
            Err(glob::no_match(typed, Hint::run("ls").then(" shows what is there")))
        }
        Some(matches) => print(context, &matches, form).map(Some),
    }
}

fn print(context: &Context, matches: &RemoteMatches, form: Form) -> Result<ExitCode, Failure> {
    let printer = &context.printer;
    match form {
        Form::Objects => {
            for found in &matches.found {
                let path = RemotePath::resolve(&context.remote_dir, &found.typed)?.path;
                printer.object(&objects::Entry::new(&found.entry, path.as_str().to_owned()));
            }
        }
        Form::Table => {
            let rows = matches.found.iter().map(|found| {
                let [id, kind, size, modified, _] = row(&found.entry);
                [id, kind, size, modified, shown(found)]
            });
            print_rows(printer, rows, true);
        }
        Form::Columns(width) => {
            let names: Vec<String> = matches.found.iter().map(shown).collect();
            let palette = printer.palette();
            table::columns(&names, width, |name| palette.paint_name(name))
                .iter()
                .for_each(|line| printer.data(line));
        }
        Form::Names => matches.found.iter().for_each(|found| printer.data(shown(found))),
    }
    Ok(ExitCode::Done)
}

/// The name from where the pattern was, a directory with a slash behind it.
fn shown(found: &RemoteMatch) -> String {
    let slash = if found.entry.kind == EntryKind::Directory { "/" } else { "" };
    format!("{}{slash}", Escaped(&found.typed))
}
