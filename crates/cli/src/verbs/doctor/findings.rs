//! What the figures of the first steps mean.

use std::{net::SocketAddr, time::Duration};

use fulmar_client::{SocketBuffers, Stats};
use serde_json::json;

use super::report::Finding;
use crate::{output::units, verbs::status::milliseconds};

/// The largest packet that every path has to carry (RFC 9000 section 14), in bytes of UDP payload. Where no larger one passes,
/// something on the way drops them.
const LEAST_MTU_BYTES: u16 = 1200;

/// Jitter up to this is no news on any path.
const FINE_JITTER: Duration = Duration::from_millis(5);

/// One address, and how long it took to answer, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Knock {
    pub(super) addr: SocketAddr,
    pub(super) answer: Result<Duration, String>,
}

/// The addresses of a name.
pub(super) fn addresses(addrs: &[SocketAddr]) -> Finding {
    let ips: Vec<_> = addrs.iter().map(|addr| addr.ip().to_string()).collect();
    Finding::good(ips.join(", ")).values(json!({ "addresses": ips }))
}

/// Which addresses answer, at least one of which does.
pub(super) fn handshakes(knocks: &[Knock]) -> Finding {
    let told: Vec<_> = knocks.iter().map(told).collect();
    let values: Vec<_> = knocks
        .iter()
        .map(|knock| json!({ "addr": knock.addr.to_string(), "elapsed_ns": knock.answer.as_ref().ok().copied().map(units::nanos) }))
        .collect();
    let message = told.join("; ");
    let finding = match knocks.iter().find(|knock| knock.answer.is_err()) {
        None => Finding::good(message),
        Some(silent) => Finding::warning(message).hint(format!(
            "every connection tries that address too; let UDP port {} in there, or take it out of the name's addresses",
            silent.addr.port()
        )),
    };
    finding.values(json!({ "addresses": values }))
}

fn told(knock: &Knock) -> String {
    let family = if knock.addr.is_ipv6() { "IPv6" } else { "IPv4" };
    match &knock.answer {
        Ok(elapsed) => format!("{} ({family}) answered in {}", knock.addr, span(*elapsed)),
        Err(why) => format!("{} ({family}): {why}", knock.addr),
    }
}

/// The round trips of some small requests, at least one. `least` is the transport's shortest one.
///
/// A request that had to be repeated takes much longer, and that is loss and no jitter: so jitter is the median distance from the
/// median, which some outliers do not change.
pub(super) fn round_trips(trips: &[Duration], least: Duration) -> Finding {
    let count = u32::try_from(trips.len()).unwrap_or(u32::MAX).max(1);
    let mean = trips.iter().sum::<Duration>() / count;
    let worst = trips.iter().max().copied().unwrap_or_default();
    let usual = median(trips.to_vec());
    let jitter = median(trips.iter().map(|trip| trip.abs_diff(usual)).collect());
    let message = format!(
        "{} at least; {count} requests {} on average, {} at worst, jitter {}",
        span(least),
        span(mean),
        span(worst),
        span(jitter)
    );
    let values = json!({
        "least_ns": units::nanos(least),
        "mean_ns": units::nanos(mean),
        "worst_ns": units::nanos(worst),
        "jitter_ns": units::nanos(jitter),
        "requests": count,
    });
    let finding = if jitter > FINE_JITTER.max(least / 4) {
        let hint = "round trips vary so much over a radio link or beside other traffic; ping shows whether they always do";
        Finding::warning(message).hint(hint)
    } else {
        Finding::good(message)
    };
    finding.values(values)
}

fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort_unstable();
    spans.get(spans.len() / 2).copied().unwrap_or_default()
}

/// How large packets may be.
pub(super) fn path_mtu(stats: &Stats, host: &str) -> Finding {
    let bytes = stats.path_mtu_bytes;
    let mut message = format!("packets of {bytes} bytes get through");
    if stats.black_holes > 0 {
        message.push_str(&format!(
            "; {} they seemed to have stopped",
            units::counted(stats.black_holes, "time", "times")
        ));
    }
    let finding = if bytes <= LEAST_MTU_BYTES || stats.black_holes > 0 {
        let where_lost =
            format!("something on the way drops larger ones, a tunnel perhaps: tracepath {host}");
        Finding::warning(message).hint(where_lost)
    } else {
        Finding::good(message)
    };
    finding.values(json!({ "path_mtu_bytes": bytes, "black_holes": stats.black_holes }))
}

/// The socket at this end.
pub(super) fn socket(buffers: Option<SocketBuffers>, dropped: Option<u64>) -> Finding {
    let Some(buffers) = buffers else {
        return Finding::skipped("this system does not tell");
    };
    let SocketBuffers { receive_bytes, send_bytes } = buffers;
    let drops = match dropped {
        Some(0) => ", nothing dropped".to_owned(),
        Some(dropped) => format!(", {} dropped", units::counted(dropped, "datagram", "datagrams")),
        None => String::new(),
    };
    let [receive, send] = [receive_bytes, send_bytes].map(|bytes| units::size(bytes as u64));
    let sizes = format!("{receive} to receive, {send} to send{drops}");
    let finding = match buffers.warning() {
        None => Finding::good(sizes),
        Some(warning) => match warning.split_once("; run: ") {
            Some((what, command)) => Finding::warning(format!("{sizes}: {what}"))
                .hint(crate::output::hint::Hint::system("more, until the next start", command)),
            None => Finding::warning(format!("{sizes}: {warning}")),
        },
    };
    finding.values(json!({
        "receive_buffer_bytes": receive_bytes,
        "send_buffer_bytes": send_bytes,
        "dropped_datagrams": dropped,
    }))
}

/// As `status` shows it.
pub(super) fn span(span: Duration) -> String {
    milliseconds(units::nanos(span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::hint::Caller, verbs::doctor::report::Verdict};

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn hint(finding: &Finding) -> String {
        finding.hint.as_ref().map(|hint| hint.shown(&Caller::default())).unwrap_or_default()
    }

    #[test]
    fn an_address_without_an_answer_is_a_warning_that_names_the_port() {
        let knock = |addr: &str, answer| Knock { addr: addr.parse().expect("an address"), answer };
        let both =
            [knock("192.0.2.7:99", Ok(ms(24))), knock("[2001:db8::7]:99", Err("no answer".to_owned()))];
        let finding = handshakes(&both);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert_eq!(
            finding.message,
            "192.0.2.7:99 (IPv4) answered in 24.000 ms; [2001:db8::7]:99 (IPv6): no answer"
        );
        assert!(hint(&finding).contains("UDP port 99"), "{finding:?}");
        let one = handshakes(&both[..1]);
        assert_eq!((one.verdict, one.hint), (Verdict::Good, None));
    }

    #[test]
    fn jitter_is_judged_by_the_round_trip_and_not_below_some_milliseconds() {
        let judged =
            |trips: &[u64], least| round_trips(&trips.iter().map(|t| ms(*t)).collect::<Vec<_>>(), ms(least));
        assert_eq!(judged(&[10, 15, 20], 10).verdict, Verdict::Good);
        assert_eq!(judged(&[10, 16, 22], 10).verdict, Verdict::Warning);
        assert_eq!(judged(&[100, 125, 150], 100).verdict, Verdict::Good);
        assert_eq!(judged(&[100, 126, 152], 100).verdict, Verdict::Warning);
        let repeated = judged(&[10, 11, 11, 180, 190], 9);
        assert_eq!(repeated.verdict, Verdict::Good);
        assert_eq!(
            repeated.message,
            "9.000 ms at least; 5 requests 80.400 ms on average, 190.000 ms at worst, jitter 1.000 ms"
        );
        assert_eq!(judged(&[7], 7).values["jitter_ns"], 0);
    }

    #[test]
    fn only_the_least_packet_size_and_black_holes_are_news() {
        let with = |path_mtu_bytes, black_holes| {
            path_mtu(&Stats { path_mtu_bytes, black_holes, ..Stats::default() }, "lab.example").verdict
        };
        assert_eq!(with(1201, 0), Verdict::Good);
        assert_eq!(with(1200, 0), Verdict::Warning);
        assert_eq!(with(1452, 1), Verdict::Warning);
    }

    #[test]
    fn small_buffers_are_a_warning_with_the_setting_that_mends_it() {
        let sized = |bytes| Some(SocketBuffers { receive_bytes: bytes, send_bytes: bytes });
        let fine = socket(sized(8 << 20), Some(0));
        assert_eq!(
            (fine.verdict, fine.message.as_str()),
            (Verdict::Good, "8.39 MB to receive, 8.39 MB to send, nothing dropped")
        );
        let small = socket(sized(212_992), Some(3));
        assert_eq!(small.verdict, Verdict::Warning);
        assert!(
            small.message.contains("3 datagrams dropped: the UDP receive buffer is only 208 KiB"),
            "{small:?}"
        );
        if cfg!(target_os = "linux") {
            assert!(hint(&small).contains("sysctl -w net.core.rmem_max="), "{small:?}");
        }
        assert_eq!(socket(None, None).verdict, Verdict::Skipped);
    }
}
