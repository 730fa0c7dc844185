//! Servers that list what cannot be, to clients that download their trees.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use fulmar_client::{TransferOptions, TreeDone, TreeOptions};
use fulmar_netsim::{Direction, Profile};
use fulmar_proto::{listing::EntryKind, path::MAX_COMPONENTS, upload::OnExists};

use crate::{
    links::lossy,
    world::{
        World,
        impostor::{CONTENT, Frames, entry, page},
        simulate,
        tree::{Seen, Tree, read_tree},
    },
};

use EntryKind::{Directory, File, Link};

/// What a download of everything comes to: what is there then, what has failed, and the sums.
struct Fetched {
    tree: Tree,
    failures: Vec<(String, String)>,
    done: TreeDone,
    outside: Vec<PathBuf>,
}

async fn fetch(
    world: &World,
    on_exists: OnExists,
    list: impl Fn(&str) -> Frames + Send + Sync + 'static,
) -> Fetched {
    let impostor = world.impostor(list).await;
    let (visit, seen) = (world.peer(0).visit().await, Seen::default());
    let target = visit.local_tree(&Tree::new());
    let options = TreeOptions {
        transfer: TransferOptions { on_exists, ..TransferOptions::default() },
        ..TreeOptions::default()
    };
    let done = visit.download_tree("", &target, &options, &seen).await.expect("a target");
    visit.close().await;
    world.unmask(impostor).await;
    let beside = fs::read_dir(target.parent().expect("a folder")).expect("a folder");
    let outside =
        beside.map(|entry| entry.expect("an entry").path()).filter(|path| *path != target).collect();
    Fetched { tree: read_tree(&target), failures: seen.failures(), done, outside }
}

#[test]
fn directories_without_end_end_with_the_longest_path() {
    simulate(1, &lossy(0.0), async |world| {
        // Each directory holds itself, as a mount of a directory below itself does.
        let list = |_: &str| vec![page(vec![entry("d", Directory), entry("f", File)], false)];
        let fetched = fetch(world, OnExists::Fail, list).await;
        assert_eq!(fetched.done.stored, MAX_COMPONENTS as u64);
        assert_eq!(fetched.tree.keys().filter(|path| path.ends_with('f')).count(), MAX_COMPONENTS);
        // Of the deepest directory neither the file nor the directory in it can be named.
        assert_eq!(fetched.failures.len(), 2, "{:?}", fetched.failures);
        assert!(fetched.failures.iter().all(|(_, error)| error.contains("64 components")));
    });
}

#[test]
fn a_page_without_an_end_is_an_error() {
    simulate(1, &lossy(0.0), async |world| {
        let list = |directory: &str| match directory {
            "" => vec![page(vec![entry("bad", Directory), entry("fine", File)], false)],
            _ => (0..1000).map(|_| page(vec![], true)).collect(),
        };
        let fetched = fetch(world, OnExists::Fail, list).await;
        assert_eq!(fetched.failures.len(), 1, "{:?}", fetched.failures);
        assert_eq!(fetched.failures[0].0, "bad");
        assert_eq!(fetched.done.stored, 1);
    });
}

#[test]
fn names_that_lead_elsewhere_are_no_names() {
    for bad in ["../x", "/etc", "a/b", "..", ".", "a\0bc", ""] {
        simulate(1, &lossy(0.0), async |world| {
            let name = "N".repeat(bad.len().max(1));
            let list = move |directory: &str| match directory {
                "" => vec![page(vec![entry("bad", Directory), entry("fine", File)], false)],
                _ => vec![renamed(&page(vec![entry(&name, File), entry("b", File)], false), &name, bad)],
            };
            let fetched = fetch(world, OnExists::Overwrite, list).await;
            assert_eq!(fetched.failures.len(), 1, "{bad:?}: {:?}", fetched.failures);
            assert_eq!(fetched.tree.into_keys().collect::<Vec<_>>(), ["bad", "fine"], "{bad:?}");
            assert_eq!(fetched.outside, Vec::<PathBuf>::new(), "{bad:?}");
        });
    }
}

/// A page with another name in the place of one that is as long, or of one of a single byte.
fn renamed(page: &Bytes, name: &str, bad: &str) -> Bytes {
    let mut bytes = page.to_vec();
    let at = bytes.windows(name.len()).position(|part| part == name.as_bytes()).expect("it is there");
    assert_eq!(usize::from(bytes[at - 1]), name.len(), "the length is in front");
    bytes.splice(at..at + name.len(), bad.bytes());
    if bad.is_empty() {
        bytes[at - 1] = 0;
        bytes[0] -= 1;
    }
    bytes.into()
}

#[test]
fn names_that_come_twice_do_not_replace_each_other() {
    for on_exists in [OnExists::Fail, OnExists::Overwrite] {
        simulate(1, &lossy(0.0), async |world| {
            let list = |directory: &str| {
                let entries = match directory {
                    "" => vec![
                        entry("file", File),
                        entry("file", File),
                        entry("dir", Directory),
                        entry("dir", Directory),
                        entry("both", File),
                        entry("both", Directory),
                    ],
                    _ => vec![entry("x", File)],
                };
                vec![page(entries, false)]
            };
            let fetched = fetch(world, on_exists, list).await;
            let failed: Vec<&str> = fetched.failures.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(failed, ["both", "dir", "file"]);
            assert_eq!(fetched.tree["file"].as_deref(), Some(CONTENT));
            assert_eq!(fetched.tree["dir/x"].as_deref(), Some(CONTENT));
        });
    }
}

#[test]
fn long_listings_never_keep_files_from_coming() {
    // On a short path the window is small, and what is listed and not read would fill it.
    let way = Direction { rate_mbit_per_s: Some(200.0), delay_ms: 0.5, ..Direction::default() };
    simulate(1, &Profile::symmetric("short", way), async |world| {
        const PAGES: usize = 60;
        let list = |directory: &str| {
            let subdirectories = (0..8).map(|number| entry(&number.to_string(), Directory));
            if directory.is_empty() {
                return vec![page(subdirectories.collect(), false)];
            }
            let files = (0..150).map(|number| entry(&number.to_string(), File)).collect();
            let name = |page: usize, number: usize| format!("{page} {number} {}", "long ".repeat(45));
            let links = |at: usize| (0..200).map(move |number| entry(&name(at, number), Link)).collect();
            let rest = (1..=PAGES).map(|at| page(links(at), at < PAGES));
            [page(files, true)].into_iter().chain(rest).collect()
        };
        let fetched = fetch(world, OnExists::Fail, list).await;
        assert_eq!((fetched.done.stored, fetched.failures), (8 * 150, vec![]));
        assert_eq!(fetched.done.passed_over, (8 * PAGES * 200) as u64);
    });
}
