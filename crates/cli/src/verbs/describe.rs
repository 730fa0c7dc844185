//! `stat` and `hash`: what is known of one file.

use fulmar_proto::{
    listing::{Entry, EntryKind},
    text::Escaped,
};

use crate::{
    exit_code::ExitCode,
    output::{
        Failure,
        objects::{self, Done},
        table::{self, Align},
        units,
    },
    remote_path::{RemotePath, resolve_below_root},
    session::Context,
};

pub(super) async fn stat(context: &mut Context, typed: &str) -> Result<ExitCode, Failure> {
    let wanted = RemotePath::resolve(&context.remote_dir, typed)?;
    let session = context.session().await?;
    let entry = session.stat(&wanted.path).await.map_err(|error| context.failure(&error, typed))?;
    context.printer.object(&objects::Entry::new(&entry, wanted.path.as_str().to_owned()));
    let rows = description(&entry, wanted.path.as_str());
    table::rows([Align::Left, Align::Left], &rows).iter().for_each(|line| context.printer.data(line));
    Ok(ExitCode::Done)
}

fn description(entry: &Entry, path: &str) -> Vec<[String; 2]> {
    let mut rows =
        vec![("path", format!("/{}", Escaped(path))), ("kind", objects::kind_word(entry.kind).to_owned())];
    if entry.kind == EntryKind::File {
        rows.push(("size", format!("{} ({} bytes)", units::megabytes(entry.size), entry.size)));
    }
    rows.push(("modified", units::rfc3339(entry.modified).unwrap_or_else(|| "-".to_owned())));
    rows.push(("mode", format!("{:04o}", entry.mode.bits())));
    if let Some(info) = &entry.catalog {
        rows.push(("id", info.id.to_string()));
        rows.push(("type", info.media_type.escaped().to_string()));
        let digest = info.root.map(|root| root.to_string());
        rows.push(("blake3", digest.unwrap_or_else(|| "not known yet; hash computes it".to_owned())));
        if let Some(client) = info.uploaded_by {
            rows.push(("uploaded by", client.to_string()));
        }
        if let Some(time) = info.uploaded.and_then(units::rfc3339) {
            rows.push(("uploaded", time));
        }
    }
    rows.into_iter().map(|(key, value)| [key.to_owned(), value]).collect()
}

pub(super) async fn hash(context: &mut Context, typed: &str) -> Result<ExitCode, Failure> {
    let path = resolve_below_root(&context.remote_dir, typed)?;
    let session = context.session().await?;
    let progress = context.progress("hash", 1, None);
    let file = progress.file(typed, None);
    let result = progress.watch(session.hash(&path, false, &file)).await;
    file.end(result.is_ok());
    drop(progress);
    let (bytes, root) = result.map_err(|error| context.failure(&error, typed))?;
    context.printer.object(&Done {
        path: Some(path.as_str()),
        bytes: Some(bytes),
        blake3: Some(root.to_string()),
        ..Done::new("hash")
    });
    // The form that `b3sum --check` reads.
    context.printer.data(format_args!("{root}  {}", Escaped(typed)));
    Ok(ExitCode::Done)
}
