//! What the operands of uploads and downloads stand for: names as they are, and what patterns match.

use std::path::{Path, PathBuf};

use fulmar_client::Session;

use super::{
    each::tell_not_tried,
    transfer::{self, remote_text},
};
use crate::{
    exit_code::{ExitCode, Tally},
    glob::{
        self, Skipped, Wanted,
        local::{LocalMatch, LocalMatches},
        remote::{RemoteMatch, RemoteMatches},
    },
    output::{Failure, hint::Hint},
    session::Context,
};

/// What all operands stand for.
#[derive(Debug)]
pub(super) struct Sources<T> {
    pub(super) sources: Vec<T>,
    /// A pattern is among the operands.
    pub(super) by_pattern: bool,
    /// Operands that lead to nothing; that has been told.
    pub(super) tally: Tally,
    skipped: Skipped,
    failed: usize,
}

impl<T> Sources<T> {
    fn new() -> Self {
        let (tally, skipped) = (Tally::default(), Skipped::default());
        Self { sources: Vec::new(), by_pattern: false, tally, skipped, failed: 0 }
    }

    /// What a pattern matches; where that is nothing, `list` shows what there is.
    fn matched<M>(
        &mut self,
        typed: &Path,
        matches: Vec<M>,
        skipped: Skipped,
        list: &str,
    ) -> Result<Vec<M>, Failure> {
        self.by_pattern = true;
        self.skipped += skipped;
        if matches.is_empty() {
            let hint = Hint::run(list).then(" shows what is there");
            return Err(glob::no_match(&typed.to_string_lossy(), hint));
        }
        Ok(matches)
    }

    /// Takes what an operand stands for, or tells that it leads to nothing.
    fn take(&mut self, context: &Context, verb: &'static str, found: Result<Vec<T>, Failure>) -> bool {
        match found {
            Ok(found) => {
                self.sources.extend(found);
                true
            }
            Err(failure) => {
                context.report(verb, &failure);
                self.tally.failed(failure.code);
                self.failed += 1;
                false
            }
        }
    }
}

/// Finds what is to be uploaded, and tells of every operand that cannot be, before anything is sent: then nothing is.
pub(super) async fn local<T>(
    context: &Context,
    operands: &[PathBuf],
    wanted: Wanted,
    named: impl Fn(&Path) -> Result<T, Failure>,
    matched: impl Fn(LocalMatch) -> T,
) -> Result<Sources<T>, ExitCode> {
    let mut all = Sources::new();
    for typed in operands {
        let found = match glob::local::expand(context, typed, wanted).await {
            Ok(None) => named(typed).map(|source| vec![source]),
            Ok(Some(LocalMatches { files, skipped })) => {
                let files = all.matched(typed, files, skipped, "lls");
                files.map(|files| files.into_iter().map(&matched).collect())
            }
            Err(failure) => Err(failure),
        };
        all.take(context, "upload", found);
    }
    transfer::note_skipped(&context.printer, all.skipped);
    if all.tally.code().is_done() { Ok(all) } else { Err(all.tally.code()) }
}

/// Finds what is to be downloaded, and tells of every operand that leads to nothing; what the others stand for is fetched all
/// the same. Without a connection there is nothing to find it with.
pub(super) async fn remote<T>(
    context: &Context,
    session: &Session,
    operands: &[PathBuf],
    wanted: Wanted,
    named: impl Fn(&Path) -> Result<T, Failure>,
    matched: impl Fn(RemoteMatch) -> Result<T, Failure>,
) -> Result<Sources<T>, ExitCode> {
    let mut all = Sources::new();
    for typed in operands {
        let expanded = match remote_text(typed) {
            Ok(text) => glob::remote::expand(context, session, text, wanted, false).await,
            Err(failure) => Err(failure),
        };
        let found = match expanded {
            Ok(None) => named(typed).map(|source| vec![source]),
            Ok(Some(RemoteMatches { found, skipped })) => {
                let found = all.matched(typed, found, skipped, "ls");
                found.and_then(|found| found.into_iter().map(&matched).collect())
            }
            Err(failure) => Err(failure),
        };
        if !all.take(context, "download", found) && session.is_closed() {
            let (failed, total) = (all.failed, operands.len());
            tell_not_tried(context, "download", failed, total, total - failed);
            return Err(all.tally.code());
        }
    }
    transfer::note_skipped(&context.printer, all.skipped);
    // What failed has been told, and only its code is left.
    if all.sources.is_empty() { Err(all.tally.code()) } else { Ok(all) }
}
