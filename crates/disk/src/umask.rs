//! The process's umask, read without disturbing other threads where that is possible.

use rustix::fs::Mode;

/// Permission bits that new files of this process do not get: `0..=0o777`.
pub(crate) fn umask() -> u32 {
    from_proc().unwrap_or_else(by_setting)
}

/// Linux shows it in `/proc/self/status` (since 4.7).
fn from_proc() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse(&status)
}

fn parse(status: &str) -> Option<u32> {
    let value = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(value.trim(), 8).ok().filter(|mask| *mask <= 0o777)
}

/// Elsewhere it can only be read by setting it. What another thread creates in that moment gets fewer permissions
/// than it should, never more.
fn by_setting() -> u32 {
    let before = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(before);
    before.as_raw_mode() & 0o777
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_is_read_as_octal() {
        assert_eq!(parse("Name:\tx\nUmask:\t0027\nState:\tR\n"), Some(0o027));
        assert_eq!(parse("Name:\tx\n"), None);
        assert_eq!(parse("Umask:\t9\n"), None);
        assert_eq!(parse("Umask:\t7777\n"), None);
    }
}
