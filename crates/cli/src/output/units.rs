//! Sizes, rates, durations and times as people read them. MB is 10^6 bytes, always.

use std::time::Duration;

use fulmar_proto::time::Timestamp;

/// Bytes in MB with two decimals, rounded: `12.58 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", two_decimals(bytes, 1_000_000))
}

/// Bytes in the largest decimal unit that leaves a number of at least 1: `812 B`, `4.20 kB`, `12.58 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match unit_of(bytes) {
        Some((unit, word)) => format!("{} {word}", two_decimals(bytes, unit)),
        None => format!("{bytes} B"),
    }
}

/// The largest decimal unit that is not more than `bytes`; none below the kilobyte.
fn unit_of(bytes: u64) -> Option<(u64, &'static str)> {
    const UNITS: [(u64, &str); 5] = [
        (1_000_000_000_000_000, "PB"),
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    UNITS.into_iter().find(|(unit, _)| bytes >= *unit)
}

/// `bytes / unit` rounded half up, in whole numbers so that no size loses digits to floating point.
fn two_decimals(bytes: u64, unit: u64) -> String {
    let hundredths = (u128::from(bytes) * 100 + u128::from(unit) / 2) / u128::from(unit);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Bytes per second over `elapsed`: `10.5 MB/s`, with more decimals below 1. Nothing measurable is `-`.
pub(crate) fn rate(bytes: u64, elapsed: Duration) -> String {
    let nanos = elapsed.as_nanos();
    if nanos == 0 {
        return "-".to_owned();
    }
    // Units of 10^3 bytes per second: three decimals of MB/s.
    let kilo = u128::from(bytes) * 1_000_000 / nanos;
    match kilo {
        0 => "<0.001 MB/s".to_owned(),
        1..1_000 => format!("0.{kilo:03} MB/s"),
        _ => format!("{}.{} MB/s", kilo / 1000, kilo % 1000 / 100),
    }
}

/// `35 ms`, `1.2 s`, `2 min 5 s`, `3 h 20 min`.
pub(crate) fn duration(elapsed: Duration) -> String {
    let millis = elapsed.as_millis();
    match millis {
        0 => "<1 ms".to_owned(),
        1..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1000),
        _ => format!("{} h {} min", millis / 3_600_000, millis % 3_600_000 / 60_000),
    }
}

/// How much there is of how much, in one unit: `689 / 1468 MB`, `4.2 / 12.6 MB`.
pub(crate) fn part_of(done: u64, total: u64) -> String {
    let Some((unit, word)) = unit_of(total / 10) else {
        return format!("{done} / {total} B");
    };
    // One decimal as long as there are two digits before it; cut, so that no part looks like the whole.
    let tenths = |bytes: u64| u128::from(bytes) * 10 / u128::from(unit);
    if tenths(total) < 1_000 {
        let decimal = |bytes| format!("{}.{}", tenths(bytes) / 10, tenths(bytes) % 10);
        return format!("{} / {} {word}", decimal(done), decimal(total));
    }
    format!("{} / {} {word}", done / unit, total / unit)
}

/// As [`part_of`] with two decimals in the largest unit: `0.72 / 1.93 GB`.
pub(crate) fn share_of(done: u64, total: u64) -> String {
    match unit_of(total) {
        Some((unit, _)) => format!("{} / {}", two_decimals(done, unit), size(total)),
        None => format!("{done} / {total} B"),
    }
}

/// The time that something will still take: `0:03`, `12:34`, `1:02:03`, at most `>99 h`.
pub(crate) fn time_left(left: Duration) -> String {
    let secs = left.as_secs();
    let (hours, minutes, secs) = (secs / 3_600, secs % 3_600 / 60, secs % 60);
    match hours {
        0 => format!("{minutes}:{secs:02}"),
        1..=99 => format!("{hours}:{minutes:02}:{secs:02}"),
        _ => ">99 h".to_owned(),
    }
}

/// Nanoseconds for machines; durations beyond 584 years are cut there.
pub(crate) fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC; `None` when a peer or a file system names a time that no calendar has.
pub(crate) fn rfc3339(time: Timestamp) -> Option<String> {
    let nanos = i32::try_from(time.nanos()).ok()?;
    jiff::Timestamp::new(time.secs(), nanos).ok().map(|time| time.to_string())
}

/// To the second, in UTC, for tables: `2026-11-20 12:34:56Z`.
pub(crate) fn table_time(time: Timestamp) -> String {
    match jiff::Timestamp::new(time.secs(), 0) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// Why a text is not an amount of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadByteCount;

impl std::fmt::Display for BadByteCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an amount of bytes is a number, with kB, MB, GB, KiB, MiB or GiB behind it if you like")
    }
}

impl std::error::Error for BadByteCount {}

/// Reads an amount of bytes: `1048576`, `64MB`, `1 GiB`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, BadByteCount> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| BadByteCount)?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(BadByteCount),
    };
    number.checked_mul(factor).ok_or(BadByteCount)
}

/// `1 file`, `3 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn megabytes_have_two_rounded_decimals() {
        let cases = [
            (0, "0.00 MB"),
            (4_999, "0.00 MB"),
            (5_000, "0.01 MB"),
            (12_582_912, "12.58 MB"),
            (999_995_000, "1000.00 MB"),
            (u64::MAX, "18446744073709.55 MB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(megabytes(bytes), text);
        }
    }

    #[test]
    fn sizes_take_the_largest_unit() {
        let cases =
            [(0, "0 B"), (999, "999 B"), (1_000, "1.00 kB"), (4_200, "4.20 kB"), (1_468_006_400, "1.47 GB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn rates_and_durations() {
        assert_eq!(rate(12_582_912, Duration::from_millis(1_200)), "10.4 MB/s");
        assert_eq!(rate(5, Duration::from_millis(1)), "0.005 MB/s");
        assert_eq!(rate(5, Duration::ZERO), "-");
        assert_eq!(duration(Duration::from_micros(900)), "<1 ms");
        assert_eq!(duration(Duration::from_millis(59_999)), "59.9 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(duration(Duration::from_secs(12_000)), "3 h 20 min");
    }

    #[test]
    fn parts_have_the_unit_of_the_whole() {
        assert_eq!(part_of(689_000_000, 1_468_006_400), "689 / 1468 MB");
        assert_eq!(part_of(4_250_000, 12_582_912), "4.2 / 12.5 MB");
        assert_eq!(part_of(99_999, 99_999), "99.9 / 99.9 kB");
        assert_eq!(part_of(0, 9_999), "0 / 9999 B");
        assert_eq!(share_of(720_000_000, 1_930_000_000), "0.72 / 1.93 GB");
        assert_eq!(share_of(5, 700), "5 / 700 B");
    }

    #[test]
    fn time_left_is_short() {
        let cases = [
            (0, "0:00"),
            (3, "0:03"),
            (754, "12:34"),
            (3_723, "1:02:03"),
            (359_999, "99:59:59"),
            (360_000, ">99 h"),
        ];
        for (secs, text) in cases {
            assert_eq!(time_left(Duration::from_secs(secs)), text);
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        let time = Timestamp::new(1_795_000_000, 250_000_000).expect("valid");
        assert_eq!(rfc3339(time).as_deref(), Some("2026-11-18T11:06:40.25Z"));
        assert_eq!(table_time(time), "2026-11-18 11:06:40Z");
        let never = Timestamp::new(i64::MAX, 0).expect("valid");
        assert_eq!(rfc3339(never), None);
        assert_eq!(table_time(never), "-");
    }

    #[test]
    fn amounts_of_bytes() {
        assert_eq!(parse_bytes("1048576"), Ok(1_048_576));
        assert_eq!(parse_bytes("64MB"), Ok(64_000_000));
        assert_eq!(parse_bytes("1 GiB"), Ok(1 << 30));
        for text in ["", "MB", "-1", "1.5MB", "1 furlong", "99999999999 GiB"] {
            assert_eq!(parse_bytes(text), Err(BadByteCount), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_number_panics(bytes: u64, nanos: u64, secs: i64, text: String) {
            let elapsed = Duration::from_nanos(nanos);
            let _ = (megabytes(bytes), size(bytes), rate(bytes, elapsed), duration(elapsed), parse_bytes(&text));
            let _ = (part_of(bytes, nanos), share_of(bytes, nanos), time_left(elapsed));
            let time = Timestamp::new(secs, 7).expect("valid");
            let _ = (rfc3339(time), table_time(time));
        }
    }
}
