use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::dir::Replace;
use crate::publish::publish;
use crate::testing::{names, temporary};

/// A staging file whose writes go to a device instead.
fn staging_on(dir: &Dir, leaf: &str, device: &str) -> Staging {
    let mut staging = Staging::create(dir, leaf, None).unwrap();
    staging.file = File::options().read(true).write(true).open(device).unwrap();
    staging
}

#[test]
fn a_dropped_staging_file_leaves_nothing() {
    let (_tree, dir, path) = temporary();
    let staging = Staging::create(&dir, "part", Some(100_000)).unwrap();
    staging.write_at(b"bytes", 50_000).unwrap();
    assert_eq!(names(&path), ["part"]);
    drop(staging);
    assert!(names(&path).is_empty());
    drop(Staging::create(&dir, "part", None).unwrap().sync().unwrap());
    assert!(names(&path).is_empty());
    Staging::create(&dir, "part", None).unwrap().discard().unwrap();
    assert!(names(&path).is_empty());
}

#[test]
fn an_abandoned_file_is_gone_at_once_whoever_still_writes_to_it() {
    let (_tree, dir, path) = temporary();
    let staging = std::sync::Arc::new(Staging::create(&dir, "part", Some(10)).unwrap());
    let writer = staging.clone();
    staging.abandon();
    assert!(names(&path).is_empty());
    assert!(matches!(writer.write_at(b"late", 0), Err(DiskError::Stopped)));
    // The name may belong to somebody else by now.
    std::fs::write(path.join("part"), "another's").unwrap();
    drop(writer);
    let staging = std::sync::Arc::into_inner(staging).expect("the last handle");
    assert!(staging.sync().is_err());
    assert_eq!(names(&path), ["part"]);
}

#[test]
fn a_kept_staging_file_can_be_reopened_by_one_at_a_time() {
    let (_tree, dir, path) = temporary();
    let staging = Staging::create(&dir, "part", None).unwrap();
    staging.write_at(b"hello", 0).unwrap();
    staging.keep();
    assert!(matches!(Staging::reopen(&dir, "part"), Err(DiskError::Busy)));
    drop(staging);
    let staging = Staging::reopen(&dir, "part").unwrap();
    let mut bytes = [0; 5];
    staging.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"hello");
    assert!(staging.read_at(&mut bytes, 1).is_err());
    drop(staging);
    assert_eq!(names(&path), ["part"]);
    assert!(matches!(Staging::reopen(&dir, "absent"), Err(DiskError::NotFound)));
    assert!(matches!(Staging::create(&dir, "part", None), Err(DiskError::AlreadyExists)));
    // The refused creation must not have removed the file of the one before.
    assert_eq!(names(&path), ["part"]);
}

#[test]
fn a_published_file_cannot_be_written_through_a_name_left_behind() {
    let (_tree, dir, path) = temporary();
    let staging = Staging::create(&dir, "part", None).unwrap();
    staging.keep();
    drop(staging);
    std::fs::hard_link(path.join("part"), path.join("final")).unwrap();
    assert!(matches!(Staging::reopen(&dir, "part"), Err(DiskError::NotFound)));
    assert_eq!(names(&path), ["final"]);
}

#[test]
fn staging_is_private_until_it_is_synced() {
    let (_tree, dir, path) = temporary();
    let staging = Staging::create(&dir, "part", None).unwrap();
    let mode = |name: &str| std::fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("part") & 0o077, 0);
    staging.set_executable(true);
    assert_eq!(mode("part") & 0o077, 0);
    let synced = staging.sync().unwrap();
    assert_eq!(mode("part"), 0o777 & !umask());
    publish(synced, &dir, "final", Replace::Never).unwrap();
    assert_eq!(mode("final"), 0o777 & !umask());
}

#[test]
fn set_id_bits_never_survive() {
    let (_tree, dir, path) = temporary();
    let staging = Staging::create(&dir, "part", None).unwrap();
    std::fs::set_permissions(path.join("part"), PermissionsExt::from_mode(0o7777)).unwrap();
    assert_eq!(staging.sync().unwrap().meta().unwrap().mode, 0o666 & !umask());
}

#[test]
fn the_modification_time_is_kept() {
    let (_tree, dir, path) = temporary();
    for (secs, nanos) in [(1_000_000_000, 123_456_789), (0, 0), (-1_000, 5)] {
        let staging = Staging::create(&dir, "part", None).unwrap();
        let modified = Timestamp::new(secs, nanos).unwrap();
        staging.set_modified(modified);
        // A write after that would change the time if it were set at once.
        staging.write_at(b"x", 0).unwrap();
        let meta = publish(staging.sync().unwrap(), &dir, "final", Replace::Always).unwrap();
        assert_eq!(meta.modified, modified);
    }
    assert_eq!(names(&path), ["final"]);
}

#[test]
fn the_first_error_is_the_answer_of_everything_after_it() {
    let (_tree, dir, path) = temporary();
    // Every write to this device answers ENOSPC; reads and the metadata go on working.
    let staging = staging_on(&dir, "part", "/dev/full");
    staging.write_at(b"", 0).unwrap();
    assert!(matches!(staging.write_at(b"x", 0), Err(DiskError::NoSpace)));
    assert!(matches!(staging.write_at(b"", 0), Err(DiskError::NoSpace)));
    assert!(matches!(staging.set_len(0), Err(DiskError::NoSpace)));
    assert!(matches!(staging.sync_data(), Err(DiskError::NoSpace)));
    staging.keep();
    assert!(matches!(staging.sync(), Err(DiskError::NoSpace)));
    assert!(names(&path).is_empty(), "a file with a hole in it is not kept");
}

#[test]
fn a_failed_sync_is_final() {
    let (_tree, dir, path) = temporary();
    // A character device cannot be synced, but can be written.
    let mut staging = staging_on(&dir, "part", "/dev/zero");
    staging.write_at(b"x", 0).unwrap();
    let first = staging.sync_data().unwrap_err();
    // The disk recovers; the answer does not, because the kernel has forgotten the lost pages.
    staging.file = File::options().read(true).write(true).open(path.join("part")).unwrap();
    let second = staging.sync_data().unwrap_err();
    assert_eq!(first.to_string(), second.to_string());
    assert!(staging.sync().is_err());
}

/// Answers each call with the next of a list, then takes everything.
struct Script {
    answers: &'static [Result<usize, Errno>],
    calls: Cell<usize>,
    written: Cell<u64>,
}

impl PositionedWrite for Script {
    fn write_some_at(&self, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
        let call = self.calls.replace(self.calls.get() + 1);
        assert!(call < 100, "no end of calls");
        assert_eq!(offset, 1_000 + self.written.get());
        let answer = self.answers.get(call).copied().unwrap_or(Ok(bytes.len()));
        self.written.set(self.written.get() + answer.unwrap_or(0) as u64);
        answer
    }
}

fn script(answers: &'static [Result<usize, Errno>]) -> Script {
    Script { answers, calls: Cell::new(0), written: Cell::new(0) }
}

#[test]
fn short_and_interrupted_writes_go_on_where_they_were() {
    let to = script(&[Ok(3), Err(Errno::INTR), Ok(1), Ok(5)]);
    write_all_at(&to, &[7; 20], 1_000).unwrap();
    assert_eq!((to.calls.get(), to.written.get()), (5, 20));
}

#[test]
fn a_write_of_nothing_is_an_error() {
    let to = script(&[Ok(3), Ok(0)]);
    assert!(matches!(write_all_at(&to, &[7; 20], 1_000), Err(DiskError::Io { op: "pwrite", .. })));
    assert_eq!(to.calls.get(), 2);
}

#[test]
fn a_write_that_claims_too_much_is_an_error() {
    let to = script(&[Ok(21)]);
    assert!(write_all_at(&to, &[7; 20], 1_000).is_err());
}

#[test]
fn a_length_that_cannot_fit_is_refused_at_once() {
    let (_tree, dir, path) = temporary();
    assert!(matches!(Staging::create(&dir, "part", Some(u64::MAX)), Err(DiskError::NoSpace)));
    assert!(names(&path).is_empty());
}

#[test]
fn reserving_space_does_not_change_the_length() {
    let (_tree, dir, _path) = temporary();
    let staging = Staging::create(&dir, "part", Some(1_000_000)).unwrap();
    assert_eq!(staging.meta().unwrap().size, 0);
    staging.set_len(10).unwrap();
    assert_eq!(staging.meta().unwrap().size, 10);
}

/// Runs one of the ignored tests below in a process of its own, with the shell words before it.
fn in_child(test: &str, shell: &str, dir: &Path) -> std::process::Output {
    let script = format!("{shell} exec \"$0\" --exact staging::tests::{test} --ignored --nocapture");
    let mut command = Command::new("unshare");
    if shell.contains("mount ") {
        command.args(["-Urm", "sh"]);
    } else {
        command = Command::new("sh");
    }
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
    command.env("FULMAR_TEST_DIR", dir).output().unwrap()
}

#[test]
fn permissions_follow_the_umask() {
    for (mask, plain, executable) in
        [("000", 0o666, 0o777), ("022", 0o644, 0o755), ("027", 0o640, 0o750), ("077", 0o600, 0o700)]
    {
        let tree = tempfile::tempdir().unwrap();
        let output = in_child("child_publishes_two_files", &format!("umask {mask};"), tree.path());
        assert!(output.status.success(), "{output:?}");
        for (name, expected) in [("plain", plain), ("executable", executable)] {
            let mode = std::fs::metadata(tree.path().join(name)).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, expected, "{name} with umask {mask}");
        }
    }
}

#[test]
#[ignore = "run by permissions_follow_the_umask in a process with its own umask"]
fn child_publishes_two_files() {
    let path = PathBuf::from(std::env::var_os("FULMAR_TEST_DIR").unwrap());
    let dir = Dir::open_ambient(&path).unwrap();
    for (name, executable) in [("plain", false), ("executable", true)] {
        let staging = Staging::create(&dir, "part", None).unwrap();
        staging.set_executable(executable);
        publish(staging.sync().unwrap(), &dir, name, Replace::Never).unwrap();
    }
}

#[test]
fn a_full_file_system_is_said_to_be_full() {
    let tree = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=1m none \"$FULMAR_TEST_DIR\" || exit 77;";
    let output = in_child("child_fills_the_file_system", mount, tree.path());
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || errors.starts_with("unshare:") {
        println!("skipped: no tmpfs can be mounted here: {errors}");
        return;
    }
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "run by a_full_file_system_is_said_to_be_full on a file system of 1 MiB"]
fn child_fills_the_file_system() {
    let path = PathBuf::from(std::env::var_os("FULMAR_TEST_DIR").unwrap());
    let dir = Dir::open_ambient(&path).unwrap();
    assert!(matches!(Staging::create(&dir, "part", Some(2 << 20)), Err(DiskError::NoSpace)));
    let reserved = Staging::create(&dir, "reserved", Some(512 << 10)).unwrap();
    assert!(matches!(Staging::create(&dir, "part", Some(768 << 10)), Err(DiskError::NoSpace)));
    drop(reserved);
    let staging = Staging::create(&dir, "part", None).unwrap();
    let piece = vec![1; 64 << 10];
    let full = (0..32).find_map(|n| staging.write_at(&piece, n * (64 << 10)).err());
    assert!(matches!(full, Some(DiskError::NoSpace)), "{full:?}");
    assert!(matches!(staging.sync(), Err(DiskError::NoSpace)));
    assert!(names(&path).is_empty());
}
