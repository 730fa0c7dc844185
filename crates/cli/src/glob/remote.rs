//! Remote patterns: the directories in question are listed page by page, and of each page only what matches is kept.

use fulmar_client::{Error, Session};
use fulmar_proto::{
    error::ErrorCode,
    listing::{Entry, EntryKind, EntryName},
};

use super::{Branch, Component, MAX_MATCHES, Skipped, Wanted, parse, too_many};
use crate::{output::Failure, remote_path::RemotePath, session::Context};

/// Something remote that matches.
#[derive(Clone, Debug)]
pub(crate) struct RemoteMatch {
    /// Named from where the pattern was: it can be typed.
    pub(crate) typed: String,
    /// What the listing says of it.
    pub(crate) entry: Entry,
}

/// What a pattern leads to.
#[derive(Clone, Debug, Default)]
pub(crate) struct RemoteMatches {
    /// Sorted by name.
    pub(crate) found: Vec<RemoteMatch>,
    /// What matched and is not wanted.
    pub(crate) skipped: Skipped,
}

impl RemoteMatches {
    fn take(&mut self, typed: String, entry: Entry, wanted: Wanted, directories_only: bool) {
        match entry.kind {
            kind if directories_only && kind != EntryKind::Directory => {}
            EntryKind::Directory if wanted != Wanted::Anything => self.skipped.directories += 1,
            EntryKind::Link | EntryKind::Other if wanted == Wanted::Files => self.skipped.others += 1,
            _ => self.found.push(RemoteMatch { typed, entry }),
        }
    }

    fn sort(&mut self) {
        self.found.sort_by(|a, b| a.typed.cmp(&b.typed));
        self.found.dedup_by(|a, b| a.typed == b.typed);
    }
}

/// What `typed` matches; none when it is no pattern, or the name of something that exists. With `details` the entries
/// have versions and catalog entries.
pub(crate) async fn expand(
    context: &Context,
    session: &Session,
    typed: &str,
    wanted: Wanted,
    details: bool,
) -> Result<Option<RemoteMatches>, Failure> {
    let Some(branches) = parse(typed)? else { return Ok(None) };
    if is_name(context, session, typed).await? {
        return Ok(None);
    }
    let walk = Walk { context, session, typed, details };
    let mut matches = RemoteMatches::default();
    for branch in &branches {
        walk.branch(branch, wanted, &mut matches).await?;
    }
    matches.sort();
    Ok(Some(matches))
}

/// Whether something has just this name. Whoever may not ask has to mean it as a name: listing is not granted either.
async fn is_name(context: &Context, session: &Session, typed: &str) -> Result<bool, Failure> {
    // What cannot be a path, because of its backslashes say, may be a pattern all the same.
    let Ok(path) = RemotePath::resolve(&context.remote_dir, typed) else { return Ok(false) };
    match session.stat(&path.path).await {
        Ok(_) => Ok(true),
        Err(Error::Server(failure)) if failure.code == ErrorCode::NOT_GRANTED => Ok(true),
        Err(Error::Server(failure)) if leads_nowhere(failure.code) => Ok(false),
        Err(error) => Err(context.failure(&error, typed)),
    }
}

fn leads_nowhere(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NOT_FOUND | ErrorCode::NOT_A_DIRECTORY | ErrorCode::NO_PARENT)
}

/// A walk along the components of one pattern.
struct Walk<'a> {
    context: &'a Context,
    session: &'a Session,
    typed: &'a str,
    details: bool,
}

impl Walk<'_> {
    async fn branch(
        &self,
        branch: &Branch,
        wanted: Wanted,
        matches: &mut RemoteMatches,
    ) -> Result<(), Failure> {
        let Some((last, above)) = branch.components.split_last() else { return Ok(()) };
        let mut directories = vec![if branch.absolute { "/".to_owned() } else { String::new() }];
        for component in above {
            directories = self.descend(directories, component).await?;
        }
        for directory in directories {
            self.take(&directory, last, |typed, entry| {
                matches.take(typed, entry, wanted, branch.directories_only);
                matches.found.len()
            })
            .await?;
        }
        Ok(())
    }

    /// The directories that `component` leads to from each of these.
    async fn descend(&self, directories: Vec<String>, component: &Component) -> Result<Vec<String>, Failure> {
        if let Component::Literal(name) = component {
            return Ok(directories.iter().map(|directory| join(directory, name)).collect());
        }
        let mut next = Vec::new();
        for directory in directories {
            self.take(&directory, component, |typed, entry| {
                if entry.kind == EntryKind::Directory {
                    next.push(typed);
                }
                next.len()
            })
            .await?;
        }
        Ok(next)
    }

    /// Hands everything of `directory` that `component` matches to `take`, which says how many it holds by then.
    async fn take(
        &self,
        directory: &str,
        component: &Component,
        mut take: impl FnMut(String, Entry) -> usize,
    ) -> Result<(), Failure> {
        let mut check = |typed, entry| match take(typed, entry) {
            held if held > MAX_MATCHES => Err(too_many(self.typed)),
            _ => Ok(()),
        };
        match component {
            Component::Literal(name) => {
                let typed = join(directory, name);
                let found = self.stat(&typed).await?;
                found.map_or(Ok(()), |entry| check(typed, entry))
            }
            Component::Wild { .. } => self.list(directory, component, check).await,
        }
    }

    /// Hands every entry of `directory` that matches to `take`, until that fails.
    async fn list(
        &self,
        directory: &str,
        component: &Component,
        mut take: impl FnMut(String, Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let wanted = if directory.is_empty() { "." } else { directory };
        let path = RemotePath::resolve(&self.context.remote_dir, wanted)?.path;
        let mut listing =
            self.session.list(&path, self.details).await.map_err(|error| self.failure(&error))?;
        loop {
            let page = match listing.next_page().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(()),
                Err(Error::Server(failure)) if leads_nowhere(failure.code) => return Ok(()),
                Err(error) => return Err(self.failure(&error)),
            };
            for (name, entry) in page.into_iter().filter_map(|entry| matching(entry, component)) {
                take(join(directory, &name), entry)?;
            }
        }
    }

    async fn stat(&self, typed: &str) -> Result<Option<Entry>, Failure> {
        let path = RemotePath::resolve(&self.context.remote_dir, typed)?.path;
        match self.session.stat(&path).await {
            Ok(entry) => Ok(Some(entry)),
            Err(Error::Server(failure)) if leads_nowhere(failure.code) => Ok(None),
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn failure(&self, error: &Error) -> Failure {
        self.context.failure(error, self.typed)
    }
}

/// The entry and its name, when a command could use that name and the component matches it.
fn matching(entry: Entry, component: &Component) -> Option<(String, Entry)> {
    match &entry.name {
        EntryName::Servable(name) if component.matches(name.as_str()) => {
            let name = name.as_str().to_owned();
            Some((name, entry))
        }
        EntryName::Servable(_) | EntryName::Unservable(_) => None,
    }
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory if directory.ends_with('/') => format!("{directory}{name}"),
        directory => format!("{directory}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_proto::{path::Name, text::Text, time::Timestamp, upload::Mode};

    fn entry(name: EntryName, kind: EntryKind) -> Entry {
        let (size, modified, mode) = (5, Timestamp::EPOCH, Mode::masked(0o644));
        Entry { name, kind, size, modified, mode, version: None, catalog: None }
    }

    fn servable(name: &str, kind: EntryKind) -> Entry {
        entry(EntryName::Servable(Name::parse(name).expect("a name")), kind)
    }

    #[test]
    fn names_that_no_command_takes_never_match() {
        let any = &parse("*").expect("no failure").expect("a pattern")[0].components[0];
        let unservable = entry(EntryName::Unservable(Text::new("a\\xff")), EntryKind::File);
        assert!(matching(unservable, any).is_none());
        let found = matching(servable("a", EntryKind::File), any).map(|(name, _)| name);
        assert_eq!(found.as_deref(), Some("a"));
        assert!(matching(servable(".a", EntryKind::File), any).is_none());
    }

    #[test]
    fn what_is_not_wanted_is_passed_over_and_counted() {
        let kinds = [EntryKind::File, EntryKind::Directory, EntryKind::Link, EntryKind::Other];
        let take = |wanted, directories_only| {
            let mut matches = RemoteMatches::default();
            for kind in kinds {
                matches.take("a".to_owned(), servable("a", kind), wanted, directories_only);
            }
            (matches.found.len(), matches.skipped.directories, matches.skipped.others)
        };
        assert_eq!(take(Wanted::Files, false), (1, 1, 2));
        assert_eq!(take(Wanted::Anything, false), (4, 0, 0));
        assert_eq!(take(Wanted::NoDirectories, false), (3, 1, 0));
        assert_eq!(take(Wanted::NoDirectories, true), (0, 1, 0));
        assert_eq!(take(Wanted::Anything, true), (1, 0, 0));
        assert_eq!(take(Wanted::Files, true), (0, 1, 0));
    }

    #[test]
    fn matches_are_named_from_where_the_pattern_was() {
        for (directory, joined) in [("", "a"), ("/", "/a"), ("in", "in/a"), ("/in/", "/in/a")] {
            assert_eq!(join(directory, "a"), joined);
        }
    }
}
