//! The measurement.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use fulmar_proto::digest::Digest;
use serde::Serialize;

use super::{
    contenders::{Job, prepare_tls},
    plan::{Cell, Contender, Direction, Plan, Size},
    scene::{Scene, source_name},
    side::{Part, Side, result_path},
};
use crate::{
    args::LoopbackArgs,
    measure::machine::Conditions,
    report::{self, Report},
};

/// One transfer that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// From 0; transfers of one round, size and direction were made one right after the other.
    pub(crate) round: u32,
    #[serde(flatten)]
    pub(crate) cell: Cell,
    pub(crate) seconds: f64,
    /// File bytes per second.
    pub(crate) goodput_bytes_per_s: f64,
    pub(crate) client: Share,
    pub(crate) server: Share,
}

/// What one side used for a transfer.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Share {
    /// Processor time for this transfer, in seconds, ending the connection included.
    pub(crate) cpu_s: f64,
    /// The most memory that the process ever had; each process makes one kind of transfer.
    pub(crate) peak_bytes: u64,
}

/// Measures in every directory and reports.
pub(crate) fn run(args: &LoopbackArgs) -> Result<()> {
    let quick_sizes = [1, 16, 256].map(|mib| Size(mib << 20));
    let (sizes, rounds) = if args.quick { (&quick_sizes[..], 1) } else { (&args.sizes[..], args.rounds) };
    let plan = Plan::new(sizes, &args.directions, &args.contenders, rounds);
    let mut json = args.json.as_deref().map(report::create).transpose()?;
    for (index, dir) in args.dir.iter().enumerate() {
        let conditions = Conditions::here(dir)?;
        let rows = measure(dir, &plan, args.seed)?;
        let report = Report { conditions, rows };
        print!("{}{}", if index > 0 { "\n" } else { "" }, report::table(&report));
        if let Some(out) = &mut json {
            report::write_json(out, &report)?;
        }
        if let Some(path) = args.svg.as_deref().filter(|_| index == 0) {
            report::draw(path, &report).with_context(|| format!("cannot draw {}", path.display()))?;
        }
    }
    Ok(())
}

/// Runs the plan with files in `dir`.
fn measure(dir: &Path, plan: &Plan, seed: u64) -> Result<Vec<Row>> {
    eprintln!("making the source files");
    let scene = Scene::set(dir, plan.sizes(), seed)?;
    let warm_up = plan.warm_up();
    let mut pairs = BTreeMap::new();
    for cell in &warm_up {
        pairs.insert(*cell, Pair::start(&scene, *cell)?);
    }
    eprintln!("warming up: every transfer once, not counted");
    for cell in warm_up {
        transfer(&scene, &mut pairs, 0, cell)?;
    }
    let mut rows = Vec::new();
    for round in 0..plan.rounds() {
        eprintln!("round {} of {}", round + 1, plan.rounds());
        for cell in plan.round(round) {
            rows.push(transfer(&scene, &mut pairs, round, cell)?);
        }
    }
    Ok(rows)
}

fn transfer(scene: &Scene, pairs: &mut BTreeMap<Cell, Pair>, round: u32, cell: Cell) -> Result<Row> {
    let pair = pairs.get_mut(&cell).context("a transfer without processes")?;
    let row = pair.transfer(scene, round, cell);
    row.with_context(|| format!("{} of {} by {}", cell.direction.word(), cell.size, cell.contender.title()))
}

/// The two processes of one cell. They live through the whole run and make only this kind of transfer, so that their
/// memory is what this kind takes.
struct Pair {
    client: Side,
    server: Side,
    receiver_dir: std::path::PathBuf,
}

impl Pair {
    fn start(scene: &Scene, cell: Cell) -> Result<Self> {
        let stage = scene.stage(cell)?;
        if cell.contender == Contender::Tls {
            prepare_tls(&stage.server_state, &stage.client_state)?;
        }
        let start = |part, dir, state, server| Side::start(part, cell.contender, dir, state, server);
        let server = start(Part::Server, &stage.server_dir, &stage.server_state, None)?;
        let client = start(Part::Client, &stage.client_dir, &stage.client_state, Some(&server.greeting))?;
        let receiver_dir = match cell.direction {
            Direction::Upload => stage.server_dir,
            Direction::Download => stage.client_dir,
        };
        Ok(Self { client, server, receiver_dir })
    }

    /// Makes one transfer, checks what has come of it, and removes that.
    fn transfer(&mut self, scene: &Scene, round: u32, cell: Cell) -> Result<Row> {
        let source = match cell.direction {
            Direction::Upload => scene.source_path(cell.size)?.to_owned(),
            Direction::Download => source_name(cell.size).into(),
        };
        let job = Job { direction: cell.direction, source, target: format!("result-{round}.bin") };
        let result = result_path(&self.receiver_dir, &job);
        let before = (self.client.usage()?, self.server.usage()?);
        let done = self.client.transfer(job)?;
        let after = (self.client.usage()?, self.server.usage()?);
        ensure!(
            done.digest == scene.digest(cell.size)?,
            "the sides agreed on a digest that is not the source's"
        );
        ensure!(digest_of(&result)? == done.digest, "the published file holds other bytes");
        fs::remove_file(&result)?;
        let share = |cpu: Duration, peak_bytes| Share { cpu_s: cpu.as_secs_f64(), peak_bytes };
        let seconds = done.elapsed.as_secs_f64();
        Ok(Row {
            round,
            cell,
            seconds,
            goodput_bytes_per_s: cell.size.0 as f64 / seconds,
            client: share(after.0.cpu.saturating_sub(before.0.cpu), after.0.peak_bytes),
            server: share(after.1.cpu.saturating_sub(before.1.cpu), after.1.peak_bytes),
        })
    }
}

fn digest_of(path: &Path) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}
