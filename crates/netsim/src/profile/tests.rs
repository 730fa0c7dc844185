use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Result<Profile, ProfileError> {
    Profile::parse(body)
}

#[test]
fn every_built_in_profile_is_sound() {
    let names: Vec<_> = Profile::names().collect();
    assert_eq!(names.len(), 12);
    for name in names {
        let profile = Profile::named(name).expect("a profile");
        assert_eq!(profile.name, name);
        assert!(!profile.description.is_empty(), "{name} says nothing of itself");
        profile.check().expect("in range");
        for way in [Way::Up, Way::Down] {
            let limit = profile.limit_bytes_per_s(way).expect("a rate");
            let rate = profile.direction(way).rate_mbit_per_s.expect("a rate") * 125_000.0;
            assert!(limit > 0.5 * rate && limit < rate, "{name}: {limit} of {rate}");
        }
    }
    assert_eq!(Profile::named("no such link"), None);
}

#[test]
fn the_lossy_profiles_lose_what_their_names_say() {
    for percent in [1, 5, 10, 20] {
        let profile = Profile::named(&format!("lossy-{percent}")).expect("a profile");
        assert_eq!(profile.rtt_ms(), 100.0);
        let limit = profile.limit_bytes_per_s(Way::Up).expect("a rate");
        let expected = 12.5e6 * 0.957 * (1.0 - f64::from(percent) / 100.0);
        assert!((limit - expected).abs() < 1.0, "{limit} is not {expected}");
    }
}

#[test]
fn a_whole_profile_is_read() {
    let profile = parse(
        r#"
        name = "all"
        description = "everything"
        [up]
        [down]
        rate_mbit_per_s = 10
        queue = { bytes = 30000 }
        delay_ms = 20.5
        jitter_ms = 3
        reordering = true
        loss_before_queue = 0.25
        loss_after_queue = { ratio = 0.05, mean_burst_packets = 5, loss_in_good = 0.01, loss_in_bad = 0.5 }
        duplication = 0.01
        mtu_bytes = 1400
        blackouts = [{ from_s = 1, for_s = 0.5, every_s = 10, packets = "hold" }]
        changes = [{ at_s = 5, rate_mbit_per_s = 5, loss_before_queue = 0 }, { at_s = 6, mtu_bytes = 1300 }]
        "#,
    )
    .expect("a profile");
    assert_eq!(profile.up, Direction::default());
    let down = profile.direction(Way::Down);
    assert_eq!(down.queue, Queue::Bytes(30_000));
    assert_eq!(down.loss_before_queue, Some(Loss::Bernoulli(0.25)));
    assert_eq!(down.loss_after_queue.map(|loss| loss.ratio()), Some(0.05));
    assert_eq!(down.changes[0].loss_before_queue, Some(Loss::Bernoulli(0.0)));
    assert_eq!(down.blackouts[0].packets, During::Hold);
    let written = toml::from_str::<toml::Value>("x = 1").is_ok();
    assert!(written);
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let cases = [
        ("", "a profile has either [both] or [up] and [down]"),
        ("[both]\n[up]\n", "a profile has either [both] or [up] and [down]"),
        ("[up]\n", "a profile has either [both] or [up] and [down]"),
        ("[both]\nrate_mbit_per_s = 0", "up.rate_mbit_per_s is out of range: 0.001 to 1,000,000"),
        ("[both]\nrate_mbit_per_s = nan", "up.rate_mbit_per_s is out of range: 0.001 to 1,000,000"),
        ("[both]\ndelay_ms = -1", "up.delay_ms is out of range: 0 to 60,000"),
        ("[up]\n[down]\njitter_ms = 1", "down.jitter_ms is out of range: 0 to delay_ms"),
        ("[both]\nloss_after_queue = 1.5", "up.loss_after_queue is out of range: 0 to 1"),
        ("[both]\nmtu_bytes = 500", "up.mtu_bytes is out of range: at least 576"),
        ("[both]\nqueue = { bytes = 100 }", "up.queue.bytes is out of range: at least 1,500"),
        (
            "[both]\nloss_after_queue = { ratio = 0.99, mean_burst_packets = 1 }",
            "up.loss_after_queue.mean_burst_packets is out of range: bursts this short cannot make up the ratio",
        ),
        (
            "[both]\nloss_after_queue = { ratio = 1, mean_burst_packets = 3 }",
            "up.loss_after_queue.ratio is out of range: at least loss_in_good and less than loss_in_bad",
        ),
        (
            "[both]\nloss_after_queue = { ratio = 1, mean_burst_ms = 3 }",
            "up.loss_after_queue.ratio is out of range: 0 to 0.99",
        ),
        (
            "[both]\nloss_after_queue = { ratio = 0.5, mean_burst_ms = 0 }",
            "up.loss_after_queue.mean_burst_ms is out of range: 0.001 to 60,000",
        ),
        (
            "[both]\nchanges = [{ at_s = 2 }, { at_s = 1 }]",
            "up.changes.at_s is out of range: in ascending order",
        ),
        (
            "[both]\nchanges = [{ at_s = 2, rate_mbit_per_s = 1 }]",
            "up.changes.rate_mbit_per_s is out of range: only where there is a rate from the start",
        ),
        (
            "[both]\nblackouts = [{ from_s = 0, for_s = 2, every_s = 2 }]",
            "up.blackouts.every_s is out of range: at least 0.001 more than for_s",
        ),
        (
            "[both]\nblackouts = [{ from_s = 0, for_s = 1, every_s = 1.9 }, { from_s = 1, for_s = 1, every_s = 1.9 }]",
            "up.blackouts is out of range: those that repeat take at most 95 % of the time",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).expect_err(text).to_string(), expected, "{text}");
    }
    for both in ["{ ratio = 0.1 }", "{ ratio = 0.1, mean_burst_ms = 1, mean_burst_packets = 2 }"] {
        let error = parse(&format!("[both]\nloss_after_queue = {both}")).expect_err(both).to_string();
        assert!(error.contains("bursts have either mean_burst_packets or mean_burst_ms"), "{error}");
    }
    let typo = parse("description = \"x\"\n[both]\ndelay = 5").expect_err("a typo").to_string();
    assert!(typo.starts_with("line 3: unknown field `delay`") && !typo.contains('\n'), "{typo}");
    let loss = parse("[both]\nloss_after_queue = \"much\"").expect_err("no ratio").to_string();
    assert!(
        loss.contains("a ratio, or a table with ratio and mean_burst_packets or mean_burst_ms"),
        "{loss}"
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\[both\\]\n)?([a-z_]{0,20} ?= ?[0-9a-z.\\-{}\\[\\]\"=, _]{0,40}\n){0,6}") {
        let _ = parse(&text);
    }

    #[test]
    fn whatever_numbers_it_names_a_profile_is_in_range_or_refused(
        rate in any::<f64>(), delay in any::<f64>(), loss in any::<f64>(), burst in any::<f64>(), at in any::<f64>(),
    ) {
        let bursts = Bursts { ratio: loss, mean_burst_packets: burst, loss_in_good: 0.0, loss_in_bad: 1.0 };
        let change = Change { at_s: at, delay_ms: Some(delay), ..Change::default() };
        let both = Direction {
            rate_mbit_per_s: Some(rate),
            delay_ms: delay,
            loss_after_queue: Some(Loss::GilbertElliott(bursts)),
            changes: vec![change],
            ..Direction::default()
        };
        let fine = (0.001..=1e6).contains(&rate)
            && (0.0..=60_000.0).contains(&delay)
            && (0.0..1.0).contains(&loss)
            && (1.0..=1e6).contains(&burst)
            && (0.0..=86_400.0).contains(&at)
            && loss / (1.0 - loss) <= burst;
        prop_assert_eq!(Profile::symmetric("any", both).check().is_ok(), fine);
    }
}
