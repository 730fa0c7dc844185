//! What people type for a remote path, and the path that it means.

use fulmar_proto::{
    path::{DirPath, PathError, RelPath},
    upload::Destination,
};

use crate::output::Failure;

/// A remote path as it was typed, resolved against the current remote directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemotePath {
    /// Where it leads.
    pub(crate) path: DirPath,
    /// It ends in `/`, `.` or `..`: only a directory can be meant.
    pub(crate) must_be_directory: bool,
}

impl RemotePath {
    /// Resolves `typed`: a leading `/` starts at the root, `.` and `..` are followed, slashes may repeat.
    pub(crate) fn resolve(current: &DirPath, typed: &str) -> Result<Self, Failure> {
        if typed.is_empty() {
            return Err(Failure::bad_path(typed, PathError::Empty));
        }
        let mut components: Vec<&str> =
            if typed.starts_with('/') { vec![] } else { current.components().collect() };
        for component in typed.split('/') {
            match component {
                "" | "." => {}
                ".." => {
                    if components.pop().is_none() {
                        return Err(Failure::refused("that is outside the served directory").about(typed));
                    }
                }
                name => components.push(name),
            }
        }
        let path = DirPath::parse(&components.join("/")).map_err(|error| Failure::bad_path(typed, error))?;
        let last = typed.rsplit('/').next().unwrap_or_default();
        Ok(Self { path, must_be_directory: matches!(last, "" | "." | "..") })
    }

    /// The path of something below the root, which the root itself is not.
    pub(crate) fn below_root(self, typed: &str) -> Result<RelPath, Failure> {
        self.path.to_rel().ok_or_else(|| Failure::refused("that is the served directory itself").about(typed))
    }

    /// As a destination.
    pub(crate) fn destination(self) -> Destination {
        Destination { path: self.path, must_be_directory: self.must_be_directory }
    }
}

/// A path of something below the root.
pub(crate) fn resolve_below_root(current: &DirPath, typed: &str) -> Result<RelPath, Failure> {
    RemotePath::resolve(current, typed)?.below_root(typed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;
    use proptest::prelude::*;

    fn dir(text: &str) -> DirPath {
        DirPath::parse(text).expect("a path")
    }

    #[test]
    fn paths_are_taken_from_where_one_is() {
        let cases = [
            ("", "a.txt", "a.txt", false),
            ("in", "a.txt", "in/a.txt", false),
            ("in", "/a.txt", "a.txt", false),
            ("in", "./b//c/", "in/b/c", true),
            ("in/deep", "..", "in", true),
            ("in/deep", "../../x", "x", false),
            ("in", ".", "in", true),
            ("in", "/", "", true),
            ("in", "..", "", true),
        ];
        for (current, typed, path, must_be_directory) in cases {
            let resolved = RemotePath::resolve(&dir(current), typed).expect(typed);
            assert_eq!(resolved, RemotePath { path: dir(path), must_be_directory }, "{current} {typed}");
        }
    }

    #[test]
    fn nothing_leads_outside() {
        for typed in ["..", "../x", "/..", "a/../../b"] {
            let failure = RemotePath::resolve(&DirPath::root(), typed).expect_err(typed);
            assert_eq!(failure.code, ExitCode::Refused, "{typed}");
        }
    }

    #[test]
    fn what_is_no_path_is_told_so() {
        for (typed, code) in [
            ("", ExitCode::Usage),
            ("a\\b", ExitCode::Usage),
            ("a\u{7}", ExitCode::Usage),
            (".fulmar/x", ExitCode::Refused),
            (".FULMAR", ExitCode::Refused),
        ] {
            assert_eq!(
                RemotePath::resolve(&DirPath::root(), typed).expect_err(typed).code,
                code,
                "{typed:?}"
            );
        }
    }

    #[test]
    fn the_root_is_not_below_itself() {
        assert_eq!(resolve_below_root(&dir("a"), "/").expect_err("the root").code, ExitCode::Refused);
    }

    proptest! {
        #[test]
        fn no_text_panics(current in "([a-z]{1,3}(/[a-z]{1,3}){0,3})?", typed in "[a-z./\\\\ ]{0,30}") {
            if let Ok(resolved) = RemotePath::resolve(&dir(&current), &typed) {
                prop_assert!(!resolved.path.components().any(|name| name == ".."));
            }
        }
    }
}
