//! Which transfers are made, and in which order.

use std::collections::BTreeSet;

use crate::contest::{Cell, Contender, Direction, Size};

/// The order of everything. In each round that a size takes part in, every contender runs once in both directions, one
/// right after the other, so that whatever else the machine does meets all of them alike. Who begins changes.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    sizes: Vec<Size>,
    directions: Vec<Direction>,
    contenders: Vec<Contender>,
    rounds: u32,
}

impl Plan {
    /// A plan in which the largest files are moved in `rounds` rounds.
    pub(crate) fn new(
        sizes: &[Size],
        directions: &[Direction],
        contenders: &[Contender],
        rounds: u32,
    ) -> Self {
        Self { sizes: set(sizes), directions: set(directions), contenders: set(contenders), rounds }
    }

    pub(crate) fn sizes(&self) -> &[Size] {
        &self.sizes
    }

    /// In how many rounds files of this size take part: short transfers vary more, and cost little time.
    pub(crate) fn rounds_of(&self, size: Size) -> u32 {
        let factor = match size.0 {
            0..=0x100_0000 => 4,
            0x100_0001..=0x1000_0000 => 2,
            _ => 1,
        };
        self.rounds * factor
    }

    /// How many rounds there are.
    pub(crate) fn rounds(&self) -> u32 {
        self.sizes.iter().map(|size| self.rounds_of(*size)).max().unwrap_or(0)
    }

    /// Everything once, to warm processes and caches up.
    pub(crate) fn warm_up(&self) -> Vec<Cell> {
        self.sizes.iter().flat_map(|size| self.cells(*size, 0)).collect()
    }

    /// The transfers of one round, in order. Sizes that take part in fewer rounds are spread evenly over all.
    pub(crate) fn round(&self, round: u32) -> Vec<Cell> {
        let (round, all) = (u64::from(round), u64::from(self.rounds()));
        let turn = |size: Size, round: u64| round * u64::from(self.rounds_of(size)) / all;
        let sizes = self.sizes.iter().filter(|size| turn(**size, round + 1) > turn(**size, round));
        sizes.flat_map(|size| self.cells(*size, usize::try_from(turn(*size, round)).unwrap_or(0))).collect()
    }

    /// All directions of one size, with the contenders rotated by `turn`.
    fn cells(&self, size: Size, turn: usize) -> impl Iterator<Item = Cell> {
        let count = self.contenders.len();
        self.directions.iter().flat_map(move |direction| {
            let contender = move |index| self.contenders[(index + turn) % count];
            (0..count).map(move |index| Cell { size, direction: *direction, contender: contender(index) })
        })
    }
}

/// The items in order, each once.
fn set<T: Copy + Ord>(items: &[T]) -> Vec<T> {
    let items: BTreeSet<T> = items.iter().copied().collect();
    items.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn plan(rounds: u32) -> Plan {
        full(&[1, 16, 256, 1024].map(|mib| Size(mib * MIB)), rounds)
    }

    fn full(sizes: &[Size], rounds: u32) -> Plan {
        Plan::new(sizes, &Direction::ALL, &Contender::ALL, rounds)
    }

    #[test]
    fn small_files_take_part_in_more_rounds_on_both_sides_of_the_bounds() {
        let plan = plan(5);
        let rounds = |bytes| plan.rounds_of(Size(bytes));
        assert_eq!((rounds(16 * MIB), rounds(16 * MIB + 1)), (20, 10));
        assert_eq!((rounds(256 * MIB), rounds(256 * MIB + 1)), (10, 5));
        assert_eq!(plan.rounds(), 20);
    }

    #[test]
    fn who_begins_changes_from_turn_to_turn() {
        let plan = plan(3);
        let large = Size(1024 * MIB);
        let first: Vec<Contender> = (0..plan.rounds())
            .filter_map(|round| plan.round(round).into_iter().find(|cell| cell.size == large))
            .map(|cell| cell.contender)
            .collect();
        assert_eq!(first, Contender::ALL);
    }

    #[test]
    fn the_warm_up_is_everything_once() {
        let mut cells = plan(2).warm_up();
        assert_eq!(cells.len(), 4 * 2 * 3);
        cells.sort_unstable();
        cells.dedup();
        assert_eq!(cells.len(), 4 * 2 * 3);
    }

    #[test]
    fn what_is_left_out_is_left_out() {
        let sizes = [Size(5), Size(2), Size(5)];
        let plan = Plan::new(&sizes, &[Direction::Download], &[Contender::Fulmar, Contender::Tcp], 1);
        let cell = |size, contender| Cell { size: Size(size), direction: Direction::Download, contender };
        let (tcp, fulmar) = (Contender::Tcp, Contender::Fulmar);
        assert_eq!(plan.warm_up(), [cell(2, tcp), cell(2, fulmar), cell(5, tcp), cell(5, fulmar)]);
        assert_eq!(plan.round(1), [cell(2, fulmar), cell(2, tcp), cell(5, fulmar), cell(5, tcp)]);
    }

    proptest! {
        #[test]
        fn contenders_of_one_size_and_direction_run_side_by_side(rounds in 1u32..20, mib in prop::collection::vec(1u64..2000, 1..5)) {
            let sizes: Vec<Size> = mib.iter().map(|mib| Size(mib * MIB)).collect();
            let plan = full(&sizes, rounds);
            let mut count = BTreeMap::new();
            for round in 0..plan.rounds() {
                let cells = plan.round(round);
                for three in cells.chunks(3) {
                    let mut contenders: Vec<_> = three.iter().map(|cell| cell.contender).collect();
                    contenders.sort_unstable();
                    prop_assert_eq!(contenders, Contender::ALL);
                    prop_assert!(three.iter().all(|cell| (cell.size, cell.direction) == (three[0].size, three[0].direction)));
                }
                for cell in cells {
                    *count.entry(cell).or_insert(0) += 1;
                }
            }
            prop_assert_eq!(count.len(), plan.sizes().len() * 6);
            for (cell, count) in count {
                prop_assert_eq!(count, plan.rounds_of(cell.size));
            }
        }
    }
}
