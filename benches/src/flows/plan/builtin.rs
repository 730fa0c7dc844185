//! The plans that come with the program.

use anyhow::{Context as _, Result};

use super::Plan;

const PLANS: [(&str, &str); 4] = [
    ("stock", include_str!("../../../plans/stock.toml")),
    ("fairness", include_str!("../../../plans/fairness.toml")),
    ("cc", include_str!("../../../plans/cc.toml")),
    ("dynamics", include_str!("../../../plans/dynamics.toml")),
];

/// The text of a plan.
pub(super) fn find(name: &str) -> Option<&'static str> {
    PLANS.iter().find(|(plan, _)| *plan == name).map(|(_, text)| *text)
}

/// The names of all plans, and what each is for.
pub(crate) fn all() -> Result<Vec<(&'static str, String)>> {
    let parsed = PLANS.iter().map(|(name, text)| {
        let plan = Plan::parse(text).with_context(|| format!("plan {name}"))?;
        Ok((*name, plan.description))
    });
    parsed.collect()
}
