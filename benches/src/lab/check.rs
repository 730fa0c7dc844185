//! How true a link is: round trip when idle, loss, one TCP flow.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result, bail};
use fulmar_netsim::{
    Way,
    tun::{Access, Lab, Plan, Report},
};
use serde::Serialize;

use super::{
    args::{CheckArgs, TcpArgs},
    awake::Awake,
    datagrams::{Losses, RoundTrips, losses, round_trips},
    flow::{Flow, flow},
    plan::plan,
    run::tell_doubts,
};

/// The beginning of a flow that the second figure leaves out.
const SKIPPED_SECONDS: u64 = 4;

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    round_trips: RoundTrips,
    losses: [Losses; 2],
    flow: Option<Flow>,
    report: Report,
}

/// One flow, and what the link did meanwhile.
#[derive(Debug, Serialize)]
struct OneFlow {
    flow: Flow,
    report: Report,
}

/// Measures all three, and prints a table.
pub(super) fn check(args: &CheckArgs) -> Result<u8> {
    let (lab, plan) = started(plan(&args.link)?)?;
    let profile = &plan.profile;
    let awake = Awake::keep();
    let round_trips = round_trips(&lab, profile, args.echoes)?;
    drop(awake);
    let losses =
        [losses(&lab, profile, Way::Up, args.packets)?, losses(&lab, profile, Way::Down, args.packets)?];
    let flow = match args.seconds {
        0 => None,
        seconds => Some(flow(&lab, profile, Way::Up, seconds, SKIPPED_SECONDS.min(seconds - 1))?),
    };
    let findings = Findings { round_trips, losses, flow, report: lab.report()? };
    if let Some(path) = &args.json {
        let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(file, "{}", serde_json::to_string_pretty(&findings)?)?;
    }
    io::stdout().write_all(table(&findings).as_bytes())?;
    tell_doubts(&findings.report);
    Ok(0)
}

/// Measures one flow, and prints it as JSON.
pub(super) fn tcp(args: &TcpArgs) -> Result<u8> {
    if args.skip_seconds >= args.seconds {
        bail!("--skip-seconds has to be less than --seconds");
    }
    let (lab, plan) = started(plan(&args.link)?)?;
    let flow = flow(&lab, &plan.profile, args.way.into(), args.seconds, args.skip_seconds)?;
    let one = OneFlow { flow, report: lab.report()? };
    writeln!(io::stdout(), "{}", serde_json::to_string(&one)?)?;
    tell_doubts(&one.report);
    Ok(0)
}

/// Nothing of these is left when this process is killed, so nothing is written down either.
fn started(plan: Plan) -> Result<(Lab, Plan)> {
    Ok((Lab::start(Access::obtain()?, plan.clone())?, plan))
}

/// What was found, in Markdown.
fn table(findings: &Findings) -> String {
    let Findings { round_trips, losses, flow, report } = findings;
    let RoundTrips { sent, answered, set_ms, min_ms, median_ms, max_ms, median_excess_ms, .. } = round_trips;
    let mut rows = vec![(
        format!("round trip when idle ({answered} of {sent} packets)"),
        format!("{set_ms:.3} ms"),
        format!("{median_ms:.3} ms ({min_ms:.3}..{max_ms:.3})"),
        format!("{median_excess_ms:+.3} ms"),
    )];
    for Losses { way, sent, ratio, set_ratio, relative_error, .. } in losses {
        rows.push((
            format!("loss {way} ({sent} packets)"),
            set_ratio.map_or("changes".to_owned(), |set| format!("{:.3} %", set * 100.0)),
            format!("{:.3} %", ratio * 100.0),
            relative_error.map_or(String::new(), |error| format!("{:+.1} %", error * 100.0)),
        ));
    }
    if let Some(flow) = flow {
        rows.push((
            format!(
                "TCP {} ({} s, {} s of them left out)",
                flow.congestion, flow.seconds, flow.skipped_seconds
            ),
            String::new(),
            format!("{:.2} Mbit/s ({:.2})", flow.goodput_mbit_per_s, flow.steady_goodput_mbit_per_s),
            flow.rate_share
                .map_or(String::new(), |share| format!("{:.2} % of the rate in IP bytes", share * 100.0)),
        ));
    }
    let (emulator, machine) = (&report.emulator, &report.machine);
    let late = emulator.lateness;
    rows.push((
        "lateness of deliveries".to_owned(),
        String::new(),
        format!("{:.3} ms, 99 %: {:.3}, all: {:.3}", late.p50_ms, late.p99_ms, late.max_ms),
        if emulator.realtime { "SCHED_FIFO".to_owned() } else { "no SCHED_FIFO".to_owned() },
    ));
    rows.push((
        "processor time".to_owned(),
        String::new(),
        format!("{:.1} % of one core", emulator.cpu_share * 100.0),
        format!("machine idle {:.0} %", machine.idle_share * 100.0),
    ));
    let mut text =
        format!("{}, seed {}\n\n| | set | measured | |\n|---|---|---|---|\n", report.profile, report.seed);
    for (what, set, measured, note) in rows {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "| {what} | {set} | {measured} | {note} |");
    }
    text
}
