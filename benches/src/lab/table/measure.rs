//! One transfer over a link of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use fulmar_netsim::{
    Counters, Profile,
    tun::{self, Access, Carried, Lab, Report, Side},
};
use serde::Serialize;

use super::{
    interrupt::Interruption,
    plan::{Entrant, Planned, limit_bytes_per_s},
};
use crate::{
    contest::{Cell, Direction, End, Moved, Pair, Scene, Share, Size, Stage, Venue},
    lab::{inside, state::State, wire::end},
};

/// What one transfer came to.
#[derive(Clone, Debug, Serialize)]
pub(in crate::lab) struct Row {
    /// Its place among the links.
    #[serde(skip)]
    pub(in crate::lab) place: usize,
    pub(in crate::lab) link: String,
    pub(in crate::lab) direction: Direction,
    pub(in crate::lab) contender: Entrant,
    pub(in crate::lab) size: Size,
    pub(in crate::lab) round: u32,
    /// From 0; all but the last of a round were spoilt.
    pub(in crate::lab) attempt: u32,
    /// Whether it is the one of its round that counts: the last.
    pub(in crate::lab) counts: bool,
    #[serde(flatten)]
    pub(in crate::lab) end: End,
    pub(in crate::lab) seconds: f64,
    /// File bytes that the receiver had in the end.
    pub(in crate::lab) received_bytes: u64,
    /// Of those, by that time; 0 for a transfer that failed.
    pub(in crate::lab) goodput_mbit_per_s: f64,
    /// What the link carries at most, in file bytes.
    pub(in crate::lab) limit_mbit_per_s: Option<f64>,
    pub(in crate::lab) client: Share,
    pub(in crate::lab) server: Share,
    /// What the link did, and whether it was on time.
    pub(in crate::lab) lab: Report,
}

impl Row {
    /// What the link did with the packets that go the file's way.
    pub(in crate::lab) fn data(&self) -> &Counters {
        &self.carried().link
    }

    /// What reached the receiver, in bytes of IP packets: file, headers, and what was sent twice.
    pub(in crate::lab) fn arrived_mbit_per_s(&self) -> f64 {
        self.carried().arrived_bytes as f64 * 8e-6 / self.seconds
    }

    fn carried(&self) -> &Carried {
        match self.direction {
            Direction::Upload => &self.lab.up,
            Direction::Download => &self.lab.down,
        }
    }

    /// Whether the emulator was not on time.
    pub(in crate::lab) fn is_spoilt(&self) -> bool {
        !self.lab.spoilt.is_empty()
    }
}

/// What is to be there before anything is moved.
pub(in crate::lab) struct Setup<'a> {
    /// Where the files are.
    pub(in crate::lab) dir: &'a Path,
    /// What their bytes come from.
    pub(in crate::lab) seed: u64,
    /// The kinds of transfers.
    pub(in crate::lab) cells: &'a BTreeSet<Cell>,
    /// How often a transfer is made again that was spoilt.
    pub(in crate::lab) repeats: u32,
}

/// Everything that transfers need, whichever they are.
pub(in crate::lab) struct Course<'a> {
    access: Access,
    scene: Scene,
    stages: BTreeMap<Cell, Stage>,
    repeats: u32,
    interruption: &'a Interruption,
}

impl<'a> Course<'a> {
    /// Makes the files, and moves each once over loopback, so that keys are known, catalogs filled and caches warm.
    pub(in crate::lab) fn prepare(
        setup: &Setup<'_>,
        access: Access,
        interruption: &'a Interruption,
    ) -> Result<Self> {
        let sizes: BTreeSet<Size> = setup.cells.iter().map(|cell| cell.size).collect();
        let scene = Scene::set(setup.dir, &Vec::from_iter(sizes), setup.seed)?;
        let mut stages = BTreeMap::new();
        for cell in setup.cells {
            let stage = scene.stage(*cell)?;
            let mut pair = Pair::start(&stage, *cell, &Venue::loopback())?;
            interruption.wait_for(pair.processes())?;
            pair.transfer(&scene, "warm-up.bin", None)?.whole()?;
            stages.insert(*cell, stage);
        }
        Ok(Self { access, scene, stages, repeats: setup.repeats, interruption })
    }

    /// Makes a transfer, and makes it again while it is spoilt and may be repeated.
    pub(in crate::lab) fn transfer(&self, link: &Profile, planned: Planned) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for attempt in 0..=self.repeats {
            let (moved, lab) = self.once(link, planned)?;
            let mut row = row(link, planned, attempt, moved, lab);
            row.counts = !row.is_spoilt() || attempt == self.repeats;
            let counts = row.counts;
            rows.push(row);
            if counts {
                break;
            }
        }
        Ok(rows)
    }

    fn once(&self, link: &Profile, planned: Planned) -> Result<(Moved, Report)> {
        let cell = planned.cell();
        let stage = self.stages.get(&cell).context("a transfer without a stage")?;
        let (stage, _receiver_dir) = stage.anew(cell.direction)?;
        let congestion = planned.entrant.congestion();
        let lab = Lab::start(
            self.access,
            tun::Plan { profile: link.clone(), seed: planned.seed, congestion: congestion.map(Into::into) },
        )?;
        let state = State::of(&lab, self.access)?;
        let listen: IpAddr = Side::Server.address();
        let launch =
            |part, arguments: &[String]| inside::command_of_this_program(&state, end(part), arguments);
        let venue = Venue { listen, congestion, enrolled: true, launch: &launch };
        let mut pair = Pair::start(&stage, cell, &venue)?;
        self.interruption.wait_for(pair.processes())?;
        let moved = pair.transfer(&self.scene, "result.bin", Some(Duration::from_secs(planned.limit_s)))?;
        Ok((moved, lab.report()?))
    }
}

fn row(profile: &Profile, planned: Planned, attempt: u32, moved: Moved, lab: Report) -> Row {
    let Planned { round, link, direction, entrant, size, .. } = planned;
    let Moved { end, elapsed, received_bytes, client, server } = moved;
    let mbit_per_s = |bytes_per_s: f64| bytes_per_s * 8.0 / 1e6;
    let seconds = elapsed.as_secs_f64();
    let goodput_mbit_per_s = match end {
        End::Finished | End::Stopped => mbit_per_s(received_bytes as f64 / seconds),
        End::Failed(_) => 0.0,
    };
    Row {
        place: link,
        link: profile.name.clone(),
        direction,
        contender: entrant,
        size,
        round,
        attempt,
        counts: true,
        end,
        seconds,
        received_bytes,
        goodput_mbit_per_s,
        limit_mbit_per_s: limit_bytes_per_s(profile, direction).map(mbit_per_s),
        client,
        server,
        lab,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::table::testing::{link_report, plan};

    fn made(end: End, received_bytes: u64) -> Row {
        let plan = plan();
        let planned = plan.transfers().next().expect("one");
        let share = Share { cpu_s: 0.1, peak_bytes: 1 };
        let elapsed = Duration::from_secs(2);
        let moved = Moved { end, elapsed, received_bytes, client: share, server: share };
        row(&plan.links()[0], planned, 0, moved, link_report())
    }

    #[test]
    fn goodput_is_what_arrived_by_the_time_and_nothing_for_a_failure() {
        let finished = made(End::Finished, 5_000_000);
        assert_eq!((finished.goodput_mbit_per_s, finished.seconds), (20.0, 2.0));
        assert_eq!(made(End::Stopped, 1_000_000).goodput_mbit_per_s, 4.0);
        assert_eq!(made(End::Failed("why".to_owned()), 1_000_000).goodput_mbit_per_s, 0.0);
    }

    #[test]
    fn a_row_says_in_json_how_it_ended() {
        let json = serde_json::to_value(made(End::Failed("lost".to_owned()), 7)).expect("JSON");
        assert_eq!((&json["end"], &json["reason"]), (&"failed".into(), &"lost".into()));
        assert_eq!((&json["received_bytes"], &json["lab"]["seed"]), (&7.into(), &1.into()));
        let json = serde_json::to_value(made(End::Stopped, 7)).expect("JSON");
        assert_eq!((&json["end"], &json["link"]), (&"stopped".into(), &"lossy-1".into()));
    }
}
