//! One thread swaps a directory with a link to the outside as fast as it can, while another works below that name.
//! The number of operations is bounded; not one may land outside.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::RenameFlags;

use super::*;
use crate::publish::publish_unsynced;
use crate::staging::Staging;

/// At least so many operations, successful ones among them, and exchanges under them are raced: a refusal is so much
/// faster than a success that operations alone could all fall into a few moments of the link.
const OPERATIONS: u64 = 8_000;
const SUCCESSES: u64 = 1_000;
const FLIPS: u64 = 4_000;

/// Where threads get little time, the race ends here.
const MAX_OPERATIONS: u64 = 400_000;

/// The naive control is given more, for it stops at its first escape.
const NAIVE_TRIES: u64 = 200_000;

struct Arena {
    _tree: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

/// `root/d` is a directory and `root/l` a link to `outside`; both hold a `file` that says where it is.
fn arena() -> Arena {
    let tree = tempfile::tempdir().unwrap();
    let (root, outside) = (tree.path().join("root"), tree.path().join("outside"));
    for (dir, content) in [(root.join("d"), "inside"), (outside.clone(), "outside")] {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("file"), content).unwrap();
    }
    symlink(&outside, root.join("l")).unwrap();
    Arena { _tree: tree, root, outside }
}

/// Runs `work` while `a` and `b` in `dir` are exchanged all the time; gives the number of exchanges.
fn while_flipping(dir: &Path, a: &str, b: &str, work: impl FnOnce(&AtomicU64)) -> u64 {
    let (stop, flips) = (AtomicBool::new(false), AtomicU64::new(0));
    let handle = Dir::open_ambient(dir).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut pause: u32 = 1;
            while !stop.load(Ordering::Relaxed) {
                // Uneven pauses: the two threads contend for one lock and could otherwise fall into step, so that every
                // operation meets the link. A linear congruential generator (Numerical Recipes) is uneven enough.
                pause = pause.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                for _ in 0..pause >> 23 {
                    std::hint::spin_loop();
                }
                if rustix::fs::renameat_with(&handle, a, &handle, b, RenameFlags::EXCHANGE).is_ok() {
                    flips.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // Stops the flipper even when the work panics; the scope would wait for ever otherwise.
        let guard = StopOnDrop(&stop);
        work(&flips);
        drop(guard);
    });
    flips.into_inner()
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether an operation's answer is one that a flipping directory explains.
#[track_caller]
fn explained<T: std::fmt::Debug>(result: Result<T, DiskError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(DiskError::Symlink | DiskError::NotADirectory | DiskError::NotFound | DiskError::Busy) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// One of the operations below the flipping name. Each undoes what it made, as far as the flips let it.
fn operate(root: &Root, number: u64) -> bool {
    let below = |name: &str| rel(&format!("d/{name}"));
    match number % 8 {
        0 => explained(root.stat(&at("d/file"))).is_some_and(|meta| {
            assert_eq!(meta.size, 6, "the outside file has 7 bytes");
            true
        }),
        1 => explained(root.open_file(&below("file"))).is_some_and(|(file, _)| {
            assert_eq!(std::io::read_to_string(file).unwrap(), "inside");
            true
        }),
        2 => explained(root.parent(&below("new"))).is_some_and(|parent| {
            parent.create_leaf(format!("new-{number}"), 0o600, true).unwrap();
            parent.remove_file_leaf(format!("new-{number}")).unwrap();
            true
        }),
        3 => explained(root.dir(&at("d"))).is_some_and(|dir| {
            let staging = Staging::create(root.handle(), "part", None).unwrap();
            staging.write_at(b"x", 0).unwrap();
            // The content's durability is not what is raced here; the sync would only slow the race.
            let synced = crate::staging::SyncedStaging::unsynced(staging);
            publish_unsynced(synced, &dir, "published", Replace::Always).unwrap();
            true
        }),
        4 => {
            explained(root.dir(&at("d")).and_then(|dir| dir.make_dir_leaf("made", 0o777))).is_some_and(|()| {
                while explained(root.parent(&below("made")).and_then(|dir| dir.remove_dir_leaf("made")))
                    .is_none()
                {}
                true
            })
        }
        5 => explained(root.parent(&below("file")).and_then(|dir| dir.remove_file_leaf("secret"))).is_some(),
        6 => explained(root.read_dir(&at("d"), None)).is_some_and(|entries| {
            let listed = entries.filter(|entry| entry.as_ref().unwrap().name == b"only-outside").count();
            assert_eq!(listed, 0);
            true
        }),
        _ => explained(root.dir(&at("d")).and_then(|dir| {
            dir.rename_leaf("file", &dir, "file2", Replace::Never)?;
            dir.rename_leaf("file2", &dir, "file", Replace::Never)
        }))
        .is_some(),
    }
}

#[test]
fn nothing_escapes_while_a_directory_and_a_link_change_places() {
    for resolver in RESOLVERS {
        let arena = arena();
        std::fs::write(arena.outside.join("secret"), "").unwrap();
        std::fs::write(arena.outside.join("only-outside"), "").unwrap();
        let before = names(&arena.outside);
        let root = Root::new(Dir::open_ambient(&arena.root).unwrap(), resolver);
        let (mut tried, mut done) = (0, 0);
        let flips = while_flipping(&arena.root, "d", "l", |flips| {
            wait_for_flips(flips);
            let enough = |tried, done| {
                tried >= OPERATIONS && done >= SUCCESSES && flips.load(Ordering::Relaxed) >= FLIPS
            };
            while tried < MAX_OPERATIONS && !enough(tried, done) {
                done += u64::from(operate(&root, tried));
                tried += 1;
            }
        });
        println!("{resolver:?}: {tried} operations, {done} done, {flips} flips");
        assert_eq!(names(&arena.outside), before);
        assert_eq!(std::fs::read(arena.outside.join("file")).unwrap(), b"outside");
        assert!(done > 0, "every operation was refused: nothing was raced");
    }
}

/// The flipper must be on its way before the operations start.
fn wait_for_flips(flips: &AtomicU64) {
    while flips.load(Ordering::Relaxed) < 10 {
        std::thread::yield_now();
    }
}

#[test]
fn a_tree_is_removed_without_following_a_link_that_takes_its_place() {
    for resolver in RESOLVERS {
        let arena = arena();
        let top = arena.root.join("top");
        let mut removed = 0;
        let root = Root::new(Dir::open_ambient(&arena.root).unwrap(), resolver);
        for _ in 0..150 {
            std::fs::create_dir_all(top.join("d/deeper")).unwrap();
            std::fs::write(top.join("d/deeper/file"), "").unwrap();
            std::fs::write(top.join("d/file"), "").unwrap();
            symlink(&arena.outside, top.join("l")).unwrap();
            while_flipping(&top, "d", "l", |flips| {
                wait_for_flips(flips);
                let outcome = root.remove_tree(&rel("top"), &AtomicBool::new(false), |_| {});
                removed += u64::from(explained(outcome).is_some());
            });
            if top.exists() {
                std::fs::remove_dir_all(&top).unwrap();
            }
            assert_eq!(names(&arena.outside), ["file"]);
        }
        assert!(removed > 0, "no removal came to its end");
    }
}

/// What a careless implementation does: check, then use the path again.
fn naive_write(root: &Path, name: &str) {
    let path = root.join("d").join(name);
    let parent = path.parent().unwrap().canonicalize();
    if parent.is_ok_and(|parent| parent.starts_with(root)) {
        // Refusals are as good as success here; the question is only where the file lands.
        drop(std::fs::write(&path, "x"));
    }
}

#[test]
fn the_race_catches_a_careless_implementation() {
    let arena = arena();
    let root = arena.root.canonicalize().unwrap();
    let mut escaped_after = None;
    while_flipping(&root, "d", "l", |flips| {
        wait_for_flips(flips);
        escaped_after = (0..NAIVE_TRIES).find(|_| {
            naive_write(&root, "escapee");
            arena.outside.join("escapee").exists()
        });
    });
    match escaped_after {
        Some(tries) => println!("escaped at try {tries}"),
        None => println!("could not be shown here: no escape in {NAIVE_TRIES} tries"),
    }
}
