//! The ranges of a profile's settings.

use std::ops::RangeInclusive;

use super::{Blackout, Change, Direction, Loss, ProfileError, Queue, loss::Bursts};

const RATE: RangeInclusive<f64> = 0.001..=1e6;
const DELAY: RangeInclusive<f64> = 0.0..=60_000.0;
const RATIO: RangeInclusive<f64> = 0.0..=1.0;
/// Experiments of more than a day are a mistake in a unit.
const SECONDS: RangeInclusive<f64> = 0.0..=86_400.0;
/// The smallest packet that every IPv4 link carries (RFC 791 section 3.1).
const LEAST_MTU_BYTES: u32 = 576;

/// Says where a setting is, for messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    way: &'a str,
    part: &'a str,
}

impl Place<'_> {
    fn refuse(self, setting: &str, allowed: &'static str) -> ProfileError {
        ProfileError::Range { setting: format!("{}.{}{setting}", self.way, self.part), allowed }
    }

    /// NaN is in no range.
    fn within(
        self,
        setting: &str,
        value: f64,
        range: &RangeInclusive<f64>,
        allowed: &'static str,
    ) -> Result<(), ProfileError> {
        if range.contains(&value) { Ok(()) } else { Err(self.refuse(setting, allowed)) }
    }

    fn rate(self, rate: Option<f64>) -> Result<(), ProfileError> {
        rate.map_or(Ok(()), |rate| self.within("rate_mbit_per_s", rate, &RATE, "0.001 to 1,000,000"))
    }

    fn delay(self, delay_ms: f64) -> Result<(), ProfileError> {
        self.within("delay_ms", delay_ms, &DELAY, "0 to 60,000")
    }

    fn mtu(self, mtu_bytes: Option<u32>) -> Result<(), ProfileError> {
        match mtu_bytes {
            Some(bytes) if bytes < LEAST_MTU_BYTES => Err(self.refuse("mtu_bytes", "at least 576")),
            _ => Ok(()),
        }
    }

    fn loss(self, setting: &str, loss: Option<&Loss>) -> Result<(), ProfileError> {
        match loss {
            None => Ok(()),
            Some(Loss::Bernoulli(ratio)) => self.within(setting, *ratio, &RATIO, "0 to 1"),
            Some(Loss::GilbertElliott(bursts)) => self.bursts(setting, bursts),
            Some(Loss::Spells(spells)) => {
                // At 1 there would be no good time to come to.
                let ratio = 0.0..=0.99;
                self.within(&format!("{setting}.ratio"), spells.ratio, &ratio, "0 to 0.99")?;
                let length = format!("{setting}.mean_burst_ms");
                self.within(&length, spells.mean_burst_ms, &(0.001..=60_000.0), "0.001 to 60,000")
            }
        }
    }

    fn bursts(self, setting: &str, bursts: &Bursts) -> Result<(), ProfileError> {
        let Bursts { ratio, mean_burst_packets, loss_in_good, loss_in_bad } = *bursts;
        self.within(&format!("{setting}.loss_in_good"), loss_in_good, &RATIO, "0 to 1")?;
        self.within(&format!("{setting}.loss_in_bad"), loss_in_bad, &RATIO, "0 to 1")?;
        let length = format!("{setting}.mean_burst_packets");
        self.within(&length, mean_burst_packets, &(1.0..=1e6), "1 to 1,000,000")?;
        let reachable = loss_in_good < loss_in_bad && loss_in_good <= ratio && ratio < loss_in_bad;
        if !reachable {
            let allowed = "at least loss_in_good and less than loss_in_bad";
            return Err(self.refuse(&format!("{setting}.ratio"), allowed));
        }
        let (enter, _) = bursts.transitions();
        self.within(&length, enter, &RATIO, "bursts this short cannot make up the ratio")
    }
}

pub(super) fn direction(way: &str, direction: &Direction) -> Result<(), ProfileError> {
    let here = Place { way, part: "" };
    here.rate(direction.rate_mbit_per_s)?;
    match direction.queue {
        Queue::Bdp(share) => here.within("queue.bdp", share, &(0.0..=1000.0), "0 to 1,000")?,
        Queue::Bytes(bytes) if bytes < 1500 => return Err(here.refuse("queue.bytes", "at least 1,500")),
        Queue::Bytes(_) => {}
    }
    here.delay(direction.delay_ms)?;
    here.within("jitter_ms", direction.jitter_ms, &(0.0..=direction.delay_ms), "0 to delay_ms")?;
    here.loss("loss_before_queue", direction.loss_before_queue.as_ref())?;
    here.loss("loss_after_queue", direction.loss_after_queue.as_ref())?;
    here.within("duplication", direction.duplication, &RATIO, "0 to 1")?;
    here.mtu(direction.mtu_bytes)?;
    direction.blackouts.iter().try_for_each(|blackout| check_blackout(way, blackout))?;
    // Several that overlap could leave no time at which anything comes through.
    let dark_share: f64 =
        direction.blackouts.iter().filter_map(|blackout| Some(blackout.for_s / blackout.every_s?)).sum();
    here.within("blackouts", dark_share, &(0.0..=0.95), "those that repeat take at most 95 % of the time")?;
    let mut last_s = 0.0;
    for change in &direction.changes {
        check_change(way, direction, change, last_s)?;
        last_s = change.at_s;
    }
    Ok(())
}

fn check_blackout(way: &str, blackout: &Blackout) -> Result<(), ProfileError> {
    let here = Place { way, part: "blackouts." };
    here.within("from_s", blackout.from_s, &SECONDS, "0 to 86,400")?;
    here.within("for_s", blackout.for_s, &(0.001..=86_400.0), "0.001 to 86,400")?;
    match blackout.every_s {
        // With less in between nothing would ever come through.
        Some(every_s) => {
            let least = blackout.for_s + 0.001;
            here.within("every_s", every_s, &(least..=1e6), "at least 0.001 more than for_s")
        }
        None => Ok(()),
    }
}

fn check_change(way: &str, direction: &Direction, change: &Change, last_s: f64) -> Result<(), ProfileError> {
    let here = Place { way, part: "changes." };
    here.within("at_s", change.at_s, &SECONDS, "0 to 86,400")?;
    here.within("at_s", change.at_s, &(last_s..=86_400.0), "in ascending order")?;
    if change.rate_mbit_per_s.is_some() && direction.rate_mbit_per_s.is_none() {
        return Err(here.refuse("rate_mbit_per_s", "only where there is a rate from the start"));
    }
    here.rate(change.rate_mbit_per_s)?;
    if let Some(delay_ms) = change.delay_ms {
        here.delay(delay_ms)?;
        here.within("delay_ms", delay_ms, &(direction.jitter_ms..=60_000.0), "at least jitter_ms")?;
    }
    here.loss("loss_before_queue", change.loss_before_queue.as_ref())?;
    here.loss("loss_after_queue", change.loss_after_queue.as_ref())?;
    here.mtu(change.mtu_bytes)
}
