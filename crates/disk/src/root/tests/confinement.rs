//! Random trees with links of all kinds: both resolvers must give the answer of a plain model of the tree.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// What stands at a path of the model.
#[derive(Debug, Clone, PartialEq)]
enum Thing {
    File,
    Directory,
    Link,
}

#[derive(Debug, Clone)]
struct Plan {
    parent: prop::sample::Index,
    name: &'static str,
    make: Make,
}

#[derive(Debug, Clone)]
enum Make {
    File,
    Directory,
    Link(&'static str),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn make() -> impl Strategy<Value = Make> {
    // Inside, outside, loops, dangling and absolute; ABSOLUTE stands for the outside directory's own path.
    let targets =
        ["a", "b/c", ".", "..", "../..", "../../outside", "../outside", "../a", "nowhere", "ABSOLUTE", "/"];
    prop_oneof![
        2 => Just(Make::File),
        5 => Just(Make::Directory),
        3 => prop::sample::select(targets.to_vec()).prop_map(Make::Link),
    ]
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (any::<prop::sample::Index>(), prop::sample::select(NAMES.to_vec()), make())
        .prop_map(|(parent, name, make)| Plan { parent, name, make });
    prop::collection::vec(plan, 1..25)
}

fn queries() -> impl Strategy<Value = Vec<String>> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "secret", "inner"]);
    let path = prop::collection::vec(name, 1..5).prop_map(|names| names.join("/"));
    prop::collection::vec(path, 1..60)
}

/// Builds the tree and its model: path from the root to what stands there.
fn build(root: &Path, outside: &Path, plans: &[Plan]) -> BTreeMap<String, Thing> {
    let mut model = BTreeMap::new();
    for plan in plans {
        let mut directories = vec![String::new()];
        directories.extend(
            model.iter().filter(|(_, thing)| **thing == Thing::Directory).map(|(path, _)| format!("{path}/")),
        );
        let path = format!("{}{}", directories[plan.parent.index(directories.len())], plan.name);
        if model.contains_key(&path) {
            continue;
        }
        let on_disk = root.join(&path);
        let thing = match plan.make {
            Make::File => std::fs::write(on_disk, "inside").map(|()| Thing::File),
            Make::Directory => std::fs::create_dir(on_disk).map(|()| Thing::Directory),
            Make::Link("ABSOLUTE") => symlink(outside, on_disk).map(|()| Thing::Link),
            Make::Link(target) => symlink(target, on_disk).map(|()| Thing::Link),
        };
        model.insert(path, thing.unwrap());
    }
    model
}

/// The answer of the model: what stands at `path`, or why nothing does.
fn expected(model: &BTreeMap<String, Thing>, path: &str) -> Result<Thing, DiskError> {
    let mut so_far = String::new();
    for component in path.split('/') {
        if !so_far.is_empty() {
            match &model[&so_far] {
                Thing::Directory => so_far.push('/'),
                Thing::File => return Err(DiskError::NotADirectory),
                Thing::Link => return Err(DiskError::Symlink),
            }
        }
        so_far.push_str(component);
        if !model.contains_key(&so_far) {
            return Err(DiskError::NotFound);
        }
    }
    Ok(model[&so_far].clone())
}

fn expected_dir(model: &BTreeMap<String, Thing>, path: &str) -> Result<(), DiskError> {
    match expected(model, path)? {
        Thing::Directory => Ok(()),
        Thing::File => Err(DiskError::NotADirectory),
        Thing::Link => Err(DiskError::Symlink),
    }
}

fn expected_file(model: &BTreeMap<String, Thing>, path: &str) -> Result<(), DiskError> {
    match expected(model, path)? {
        Thing::File => Ok(()),
        Thing::Directory => Err(DiskError::IsADirectory),
        Thing::Link => Err(DiskError::Symlink),
    }
}

/// Equal success, or the same error variant.
fn same<T, U>(found: &Result<T, DiskError>, expected: &Result<U, DiskError>) -> bool {
    match (found, expected) {
        (Ok(_), Ok(_)) => true,
        (Err(found), Err(expected)) => std::mem::discriminant(found) == std::mem::discriminant(expected),
        _ => false,
    }
}

fn check_reading(
    root: &Root,
    model: &BTreeMap<String, Thing>,
    on_disk: &Path,
    path: &str,
) -> Result<(), TestCaseError> {
    // The inode that really stands at the path, seen by other means; links are not followed at its end.
    let inode = || std::fs::symlink_metadata(on_disk.join(path)).unwrap().ino();
    let stat = root.stat(&at(path));
    prop_assert!(same(&stat, &expected(model, path)), "stat {} {:?}", path, stat);
    if let Ok(meta) = &stat {
        prop_assert_eq!(meta.inode, inode());
    }
    let dir = root.dir(&at(path));
    prop_assert!(same(&dir, &expected_dir(model, path)), "dir {} {:?}", path, dir);
    if let Ok(dir) = &dir {
        prop_assert_eq!(dir.meta().unwrap().inode, inode());
        let listed = root.read_dir(&at(path), None).unwrap().count();
        let prefix = format!("{path}/");
        let children = model.keys().filter_map(|key| key.strip_prefix(&prefix));
        prop_assert_eq!(listed, children.filter(|rest| !rest.contains('/')).count());
    }
    let file = root.open_file(&rel(path));
    prop_assert!(same(&file, &expected_file(model, path)), "file {} {:?}", path, file);
    if let Ok((file, meta)) = file {
        prop_assert_eq!(meta.inode, inode());
        prop_assert_eq!(std::io::read_to_string(file).unwrap(), "inside");
    }
    Ok(())
}

/// Changes the tree where that succeeds, so only after all reading.
fn check_writing(root: &Root, model: &BTreeMap<String, Thing>, path: &str) -> Result<(), TestCaseError> {
    let parent = at(path).to_rel().unwrap().parent();
    let made = root.make_dir(&rel(&format!("{path}/inner")));
    let expected = match expected_dir(model, path) {
        Ok(()) if model.contains_key(&format!("{path}/inner")) => Err(DiskError::AlreadyExists),
        other => other,
    };
    prop_assert!(same(&made, &expected), "make_dir {}/inner {:?}", path, made);
    if made.is_ok() {
        root.remove_dir(&rel(&format!("{path}/inner"))).unwrap();
    }
    let removed = root.remove_file(&rel(&format!("{path}/absent")));
    prop_assert!(removed.is_err());
    let moved = root.rename(&rel(&format!("{path}/absent")), &rel("moved"), Replace::Never);
    prop_assert!(moved.is_err(), "{:?}", parent);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_resolvers_answer_as_the_model_does(plans in plans(), queries in queries()) {
        let tree = tempfile::tempdir().unwrap();
        let (inside, outside) = (tree.path().join("root"), tree.path().join("outside"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir_all(outside.join("inner")).unwrap();
        std::fs::write(outside.join("secret"), "outside").unwrap();
        std::fs::write(outside.join("a"), "outside").unwrap();
        let model = build(&inside, &outside, &plans);
        for resolver in RESOLVERS {
            let root = Root::new(Dir::open_ambient(&inside).unwrap(), resolver);
            for path in &queries {
                check_reading(&root, &model, &inside, path)?;
            }
            for path in &queries {
                check_writing(&root, &model, path)?;
            }
        }
        prop_assert_eq!(names(&outside), ["a", "inner", "secret"]);
        prop_assert_eq!(names(&outside.join("inner")).len(), 0);
    }
}
