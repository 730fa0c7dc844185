//! Local patterns.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Branch, Component, MAX_MATCHES, Skipped, Wanted, parse, too_many};
use crate::{output::Failure, session::Context};

/// A local file, or a directory where those are wanted, that matches. Its name may be one that means something else when it is typed, `-` or `~/a` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalMatch {
    /// Named from where the pattern was, to be shown.
    pub(crate) typed: PathBuf,
    /// Where it is.
    pub(crate) real: PathBuf,
    /// Its length in bytes.
    pub(crate) bytes: u64,
}

/// What a pattern leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalMatches {
    /// Sorted by name.
    pub(crate) files: Vec<LocalMatch>,
    /// What matched and is no file.
    pub(crate) skipped: Skipped,
}

/// What `typed` matches and is `wanted`; none when it is no pattern, or the name of something that exists.
pub(crate) async fn expand(
    context: &Context,
    typed: &Path,
    wanted: Wanted,
) -> Result<Option<LocalMatches>, Failure> {
    // A name that is not UTF-8 stands for itself.
    let Some(text) = typed.to_str() else { return Ok(None) };
    if fs::symlink_metadata(context.local_path(typed)).is_ok() {
        return Ok(None);
    }
    let Some(branches) = parse(text)? else { return Ok(None) };
    let starts: Vec<Start> = branches.into_iter().map(|branch| start(context, branch)).collect();
    let found = tokio::task::spawn_blocking(move || find(&starts, wanted, MAX_MATCHES)).await;
    let found = found.map_err(|error| Failure::local(typed, &io::Error::other(error)))?;
    found.ok_or_else(|| too_many(text)).map(Some)
}

/// Where a branch begins, and what is left of it from there.
#[derive(Debug)]
struct Start {
    typed: PathBuf,
    real: PathBuf,
    branch: Branch,
}

fn start(context: &Context, mut branch: Branch) -> Start {
    let home = Component::Literal("~".to_owned());
    let typed = match branch.components.first() {
        _ if branch.absolute => PathBuf::from("/"),
        Some(first) if *first == home && branch.components.len() > 1 => {
            branch.components.remove(0);
            PathBuf::from("~")
        }
        _ => PathBuf::new(),
    };
    Start { real: context.local_path(&typed), typed, branch }
}

/// Everything that the branches lead to, or none when that is more than `max`. Blocks.
fn find(starts: &[Start], wanted: Wanted, max: usize) -> Option<LocalMatches> {
    let mut found = LocalMatches::default();
    for start in starts {
        let mut level = vec![(start.typed.clone(), start.real.clone())];
        for (index, component) in start.branch.components.iter().enumerate() {
            let last = index + 1 == start.branch.components.len();
            level = descend(level, component, last, max)?;
        }
        for (typed, real) in level {
            take(&mut found, typed, real, wanted, start.branch.directories_only);
        }
        if found.files.len() > max {
            return None;
        }
    }
    found.files.sort_by(|a, b| a.typed.as_os_str().cmp(b.typed.as_os_str()));
    found.files.dedup();
    Some(found)
}

/// What `component` leads to from each of the directories. One that is not there, or cannot be read, leads nowhere.
fn descend(
    level: Vec<(PathBuf, PathBuf)>,
    component: &Component,
    last: bool,
    max: usize,
) -> Option<Vec<(PathBuf, PathBuf)>> {
    let mut next = Vec::new();
    for (typed, real) in level {
        if let Component::Literal(name) = component {
            next.push((typed.join(name), real.join(name)));
            continue;
        }
        for entry in fs::read_dir(&real).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // A directory can be reached through a link too.
            if component.matches(&name.to_string_lossy()) && (last || entry.path().is_dir()) {
                next.push((typed.join(&name), real.join(&name)));
            }
            if next.len() > max {
                return None;
            }
        }
    }
    Some(next)
}

fn take(found: &mut LocalMatches, typed: PathBuf, real: PathBuf, wanted: Wanted, directories_only: bool) {
    match fs::metadata(&real) {
        Ok(metadata) if metadata.is_dir() && wanted == Wanted::Anything => {
            found.files.push(LocalMatch { typed, real, bytes: 0 });
        }
        Ok(metadata) if metadata.is_dir() => found.skipped.directories += 1,
        Ok(_) if directories_only => {}
        Ok(metadata) if metadata.is_file() => {
            found.files.push(LocalMatch { typed, real, bytes: metadata.len() });
        }
        // A link that leads nowhere has a name that matches, and nothing to send.
        Ok(_) => found.skipped.others += 1,
        Err(_) if fs::symlink_metadata(&real).is_ok() => found.skipped.others += 1,
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(dir: &Path, typed: &str) -> Option<LocalMatches> {
        bounded(dir, typed, MAX_MATCHES)
    }

    fn bounded(dir: &Path, typed: &str, max: usize) -> Option<LocalMatches> {
        let branches = parse(typed).expect("no failure").expect("a pattern");
        let start = |branch| Start { typed: PathBuf::new(), real: dir.to_owned(), branch };
        find(&branches.into_iter().map(start).collect::<Vec<_>>(), Wanted::Files, max)
    }

    fn names(found: &LocalMatches) -> Vec<&str> {
        found.files.iter().filter_map(|file| file.typed.to_str()).collect()
    }

    #[test]
    fn files_are_found_sorted_and_directories_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["b.txt", "a.txt", ".hidden.txt", "c.bin"] {
            fs::write(dir.path().join(name), name).expect("written");
        }
        fs::create_dir_all(dir.path().join("sub.txt/deep")).expect("made");
        fs::write(dir.path().join("sub.txt/d.txt"), "1").expect("written");
        std::os::unix::fs::symlink("nowhere", dir.path().join("broken.txt")).expect("made");
        let found = matches(dir.path(), "*.txt").expect("few");
        assert_eq!(names(&found), ["a.txt", "b.txt"]);
        assert_eq!((found.files[0].bytes, found.skipped), (5, Skipped { directories: 1, others: 1 }));
        assert_eq!(names(&matches(dir.path(), "*/*.txt").expect("few")), ["sub.txt/d.txt"]);
        assert_eq!(
            names(&matches(dir.path(), "{sub.txt/d,a,a,gone}.txt").expect("few")),
            ["a.txt", "sub.txt/d.txt"]
        );
        assert_eq!(names(&matches(dir.path(), ".*").expect("few")), [".hidden.txt"]);
        assert_eq!(matches(dir.path(), "*.gz"), Some(LocalMatches::default()));
        assert_eq!(matches(dir.path(), "gone/*"), Some(LocalMatches::default()));
        assert_eq!(matches(dir.path(), "s*/").expect("few").skipped.directories, 1);
    }
    #[test]
    fn matches_are_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["1", "2", "3"] {
            fs::write(dir.path().join(name), name).expect("written");
        }
        for typed in ["*", "{1,2,3}", "{[12],3}"] {
            assert_eq!(bounded(dir.path(), typed, 3).map(|found| found.files.len()), Some(3), "{typed}");
            assert_eq!(bounded(dir.path(), typed, 2), None, "{typed}");
        }
    }
}
