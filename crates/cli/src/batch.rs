//! Commands from a file or a pipe, one per line, until the first failure.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use crate::{
    exit_code::ExitCode,
    lines::read_line,
    one_shot::cancelled,
    output::Failure,
    server_name::ServerName,
    session::Context,
    signals::Signals,
    verbs::{self, Flow},
    words::{Parsed, parse_line},
};

/// Where the lines come from.
pub(crate) enum Script {
    /// Standard input.
    Stdin,
    /// A file.
    File(BufReader<File>),
}

impl Script {
    /// Opens FILE of `-b FILE`; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stdin);
        }
        let file = File::open(path).map_err(|error| Failure::local(path, &error))?;
        Ok(Self::File(BufReader::new(file)))
    }

    async fn next(&mut self, context: &mut Context) -> io::Result<Option<String>> {
        match self {
            Self::Stdin => context.input.plain_line().await,
            Self::File(file) => read_line(file),
        }
    }
}

/// How it goes on after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Next,
    End(ExitCode),
}

/// Connects to `endpoint`, if there is one, and runs the lines of `script`; the code is that of the line that failed.
pub(crate) async fn run(
    mut script: Script,
    endpoint: Option<ServerName>,
    context: &mut Context,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch()?;
    let work = async {
        if let Some(endpoint) = endpoint
            && let Err(failure) = context.connect_first(&endpoint).await
        {
            context.report("connme", &failure);
            return failure.code;
        }
        run_lines(&mut script, context).await
    };
    let result = tokio::select! {
        code = work => Ok(code),
        caught = signals.next() => Err(caught.exit_code()),
    };
    let code = result.unwrap_or_else(|code| {
        context.report("batch", &cancelled(code));
        code
    });
    context.disconnect().await;
    Ok(code)
}

async fn run_lines(script: &mut Script, context: &mut Context) -> ExitCode {
    for number in 1.. {
        context.line = Some(number);
        let line = match script.next(context).await {
            Ok(Some(line)) => line,
            Ok(None) => return ExitCode::Done,
            Err(error) => {
                let failure = Failure::usage(crate::output::failure::io_message(&error));
                context.report("batch", &failure);
                return failure.code;
            }
        };
        let step = run_line(&line, context).await;
        context.printer.flush();
        if let Step::End(code) = step {
            return code;
        }
    }
    ExitCode::Done
}

async fn run_line(line: &str, context: &mut Context) -> Step {
    let (ignore_failure, line) = ignorable(line);
    let flow = match parse_line(line) {
        Ok(Parsed::Nothing) => Flow::Next(ExitCode::Done),
        Ok(Parsed::Help(text)) => {
            context.printer.raw(&text);
            Flow::Next(ExitCode::Done)
        }
        Ok(Parsed::Verb(verb)) => verbs::run(&verb, context).await,
        Err(bad) => {
            context.report(&bad.verb, &bad.failure);
            Flow::Next(bad.failure.code)
        }
    };
    match flow {
        Flow::Leave => Step::End(ExitCode::Done),
        Flow::Next(code) if code.is_done() || ignore_failure => Step::Next,
        Flow::Next(code) => Step::End(code),
    }
}

/// A `-` in front of a command says that its failure does not matter.
fn ignorable(line: &str) -> (bool, &str) {
    match line.trim_start().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_dash_makes_failure_bearable() {
        assert_eq!(ignorable("rm a"), (false, "rm a"));
        assert_eq!(ignorable("  -rm a"), (true, "rm a"));
        assert_eq!(ignorable("rm -r a"), (false, "rm -r a"));
    }

    #[test]
    fn a_script_that_is_missing_is_told() {
        let missing = Path::new("/nonexistent/script");
        assert!(Script::open(missing).is_err_and(|failure| failure.code == ExitCode::NotFound));
    }
}
