//! One command, then the end.

use crate::{
    exit_code::ExitCode,
    output::Failure,
    session::Context,
    signals::Signals,
    verb::Verb,
    verbs::{self, Flow},
};

/// Runs `verb`, connecting to the preferred server when it needs one. A signal cancels it.
pub(crate) async fn run(verb: &Verb, context: &mut Context) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch()?;
    if let Some(server) = context.preferred().cloned() {
        context.connect_on_demand(&server);
    }
    let code = tokio::select! {
        flow = verbs::run(verb, context) => match flow {
            Flow::Next(code) => code,
            Flow::Leave => ExitCode::Done,
        },
        caught = signals.next() => {
            // Dropping the command has reset its streams: the other side knows that it is over.
            context.report(verb.name(), &cancelled(caught.exit_code()));
            caught.exit_code()
        }
    };
    context.disconnect().await;
    Ok(code)
}

/// A command that a signal ended.
pub(crate) fn cancelled(code: ExitCode) -> Failure {
    Failure::new(code, "cancelled", "cancelled")
}
