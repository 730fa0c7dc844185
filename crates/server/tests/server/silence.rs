//! Peers that say nothing, or do not listen, do not keep others from being served.

use std::time::Duration;

use fulmar_proto::{code::CloseCode, grants::Grants, path::DirPath, reply::Reply, request::Request};
use tokio::time::timeout;

use crate::{
    peer::{Peer, Stranger, Stream, content, identity, path, upload},
    rig::{Rig, Setup, run},
    tight::TightPeer,
};

/// Far longer than an honest client takes, and shorter than the time after which a silent one is given up.
const PATIENCE: Duration = Duration::from_secs(20);

fn stat() -> Request {
    Request::Stat { path: DirPath::root() }
}

/// A server with the least memory for bodies, and two clients of it.
async fn with_little_memory() -> (Rig, Peer, Peer) {
    let client = identity();
    let setup = Setup { max_memory_bytes: 1 << 20, ..Setup::default() };
    let rig = setup.with(&client, Grants::ALL).start();
    let (silent, honest) = (Peer::connect(&rig, &client).await, Peer::connect(&rig, &client).await);
    (rig, silent, honest)
}

async fn assert_served(honest: &Peer) {
    timeout(PATIENCE, honest.check_alive()).await.expect("the honest client is served");
}

#[test]
fn peers_without_a_hello() {
    run(async {
        let client = identity();
        let rig = Setup::default().with(&client, Grants::ALL).start();
        let mut silent = Vec::new();
        for _ in 0..40 {
            silent.push(Stranger::dial(&rig, &identity()).await);
        }
        // Half of them open a stream and send a part of a frame.
        let mut streams = Vec::new();
        for stranger in silent.iter().step_by(2) {
            let mut stream = stranger.stream().await;
            stream.raw(b"\x10").await;
            streams.push(stream);
        }
        assert_served(&Peer::connect(&rig, &client).await).await;
        assert!(
            silent.iter().all(|stranger| stranger.connection.close_reason().is_none()),
            "they are still there"
        );
        drop(streams);
    });
}

/// Opens `count` streams and sends a part of a request on each.
async fn open_silent_streams(peer: &Peer, count: u32) -> Vec<Stream> {
    let mut streams = Vec::new();
    for index in 0..count {
        let opened = timeout(PATIENCE, peer.stream()).await;
        let mut stream = opened.unwrap_or_else(|_| panic!("stream {index} of {count} is not allowed"));
        stream.raw(b"\x10").await;
        streams.push(stream);
    }
    streams
}

#[test]
fn streams_without_a_request() {
    run(async {
        let client = identity();
        let rig = Setup::default().with(&client, Grants::ALL).start();
        let silent = Peer::connect(&rig, &client).await;
        let streams = open_silent_streams(&silent, silent.welcome.limits.max_commands - 8).await;
        assert_served(&Peer::connect(&rig, &client).await).await;
        // The silent client's own further commands are served too.
        assert!(matches!(silent.ask(&stat()).await, Reply::Entry(_)));
        assert!(silent.connection.close_reason().is_none());
        drop(streams);
    });
}

#[test]
fn as_many_commands_as_announced_may_be_in_flight() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let max_commands = peer.welcome.limits.max_commands;
        let streams = open_silent_streams(&peer, max_commands).await;
        assert_eq!(streams.len(), max_commands as usize);
    });
}

/// Memory for bodies is bounded, and is not kept for bodies that do not come.
#[test]
fn bodies_that_do_not_come() {
    run(async {
        let (_rig, silent, honest) = with_little_memory().await;
        let mut streams = Vec::new();
        for index in 0..16 {
            let mut stream = silent.stream().await;
            stream.send(&Request::Put { upload: upload(&format!("silent {index}"), 2 << 20) }).await;
            streams.push(stream);
        }
        // Answered behind the requests above, so that these have arrived.
        assert!(matches!(silent.ask(&stat()).await, Reply::Entry(_)));
        assert_served(&honest).await;
        assert!(silent.connection.close_reason().is_none());
        drop(streams);
    });
}

/// Nor is it kept for good by a client that does not read what it asked for.
#[test]
fn replies_that_are_not_read() {
    run(async {
        let (_rig, silent, honest) = with_little_memory().await;
        silent.put("large", &content(2 << 20)).await;
        let mut streams = Vec::new();
        for _ in 0..100 {
            let mut stream = silent.stream().await;
            stream.send(&Request::Open { path: path("large"), first_bytes: 2 << 20 }).await;
            streams.push(stream);
        }
        until_full(&silent, &honest).await;
        assert_served(&honest).await;
        silent.connection.close(CloseCode::DONE, "");
        drop(streams);
    });
}

/// Waits until the client's transport has taken in as much as its window lets it, and then no more for many round trips.
async fn until_full(silent: &Peer, honest: &Peer) {
    let window = u64::from(silent.connection.receive_window());
    let (mut arrived, mut still) = (0, 0);
    while arrived < window || still < 100 {
        assert!(matches!(honest.ask(&stat()).await, Reply::Entry(_)));
        let now = silent.connection.stats().received_bytes;
        // Whatever keeps an idle connection going takes a few small packets.
        still = if now > arrived + 10_000 { 0 } else { still + 1 };
        arrived = arrived.max(now);
        assert_eq!(silent.connection.close_reason(), None);
    }
}

/// Nor by one whose transport takes in the reply and next to nothing of the body, which needs no more than `read`.
#[test]
fn bodies_that_are_not_taken() {
    run(async {
        let owner = identity();
        let anonymous = Grants::LIST.with(Grants::READ);
        let setup = Setup { anonymous, max_memory_bytes: 1 << 20, ..Setup::default() };
        let rig = setup.with(&owner, Grants::ALL).start();
        let honest = Peer::connect(&rig, &owner).await;
        honest.put("large", &content(2 << 20)).await;
        let tight = TightPeer::connect(&rig).await;
        let mut streams = Vec::new();
        for _ in 0..16 {
            streams.push(tight.ask(&Request::Open { path: path("large"), first_bytes: 2 << 20 }).await);
        }
        // Each stream has brought as much as it may.
        while tight.connection.stats().frame_rx.stream < 17 {
            tokio::task::yield_now().await;
        }
        assert_served(&honest).await;
        assert!(tight.connection.close_reason().is_none());
        drop(streams);
    });
}
