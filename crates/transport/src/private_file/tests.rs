use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Barrier};

use super::*;

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn written_files_and_made_folders_are_private_and_nothing_is_left_over() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/secret");
    write_private(&path, b"one").unwrap();
    write_private(&path, b"two").unwrap();
    assert_eq!(read_private(&path, 3).unwrap().unwrap().as_slice(), b"two");
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(mode_of(&root.path().join("a")), 0o700);
    assert_eq!(mode_of(&root.path().join("a/b")), 0o700);
    assert_eq!(names_in(&root.path().join("a/b")), ["secret"]);
}

#[test]
fn a_missing_file_is_none_and_a_long_one_an_error() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("f");
    assert!(read_private(&path, 10).unwrap().is_none());
    write_private(&path, b"12345").unwrap();
    assert!(read_private(&path, 5).unwrap().is_some());
    assert!(matches!(read_private(&path, 4), Err(PrivateFileError::TooLarge { limit_bytes: 4, .. })));
}

#[test]
fn open_permissions_are_refused_by_what_the_file_is_for() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("f");
    write_private(&path, b"x").unwrap();
    for (mode, secret_ok, trusted_ok) in [
        (0o600, true, true),
        (0o400, true, true),
        (0o640, false, true),
        (0o604, false, true),
        (0o644, false, true),
        (0o620, false, false),
        (0o602, false, false),
        (0o666, false, false),
    ] {
        set_mode(&path, mode);
        assert_eq!(read_private(&path, 9).is_ok(), secret_ok, "{mode:o}");
        assert_eq!(read_trusted(&path, 9).is_ok(), trusted_ok, "{mode:o}");
    }
    let message = read_private(&path, 9).unwrap_err().to_string();
    assert!(message.contains(&format!("chmod 600 {}", path.display())), "{message}");
}

#[test]
fn symlinks_and_things_that_are_not_files_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("target");
    write_private(&target, b"x").unwrap();
    let link = root.path().join("link");
    symlink(&target, &link).unwrap();
    assert!(matches!(read_private(&link, 9), Err(PrivateFileError::Symlink(_))));
    assert!(matches!(read_trusted(root.path(), 9), Err(PrivateFileError::NotRegular(_))));

    // A pipe in the file's place must neither hang the reader nor be read.
    let pipe = root.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert!(matches!(read_private(&pipe, 9), Err(PrivateFileError::NotRegular(_))));

    let lock_link = root.path().join("file.lock");
    symlink(&target, &lock_link).unwrap();
    assert!(matches!(lock(&root.path().join("file")), Err(PrivateFileError::Symlink(_))));
}

#[test]
fn writing_through_a_symlink_replaces_the_link_and_not_its_target() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("target");
    write_private(&target, b"old").unwrap();
    let link = root.path().join("link");
    symlink(&target, &link).unwrap();
    write_private(&link, b"new").unwrap();
    assert_eq!(read_private(&target, 9).unwrap().unwrap().as_slice(), b"old");
    assert_eq!(read_private(&link, 9).unwrap().unwrap().as_slice(), b"new");
}

#[test]
fn a_path_without_a_name_is_an_error() {
    assert!(matches!(write_private(Path::new("/"), b""), Err(PrivateFileError::NoFileName(_))));
    assert!(matches!(lock(Path::new("..")), Err(PrivateFileError::NoFileName(_))));
}

#[test]
fn of_many_creators_exactly_one_wins_and_its_content_stays() {
    let root = tempfile::tempdir().unwrap();
    let path = Arc::new(root.path().join("key"));
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8u8)
        .map(|i| {
            let (path, barrier) = (path.clone(), barrier.clone());
            std::thread::spawn(move || {
                barrier.wait();
                create_private(&path, &[i; 100]).unwrap().then_some(i)
            })
        })
        .collect();
    let winners: Vec<u8> = threads.into_iter().filter_map(|t| t.join().unwrap()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(read_private(&path, 100).unwrap().unwrap().as_slice(), [winners[0]; 100]);
    assert_eq!(names_in(root.path()), ["key"]);
}

#[test]
fn the_lock_makes_read_modify_write_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = Arc::new(root.path().join("counter"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || {
                for _ in 0..8 {
                    let _lock = lock(&path).unwrap();
                    let mut bytes = read_private(&path, 1000).unwrap().map_or(Vec::new(), |b| b.to_vec());
                    bytes.push(b'x');
                    write_private(&path, &bytes).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(read_private(&path, 1000).unwrap().unwrap().len(), 32);
}

#[test]
fn a_file_of_another_user_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("f");
    write_private(&path, b"x").unwrap();
    // Only root can give a file away; anybody else can look at one of root's.
    let foreign = match std::os::unix::fs::chown(&path, Some(1), None) {
        Ok(()) => path,
        Err(_) => PathBuf::from("/etc/hostname"),
    };
    let error = read_trusted(&foreign, 9000).unwrap_err();
    assert!(matches!(error, PrivateFileError::WrongOwner { .. }), "{error:?}");
}
