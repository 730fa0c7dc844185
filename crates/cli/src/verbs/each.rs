//! Verbs that take names and patterns, and do one after another.

use crate::{
    exit_code::{ExitCode, Tally},
    glob::{
        self, Skipped, Wanted,
        remote::{RemoteMatch, RemoteMatches},
    },
    hints::quoted,
    output::{Failure, hint::Hint},
    session::Context,
};

/// Does `work` with everything that `typed` stands for, and tells of each failure. What patterns have matched and is not
/// `wanted` is handed back beside the exit code. Nothing more is tried once the connection is gone.
pub(super) async fn each<F>(
    context: &mut Context,
    verb: &'static str,
    typed: &[String],
    wanted: Wanted,
    work: F,
) -> Result<(ExitCode, Skipped), Failure>
where
    F: AsyncFnMut(&mut Context, &str) -> Result<(), Failure>,
{
    context.check_connectable()?;
    let (mut tally, mut skipped, mut all) = (Tally::default(), Skipped::default(), Vec::new());
    let expanding = async |context: &mut Context, typed: &str| {
        let found = names(context, typed, wanted).await?;
        all.extend(found.names);
        skipped += found.skipped;
        Ok(())
    };
    if let Err(ended) = try_each(context, verb, typed, &mut tally, expanding).await {
        // Nothing has been done with any name yet.
        tell_not_tried(context, verb, ended.failed, typed.len(), typed.len() - ended.failed);
        return Ok((tally.code(), Skipped::default()));
    }
    if let Err(ended) = try_each(context, verb, &all, &mut tally, work).await {
        tell_not_tried(context, verb, ended.failed, all.len(), ended.rest);
    }
    Ok((tally.code(), skipped))
}

/// How far it went before the connection was gone.
struct Ended {
    failed: usize,
    /// How many names come behind the one that failed last.
    rest: usize,
}

async fn try_each<F>(
    context: &mut Context,
    verb: &'static str,
    names: &[String],
    tally: &mut Tally,
    mut work: F,
) -> Result<(), Ended>
where
    F: AsyncFnMut(&mut Context, &str) -> Result<(), Failure>,
{
    let mut failed = 0;
    for (index, name) in names.iter().enumerate() {
        let Err(failure) = work(context, name).await else { continue };
        context.report(verb, &failure);
        tally.failed(failure.code);
        failed += 1;
        // Every other name would fail as well, and for another reason than this one.
        if context.check_connectable().is_err() {
            return Err(Ended { failed, rest: names.len() - index - 1 });
        }
    }
    Ok(())
}

/// Says how many names were left alone because the connection is gone.
pub(super) fn tell_not_tried(
    context: &Context,
    verb: &'static str,
    failed: usize,
    total: usize,
    rest: usize,
) {
    if rest > 0 {
        context.printer.write_stderr(format_args!(
            "fulmar: {verb}: {failed} of {total} names failed (listed above), {rest} not tried"
        ));
    }
}

/// What one operand stands for.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    names: Vec<String>,
    skipped: Skipped,
}

/// The name itself, or what it matches as a pattern.
async fn names(context: &mut Context, typed: &str, wanted: Wanted) -> Result<Names, Failure> {
    let plain = || Names { names: vec![typed.to_owned()], skipped: Skipped::default() };
    if !glob::is_pattern(typed)? {
        return Ok(plain());
    }
    let session = context.session().await?;
    match glob::remote::expand(context, &session, typed, wanted, false).await? {
        None => Ok(plain()),
        Some(matches) => matched(typed, matches),
    }
}

fn matched(typed: &str, matches: RemoteMatches) -> Result<Names, Failure> {
    let RemoteMatches { found, skipped } = matches;
    match (found.is_empty(), skipped.directories) {
        (false, _) => {
            let name = |found: RemoteMatch| found.typed;
            Ok(Names { names: found.into_iter().map(name).collect(), skipped })
        }
        (true, 0) => Err(glob::no_match(typed, Hint::run("ls").then(" shows what is there"))),
        (true, _) => Err(Failure::new(ExitCode::Other, "is-a-directory", "only directories match")
            .about(typed)
            .hint(Hint::run(format!("rm -r {}", quoted(typed))))),
    }
}
