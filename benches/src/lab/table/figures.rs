//! What several transfers of a kind come to.

use std::collections::BTreeMap;

use super::{measure::Row, plan::Entrant};
use crate::{
    contest::{Direction, End},
    measure::stats::{self, Summary},
};

/// What a contender is compared with: the best that an ordinary tool has on a link that loses packets.
pub(super) const BAR: Entrant = Entrant::TcpBbr;

/// Which transfers belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its place among the links.
    pub(super) link: usize,
    pub(super) direction: Direction,
    pub(super) entrant: Entrant,
}

/// What they come to. Medians, unless it is said otherwise.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) goodput_mbit_per_s: Summary,
    /// In IP packets.
    pub(super) arrived_mbit_per_s: f64,
    /// As shares of what the link carries.
    pub(super) of_limit: Option<Summary>,
    /// The ratio of each round.
    pub(super) of_bar: Option<Summary>,
    pub(super) queue_mean_ms: f64,
    pub(super) queue_p95_ms: f64,
    /// Of the packets of the sender, how many the link lost, and how many its queue dropped.
    pub(super) lost_share: f64,
    pub(super) dropped_share: f64,
    pub(super) count: usize,
    /// How many did not come to their end in time, how many failed, and for how many the emulator was late.
    pub(super) stopped: usize,
    pub(super) failed: usize,
    pub(super) spoilt: usize,
    /// Datagrams for which a receiver had no room, in all of them.
    pub(super) overflows: u64,
}

impl Figures {
    /// Of the transfers of a kind that count; none when there are none.
    pub(super) fn of(rows: &[Row], kind: Kind) -> Option<Self> {
        let rows_of = |kind: Kind| rows.iter().filter(move |row| row.counts && self::kind(row) == kind);
        let of = |figure: fn(&Row) -> f64| Summary::of(rows_of(kind).map(figure));
        let how_many = |is: fn(&Row) -> bool| rows_of(kind).filter(|row| is(row)).count();
        let goodput = |entrant| {
            let rows = rows_of(Kind { entrant, ..kind });
            rows.map(|row| (row.round, row.goodput_mbit_per_s)).collect::<BTreeMap<_, _>>()
        };
        let overflows =
            |row: &Row| row.lab.client.udp_receive_overflows + row.lab.server.udp_receive_overflows;
        Some(Self {
            goodput_mbit_per_s: of(|row| row.goodput_mbit_per_s)?,
            arrived_mbit_per_s: of(Row::arrived_mbit_per_s)?.median,
            of_limit: of(|row| row.goodput_mbit_per_s / row.limit_mbit_per_s.unwrap_or(f64::NAN)),
            of_bar: Some(BAR)
                .filter(|bar| *bar != kind.entrant)
                .and_then(|bar| stats::ratio(&goodput(kind.entrant), &goodput(bar))),
            queue_mean_ms: of(|row| row.data().queue_wait_mean_ms)?.median,
            queue_p95_ms: of(|row| row.data().queue_wait_p95_ms)?.median,
            lost_share: of(|row| share(row, row.data().lost_packets() - row.data().lost_queue_full_packets))?
                .median,
            dropped_share: of(|row| share(row, row.data().lost_queue_full_packets))?.median,
            count: how_many(|_| true),
            stopped: how_many(|row| row.end == End::Stopped),
            failed: how_many(|row| matches!(row.end, End::Failed(_))),
            spoilt: how_many(Row::is_spoilt),
            overflows: rows_of(kind).map(overflows).sum(),
        })
    }

    /// Whether all files arrived as a whole.
    pub(super) fn is_whole(&self) -> bool {
        self.stopped + self.failed == 0
    }
}

fn kind(row: &Row) -> Kind {
    Kind { link: row.place, direction: row.direction, entrant: row.contender }
}

/// Of the packets that went the file's way.
fn share(row: &Row, packets: u64) -> f64 {
    packets as f64 / row.data().offered_packets.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::table::testing::report;

    fn kind(entrant: Entrant) -> Kind {
        Kind { link: 0, direction: Direction::Upload, entrant }
    }

    #[test]
    fn figures_are_medians_of_what_counts_and_ratios_are_taken_within_rounds() {
        let mut rows = report().rows;
        let figures = Figures::of(&rows, kind(Entrant::Fulmar)).expect("some");
        // TCP BBR has 80, 40 and 80 Mbit/s in three rounds, fulmar 8, 8 and 20.
        assert_eq!(figures.goodput_mbit_per_s.median, 8.0);
        let of_bar = figures.of_bar.expect("both ran");
        assert_eq!((of_bar.min, of_bar.median, of_bar.max), (0.1, 0.2, 0.25));
        let limit = rows[0].limit_mbit_per_s.expect("a bottleneck");
        assert_eq!(figures.of_limit.expect("a bottleneck").median, 8.0 / limit);
        assert!(Figures::of(&rows, kind(BAR)).expect("some").of_bar.is_none(), "it is the bar itself");
        assert!(Figures::of(&rows, kind(Entrant::TlsCubic)).is_none(), "it did not run");
        // Of the 1,000 packets of each, 10 were lost and 20 dropped.
        assert_eq!((figures.lost_share, figures.dropped_share), (0.01, 0.02));
        assert_eq!((figures.queue_mean_ms, figures.queue_p95_ms), (3.0, 9.0));
        rows.retain(|row| row.contender != BAR);
        assert!(Figures::of(&rows, kind(Entrant::Fulmar)).expect("some").of_bar.is_none());
    }

    #[test]
    fn what_was_made_again_does_not_count() {
        let mut rows = report().rows;
        for row in rows.iter_mut().filter(|row| row.round == 2) {
            row.counts = false;
        }
        let figures = Figures::of(&rows, kind(Entrant::Fulmar)).expect("some");
        assert_eq!((figures.count, figures.goodput_mbit_per_s.max), (2, 8.0));
    }

    #[test]
    fn what_is_not_whole_or_not_on_time_is_told() {
        let mut rows = report().rows;
        let before = Figures::of(&rows, kind(Entrant::Fulmar)).expect("some");
        assert!(before.is_whole());
        assert_eq!((before.count, before.stopped, before.failed, before.spoilt), (3, 0, 0, 0));
        let mut ends = [End::Finished, End::Stopped, End::Failed("why".to_owned())].into_iter();
        for row in rows.iter_mut().filter(|row| self::super::kind(row) == kind(Entrant::Fulmar)) {
            row.end = ends.next().expect("three rounds");
            row.lab.spoilt = vec!["late".to_owned()];
            row.lab.server.udp_receive_overflows = 2;
        }
        let figures = Figures::of(&rows, kind(Entrant::Fulmar)).expect("some");
        assert!(!figures.is_whole());
        assert_eq!((figures.stopped, figures.failed, figures.spoilt, figures.overflows), (1, 1, 3, 6));
    }
}
