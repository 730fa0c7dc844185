//! `size`: how much files and directories hold.

use fulmar_client::Measured;
use fulmar_proto::{listing::EntryKind, text::Escaped};

use super::each::each;
use crate::{
    exit_code::ExitCode,
    glob::Wanted,
    output::{Failure, objects, units},
    remote_path::RemotePath,
    session::Context,
};

pub(super) async fn size(context: &mut Context, paths: &[String]) -> Result<ExitCode, Failure> {
    let work = async |context: &mut Context, name: &str| size_of(context, name).await;
    let (code, _) = each(context, "size", paths, Wanted::Anything, work).await?;
    Ok(code)
}

async fn size_of(context: &mut Context, typed: &str) -> Result<(), Failure> {
    let wanted = RemotePath::resolve(&context.remote_dir, typed)?;
    let session = context.session().await?;
    let measured = session.measure(&wanted.path).await.map_err(|error| context.failure(&error, typed))?;
    context.printer.object(&objects::Size::new(typed, &measured));
    context.printer.data(line(typed, &measured));
    Ok(())
}

fn line(typed: &str, measured: &Measured) -> String {
    let bytes = measured.bytes;
    let size = format!("{} ({bytes} bytes)  {}", units::megabytes(bytes), Escaped(typed));
    if measured.kind != EntryKind::Directory {
        return size;
    }
    let files = units::counted(measured.files, "file", "files");
    let directories = units::counted(measured.directories, "directory", "directories");
    format!("{size}  ({files}, {directories})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_in_megabytes_and_bytes() {
        let measured = Measured { kind: EntryKind::File, bytes: 12_582_912, files: 1, directories: 0 };
        assert_eq!(line("a.bin", &measured), "12.58 MB (12582912 bytes)  a.bin");
    }

    #[test]
    fn a_directory_is_told_with_its_counts() {
        let measured = Measured { kind: EntryKind::Directory, bytes: 5, files: 3, directories: 1 };
        assert_eq!(line("in", &measured), "0.00 MB (5 bytes)  in  (3 files, 1 directory)");
    }
}
