//! What connections have found out about paths, for the next one to the same peer.
//!
//! It is a cache: what is lost of it costs a start-up, and what is wrong in it is found out within a round trip. So, unlike the
//! lists of keys, a file that cannot be read is an empty one. A line for each path, the oldest first:
//!
//! ```text
//! SHA256:… 203.0.113.9 capacity_bytes_per_s=11800000 base_rtt_us=100300 loss_ppm=13200 seen_s=1798761600
//! ```

use std::{fmt, net::IpAddr, path::Path, str::FromStr, time::Duration};

use fulmar_congestion::Remembered;
use fulmar_proto::fingerprint::Fingerprint;

use crate::private_file::{self, PrivateFileError};

/// So many paths are kept; the one that was seen longest ago goes first.
pub const MAX_PATHS: usize = 256;

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: usize = 256 * MAX_PATHS;

/// For so many seconds a path is taken to be as it was. RFC 9040 and draft-ietf-tsvwg-careful-resume leave it open, in the order of
/// hours: networks change, and a wrong start costs at most what start-up overshoots by anyway.
const LIFETIME_S: i64 = 6 * 3600;

/// A path's capacity that differs by less is not worth writing down again.
const SAME: f64 = 0.1;

/// A path: who is at its other end, and at which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathKey {
    /// The peer's key.
    pub peer: Fingerprint,
    /// The peer's address, without the port.
    pub addr: IpAddr,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: PathKey,
    memory: Remembered,
    seen_s: i64,
}

/// Paths and what was found out about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paths {
    /// Those seen last come last.
    entries: Vec<Entry>,
}

impl Paths {
    /// Reads the file at `path`, as far as it can be read. Blocks on the file system.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let bytes = private_file::read_trusted(path, MAX_FILE_BYTES).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut entries: Vec<Entry> = text.lines().filter_map(|line| line.parse().ok()).collect();
        entries.drain(..entries.len().saturating_sub(MAX_PATHS));
        Self { entries }
    }

    /// Adds what a connection has found to the file at `path`, whoever else writes it meanwhile. Blocks on the file system.
    ///
    /// # Errors
    /// Those of [`private_file::write_private`] and [`private_file::lock`]. The file is untouched then.
    pub fn add_to_file(
        path: &Path,
        key: PathKey,
        memory: Remembered,
        now_s: i64,
    ) -> Result<(), PrivateFileError> {
        let _lock = private_file::lock(path)?;
        let mut paths = Self::load(path);
        if paths.is_news(key, &memory, now_s) {
            paths.note(key, memory, now_s);
            let text: String = paths.entries.iter().map(|entry| format!("{entry}\n")).collect();
            private_file::write_private(path, text.as_bytes())?;
        }
        Ok(())
    }

    /// What is known of a path at `now_s`, in seconds since 1970.
    #[must_use]
    pub fn get(&self, key: PathKey, now_s: i64) -> Option<Remembered> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        // A clock that was set back must not make it last.
        (0..LIFETIME_S).contains(&now_s.saturating_sub(entry.seen_s)).then_some(entry.memory)
    }

    /// Notes what a connection has found, in place of what an earlier one has.
    pub fn note(&mut self, key: PathKey, memory: Remembered, now_s: i64) {
        self.entries.retain(|entry| entry.key != key);
        if self.entries.len() == MAX_PATHS {
            self.entries.remove(0);
        }
        self.entries.push(Entry { key, memory, seen_s: now_s });
    }

    /// Whether it says more than what is known, or makes it last noticeably longer.
    fn is_news(&self, key: PathKey, memory: &Remembered, now_s: i64) -> bool {
        let later_s = now_s.saturating_add(LIFETIME_S / 2);
        let lasting = self.get(key, now_s).and_then(|_| self.get(key, later_s));
        !lasting.is_some_and(|known| {
            let ratio = memory.capacity_bytes_per_s / known.capacity_bytes_per_s;
            (1.0 - SAME..1.0 + SAME).contains(&ratio) && known.is_path_of(memory.base_rtt)
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: PathKey { peer, addr }, memory, seen_s } = self;
        let Remembered { capacity_bytes_per_s, base_rtt, loss_floor } = memory;
        let (base_rtt_us, loss_ppm) = (base_rtt.as_micros(), loss_floor * 1e6);
        write!(f, "{peer} {addr} capacity_bytes_per_s={capacity_bytes_per_s:.0} base_rtt_us={base_rtt_us} ")?;
        write!(f, "loss_ppm={loss_ppm:.0} seen_s={seen_s}")
    }
}

/// A line is not of the form that this module writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

impl FromStr for Entry {
    type Err = Malformed;

    fn from_str(line: &str) -> Result<Self, Malformed> {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[peer, addr, capacity, base_rtt, loss, seen] = fields.as_slice() else { return Err(Malformed) };
        let key = PathKey {
            peer: peer.parse().map_err(|_| Malformed)?,
            addr: addr.parse().map_err(|_| Malformed)?,
        };
        let capacity: u64 = number(capacity, "capacity_bytes_per_s=")?;
        let loss_ppm: u32 = number(loss, "loss_ppm=")?;
        let memory = Remembered {
            capacity_bytes_per_s: capacity as f64,
            base_rtt: Duration::from_micros(number(base_rtt, "base_rtt_us=")?),
            loss_floor: f64::from(loss_ppm.min(1_000_000)) / 1e6,
        };
        Ok(Self { key, memory, seen_s: number(seen, "seen_s=")? })
    }
}

fn number<T: FromStr>(field: &str, name: &str) -> Result<T, Malformed> {
    field.strip_prefix(name).and_then(|digits| digits.parse().ok()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_S: i64 = 1_798_761_600;

    fn key(number: u8) -> PathKey {
        PathKey { peer: Fingerprint([number; 32]), addr: IpAddr::from([203, 0, 113, number]) }
    }

    fn memory(capacity_bytes_per_s: f64) -> Remembered {
        Remembered { capacity_bytes_per_s, base_rtt: Duration::from_millis(100), loss_floor: 0.0132 }
    }

    #[test]
    fn a_path_is_known_for_some_hours_to_the_same_peer_at_the_same_address() {
        let mut paths = Paths::default();
        paths.note(key(1), memory(1e6), NOW_S);
        assert_eq!(paths.get(key(1), NOW_S + LIFETIME_S - 1), Some(memory(1e6)));
        assert_eq!(paths.get(key(1), NOW_S + LIFETIME_S), None);
        assert_eq!(paths.get(key(1), NOW_S - 1), None, "a clock that was set back");
        assert_eq!(paths.get(PathKey { peer: key(1).peer, ..key(2) }, NOW_S), None);
        assert_eq!(paths.get(PathKey { addr: key(1).addr, ..key(2) }, NOW_S), None);
        paths.note(key(1), memory(2e6), NOW_S + 1);
        assert_eq!(paths.get(key(1), NOW_S + 1), Some(memory(2e6)));
    }

    #[test]
    fn the_path_seen_longest_ago_makes_room() {
        let mut paths = Paths::default();
        for number in 0..=255 {
            paths.note(key(number), memory(1e6), NOW_S);
        }
        paths.note(key(0), memory(1e6), NOW_S + 1);
        let other = PathKey { addr: IpAddr::from([1; 16]), ..key(0) };
        paths.note(other, memory(1e6), NOW_S + 2);
        assert_eq!(paths.entries.len(), MAX_PATHS);
        assert_eq!(paths.get(key(1), NOW_S), None);
        assert!(paths.get(key(0), NOW_S + 1).is_some() && paths.get(other, NOW_S + 2).is_some());
    }

    #[test]
    fn a_file_keeps_what_processes_have_found_and_is_written_for_news_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("state/paths");
        assert_eq!(Paths::load(&file), Paths::default());
        let add = |number, capacity, now_s| {
            Paths::add_to_file(&file, key(number), memory(capacity), now_s).expect("can be written");
        };
        add(1, 1e6, NOW_S);
        add(2, 1e6, NOW_S);
        add(1, 1.05e6, NOW_S + 10);
        assert_eq!(Paths::load(&file).get(key(1), NOW_S + 10), Some(memory(1e6)), "about the same");
        add(1, 2e6, NOW_S + 10);
        add(2, 1e6, NOW_S + LIFETIME_S * 2 / 3);
        let paths = Paths::load(&file);
        assert_eq!(paths.get(key(1), NOW_S + 10), Some(memory(2e6)));
        assert!(paths.get(key(2), NOW_S + LIFETIME_S).is_some(), "seen again");
        add(2, 1e6, NOW_S - 1000);
        assert!(Paths::load(&file).get(key(2), NOW_S).is_some(), "a clock that was set back");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_empty_one_and_a_bad_line_is_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("paths");
        let good = Entry { key: key(1), memory: memory(1e6), seen_s: NOW_S }.to_string();
        std::fs::write(&file, format!("\u{1b}[2J nonsense\n{good}\n{good} more\n")).expect("can be written");
        assert_eq!(Paths::load(&file).entries.len(), 1);
        std::fs::write(&file, vec![b'\n'; MAX_FILE_BYTES + 1]).expect("can be written");
        assert_eq!(Paths::load(&file), Paths::default());
        assert_eq!(Paths::load(folder.path()), Paths::default());
    }

    proptest! {
        #[test]
        fn lines_are_read_as_they_were_written(
            peer: [u8; 32],
            addr: IpAddr,
            capacity in 0u64..1 << 50,
            base_rtt_us in 0u64..1 << 50,
            loss_ppm in 0u32..=1_000_000,
            seen_s: i64,
        ) {
            let memory = Remembered {
                capacity_bytes_per_s: capacity as f64,
                base_rtt: Duration::from_micros(base_rtt_us),
                loss_floor: f64::from(loss_ppm) / 1e6,
            };
            let entry = Entry { key: PathKey { peer: Fingerprint(peer), addr }, memory, seen_s };
            prop_assert_eq!(entry.to_string().parse(), Ok(entry));
        }

        #[test]
        fn no_line_does_harm(line: String, now_s: i64) {
            if let Ok(entry) = line.parse::<Entry>() {
                let mut paths = Paths::default();
                paths.note(entry.key, entry.memory, entry.seen_s);
                let _ = (paths.get(entry.key, now_s), paths.is_news(entry.key, &entry.memory, now_s));
            }
        }
    }
}
