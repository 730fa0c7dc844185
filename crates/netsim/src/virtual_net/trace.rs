//! What happened to every packet, as a hash that is the same when everything was.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::link::Cause;

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketFate {
    /// The link delivers it.
    Delivered {
        /// When.
        at: Duration,
        /// When a second time, if the link duplicated it.
        copy_at: Option<Duration>,
        /// Whether bits of it were flipped.
        corrupted: bool,
    },
    /// The link lost it.
    Lost(Cause),
    /// A partition was in its way.
    Blocked,
    /// No link joins the two hosts.
    NoLink,
    /// It had been delivered, but no socket was there any more.
    NobodyThere,
    /// It came from nowhere, by [`super::Network::inject`].
    Injected,
}

/// One line of a trace: a packet as it was sent, or found nobody at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRecord {
    /// Since the network was made.
    pub time: Duration,
    /// Where the receiver sees it come from.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub destination: SocketAddr,
    /// UDP payload.
    pub payload_bytes: u32,
    /// What became of it.
    pub fate: PacketFate,
}

impl fmt::Display for PacketRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let Self { source, destination, payload_bytes, .. } = self;
        write!(f, "{:.3} {source} > {destination} {payload_bytes} ", ms(self.time))?;
        match self.fate {
            PacketFate::Delivered { at, copy_at, corrupted } => {
                write!(f, "delivered at {:.3}", ms(at))?;
                if let Some(copy_at) = copy_at {
                    write!(f, " and {:.3}", ms(copy_at))?;
                }
                f.write_str(if corrupted { ", corrupted" } else { "" })
            }
            PacketFate::Lost(cause) => write!(f, "lost: {cause:?}"),
            PacketFate::Blocked => f.write_str("blocked"),
            PacketFate::NoLink => f.write_str("no link"),
            PacketFate::NobodyThere => f.write_str("nobody there"),
            PacketFate::Injected => f.write_str("injected"),
        }
    }
}

/// How many packets met which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Sent by sockets.
    pub sent: u64,
    /// Delivered by links, whether somebody was there or not.
    pub delivered: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Delivered with flipped bits.
    pub corrupted: u64,
    /// Lost by links, for any cause.
    pub lost: u64,
    /// Stopped by partitions.
    pub blocked: u64,
    /// Sent where no link leads.
    pub no_link: u64,
    /// Arrived where no socket was.
    pub nobody_there: u64,
    /// Put onto the network by a test.
    pub injected: u64,
}

/// A run in short. Two runs with equal traces sent the same packets at the same times, and they met the same fates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// BLAKE3 over time, source, destination, length and fate of every packet, in order.
    pub hash: [u8; 32],
    /// How many.
    pub tallies: Tallies,
    /// Each of them, after [`super::Network::keep_records`]; otherwise empty.
    pub records: Vec<PacketRecord>,
}

/// Collects a trace.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    hasher: blake3::Hasher,
    tallies: Tallies,
    records: Option<Vec<PacketRecord>>,
    /// Room for one encoded record.
    encoded: Vec<u8>,
}

impl Recorder {
    pub(super) fn keep_records(&mut self) {
        self.records.get_or_insert_default();
    }

    pub(super) fn record(&mut self, record: PacketRecord) {
        self.tally(record.fate);
        self.encoded.clear();
        encode(&record, &mut self.encoded);
        self.hasher.update(&self.encoded);
        if let Some(records) = &mut self.records {
            records.push(record);
        }
    }

    pub(super) fn trace(&self) -> Trace {
        let records = self.records.clone().unwrap_or_default();
        Trace { hash: *self.hasher.finalize().as_bytes(), tallies: self.tallies, records }
    }

    fn tally(&mut self, fate: PacketFate) {
        let tallies = &mut self.tallies;
        match fate {
            PacketFate::NobodyThere => return tallies.nobody_there += 1,
            PacketFate::Injected => return tallies.injected += 1,
            PacketFate::Lost(_) => tallies.lost += 1,
            PacketFate::Blocked => tallies.blocked += 1,
            PacketFate::NoLink => tallies.no_link += 1,
            PacketFate::Delivered { copy_at, corrupted, .. } => {
                tallies.delivered += 1;
                tallies.duplicated += u64::from(copy_at.is_some());
                tallies.corrupted += u64::from(corrupted);
            }
        }
        tallies.sent += 1;
    }
}

/// Appends a record as bytes that stand for no other one.
fn encode(record: &PacketRecord, bytes: &mut Vec<u8>) {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_be_bytes();
    bytes.extend(nanos(record.time));
    for addr in [record.source, record.destination] {
        match addr.ip() {
            IpAddr::V4(ip) => bytes.extend(ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
        bytes.extend(addr.port().to_be_bytes());
    }
    bytes.extend(record.payload_bytes.to_be_bytes());
    match record.fate {
        PacketFate::Delivered { at, copy_at, corrupted } => {
            bytes.push(u8::from(corrupted));
            bytes.extend(nanos(at));
            bytes.extend(nanos(copy_at.unwrap_or(Duration::MAX)));
        }
        PacketFate::Blocked => bytes.push(2),
        PacketFate::NoLink => bytes.push(3),
        PacketFate::NobodyThere => bytes.push(4),
        PacketFate::Injected => bytes.push(5),
        PacketFate::Lost(cause) => bytes.push(16 + cause as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fate: PacketFate) -> PacketRecord {
        let addr = |text: &str| text.parse().expect("an address");
        let (source, destination) = (addr("10.0.0.1:1"), addr("[2001:db8::1]:2"));
        PacketRecord { time: Duration::from_micros(1500), source, destination, payload_bytes: 1200, fate }
    }

    fn hash_of(records: &[PacketRecord]) -> [u8; 32] {
        let mut recorder = Recorder::default();
        for record in records {
            recorder.record(*record);
        }
        recorder.trace().hash
    }

    #[test]
    fn every_part_of_a_record_counts() {
        let at = Duration::from_millis(20);
        let delivered = |copy_at, corrupted| PacketFate::Delivered { at, copy_at, corrupted };
        let base = record(delivered(None, false));
        let other = "10.9.9.9:9".parse().expect("an address");
        let variants = [
            base,
            PacketRecord { time: base.time + Duration::from_nanos(1), ..base },
            PacketRecord { source: other, ..base },
            PacketRecord { destination: other, ..base },
            PacketRecord { payload_bytes: 1201, ..base },
            record(delivered(Some(at), false)),
            record(delivered(None, true)),
            record(PacketFate::Lost(Cause::QueueFull)),
            record(PacketFate::Lost(Cause::Blackout)),
            record(PacketFate::Blocked),
            record(PacketFate::NoLink),
            record(PacketFate::NobodyThere),
            record(PacketFate::Injected),
        ];
        let hashes: std::collections::BTreeSet<_> = variants.iter().map(|one| hash_of(&[*one])).collect();
        assert_eq!(hashes.len(), variants.len());
        assert_ne!(hash_of(&variants), hash_of(&variants.iter().rev().copied().collect::<Vec<_>>()));
    }

    #[test]
    fn a_record_is_readable() {
        let (at, copy_at) = (Duration::from_millis(20), Some(Duration::from_millis(21)));
        let line = record(PacketFate::Delivered { at, copy_at, corrupted: true }).to_string();
        assert_eq!(line, "1.500 10.0.0.1:1 > [2001:db8::1]:2 1200 delivered at 20.000 and 21.000, corrupted");
    }
}
