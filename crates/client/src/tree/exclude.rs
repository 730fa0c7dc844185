//! What is left out of a tree, by its name or its path.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadPattern {
    /// The pattern, not escaped.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Patterns for what is left out of a tree, as in a `.gitignore` file: one without a slash matches a name at any depth, one
/// with a slash in front or inside the path from where the tree begins; one with a slash at its end matches directories
/// alone. `*` and `?` stay within a name and `**` does not; `[a-c]` is one of these characters, `{jpg,png}` one of these
/// words, and a backslash takes the meaning from what follows it. A directory that is left out is not walked.
#[derive(Clone, Debug, Default)]
pub struct Exclude {
    names: GlobSet,
    paths: GlobSet,
    directory_names: GlobSet,
    directory_paths: GlobSet,
}

impl Exclude {
    /// Reads the patterns.
    ///
    /// # Errors
    /// [`BadPattern`] for the first that is none.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, BadPattern> {
        let mut sets = [const { Vec::new() }; 4];
        for pattern in patterns {
            let bad = |reason: String| BadPattern { pattern: pattern.to_owned(), reason };
            let (text, directories) = match pattern.strip_suffix('/') {
                Some(text) => (text, true),
                None => (pattern, false),
            };
            let by_path = text.contains('/');
            let text = text.strip_prefix('/').unwrap_or(text);
            if text.is_empty() {
                return Err(bad("the pattern is empty".to_owned()));
            }
            let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
            let glob = glob.map_err(|error| bad(error.kind().to_string()))?;
            sets[usize::from(by_path) + 2 * usize::from(directories)].push(glob);
        }
        let set = |globs: &Vec<globset::Glob>| {
            let mut set = GlobSetBuilder::new();
            for glob in globs {
                set.add(glob.clone());
            }
            // Each compiles by itself, so all that can be wrong is that they are too many together.
            set.build().map_err(|error| BadPattern {
                pattern: error.glob().unwrap_or_default().to_owned(),
                reason: error.kind().to_string(),
            })
        };
        let [names, paths, directory_names, directory_paths] = &sets;
        Ok(Self {
            names: set(names)?,
            paths: set(paths)?,
            directory_names: set(directory_names)?,
            directory_paths: set(directory_paths)?,
        })
    }

    /// Whether something is left out: `path` leads to it from where the tree begins, `name` is its last part.
    #[must_use]
    pub fn matches(&self, path: &str, name: &str, is_directory: bool) -> bool {
        self.names.is_match(name)
            || self.paths.is_match(path)
            || (is_directory && (self.directory_names.is_match(name) || self.directory_paths.is_match(path)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn excluded(pattern: &str, path: &str, is_directory: bool) -> bool {
        let exclude = Exclude::new([pattern]).expect(pattern);
        exclude.matches(path, path.rsplit('/').next().expect("a last part"), is_directory)
    }

    #[test]
    fn names_match_anywhere_and_paths_from_the_beginning() {
        let cases = [
            ("*.tmp", "a.tmp", true),
            ("*.tmp", "deep/in/a.tmp", true),
            ("*.tmp", "a.tmp.txt", false),
            ("deep", "deep", true),
            ("a/*.tmp", "a/x.tmp", true),
            ("a/*.tmp", "b/a/x.tmp", false),
            ("a/*.tmp", "a/b/x.tmp", false),
            ("a/**/*.tmp", "a/b/c/x.tmp", true),
            ("**/x.tmp", "a/b/x.tmp", true),
            ("/x.tmp", "x.tmp", true),
            ("/x.tmp", "a/x.tmp", false),
            ("*.{jpg,png}", "a/b.png", true),
            ("[ab]?", "x/b7", true),
            ("*", ".hidden", true),
            ("\\*", "a", false),
            ("\\*", "*", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(excluded(pattern, path, false), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_means_directories() {
        for (pattern, path) in [("build/", "a/build"), ("/a/build/", "a/build")] {
            assert!(excluded(pattern, path, true), "{pattern}");
            assert!(!excluded(pattern, path, false), "{pattern}");
        }
        assert!(!excluded("/build/", "a/build", true));
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for pattern in ["", "/", "[a", "{a", "a\\"] {
            let bad = Exclude::new(["*.ok", pattern]).expect_err(pattern);
            assert_eq!(bad.pattern, pattern);
            assert!(!bad.reason.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[a-c*?\\[\\]{},!^/\\\\.-]{0,12}", path in "[a-c.]{1,4}(/[a-c.]{1,4}){0,3}") {
            if let Ok(exclude) = Exclude::new([pattern.as_str()]) {
                let name = path.rsplit('/').next().expect("a last part");
                let file = exclude.matches(&path, name, false);
                prop_assert!(!file || exclude.matches(&path, name, true), "directories are not spared");
            }
        }

        #[test]
        fn a_name_without_signs_matches_itself_alone(name in "[a-z ._~#%+-]{1,8}", above in "([a-z]{1,3}/){0,3}", other in "[a-z]{1,8}") {
            let path = format!("{above}{name}");
            prop_assert!(excluded(&name, &path, false));
            let by_path = format!("/{path}");
            prop_assert!(excluded(&by_path, &path, false));
            prop_assert_eq!(excluded(&name, &format!("{above}{other}"), false), name == other);
        }

        #[test]
        fn a_star_stays_within_one_name(first in "[a-z]{1,4}", second in "[a-z]{1,4}") {
            let path = format!("{first}/{second}");
            prop_assert!(!excluded("/*", &path, false));
            prop_assert!(excluded("/*/*", &path, false) && excluded("/**", &path, false));
        }
    }
}
