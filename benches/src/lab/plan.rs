//! Which link: a profile, and what the command line lays over it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use fulmar_netsim::{Direction, Loss, Profile, Queue, tun::Plan};

use super::args::LinkArgs;

/// What the lab is to be made after.
pub(super) fn plan(args: &LinkArgs) -> Result<Plan> {
    let mut profile = match &args.profile {
        Some(name) => find(name)?,
        None => Profile::symmetric("wire", Direction::default()),
    };
    for direction in [&mut profile.up, &mut profile.down] {
        lay_over(direction, args);
    }
    profile.name.push_str(&differences(args));
    profile.check()?;
    Ok(Plan { profile, seed: args.seed, congestion: args.congestion.map(Into::into) })
}

/// A profile by its name, or from a file.
pub(super) fn find(name: &str) -> Result<Profile> {
    if let Some(profile) = Profile::named(name) {
        return Ok(profile);
    }
    if !Path::new(name).exists() {
        let names: Vec<&str> = Profile::names().collect();
        bail!("no profile {name}, and no such file; there are {}", names.join(", "));
    }
    let text = fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?;
    Profile::parse(&text).with_context(|| format!("{name} is no profile"))
}

/// Puts what was given in the place of what the direction has, also where it would change later.
fn lay_over(direction: &mut Direction, args: &LinkArgs) {
    if let Some(rate) = args.rate_mbit {
        direction.rate_mbit_per_s = Some(rate);
        direction.changes.iter_mut().for_each(|change| change.rate_mbit_per_s = None);
    }
    if let Some(rtt_ms) = args.rtt_ms {
        direction.delay_ms = rtt_ms / 2.0;
        direction.changes.iter_mut().for_each(|change| change.delay_ms = None);
    }
    if let Some(ratio) = args.loss {
        direction.loss_before_queue = None;
        direction.loss_after_queue = Some(Loss::Bernoulli(ratio)).filter(|_| ratio != 0.0);
        for change in &mut direction.changes {
            (change.loss_before_queue, change.loss_after_queue) = (None, None);
        }
    }
    if let Some(products) = args.buffer_bdp {
        direction.queue = Queue::Bdp(products);
    }
}

/// What was laid over, for the name.
fn differences(args: &LinkArgs) -> String {
    let said = |value: Option<f64>, words: fn(f64) -> String| value.map(words);
    let parts = [
        said(args.rate_mbit, |rate| format!("{rate} Mbit/s")),
        said(args.rtt_ms, |rtt_ms| format!("{rtt_ms} ms")),
        said(args.loss, |ratio| format!("loss {ratio}")),
        said(args.buffer_bdp, |products| format!("queue {products} BDP")),
    ];
    parts.into_iter().flatten().map(|part| format!(", {part}")).collect()
}

#[cfg(test)]
mod tests {
    use fulmar_netsim::tun;

    use super::*;
    use crate::contest::Congestion;

    #[test]
    fn without_anything_it_is_a_wire() {
        let plan = plan(&LinkArgs::default()).expect("a plan");
        assert_eq!(plan.profile, Profile::symmetric("wire", Direction::default()));
        assert_eq!(plan.congestion, None);
    }

    #[test]
    fn what_is_given_counts_both_ways_and_at_all_times() {
        let args = LinkArgs {
            profile: Some("lte".to_owned()),
            seed: 7,
            congestion: Some(Congestion::Bbr),
            rate_mbit: Some(50.0),
            rtt_ms: Some(30.0),
            loss: Some(0.02),
            buffer_bdp: Some(2.0),
        };
        let plan = plan(&args).expect("a plan");
        assert_eq!(plan.profile.name, "lte, 50 Mbit/s, 30 ms, loss 0.02, queue 2 BDP");
        assert_eq!((plan.seed, plan.congestion), (7, Some(tun::Congestion::Bbr)));
        for direction in [&plan.profile.up, &plan.profile.down] {
            assert_eq!((direction.rate_mbit_per_s, direction.delay_ms), (Some(50.0), 15.0));
            assert_eq!(direction.loss_after_queue, Some(Loss::Bernoulli(0.02)));
            assert_eq!(direction.queue, Queue::Bdp(2.0));
            assert!(!direction.changes.is_empty(), "the profile has some");
            assert!(direction.changes.iter().all(|change| change.rate_mbit_per_s.is_none()));
        }
    }

    #[test]
    fn no_loss_can_be_asked_for() {
        let args = LinkArgs { profile: Some("lossy-10".to_owned()), loss: Some(0.0), ..LinkArgs::default() };
        assert_eq!(plan(&args).expect("a plan").profile.up.loss_after_queue, None);
    }

    #[test]
    fn nonsense_is_refused_with_what_there_is() {
        let of = |name: &str| LinkArgs { profile: Some(name.to_owned()), ..LinkArgs::default() };
        let error = plan(&of("lossy-11")).expect_err("unknown").to_string();
        assert!(error.contains("lossy-11") && error.contains("lossy-10, "), "{error}");
        let out_of_range = LinkArgs { loss: Some(1.5), ..LinkArgs::default() };
        assert!(plan(&out_of_range).is_err());
    }

    #[test]
    fn a_file_may_hold_a_profile() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("bad.toml");
        fs::write(&path, "name = \"bad\"\n[both]\ndelay_ms = 9\n").expect("written");
        let args = LinkArgs { profile: Some(path.display().to_string()), ..LinkArgs::default() };
        assert_eq!(plan(&args).expect("a plan").profile.name, "bad");
        fs::write(&path, "[both]\ndelay = 9\n").expect("written");
        let error = format!("{:#}", plan(&args).expect_err("unknown setting"));
        assert!(error.contains("is no profile: line 2"), "{error}");
    }
}
