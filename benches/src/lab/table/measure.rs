//! One transfer over a link of its own.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use anyhow::{Context as _, Result};
use fulmar_netsim::{
    Counters,
    tun::{self, Access, Carried, Lab, Report, Side},
};
use serde::Serialize;

use super::{
    TableArgs,
    interrupt::Interruption,
    plan::{Entrant, Plan, Planned, limit_bytes_per_s},
};
use crate::{
    contest::{Cell, Direction, End, Moved, Pair, Part, Scene, Share, Size, Stage, Venue},
    lab::{inside, state::State},
};

/// What one transfer came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Its place among the links.
    #[serde(skip)]
    pub(super) place: usize,
    pub(super) link: String,
    pub(super) direction: Direction,
    pub(super) contender: Entrant,
    pub(super) size: Size,
    pub(super) round: u32,
    /// From 0; all but the last of a round were spoilt.
    pub(super) attempt: u32,
    /// Whether it is the one of its round that counts: the last.
    pub(super) counts: bool,
    #[serde(flatten)]
    pub(super) end: End,
    pub(super) seconds: f64,
    /// File bytes that the receiver had in the end.
    pub(super) received_bytes: u64,
    /// Of those, by that time; 0 for a transfer that failed.
    pub(super) goodput_mbit_per_s: f64,
    /// What the link carries at most, in file bytes.
    pub(super) limit_mbit_per_s: Option<f64>,
    pub(super) client: Share,
    pub(super) server: Share,
    /// What the link did, and whether it was on time.
    pub(super) lab: Report,
}

impl Row {
    /// What the link did with the packets that go the file's way.
    pub(super) fn data(&self) -> &Counters {
        &self.carried().link
    }

    /// What reached the receiver, in bytes of IP packets: file, headers, and what was sent twice.
    pub(super) fn arrived_mbit_per_s(&self) -> f64 {
        self.carried().arrived_bytes as f64 * 8e-6 / self.seconds
    }

    fn carried(&self) -> &Carried {
        match self.direction {
            Direction::Upload => &self.lab.up,
            Direction::Download => &self.lab.down,
        }
    }

    /// Whether the emulator was not on time.
    pub(super) fn is_spoilt(&self) -> bool {
        !self.lab.spoilt.is_empty()
    }
}

/// Everything that transfers need, whichever they are.
pub(super) struct Course<'a> {
    access: Access,
    scene: Scene,
    stages: BTreeMap<Cell, Stage>,
    limit: Duration,
    repeats: u32,
    interruption: &'a Interruption,
}

impl<'a> Course<'a> {
    /// Makes the files, and moves each once over loopback, so that keys are known, catalogs filled and caches warm.
    pub(super) fn prepare(
        args: &TableArgs,
        plan: &Plan,
        access: Access,
        interruption: &'a Interruption,
    ) -> Result<Self> {
        let scene = Scene::set(&args.dir, &plan.sizes(), args.seed)?;
        let mut stages = BTreeMap::new();
        for cell in plan.cells() {
            let stage = scene.stage(cell)?;
            let mut pair = Pair::start(&stage, cell, &Venue::loopback())?;
            interruption.wait_for(pair.processes())?;
            pair.transfer(&scene, "warm-up.bin", None)?.whole()?;
            stages.insert(cell, stage);
        }
        let limit = Duration::from_secs(plan.limit_s());
        Ok(Self { access, scene, stages, limit, repeats: args.repeats, interruption })
    }

    /// Makes a transfer, and makes it again while it is spoilt and may be repeated.
    pub(super) fn transfer(&self, plan: &Plan, planned: Planned) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for attempt in 0..=self.repeats {
            let (moved, lab) = self.once(plan, planned)?;
            let mut row = row(plan, planned, attempt, moved, lab);
            row.counts = !row.is_spoilt() || attempt == self.repeats;
            let counts = row.counts;
            rows.push(row);
            if counts {
                break;
            }
        }
        Ok(rows)
    }

    fn once(&self, plan: &Plan, planned: Planned) -> Result<(Moved, Report)> {
        let cell = planned.cell();
        let stage = self.stages.get(&cell).context("a transfer without a stage")?;
        let (stage, _receiver_dir) = stage.anew(cell.direction)?;
        let congestion = planned.entrant.congestion();
        let lab = Lab::start(
            self.access,
            tun::Plan {
                profile: plan.links()[planned.link].clone(),
                seed: planned.seed,
                congestion: congestion.map(Into::into),
            },
        )?;
        let state = State::of(&lab, self.access)?;
        let listen: IpAddr = Side::Server.address();
        let launch =
            |part, arguments: &[String]| inside::command_of_this_program(&state, end(part), arguments);
        let venue = Venue { listen, congestion, enrolled: true, launch: &launch };
        let mut pair = Pair::start(&stage, cell, &venue)?;
        self.interruption.wait_for(pair.processes())?;
        let moved = pair.transfer(&self.scene, "result.bin", Some(self.limit))?;
        Ok((moved, lab.report()?))
    }
}

/// At which end of the link a part is played.
fn end(part: Part) -> Side {
    match part {
        Part::Client => Side::Client,
        Part::Server => Side::Server,
    }
}

fn row(plan: &Plan, planned: Planned, attempt: u32, moved: Moved, lab: Report) -> Row {
    let Planned { round, link, direction, entrant, size, .. } = planned;
    let Moved { end, elapsed, received_bytes, client, server } = moved;
    let link_profile = &plan.links()[link];
    let mbit_per_s = |bytes_per_s: f64| bytes_per_s * 8.0 / 1e6;
    let seconds = elapsed.as_secs_f64();
    let goodput_mbit_per_s = match end {
        End::Finished | End::Stopped => mbit_per_s(received_bytes as f64 / seconds),
        End::Failed(_) => 0.0,
    };
    Row {
        place: link,
        link: link_profile.name.clone(),
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
        limit_mbit_per_s: limit_bytes_per_s(link_profile, direction).map(mbit_per_s),
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
        row(&plan, planned, 0, moved, link_report())
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
