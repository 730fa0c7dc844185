//! The most that a link could have carried.

use std::{ops::Range, time::Duration};

use fulmar_netsim::{Direction, Loss, profile::PAYLOAD_SHARE};

/// The most file bytes per second that one way of a link could have carried over an interval, whatever blackouts there were:
/// what changes on the way is averaged over time. 0 without a bottleneck.
pub(super) fn bytes_per_s(direction: &Direction, during: &Range<Duration>) -> f64 {
    let (from, to) = (during.start.as_secs_f64(), during.end.as_secs_f64());
    average(direction, from, to, |rate, loss| rate * (1.0 - loss)) * PAYLOAD_SHARE
}

/// What the bottleneck could have carried, in bytes of IP packets per second.
pub(super) fn rate_bytes_per_s(direction: &Direction, during: &Range<Duration>) -> f64 {
    let (from, to) = (during.start.as_secs_f64(), during.end.as_secs_f64());
    average(direction, from, to, |rate, _| rate)
}

/// The mean of a function of rate and loss after the queue.
fn average(direction: &Direction, from: f64, to: f64, of: impl Fn(f64, f64) -> f64) -> f64 {
    let to = to.max(from);
    let (mut rate, mut loss) = (direction.rate_mbit_per_s, direction.loss_after_queue);
    let (mut sum, mut at) = (0.0, from);
    let value = |rate: Option<f64>, loss: Option<Loss>| {
        of(rate.unwrap_or(0.0) * 125_000.0, loss.map_or(0.0, |loss| loss.ratio()))
    };
    for change in &direction.changes {
        let until = change.at_s.clamp(at, to);
        sum += value(rate, loss) * (until - at);
        at = until;
        rate = change.rate_mbit_per_s.or(rate);
        loss = change.loss_after_queue.or(loss);
    }
    sum += value(rate, loss) * (to - at);
    if to > from { sum / (to - from) } else { value(rate, loss) }
}

#[cfg(test)]
mod tests {
    use fulmar_netsim::profile::Change;

    use super::*;

    fn seconds(from: u64, to: u64) -> Range<Duration> {
        Duration::from_secs(from)..Duration::from_secs(to)
    }

    #[test]
    fn without_changes_it_is_the_profiles_limit() {
        let direction = Direction {
            rate_mbit_per_s: Some(8.0),
            loss_after_queue: Some(Loss::Bernoulli(0.1)),
            loss_before_queue: Some(Loss::Bernoulli(0.5)),
            ..Direction::default()
        };
        let profile = fulmar_netsim::Profile::symmetric("", direction.clone());
        let known = profile.limit_bytes_per_s(fulmar_netsim::Way::Up).expect("a rate");
        assert!((bytes_per_s(&direction, &seconds(3, 9)) - known).abs() < 1e-6);
        assert_eq!(rate_bytes_per_s(&direction, &seconds(3, 9)), 1e6);
        assert_eq!(bytes_per_s(&Direction::default(), &seconds(0, 1)), 0.0);
    }

    #[test]
    fn changes_count_for_as_long_as_they_last() {
        let change = |at_s, rate, loss| Change {
            at_s,
            rate_mbit_per_s: rate,
            loss_after_queue: loss,
            ..Change::default()
        };
        let direction = Direction {
            rate_mbit_per_s: Some(8.0),
            changes: vec![change(10.0, Some(4.0), None), change(20.0, None, Some(Loss::Bernoulli(0.5)))],
            ..Direction::default()
        };
        let limit = |from, to| bytes_per_s(&direction, &seconds(from, to)) / PAYLOAD_SHARE;
        for (actual, expected) in [
            (limit(0, 10), 1e6),
            (limit(10, 20), 0.5e6),
            (limit(20, 30), 0.25e6),
            (limit(0, 20), 0.75e6),
            (limit(5, 25), (5.0 * 1e6 + 10.0 * 0.5e6 + 5.0 * 0.25e6) / 20.0),
        ] {
            assert!((actual - expected).abs() < 1e-3, "{actual} {expected}");
        }
        assert_eq!(rate_bytes_per_s(&direction, &seconds(20, 30)), 0.5e6);
        // Of an interval that ends before it begins, it is what holds at its beginning.
        assert_eq!(rate_bytes_per_s(&direction, &seconds(15, 5)), 0.5e6);
    }
}
