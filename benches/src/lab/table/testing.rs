//! What the tests of the table's parts have in common.

use clap::Parser;
use fulmar_netsim::{
    Counters, Profile,
    tun::{Carried, Device, Emulation, Lateness, Machine, Report as LinkReport},
};

use super::{
    Report, TableArgs,
    measure::Row,
    plan::{Entrant, Plan, Planned, limit_bytes_per_s},
};
use crate::{
    contest::{End, Share},
    measure::machine::Conditions,
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: TableArgs,
}

/// Three contenders on one link, three rounds.
pub(super) fn plan() -> Plan {
    let words = ["table", "--size", "1MiB", "--links", "lossy-1", "--contenders", "tcp-cubic,tcp-bbr,fulmar"];
    Plan::new(vec![Profile::named("lossy-1").expect("there")], &Line::parse_from(words).args)
}

/// A link on time: of 1,000 packets each way, it lost 10 and its queue dropped 20.
pub(in crate::lab) fn link_report() -> LinkReport {
    let link = Counters {
        offered_packets: 1000,
        delivered_packets: 970,
        lost_queue_full_packets: 20,
        lost_after_queue_packets: 10,
        queue_wait_mean_ms: 3.0,
        queue_wait_p95_ms: 9.0,
        ..Counters::default()
    };
    let way = Carried { link, arrived_packets: 970, arrived_bytes: 970_000 };
    let device = Device { ring_drops: 0, receive_drops: 0, udp_receive_overflows: 0 };
    LinkReport {
        profile: "lossy-1".to_owned(),
        seed: 1,
        congestion: None,
        seconds: 1.0,
        up: way.clone(),
        down: way,
        emulator: Emulation {
            realtime: true,
            realtime_refused: None,
            lateness: Lateness::default(),
            cpu_s: 0.2,
            cpu_share: 0.2,
            busiest_share: 0.3,
            held_peak_bytes: 0,
            overflow_packets: 0,
            refused_packets: 0,
            uncut_packets: 0,
        },
        client: device,
        server: device,
        machine: Machine { idle_share: 0.5, cores: 2, rmem_max_bytes: None },
        spoilt: Vec::new(),
    }
}

/// In three rounds TCP CUBIC has 4 Mbit/s, TCP BBR 80, 40 and 80, and fulmar 8, 8 and 20.
pub(super) fn report() -> Report {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = plan();
    let share = Share { cpu_s: 0.1, peak_bytes: 10 << 20 };
    let row = |planned: Planned| {
        let goodput_mbit_per_s = match (planned.entrant, planned.round) {
            (Entrant::TcpBbr, 1) => 40.0,
            (Entrant::TcpBbr, _) => 80.0,
            (Entrant::Fulmar, 2) => 20.0,
            (Entrant::Fulmar, _) => 8.0,
            _ => 4.0,
        };
        let link = &plan.links()[planned.link];
        Row {
            place: planned.link,
            link: link.name.clone(),
            direction: planned.direction,
            contender: planned.entrant,
            size: planned.size,
            round: planned.round,
            attempt: 0,
            counts: true,
            end: End::Finished,
            seconds: planned.size.0 as f64 * 8e-6 / goodput_mbit_per_s,
            received_bytes: planned.size.0,
            goodput_mbit_per_s,
            limit_mbit_per_s: limit_bytes_per_s(link, planned.direction)
                .map(|bytes_per_s| bytes_per_s * 8e-6),
            client: share,
            server: share,
            lab: link_report(),
        }
    };
    let rows = plan.transfers().map(row).collect();
    Report { conditions: Conditions::here(dir.path()).expect("known"), plan, rows }
}
