//! What a namespace's kernel is told before packets flow.

use std::{fs, io};

use super::TunError;
use crate::Profile;

/// Buffers that a connection over the link may have at least, in bytes; Linux's own default for a receiver is 6 MiB.
const TCP_BUFFER_MIN_BYTES: u64 = 64 << 20;

/// Bandwidth-delay products that they hold. Half of a buffer is the kernel's own overhead; one product is in flight, one in
/// a full queue, and as many again wait at the receiver for each time that the same packet is lost.
const TCP_BUFFER_BDPS: f64 = 16.0;

/// What a link without a bottleneck is taken for when buffers are sized, in Mbit/s.
const UNLIMITED_MBIT_PER_S: f64 = 2000.0;

/// Bytes that a TCP connection over this link may buffer at either end.
pub(super) fn tcp_buffer_bytes(profile: &Profile) -> u64 {
    let rates = [&profile.up, &profile.down].into_iter().flat_map(|direction| {
        let first = direction.rate_mbit_per_s.unwrap_or(UNLIMITED_MBIT_PER_S);
        direction.changes.iter().filter_map(|change| change.rate_mbit_per_s).chain([first])
    });
    let delay_ms = |direction: &crate::Direction| {
        let changed = direction.changes.iter().filter_map(|change| change.delay_ms);
        changed.fold(direction.delay_ms, f64::max) + direction.jitter_ms
    };
    let rtt_s = (delay_ms(&profile.up) + delay_ms(&profile.down)) / 1e3;
    let bdp_bytes = rates.fold(0.0, f64::max) * 1e6 / 8.0 * rtt_s;
    // A profile that was checked has finite figures; the kernel takes at most 2 GiB - 1.
    ((bdp_bytes * TCP_BUFFER_BDPS) as u64).clamp(TCP_BUFFER_MIN_BYTES, (1 << 31) - 1)
}

/// Sets the calling thread's namespace up.
pub(super) fn apply(tcp_buffer_bytes: u64) -> Result<(), TunError> {
    // Routers are solicited and neighbours discovered otherwise, and that would be in the counters.
    for of in ["all", "default"] {
        let path = path(&format!("ipv6/conf/{of}/disable_ipv6"));
        match fs::write(&path, "1") {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(TunError::refused(format!("write {path}")))?,
        }
    }
    // Or else a connection begins with what an earlier one to the same address has learnt.
    set("ipv4/tcp_no_metrics_save", "1")?;
    set("ipv4/tcp_rmem", &format!("4096 131072 {tcp_buffer_bytes}"))?;
    set("ipv4/tcp_wmem", &format!("4096 131072 {tcp_buffer_bytes}"))
}

fn set(name: &str, value: &str) -> Result<(), TunError> {
    let path = path(name);
    // In some containers these files cannot be written to.
    fs::write(&path, value).map_err(TunError::refused(format!("write {path}")))
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Direction};

    fn direction(rate_mbit_per_s: f64, delay_ms: f64) -> Direction {
        Direction { rate_mbit_per_s: Some(rate_mbit_per_s), delay_ms, ..Direction::default() }
    }

    #[test]
    fn buffers_hold_many_times_what_is_in_flight() {
        let short = Profile::symmetric("short", direction(100.0, 10.0));
        assert_eq!(tcp_buffer_bytes(&short), TCP_BUFFER_MIN_BYTES, "16 x 250 kB");
        let long = Profile::symmetric("long", direction(500.0, 100.0));
        assert_eq!(tcp_buffer_bytes(&long), 200_000_000);
        let mut faster = long.clone();
        faster.up.changes.push(Change { at_s: 1.0, rate_mbit_per_s: Some(1000.0), ..Change::default() });
        assert_eq!(tcp_buffer_bytes(&faster), 400_000_000);
        let longer = Profile::symmetric("longer", direction(100_000.0, 1000.0));
        assert_eq!(tcp_buffer_bytes(&longer), (1 << 31) - 1);
    }

    #[test]
    fn a_link_without_a_bottleneck_has_large_buffers_too() {
        let wire = Profile::symmetric("wire", Direction { delay_ms: 50.0, ..Direction::default() });
        assert_eq!(tcp_buffer_bytes(&wire), 400_000_000);
    }
}
