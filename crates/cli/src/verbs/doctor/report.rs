//! How the steps are told.

use serde_json::Value;

use crate::{
    output::{Failure, Printer, hint::Hint, objects::doctor::Check},
    secrets::masked,
};

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// It works, and could be better.
    Warning,
    Failed,
    /// It could not be tried, or nobody wanted it.
    Skipped,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What is to be said about a step: one line, and what to run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// One line, safe to print.
    pub(super) message: String,
    pub(super) hint: Option<Hint>,
    /// The figures in the message, for scripts.
    pub(super) values: Value,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into(), hint: None, values: Value::Null }
    }

    pub(super) fn good(message: impl Into<String>) -> Self {
        Self::new(Verdict::Good, message)
    }

    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self::new(Verdict::Warning, message)
    }

    pub(super) fn skipped(message: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped, message)
    }

    pub(super) fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn values(mut self, values: Value) -> Self {
        self.values = values;
        self
    }
}

/// Tells of each step as soon as it is done.
#[derive(Debug)]
pub(super) struct Report<'a> {
    printer: &'a Printer,
}

impl<'a> Report<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Self { printer }
    }

    pub(super) fn tell(&self, step: &str, finding: &Finding) {
        let hint = finding.hint.as_ref().map(|hint| self.printer.shown(hint));
        let word = finding.verdict.word();
        self.printer.object(&Check::new(step, word, &finding.message, hint.as_deref(), &finding.values));
        self.printer.data(format_args!("{word:<7}  {step:<11}  {}", finding.message));
        if let Some(hint) = hint {
            self.printer.data(format_args!("         hint: {hint}"));
        }
        // The next step may take a while.
        self.printer.flush();
    }

    /// The step at which it ends: why, and what to run against it, follow as with any other command.
    pub(super) fn failed(&self, step: &str, failure: Failure) -> Failure {
        self.tell(step, &Finding::new(Verdict::Failed, masked(&failure.message)));
        failure
    }

    /// The same for what has an answer only when it works.
    pub(super) fn unless_failed<T>(&self, step: &str, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| self.failed(step, failure))
    }
}
