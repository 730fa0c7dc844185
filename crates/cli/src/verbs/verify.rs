//! `verify`: whether a local file and a remote one hold the same bytes.

use std::path::Path;

use fulmar_client::NoObserver;
use fulmar_proto::{digest::Digest, text::Escaped};

use crate::{
    exit_code::ExitCode,
    hints::quoted,
    output::{Failure, hint::Hint, objects::Done, units},
    remote_path::resolve_below_root,
    session::Context,
};

pub(super) async fn verify(context: &mut Context, local: &Path, remote: &str) -> Result<ExitCode, Failure> {
    let path = resolve_below_root(&context.remote_dir, remote)?;
    context.check_connectable()?;
    let file = context.local_path(local);
    std::fs::metadata(&file).map_err(|error| Failure::local(local, &error))?;
    let session = context.session().await?;
    let shown_local = local.to_string_lossy();
    let progress = context.progress("verify", 1, None);
    let observer = progress.file(&shown_local, None);
    // The progress is that of the local half; the server reads its bytes again meanwhile, whatever its catalog says.
    let here = async {
        let result = context.client().hash_file(&file, &observer).await;
        result.map_err(|error| context.failure(&error, &shown_local))
    };
    let there = async {
        let result = session.hash(&path, true, &NoObserver).await;
        result.map_err(|error| context.failure(&error, remote))
    };
    let result = progress.watch(async { tokio::try_join!(here, there) }).await;
    observer.end(result.is_ok());
    drop(progress);
    let ((bytes, root), (remote_bytes, remote_root)) = result?;
    if (bytes, root) != (remote_bytes, remote_root) {
        let failure = mismatch(&shown_local, (bytes, root), (remote_bytes, remote_root)).about(remote);
        let (here, there) = (quoted(&shown_local), quoted(remote));
        let hint = Hint::run(format!("upload -f {here} {there}")).then(", or ");
        return Err(failure.hint(hint.then_run(format!("download -f {there} {here}"))));
    }
    context.printer.object(&Done {
        path: Some(path.as_str()),
        from: Some(&shown_local),
        bytes: Some(bytes),
        blake3: Some(root.to_string()),
        ..Done::new("verify")
    });
    context.printer.answer(format_args!(
        "{} = {}  {}  blake3 {root}  identical",
        Escaped(&shown_local),
        Escaped(remote),
        units::size(bytes)
    ));
    Ok(ExitCode::Done)
}

fn mismatch(local: &str, here: (u64, Digest), there: (u64, Digest)) -> Failure {
    let difference = if here.0 == there.0 {
        format!("blake3 {} here, {} there", here.1, there.1)
    } else {
        format!("{} bytes here, {} there", here.0, there.0)
    };
    let message = format!("differs from {}: {difference}", Escaped(local));
    Failure::new(ExitCode::Mismatch, "digest-mismatch", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_says_what_differs() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let sizes = mismatch("x", (1, a), (2, b));
        assert_eq!(sizes.code, ExitCode::Mismatch);
        assert_eq!(sizes.message, "differs from x: 1 bytes here, 2 there");
        assert!(mismatch("x", (1, a), (1, b)).message.contains(&b.to_string()));
    }
}
