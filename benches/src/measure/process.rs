//! What this process has used so far.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What a process has used since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Processor time of all its threads, in user and kernel mode. Work that the kernel does for it in interrupts is
    /// counted to whoever was interrupted.
    pub(crate) cpu: Duration,
    /// The most memory that was resident at once, in bytes (`VmHWM`).
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Of this process, now.
    pub(crate) fn now() -> Result<Self> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
        let peak_bytes = peak_bytes(&status).context("/proc/self/status has no VmHWM")?;
        Ok(Self { cpu: Duration::new(secs, nanos), peak_bytes })
    }
}

/// `VmHWM` of a process's status, in bytes.
fn peak_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(peak_bytes("Name:\tx\nVmHWM:\t    5120 kB\nVmRSS:\t 1 kB\n"), Some(5120 * 1024));
        assert_eq!(peak_bytes("Name:\tx\n"), None);
        assert_eq!(peak_bytes("VmHWM:\tmany kB\n"), None);
    }

    #[test]
    fn work_and_memory_show() {
        let before = Usage::now().expect("known");
        let bytes = vec![7u8; 64 << 20];
        assert_ne!(*blake3::hash(&bytes).as_bytes(), [0; 32]);
        let after = Usage::now().expect("known");
        assert!(after.cpu > before.cpu);
        assert!(after.peak_bytes >= 64 << 20, "{after:?}");
    }
}
