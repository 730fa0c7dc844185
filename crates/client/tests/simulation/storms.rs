//! Several clients that do whatever the seed says, while whatever the seed says goes wrong.

use std::{cell::Cell, net::SocketAddr, time::Duration};

use fulmar_client::{Error, ErrorKind};
use fulmar_netsim::{During, Profile, Stream};
use fulmar_proto::upload::OnExists;
use tokio::time::sleep;

use crate::{
    campaign::varied,
    links::dark,
    world::{Peer, Restart, SERVER, Visit, World, data, peer_ip, seeds, simulate},
};

/// How many clients there are, and how much each does.
const CLIENTS: u8 = 3;
const STEPS: u64 = 8;

/// They all use the same few names, so that they get in each other's way.
const NAMES: u64 = 4;

fn name(stream: &mut Stream) -> String {
    format!("{}.bin", stream.below(NAMES))
}

/// One thing that a client does.
async fn act(visit: &Visit, seed: u64, stream: &mut Stream) -> Result<(), Error> {
    let on_exists =
        [OnExists::Fail, OnExists::Overwrite, OnExists::Overwrite, OnExists::Skip][stream.below(4) as usize];
    match stream.below(10) {
        0..=4 => {
            // Most are short, some travel in ranges.
            let len = if stream.chance(0.2) { 2_500_000 } else { stream.below(200_000) };
            let label = format!("{}", stream.below(1000));
            let bytes = data(seed, &label, usize::try_from(len).expect("short"));
            visit.upload_with(&name(stream), &bytes, on_exists).await.map(drop)
        }
        5 | 6 => visit.download(&name(stream)).await.map(drop),
        7 => visit.remove(&name(stream)).await,
        8 => {
            let (from, step) = (stream.below(NAMES), 1 + stream.below(NAMES - 1));
            let to = (from + step) % NAMES;
            visit.rename(&format!("{from}.bin"), &format!("{to}.bin"), on_exists).await
        }
        _ => visit.list("").await.map(drop),
    }
}

/// What a call may come to while others are at the same names and the server comes and goes.
fn check(error: &Error) {
    use ErrorKind::{CannotConnect, Changed, ConnectionLost, Exists, NotFound, Refused};
    let kind = error.kind();
    let known = matches!(kind, CannotConnect | Changed | ConnectionLost | Exists | NotFound | Refused);
    assert!(known, "{kind:?}: {error}");
}

/// A client from beginning to end; it connects again whenever it is lost.
async fn client(world: &World, peer: &Peer, number: u8) {
    let mut stream = Stream::new(world.seed(), &format!("client {number}"));
    let mut visit: Option<Visit> = None;
    for _ in 0..STEPS {
        sleep(Duration::from_millis(stream.below(400))).await;
        if visit.as_ref().is_none_or(|visit| visit.session().is_closed()) {
            match peer.connect().await {
                Ok(connected) => visit = Some(connected),
                Err(error) => check(&error),
            }
        }
        let Some(visit) = &visit else { continue };
        let acting = act(visit, world.seed(), &mut stream);
        if let Err(error) = acting.await {
            check(&error);
        }
    }
}

/// One thing that goes wrong, for a while.
async fn disturb(world: &World, peers: &[Peer], stream: &mut Stream) {
    let number = u8::try_from(stream.below(u64::from(CLIENTS))).expect("few");
    let (client, server, network) = (peer_ip(number), SERVER.ip(), world.network());
    let lasting = Duration::from_millis(stream.below(20_000));
    match stream.below(8) {
        0 => world.restart(Restart::Killed).await,
        1 | 2 => world.restart(Restart::PowerCut).await,
        3 => world.restart(Restart::Orderly).await,
        4 => {
            let port = u16::try_from(2000 + stream.below(50_000)).expect("a port");
            let public = SocketAddr::new(peer_ip(100 + number), port);
            network.rebind(peers[usize::from(number)].addr(), public).expect("a free address");
        }
        5 => {
            network.block(client, server);
            sleep(lasting).await;
            network.unblock(client, server);
        }
        6 => {
            network.corrupt(server, client, 0.2);
            sleep(lasting).await;
            network.corrupt(server, client, 0.0);
        }
        _ => world.join(number, &dark(&varied(stream.number()), 0.5, 5.0, During::Drop)),
    }
}

fn storm(seed: u64, profile: &Profile) {
    simulate(seed, profile, async |world| {
        let peers: Vec<Peer> = (0..CLIENTS).map(|number| world.peer(number)).collect();
        let over = Cell::new(false);
        let clients = async {
            let clients = peers.iter().zip(0..).map(|(peer, number)| client(world, peer, number));
            futures_util::future::join_all(clients).await;
            over.set(true);
        };
        let disturbances = async {
            let mut stream = Stream::new(seed, "storm");
            while !over.get() {
                sleep(Duration::from_millis(200 + stream.below(4000))).await;
                disturb(world, &peers, &mut stream).await;
            }
        };
        tokio::join!(clients, disturbances);
    });
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_mixed() {
    for seed in seeds(60, &[]) {
        storm(seed, &varied(seed));
    }
}
