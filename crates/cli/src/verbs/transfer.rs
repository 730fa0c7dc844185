//! What uploads and downloads have in common: their operands, their options, and the line that they end in.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use fulmar_client::{Outcome, TransferOptions, Transferred};
use fulmar_proto::{text::Escaped, upload::OnExists};

use crate::{
    exit_code::ExitCode,
    glob::{self, Skipped},
    hints::quoted,
    output::{Failure, Printer, hint::Hint, units},
    session::Mode,
    verb::TransferArgs,
};

/// Standard input or output.
pub(super) const STDIO: &str = "-";

/// The operands of a transfer, told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operands {
    /// What is transferred; at least one.
    pub(super) files: Vec<PathBuf>,
    /// Where to; none: the current directory.
    pub(super) target: Option<PathBuf>,
    /// Only an existing directory will do.
    pub(super) must_be_directory: bool,
}

impl Operands {
    /// One operand is a file; of two the second is the target; of more the last is a directory; with `--to` all are
    /// files.
    pub(super) fn split(args: &TransferArgs) -> Self {
        let mut files = args.operands.clone();
        if let Some(directory) = &args.to {
            return Self { files, target: Some(directory.clone()), must_be_directory: true };
        }
        let several = files.len() > 2;
        let target = if files.len() > 1 { files.pop() } else { None };
        let slash = target.as_deref().is_some_and(ends_in_slash);
        Self { files, target, must_be_directory: several || slash }
    }

    /// The target's text; none: the current directory. Remote targets must be text.
    pub(super) fn remote_target(&self) -> Result<Option<&str>, Failure> {
        self.target.as_deref().map(remote_text).transpose()
    }
}

/// One file that is to be transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its name, as it was typed or as a pattern found it: only to be shown.
    pub(super) typed: PathBuf,
    pub(super) origin: Origin,
    /// Its length, when it is known beforehand.
    pub(super) bytes: Option<u64>,
}

/// Where a source is read. Names of files may be anything, `-` and `~` too: what a pattern has found must not be read
/// as if it had been typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// Standard input.
    Stdin,
    /// A file, by the path that leads to it on its side.
    File(PathBuf),
}

impl Source {
    /// A remote file.
    pub(super) fn remote(typed: PathBuf, bytes: Option<u64>) -> Self {
        Self { origin: Origin::File(typed.clone()), typed, bytes }
    }
}

/// Something that is to be transferred, and goes into a directory under a name.
pub(super) trait Operand {
    /// What makes it the same as another, so that both would be one transfer: how it is called, where it is, and whether what
    /// is in it is meant, which the dot at the end of a path does not tell.
    fn identity(&self) -> (&Path, &Path, bool);

    /// The name that it gets; none where that is not said by how it is called.
    fn name(&self) -> Option<&OsStr>;

    /// How it is called.
    fn shown(&self) -> Cow<'_, str>;
}

impl Operand for Source {
    fn identity(&self) -> (&Path, &Path, bool) {
        let origin = match &self.origin {
            Origin::Stdin => Path::new(""),
            Origin::File(path) => path,
        };
        (&self.typed, origin, false)
    }

    fn name(&self) -> Option<&OsStr> {
        self.typed.file_name()
    }

    fn shown(&self) -> Cow<'_, str> {
        self.typed.to_string_lossy()
    }
}

/// Leaves each operand in once. Two of one name cannot both go into one directory, unless one gets another name: they are
/// under way at the same time, and which of them came first would be chance. Of directories that is true of what is in them.
pub(super) fn check_names<T: Operand>(sources: &mut Vec<T>, on_exists: OnExists) -> Result<(), Failure> {
    let mut seen = HashSet::with_capacity(sources.len());
    sources.retain(|source| {
        let (shown, origin, contents) = source.identity();
        seen.insert((shown.to_owned(), origin.to_owned(), contents))
    });
    if on_exists == OnExists::Rename {
        return Ok(());
    }
    let mut names: HashMap<&OsStr, &T> = HashMap::with_capacity(sources.len());
    for source in &*sources {
        let Some(name) = source.name() else { continue };
        if let Some(other) = names.insert(name, source) {
            let message = format!("would get the same name as {}", Escaped(&other.shown()));
            return Err(Failure::usage(message).about(source.shown()).hint(KEEPS_BOTH));
        }
    }
    Ok(())
}

/// What helps where two files would get one name.
pub(super) const KEEPS_BOTH: &str = "--on-exists rename keeps both";

/// A directory was named where only files are taken.
pub(super) fn needs_recursive(verb: &str, typed: &str) -> Failure {
    let failure = Failure::new(ExitCode::Other, "is-a-directory", "is a directory").about(typed);
    failure.hint(recursive_hint(verb, typed))
}

/// How directories are transferred.
pub(super) fn recursive_hint(verb: &str, typed: &str) -> Hint {
    Hint::run(format!("{verb} -r {}", quoted(typed))).then(" takes all that is in it")
}

/// The hint for a missing target that was rather meant as one more pattern for files.
pub(super) fn pattern_hint(typed_target: &str) -> Option<String> {
    let pattern = glob::is_pattern(typed_target).unwrap_or(true);
    pattern.then(|| format!("--to . takes {} for files too", quoted(typed_target)))
}

/// Says once what patterns matched that is no file.
pub(super) fn note_skipped(printer: &Printer, skipped: Skipped) {
    for (count, one, many) in [
        (skipped.directories, "directory", "directories"),
        (skipped.others, "thing that is no file", "things that are no files"),
    ] {
        if count > 0 {
            printer.note(format_args!("skipped {}", units::counted(count, one, many)));
        }
    }
}

/// A remote path from the command line, which must be UTF-8.
pub(super) fn remote_text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        let error = fulmar_proto::path::PathError::NotUtf8;
        Failure::bad_path(&path.to_string_lossy(), error)
    })
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// Whether an operand means standard input or output.
pub(super) fn is_stdio(path: &Path) -> bool {
    path.as_os_str() == OsStr::new(STDIO)
}

/// Standard input and output belong to the commands and their answers, unless there is one command alone.
pub(super) fn check_stdio(mode: Mode, what: &str) -> Result<(), Failure> {
    if mode == Mode::OneShot {
        return Ok(());
    }
    let failure = Failure::usage(format!("{what} belongs to the commands here")).about(STDIO);
    Err(failure.hint("run this command on its own: fulmar -s ENDPOINT ..."))
}

pub(super) fn options(args: &TransferArgs) -> TransferOptions {
    TransferOptions {
        on_exists: args.existing.on_exists(),
        keep_modified: args.modified,
        keep_executable: args.executable,
    }
}

/// The one line that a transfer ends in when it succeeds, `name` having gone to `destination`. The last word says how.
pub(super) fn done_line(name: &str, destination: &str, done: &Transferred) -> String {
    let head = format!("{} -> {}", Escaped(name), Escaped(destination));
    let size = units::size(done.bytes);
    let root = done.root.to_string();
    let root = &root[..16];
    match done.outcome {
        Outcome::Stored => {
            let time = units::duration(done.elapsed);
            let rate = units::rate(done.bytes, done.elapsed);
            format!("{head}  {size} in {time} ({rate})  blake3 {root}  verified")
        }
        Outcome::AlreadyThere => {
            let time = units::duration(done.elapsed);
            format!("{head}  {size} in {time}  blake3 {root}  already there")
        }
        Outcome::Skipped => format!("{head}  skipped: it exists"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        verb::Verb,
        words::{Parsed, parse_line},
    };
    use fulmar_proto::digest::Digest;
    use std::time::Duration;

    fn args(line: &str) -> TransferArgs {
        match parse_line(line) {
            Ok(Parsed::Verb(Verb::Upload(args) | Verb::Download(args))) => args,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_last_operand_is_the_target() {
        let cases: [(&str, &[&str], Option<&str>, bool); 6] = [
            ("put a", &["a"], None, false),
            ("put a b", &["a"], Some("b"), false),
            ("put a b/", &["a"], Some("b/"), true),
            ("put a b c", &["a", "b"], Some("c"), true),
            ("put --to d a b", &["a", "b"], Some("d"), true),
            ("put --to d a", &["a"], Some("d"), true),
        ];
        for (line, files, target, must_be_directory) in cases {
            let expected = Operands {
                files: files.iter().map(PathBuf::from).collect(),
                target: target.map(PathBuf::from),
                must_be_directory,
            };
            assert_eq!(Operands::split(&args(line)), expected, "{line}");
        }
    }

    #[test]
    fn options_say_what_to_do() {
        let plain = options(&args("put a"));
        assert_eq!(plain, TransferOptions::default());
        assert_eq!(options(&args("put -f a")).on_exists, OnExists::Overwrite);
        assert_eq!(options(&args("put --on-exists rename a")).on_exists, OnExists::Rename);
        assert!(parse_line("put -f --on-exists skip a").is_err());
        let kept = options(&args("put -p --no-mtime a"));
        assert!(kept.keep_executable && !kept.keep_modified);
    }

    #[test]
    fn a_name_is_wanted_once_and_a_file_sent_once() {
        let source = |typed: &&str| Source::remote(typed.into(), None);
        let checked = |line: &str, typed: &[&str]| {
            let mut sources: Vec<Source> = typed.iter().map(source).collect();
            check_names(&mut sources, args(line).existing.on_exists()).map(|()| sources.len())
        };
        assert_eq!(checked("put a", &["a", "b", "a"]), Ok(2));
        let refused = checked("put a", &["x/a", "b", "y/a"]).expect_err("one name, two files");
        assert_eq!(
            refused.lines("put", None).lines().next(),
            Some("fulmar: put: y/a: would get the same name as x/a")
        );
        for line in
            ["put -f a", "put --on-exists overwrite a", "put --on-exists skip a", "put --on-exists fail a"]
        {
            let refused = checked(line, &["x/a", "y/a"]).expect_err(line);
            assert_eq!(refused.hint.as_deref(), Some(&"--on-exists rename keeps both".into()), "{line}");
        }
        assert_eq!(checked("put --on-exists rename a", &["x/a", "y/a", "y/a"]), Ok(2));
    }

    #[test]
    fn standard_input_is_free_only_for_one_command() {
        assert!(check_stdio(Mode::OneShot, "standard input").is_ok());
        for mode in [Mode::Batch, Mode::Shell] {
            assert!(check_stdio(mode, "standard input").is_err());
        }
    }

    #[test]
    fn the_last_line_says_how_it_ended() {
        let mut done = Transferred {
            source: "/home/me/a.bin".to_owned(),
            destination: "in/a.bin".to_owned(),
            bytes: 12_582_912,
            sent_bytes: 12_582_912,
            resumed_bytes: 0,
            root: Digest::EMPTY,
            elapsed: Duration::from_millis(1_200),
            outcome: Outcome::Stored,
        };
        assert_eq!(
            done_line("a.bin", &done.destination, &done),
            "a.bin -> in/a.bin  12.58 MB in 1.2 s (10.4 MB/s)  blake3 af1349b9f5f9a1a6  verified"
        );
        done.outcome = Outcome::AlreadyThere;
        assert!(done_line("a.bin", &done.destination, &done).ends_with("  already there"));
        done.outcome = Outcome::Skipped;
        assert_eq!(done_line("a\n", &done.destination, &done), "a\\n -> in/a.bin  skipped: it exists");
    }
}
