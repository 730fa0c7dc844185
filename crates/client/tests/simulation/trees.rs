//! Trees that go there and back.

use std::{fs, time::Duration};

use fulmar_client::{Exclude, LocalSource, RemoteSource, TransferOptions, TreeOptions};
use fulmar_netsim::{Direction, Loss, Profile};
use fulmar_proto::upload::OnExists;
use tokio::time::Instant;

use crate::{
    links::lossy,
    world::{
        Visit, World, data, seeds, simulate, simulate_on_fast_device,
        tree::{Seen, Tree, read_tree},
    },
};

/// Directories of several levels, one of them empty, with files of several sizes, one of which goes in ranges.
fn sample(seed: u64) -> Tree {
    let mut tree = Tree::new();
    for directory in ["empty", "a", "a/b", "a/b/c", "a/b/c/empty", "many"] {
        tree.insert(directory.to_owned(), None);
    }
    let mut file = |name: String, len: usize| {
        let bytes = data(seed, &name, len);
        tree.insert(name, Some(bytes));
    };
    file("nothing".to_owned(), 0);
    file("a/one byte".to_owned(), 1);
    file("a/b/some.bin".to_owned(), 100_000);
    file("a/b/c/long.bin".to_owned(), (2 << 20) + 7);
    for number in 0..300 {
        file(format!("many/{number:03}.txt"), number * 13);
    }
    tree
}

fn files(tree: &Tree) -> u64 {
    tree.values().flatten().count() as u64
}

fn bytes(tree: &Tree) -> u64 {
    tree.values().flatten().map(|bytes| bytes.len() as u64).sum()
}

#[track_caller]
fn assert_same(found: &Tree, expected: &Tree) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found == expected, "other bytes");
}

async fn make(visit: &Visit, directories: &[&str]) {
    for directory in directories {
        let path = directory.parse().expect("a path");
        visit.session().make_directory(&path, true).await.expect("made");
    }
}

#[test]
fn a_tree_goes_there_and_back_over_any_link() {
    for seed in seeds(2, &[]) {
        for loss in [0.0, 0.1] {
            simulate(seed, &lossy(loss), async |world| {
                let (visit, tree, seen) = (world.peer(0).visit().await, sample(seed), Seen::default());
                let (folder, options) = (visit.local_tree(&tree), TreeOptions::default());
                let done = visit.upload_tree(&folder, "there", &options, &seen).await.expect("a destination");
                assert_eq!(seen.failures(), []);
                assert_eq!((done.stored, done.stored_bytes), (files(&tree), bytes(&tree)));
                assert_eq!((done.failed, done.not_tried, done.broken_off), (0, 0, false));
                let back = folder.with_file_name("back");
                let done = visit.download_tree("there", &back, &options, &seen).await.expect("a target");
                assert_eq!(seen.failures(), []);
                assert_eq!((done.stored, done.stored_bytes), (files(&tree), bytes(&tree)));
                assert_same(&read_tree(&back), &tree);
                // Again there is nothing to do, on either side.
                for again in [
                    visit.upload_tree(&folder, "there", &options, &seen).await.expect("a destination"),
                    visit.download_tree("there", &back, &options, &seen).await.expect("a target"),
                ] {
                    assert_eq!((again.already_there, again.stored, again.failed), (files(&tree), 0, 0));
                }
                visit.close().await;
            });
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    simulate(1, &lossy(0.0), async |world| {
        let (visit, seen) = (world.peer(0).visit().await, Seen::default());
        let tree = Tree::from([
            ("new".to_owned(), None),
            ("new/file".to_owned(), Some(b"new".to_vec())),
            ("same".to_owned(), Some(b"same".to_vec())),
            ("other".to_owned(), Some(b"mine".to_vec())),
        ]);
        let folder = visit.local_tree(&tree);
        make(&visit, &["there"]).await;
        world.place("there/same", b"same").await;
        world.place("there/other", b"theirs").await;
        let dry = TreeOptions { dry_run: true, ..TreeOptions::default() };
        let done = visit.upload_tree(&folder, "there", &dry, &seen).await.expect("a destination");
        assert_eq!(
            seen.told(),
            [
                "AlreadyThere same -> there/same",
                "MakeDirectory new -> there/new",
                "Store new/file -> there/new/file"
            ]
        );
        assert_eq!(seen.failures(), [("other".to_owned(), "exists already, with other content".to_owned())]);
        assert_eq!((done.stored, done.already_there, done.failed, done.not_tried), (1, 1, 1, 0));
        assert_eq!(visit.list("there").await.expect("a listing").len(), 2);
        // Into a directory that would have to be made too, and the other way.
        let seen = Seen::default();
        visit.upload_tree(&folder, "elsewhere", &dry, &seen).await.expect("a destination");
        assert_eq!(seen.told().len(), 5, "{:?}", seen.told());
        assert_eq!(visit.list("").await.expect("a listing"), ["there"]);
        let seen = Seen::default();
        let missing = folder.join("missing");
        visit.download_tree("there", &missing, &dry, &seen).await.expect("a target");
        assert_eq!(seen.told().len(), 3, "{:?}", seen.told());
        assert!(!missing.exists());
        let seen = Seen::default();
        visit.download_tree("there", &folder, &dry, &seen).await.expect("a target");
        assert_eq!(seen.told(), [format!("AlreadyThere same -> {}/same", folder.display())]);
        assert_eq!(seen.failures().len(), 1);
        assert_same(&read_tree(&folder), &tree);
    });
}

#[test]
fn what_is_excluded_is_not_walked() {
    simulate(1, &lossy(0.0), async |world| {
        let (visit, seen, tree) = (world.peer(0).visit().await, Seen::default(), sample(1));
        let folder = visit.local_tree(&tree);
        let exclude = Exclude::new(["many/", "*.bin", "/a/b/c/empty"]).expect("patterns");
        let options = TreeOptions { exclude, ..TreeOptions::default() };
        visit.upload_tree(&folder, "there", &options, &seen).await.expect("a destination");
        let back = folder.with_file_name("back");
        visit.download_tree("there", &back, &TreeOptions::default(), &seen).await.expect("a target");
        let left: Vec<String> = read_tree(&back).into_keys().collect();
        assert_eq!(left, ["a", "a/b", "a/b/c", "a/one byte", "empty", "nothing"]);
        // The same the other way.
        visit.upload_tree(&folder, "all", &TreeOptions::default(), &seen).await.expect("a destination");
        let again = folder.with_file_name("again");
        visit.download_tree("all", &again, &options, &seen).await.expect("a target");
        assert_eq!(read_tree(&again).into_keys().collect::<Vec<_>>(), left);
        assert_eq!(seen.failures(), []);
    });
}

#[test]
fn what_stands_in_the_way_fails_alone() {
    simulate(1, &lossy(0.0), async |world| {
        let (visit, seen, tree) = (world.peer(0).visit().await, Seen::default(), sample(1));
        let folder = visit.local_tree(&tree);
        // A file where a directory has to be, a directory where a file has to be, and a link.
        make(&visit, &["there/nothing"]).await;
        world.place("there/many", b"a file").await;
        world.place("there/nothing/in the way", b"a file in a directory").await;
        fs::remove_file(folder.join("a/one byte")).expect("removed");
        std::os::unix::fs::symlink("b/some.bin", folder.join("a/link")).expect("made");
        std::os::unix::fs::symlink("b", folder.join("a/round")).expect("made");
        let options = TreeOptions::default();
        let sources = [LocalSource { path: folder.clone(), shown: String::new(), contents: true }];
        let destination = "there".parse().expect("a destination");
        let uploading = visit.session().upload_tree(&sources, &destination, &options, &seen);
        let done = uploading.await.expect("a destination");
        let failed: Vec<String> = seen.failures().into_iter().map(|(name, _)| name).collect();
        assert_eq!(failed, ["many", "nothing"]);
        assert_eq!(seen.told(), ["passed over a/link: Link", "passed over a/round: Link"]);
        assert_eq!((done.stored, done.failed, done.not_tried, done.passed_over), (2, 2, 300, 2));
        // The ledger is not told of this one.
        let path = "there/a".parse().expect("a path");
        visit.session().remove(&path, true).await.expect("removed");
    });
}

#[test]
fn a_dry_run_fails_where_the_transfer_would() {
    simulate(1, &lossy(0.0), async |world| {
        let visit = world.peer(0).visit().await;
        let folder = visit.local_tree(&Tree::from([("name".to_owned(), Some(b"a file".to_vec()))]));
        make(&visit, &["there/name"]).await;
        for on_exists in [OnExists::Fail, OnExists::Overwrite, OnExists::Skip, OnExists::Rename] {
            let told = async |dry_run| {
                let seen = Seen::default();
                let transfer = TransferOptions { on_exists, ..TransferOptions::default() };
                let options = TreeOptions { transfer, dry_run, ..TreeOptions::default() };
                visit.upload_tree(&folder, "there", &options, &seen).await.expect("a destination");
                (seen.told(), seen.failures())
            };
            let (planned, done) = (told(true).await, told(false).await);
            assert_eq!(planned, done, "{on_exists:?}");
            assert_eq!(done.1.len(), 1, "{on_exists:?}: {done:?}");
        }
    });
}

#[test]
fn many_sources_are_looked_at_together() {
    simulate(1, &broadband(0.0), async |world| {
        let visit = world.peer(0).visit().await;
        let target = visit.local_tree(&Tree::new());
        let mut sources = Vec::new();
        for number in 0..100 {
            let name = format!("{number:02}");
            world.place(&name, name.as_bytes()).await;
            sources.push(RemoteSource { path: name.parse().expect("a path"), shown: name, contents: false });
        }
        let (seen, started) = (Seen::default(), Instant::now());
        let options = TreeOptions::default();
        let downloading = visit.session().download_tree(&sources, &target, true, &options, &seen);
        let done = downloading.await.expect("a target");
        assert_eq!((done.stored, seen.failures()), (100, vec![]));
        // One after the other they would take a hundred round trips of 50 ms.
        let took = started.elapsed();
        println!("100 sources: {took:.2?}");
        assert!(took < Duration::from_millis(2_500), "{took:.2?}");
    });
}

#[test]
fn nothing_leads_a_download_out_of_its_target() {
    simulate(1, &lossy(0.0), async |world| {
        let (visit, seen) = (world.peer(0).visit().await, Seen::default());
        make(&visit, &["there/sub/deep"]).await;
        for name in ["there/sub/deep/file", "there/linked", "there/sub/fine", "there/dir"] {
            world.place(name, name.as_bytes()).await;
        }
        let target = visit.local_tree(&Tree::from([("dir".to_owned(), None), ("sub".to_owned(), None)]));
        let outside = target.with_file_name("outside");
        fs::create_dir(&outside).expect("a folder");
        fs::write(outside.join("file"), "theirs").expect("a file");
        std::os::unix::fs::symlink(&outside, target.join("sub/deep")).expect("a link");
        std::os::unix::fs::symlink(outside.join("file"), target.join("linked")).expect("a link");
        let transfer = TransferOptions { on_exists: OnExists::Overwrite, ..TransferOptions::default() };
        let options = TreeOptions { transfer, ..TreeOptions::default() };
        let done = visit.download_tree("there", &target, &options, &seen).await.expect("a target");
        let failed: Vec<String> = seen.failures().into_iter().map(|(name, _)| name).collect();
        assert_eq!(failed, ["dir", "linked", "sub/deep"]);
        assert_eq!((done.stored, done.failed), (1, 3));
        assert_eq!(fs::read(outside.join("file")).expect("a file"), b"theirs");
        assert_eq!(fs::read_dir(&outside).expect("a folder").count(), 1);
        assert_eq!(fs::read(target.join("sub/fine")).expect("a file"), b"there/sub/fine");
    });
}

/// 100 Mbit/s and 25 ms each way, losing this ratio of packets in either direction.
fn broadband(loss: f64) -> Profile {
    let way = Direction {
        rate_mbit_per_s: Some(100.0),
        delay_ms: 25.0,
        loss_after_queue: (loss > 0.0).then_some(Loss::Bernoulli(loss)),
        ..Direction::default()
    };
    Profile::symmetric("broadband", way)
}

/// So many files of 4 KiB, a hundred to a directory, and one of as many bytes: how long they take each way.
struct Times {
    many: [Duration; 2],
    one: [Duration; 2],
}

async fn times(world: &World, count: usize) -> Times {
    const LEN: usize = 4 << 10;
    let visit = world.peer(0).visit().await;
    let all = data(world.seed(), "all", count * LEN);
    let piece = |(number, bytes): (usize, &[u8])| {
        (format!("{:03}/{:02}.bin", number / 100, number % 100), Some(bytes.to_vec()))
    };
    let many: Tree = all.chunks(LEN).enumerate().map(piece).collect();
    let one = Tree::from([("one.bin".to_owned(), Some(all.clone()))]);
    let mut times = Vec::new();
    for (name, tree) in [("many", many), ("one", one)] {
        let (folder, seen, options) = (visit.local_tree(&tree), Seen::default(), TreeOptions::default());
        let started = Instant::now();
        visit.upload_tree(&folder, name, &options, &seen).await.expect("a destination");
        let up = started.elapsed();
        let back = folder.with_file_name("back");
        let started = Instant::now();
        let done = visit.download_tree(name, &back, &options, &seen).await.expect("a target");
        times.push([up, started.elapsed()]);
        assert_eq!((done.stored, seen.failures()), (files(&tree), vec![]));
    }
    visit.close().await;
    Times { many: times[0], one: times[1] }
}

/// Files cost little beside their bytes. `FULMAR_TREE_FILES=10000` and `FULMAR_TREE_LOSS=0.01` measure more of them.
#[test]
fn many_small_files_take_little_longer_than_one_of_the_same_bytes() {
    let setting = |name: &str| std::env::var(name).ok();
    let count = setting("FULMAR_TREE_FILES").map_or(1_000, |text| text.parse().expect("a number"));
    let loss = setting("FULMAR_TREE_LOSS").map_or(0.0, |text| text.parse().expect("a ratio"));
    for seed in seeds(1, &[]) {
        simulate_on_fast_device(seed, &broadband(loss), async |world| {
            let Times { many, one } = times(world, count).await;
            for (way, (many, one)) in ["up", "down"].into_iter().zip(many.into_iter().zip(one)) {
                let ratio = many.as_secs_f64() / one.as_secs_f64();
                println!(
                    "seed {seed}, {count} files, loss {loss}, {way}: {many:.2?}, as one {one:.2?}: {ratio:.2}"
                );
                // Of a thousand files the beginning is a good part, which one file has too.
                assert!(loss > 0.0 || ratio <= 2.0, "{way}: {ratio:.2}");
            }
        });
    }
}
