use std::sync::Barrier;

use super::*;
use crate::meta::Kind;
use crate::staging::Staging;
use crate::testing::temporary;

fn synced(dir: &Dir, leaf: &str, content: &[u8]) -> SyncedStaging {
    let staging = Staging::create(dir, leaf, Some(content.len() as u64)).unwrap();
    staging.write_at(content, 0).unwrap();
    staging.sync().unwrap()
}

#[track_caller]
fn refusal(result: Result<Meta, PublishError>) -> (Box<SyncedStaging>, DiskError) {
    match result {
        Err(PublishError::Refused { staging, error }) => (staging, error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_published_file_has_its_name_and_no_other() {
    let (_tree, dir, path) = temporary();
    dir.make_dir_leaf("sub", 0o777).unwrap();
    let sub = dir.open_dir_leaf("sub").unwrap();
    let meta = publish(synced(&dir, "part", b"content"), &sub, "final", Replace::Never).unwrap();
    assert_eq!(std::fs::read(path.join("sub/final")).unwrap(), b"content");
    assert!(!path.join("part").exists());
    // The rename has changed the ctime: the state returned must be the one after it.
    assert_eq!(meta, sub.stat_leaf("final").unwrap());
    assert_eq!((meta.kind, meta.size, meta.links), (Kind::File, 7, 1));
}

#[test]
fn a_taken_name_gives_the_staging_file_back() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("final"), "old").unwrap();
    let (staging, error) = refusal(publish(synced(&dir, "part", b"new"), &dir, "final", Replace::Never));
    assert!(matches!(error, DiskError::AlreadyExists));
    assert_eq!(std::fs::read(path.join("final")).unwrap(), b"old");
    let mut content = [0; 3];
    staging.read_at(&mut content, 0).unwrap();
    assert_eq!(&content, b"new");
    publish(*staging, &dir, "final (1)", Replace::Never).unwrap();
    assert_eq!(std::fs::read(path.join("final (1)")).unwrap(), b"new");
    drop(refusal(publish(synced(&dir, "part", b"new"), &dir, "final", Replace::Never)));
    assert!(!path.join("part").exists(), "nobody wanted it");
}

#[test]
fn replacing_takes_only_regular_files() {
    let (_tree, dir, path) = temporary();
    std::fs::write(path.join("file"), "old").unwrap();
    std::fs::write(path.join("target"), "untouched").unwrap();
    std::fs::create_dir(path.join("sub")).unwrap();
    std::os::unix::fs::symlink("target", path.join("link")).unwrap();
    let mut staging = synced(&dir, "part", b"new");
    let cases = [("sub", DiskError::IsADirectory), ("link", DiskError::Symlink)];
    for (name, expected) in cases {
        let (given_back, error) = refusal(publish(staging, &dir, name, Replace::Always));
        assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&expected), "{error:?}");
        staging = *given_back;
    }
    publish(staging, &dir, "file", Replace::Always).unwrap();
    assert_eq!(std::fs::read(path.join("file")).unwrap(), b"new");
    assert_eq!(std::fs::read(path.join("target")).unwrap(), b"untouched");
}

#[test]
fn an_open_reader_keeps_the_replaced_file() {
    let (_tree, dir, path) = temporary();
    publish(synced(&dir, "part", b"old"), &dir, "final", Replace::Never).unwrap();
    let (old, _) = dir.open_file_leaf("final").unwrap();
    publish(synced(&dir, "part", b"new"), &dir, "final", Replace::Always).unwrap();
    assert_eq!(std::io::read_to_string(old).unwrap(), "old");
    assert_eq!(std::fs::read(path.join("final")).unwrap(), b"new");
}

#[test]
fn of_two_publishers_exactly_one_wins() {
    let (_tree, dir, path) = temporary();
    for round in 0..200 {
        let name = format!("final-{round}");
        let barrier = Barrier::new(2);
        let won: Vec<bool> = std::thread::scope(|scope| {
            let publishers: Vec<_> = ["a", "b"]
                .into_iter()
                .map(|who| {
                    let staging = synced(&dir, &format!("part-{who}"), who.as_bytes());
                    let (dir, name, barrier) = (&dir, &name, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        publish_unsynced(staging, dir, name, Replace::Never).is_ok()
                    })
                })
                .collect();
            publishers.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}");
        let expected: &[u8] = if won[0] { b"a" } else { b"b" };
        assert_eq!(std::fs::read(path.join(&name)).unwrap(), expected);
    }
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 200);
}

#[test]
fn a_publication_interrupted_after_its_link_is_completed() {
    for replace in [Replace::Never, Replace::Always] {
        let (_tree, dir, path) = temporary();
        let staging = synced(&dir, "part", b"content");
        std::fs::hard_link(path.join("part"), path.join("final")).unwrap();
        let meta = publish(staging, &dir, "final", replace).unwrap();
        assert_eq!(meta.links, 1);
        assert_eq!(std::fs::read(path.join("final")).unwrap(), b"content");
        assert!(!path.join("part").exists());
    }
}

#[test]
fn publishing_a_file_onto_itself_loses_nothing() {
    for replace in [Replace::Never, Replace::Always] {
        let (_tree, dir, path) = temporary();
        let staging = synced(&dir, "part", b"content");
        // A second name would make a careless check take the only other one for the staging name's target.
        std::fs::hard_link(path.join("part"), path.join("other")).unwrap();
        let (staging, error) = refusal(publish(staging, &dir, "part", replace));
        assert!(matches!(error, DiskError::AlreadyExists | DiskError::SameFile), "{error:?}");
        assert!(path.join("part").exists());
        staging.keep();
    }
}

#[test]
fn a_swapped_staging_name_is_not_published() {
    let (_tree, dir, path) = temporary();
    let staging = synced(&dir, "part", b"verified");
    std::fs::remove_file(path.join("part")).unwrap();
    std::fs::write(path.join("part"), "forged").unwrap();
    let (_, error) = refusal(publish(staging, &dir, "final", Replace::Never));
    assert!(matches!(error, DiskError::Changed));
    assert!(!path.join("final").exists());
}

#[test]
fn a_missing_directory_refuses() {
    let (_tree, dir, path) = temporary();
    dir.make_dir_leaf("sub", 0o777).unwrap();
    let sub = dir.open_dir_leaf("sub").unwrap();
    dir.remove_dir_leaf("sub").unwrap();
    let (staging, error) = refusal(publish(synced(&dir, "part", b"x"), &sub, "final", Replace::Never));
    assert!(matches!(error, DiskError::NotFound), "{error:?}");
    drop(staging);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}

#[test]
fn a_name_that_could_not_be_made_durable_is_neither_success_nor_refusal() {
    let (_tree, dir, path) = temporary();
    // An O_PATH handle can be renamed into, but not synced.
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let unsyncable = rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).unwrap();
    let unsyncable = Dir::from_fd(unsyncable);
    match publish(synced(&dir, "part", b"content"), &unsyncable, "final", Replace::Never) {
        Err(PublishError::Unknown { meta: Some(meta), error: DiskError::Io { op: "fsync", .. } }) => {
            assert_eq!(meta.size, 7);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(path.join("final")).unwrap(), b"content");
}
