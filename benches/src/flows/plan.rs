//! Which cases are simulated.
//!
//! A plan is TOML. `sets` names groups of flows; a `[[matrix]]` crosses them with links; a `[[scenario]]` is a single case on
//! any link; `[[expect]]` bounds figures of the cases with a word in their names. See `benches/plans`.

mod builtin;
mod controller;
mod matrix;
mod written;

use std::{fmt, ops::Range, time::Duration};

use anyhow::{Context as _, Result, bail};
use fulmar_netsim::flows::Scenario;
use fulmar_proto::text::Escaped;

pub(crate) use builtin::all as builtin;
pub(crate) use written::{Bound, Expectation};

/// More cases than this are a slip of the pen.
const MAX_CASES: usize = 5000;

/// Everything that a plan says.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) description: String,
    /// How many seeds each case runs with, unless the command line says otherwise.
    pub(crate) seeds: u32,
    /// What the names of the cases have in them that a quick look takes.
    pub(crate) quick: Vec<String>,
    pub(crate) cases: Vec<Case>,
    pub(crate) expectations: Vec<Expectation>,
}

/// One link and the flows on it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) scenario: Scenario,
    /// Over which interval figures are taken.
    pub(crate) measured: Range<Duration>,
    /// From when on the time to 90 % is counted, if not from the start of each flow.
    pub(crate) reached_from: Option<Duration>,
}

/// Why a text is not a plan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlanError(String);

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Escaped(&self.0))
    }
}

impl std::error::Error for PlanError {}

impl From<String> for PlanError {
    fn from(message: String) -> Self {
        Self(message)
    }
}

/// A plan by its name or its path.
pub(crate) fn load(plan: &str) -> Result<Plan> {
    if plan.contains('/') || plan.ends_with(".toml") {
        let text = std::fs::read_to_string(plan).with_context(|| format!("cannot read {}", Escaped(plan)))?;
        return Plan::parse(&text).with_context(|| format!("plan {}", Escaped(plan)));
    }
    match builtin::find(plan) {
        Some(text) => Plan::parse(text).with_context(|| format!("plan {plan}")),
        None => bail!("there is no plan {}; try: fulmar-bench flows --list", Escaped(plan)),
    }
}

impl Plan {
    /// Reads a plan and checks everything in it.
    pub(crate) fn parse(text: &str) -> Result<Self, PlanError> {
        let written: written::Plan = toml::from_str(text).map_err(|error| syntax(&error, text))?;
        let plan = Self::build(written)?;
        if plan.cases.is_empty() {
            return Err("a plan needs a [[matrix]] or a [[scenario]]".to_owned().into());
        }
        plan.check()?;
        Ok(plan)
    }

    fn build(written: written::Plan) -> Result<Self, PlanError> {
        let mut cases = Vec::new();
        for matrix in &written.matrix {
            cases.extend(matrix::cases(matrix, &written, MAX_CASES.saturating_sub(cases.len()))?);
        }
        for scenario in &written.scenario {
            cases.push(scenario.case(&written)?);
        }
        let written::Plan { name, description, seeds, quick, expect, .. } = written;
        Ok(Self { name, description, seeds, quick, cases, expectations: expect })
    }

    /// Checks what the parts of a plan do not know of each other.
    fn check(&self) -> Result<(), PlanError> {
        named(&self.name)?;
        if self.seeds == 0 || self.seeds > 10_000 {
            return Err("seeds is out of range: 1 to 10,000".to_owned().into());
        }
        if self.cases.len() > MAX_CASES {
            return Err(format!("a plan has at most {MAX_CASES} cases").into());
        }
        let mut names = std::collections::BTreeSet::new();
        for case in &self.cases {
            named(&case.name)?;
            case.scenario.check().map_err(|error| format!("{}: {error}", case.name))?;
            if !names.insert(&case.name) {
                return Err(format!("two cases are called {}", case.name).into());
            }
        }
        if let Some(word) =
            self.quick.iter().find(|word| !self.cases.iter().any(|case| case.name.contains(*word)))
        {
            return Err(format!("a quick look is at {word:?}, which no case has in its name").into());
        }
        self.expectations.iter().try_for_each(|expectation| self.check_expectation(expectation))
    }

    fn check_expectation(&self, expectation: &Expectation) -> Result<(), PlanError> {
        let Expectation { of, flow, bounds } = expectation;
        let mut cases = self.cases.iter().filter(|case| case.name.contains(of)).peekable();
        if cases.peek().is_none() {
            return Err(format!("an expectation is of {of:?}, which no case has in its name").into());
        }
        let Some(flow) = flow else { return Ok(()) };
        if !cases.all(|case| case.scenario.flows.iter().any(|spec| spec.name == *flow)) {
            return Err(format!("an expectation is of the flow {flow:?}, which not every case has").into());
        }
        match bounds.keys().find(|figure| !figure.is_of_a_flow()) {
            Some(figure) => Err(format!("{} is not a figure of a single flow", figure.word()).into()),
            None => Ok(()),
        }
    }

    /// Drops all cases that do not have this in their names.
    pub(crate) fn keep(&mut self, substring: &str) {
        self.cases.retain(|case| case.name.contains(substring));
    }

    /// Drops all cases that a quick look does not take; with a plan that does not say which, none.
    pub(crate) fn keep_quick(&mut self) {
        let Self { quick, cases, .. } = self;
        cases.retain(|case| quick.is_empty() || quick.iter().any(|word| case.name.contains(word)));
    }
}

/// Names stand in tables, in pictures and on terminals.
fn named(name: &str) -> Result<(), PlanError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " .,+-_%@()/:".contains(c);
    if name.trim().is_empty() || name.len() > 80 || !name.chars().all(allowed) {
        let allowed = "1 to 80 letters, digits, spaces and .,+-_%@()/:";
        return Err(format!("{name:?} is no name: {allowed}").into());
    }
    Ok(())
}

/// A time of a plan.
fn time(setting: &str, seconds: f64, allowed: Range<f64>) -> Result<Duration, PlanError> {
    let Range { start, end } = allowed;
    if !(start..=end).contains(&seconds) {
        return Err(format!("{setting} is out of range: {start} to {end}").into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// The parser's message in one line, with the place.
fn syntax(error: &toml::de::Error, text: &str) -> PlanError {
    let line = error.span().map(|span| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1);
    let message = error.message().trim().replace('\n', ", ");
    PlanError(match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    })
}

#[cfg(test)]
mod tests;
