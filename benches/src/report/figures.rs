//! The figures of one place in the table.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    contest::{Cell, Contender},
    loopback::Row,
    measure::stats::{self, Summary},
};

const BYTES_PER_GB: f64 = 1e9;

/// What the transfers of one cell come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// In bytes per second.
    pub(super) goodput: Summary,
    /// The median of processor seconds per GB of file, of the client and of the server.
    pub(super) cpu_s_per_gb: [f64; 2],
    /// The most memory, in bytes, of the client and of the server.
    pub(super) peak_bytes: [u64; 2],
}

impl Figures {
    /// Of the transfers of `cell`; none when there are none.
    pub(super) fn of(rows: &[Row], cell: Cell) -> Option<Self> {
        let rows = || rows.iter().filter(move |row| row.cell == cell);
        let per_gb = |cpu_s: f64| cpu_s * BYTES_PER_GB / cell.size.0 as f64;
        Some(Self {
            goodput: Summary::of(rows().map(|row| row.goodput_bytes_per_s))?,
            cpu_s_per_gb: [
                Summary::of(rows().map(|row| per_gb(row.client.cpu_s)))?.median,
                Summary::of(rows().map(|row| per_gb(row.server.cpu_s)))?.median,
            ],
            peak_bytes: [
                rows().map(|row| row.client.peak_bytes).max()?,
                rows().map(|row| row.server.peak_bytes).max()?,
            ],
        })
    }
}

/// How the goodput of `cell` compares with that of `other`, by rounds.
pub(super) fn ratio(rows: &[Row], cell: Cell, other: Contender) -> Option<Summary> {
    let of = |contender| {
        let cell = Cell { contender, ..cell };
        let rows = rows.iter().filter(move |row| row.cell == cell);
        rows.map(|row| (row.round, row.goodput_bytes_per_s)).collect::<BTreeMap<_, _>>()
    };
    stats::ratio(&of(cell.contender), &of(other))
}

/// The cells that there are transfers of: by size, direction and contender.
pub(super) fn cells(rows: &[Row]) -> BTreeSet<Cell> {
    rows.iter().map(|row| row.cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::report;

    #[test]
    fn figures_are_medians_per_gigabyte() {
        let rows = report().rows;
        let cells = cells(&rows);
        assert_eq!(cells.len(), 6);
        let fulmar = cells.iter().find(|cell| cell.contender == Contender::Fulmar).expect("there");
        let figures = Figures::of(&rows, *fulmar).expect("some");
        let gb = f64::from(1 << 30) / 1e9;
        assert_eq!(figures.goodput.count, 2);
        assert!((figures.goodput.max - gb * 1e9 / 4.0).abs() < 1.0);
        assert!((figures.cpu_s_per_gb[0] - 2.25 / gb).abs() < 1e-9);
        assert_eq!(figures.peak_bytes, [10 << 20, 20 << 20]);
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let mut rows = report().rows;
        let cell = *cells(&rows).iter().find(|cell| cell.contender == Contender::Fulmar).expect("there");
        let to_tls = ratio(&rows, cell, Contender::Tls).expect("two rounds");
        assert_eq!((to_tls.count, to_tls.min, to_tls.max), (2, 0.4, 0.5));
        assert!((to_tls.median - 0.45).abs() < 1e-9);
        // A round of which one is missing has no ratio.
        rows.retain(|row| row.round != 1 || row.cell.contender != Contender::Tls);
        assert_eq!(ratio(&rows, cell, Contender::Tls).expect("one round").count, 1);
        rows.retain(|row| row.cell.contender != Contender::Tls);
        assert!(ratio(&rows, cell, Contender::Tls).is_none());
    }
}
