//! Datagrams that are damaged, that nobody in particular sent, or that were sent before; addresses that change.

use std::{net::SocketAddr, time::Duration};

use fulmar_netsim::Stream;
use tokio::time::sleep;

use crate::{
    links::{clean, lossy},
    world::{Peer, SERVER, World, data, peer_ip, seeds, simulate},
};

const LEN: usize = 3 << 20;

/// An upload and a download while `disturb` goes on.
async fn transfers(world: &World, seed: u64, disturb: impl AsyncFn(&Peer)) {
    let peer = world.peer(0);
    let visit = peer.visit().await;
    let bytes = data(seed, "file", LEN);
    tokio::select! {
        biased;
        () = async { loop { disturb(&peer).await } } => {}
        () = async {
            visit.upload("file.bin", &bytes).await.expect("stored");
            assert!(visit.download("file.bin").await.expect("sent") == bytes);
        } => {}
    }
    visit.close().await;
}

#[test]
fn damaged_datagrams_are_lost_datagrams() {
    for seed in seeds(2, &[]) {
        for ratio in [0.01, 0.05, 0.2] {
            simulate(seed, &clean(), async |world| {
                let (client, server) = (peer_ip(0), SERVER.ip());
                world.network().corrupt(client, server, ratio);
                world.network().corrupt(server, client, ratio);
                transfers(world, seed, async |_| std::future::pending().await).await;
                assert!(world.network().trace().tallies.corrupted > 10);
            });
        }
    }
}

/// Garbage of every length, some of which begins as a packet would.
fn garbage(stream: &mut Stream) -> Vec<u8> {
    let len = usize::try_from(stream.below(1500)).expect("short");
    let mut bytes: Vec<u8> = (0..len).map(|_| stream.number().to_le_bytes()[0]).collect();
    if let [first, version @ ..] = bytes.as_mut_slice()
        && version.len() >= 4
    {
        match stream.below(4) {
            0 => *first |= 0xc0,
            1 => *first = (*first & 0x3f) | 0x40,
            2 => {
                *first |= 0xc0;
                version[..4].copy_from_slice(&[0, 0, 0, 1]);
            }
            _ => {}
        }
    }
    bytes
}

#[test]
fn garbage_from_strangers_and_in_the_peers_names() {
    for seed in seeds(2, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let mut stream = Stream::new(seed, "garbage");
            let stream = std::cell::RefCell::new(&mut stream);
            transfers(world, seed, async |peer| {
                sleep(Duration::from_millis(2)).await;
                let mut stream = stream.borrow_mut();
                let stranger = SocketAddr::new(peer_ip(99), 9);
                for (source, destination) in [
                    (stranger, SERVER),
                    (peer.addr(), SERVER),
                    (SERVER, peer.addr()),
                    (stranger, peer.addr()),
                ] {
                    world.network().inject(source, destination, &garbage(&mut stream));
                }
            })
            .await;
            assert!(world.network().trace().tallies.injected > 400);
        });
    }
}

#[test]
fn datagrams_that_were_sent_before() {
    for seed in seeds(2, &[]) {
        simulate(seed, &lossy(0.05), async |world| {
            let (client, server) = (peer_ip(0), SERVER.ip());
            world.network().overhear(client, server, 200);
            world.network().overhear(server, client, 200);
            transfers(world, seed, async |peer| {
                sleep(Duration::from_millis(20)).await;
                let stranger = SocketAddr::new(peer_ip(99), 9);
                for (from, to, source, destination) in
                    [(client, server, peer.addr(), SERVER), (server, client, SERVER, peer.addr())]
                {
                    let overheard = world.network().overheard(from, to);
                    // The oldest first, the whole of them, and once more from somewhere else.
                    for payload in overheard.iter().step_by(7) {
                        world.network().inject(source, destination, payload);
                        world.network().inject(stranger, destination, payload);
                    }
                }
            })
            .await;
            // Whole handshakes of the past open nothing.
            let visit = world.peer(0).visit().await;
            assert_eq!(visit.list("").await.expect("a listing"), ["file.bin"]);
        });
    }
}

#[test]
fn a_translator_that_takes_another_port_or_address() {
    for seed in seeds(2, &[]) {
        for ratio in [0.0, 0.1] {
            simulate(seed, &lossy(ratio), async |world| {
                let moves = std::cell::Cell::new(0_u8);
                transfers(world, seed, async |peer| {
                    sleep(Duration::from_millis(400)).await;
                    let number = moves.replace(moves.get() + 1);
                    if number < 8 {
                        let port = 2000 + u16::from(number);
                        // Another port every time, and another address every other time.
                        let public = SocketAddr::new(peer_ip(100 + number / 2), port);
                        world.network().rebind(peer.addr(), public).expect("a free address");
                    }
                })
                .await;
                assert!(moves.get() > 2);
            });
        }
    }
}
