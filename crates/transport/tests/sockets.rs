//! What only sockets of the system show.
#![allow(clippy::unwrap_used, reason = "a failure of the rig fails the test")]

mod common;

use std::num::NonZeroU64;

use common::{AMPLE, listen};
use fulmar_transport::{Algorithm, Connection, Dialer, Identity, Sending, ServerTrust};
use tokio::sync::watch;

/// Sends until the other side wants no more.
async fn send_for_ever(server: Connection) {
    let (mut send, _receive) = server.accept_stream().await.unwrap();
    while send.send_bytes(vec![7; 64 << 10].into()).await.is_ok() {}
}

/// Asks for bytes and counts them, until `enough` of them are there or somebody has enough. How many there were.
async fn count(client: Connection, enough: usize, over: watch::Sender<bool>) -> usize {
    let (mut ask, mut receive) = client.open_stream().await.unwrap();
    ask.send(&1u8).await.unwrap();
    let mut stop = over.subscribe();
    let mut bytes = 0;
    while bytes < enough {
        tokio::select! {
            chunk = receive.read_body_chunk(64 << 10) => bytes += chunk.unwrap().len(),
            _ = stop.wait_for(|over| *over) => return bytes,
        }
    }
    over.send_replace(true);
    bytes
}

#[tokio::test]
async fn three_clients_of_one_socket_are_served_at_three_rates_at_once() {
    let identity = Identity::generate().unwrap();
    let (listener, addr) = listen(&identity);
    let trust = ServerTrust::from(identity.fingerprint());
    let over = watch::Sender::new(false);
    let mut clients = Vec::new();
    for cap_bytes_per_s in [500_000, 1_000_000, 2_000_000] {
        let dialer = Dialer::new(&Identity::generate().unwrap());
        let accept = async { listener.accept().await.unwrap().finish().await };
        let (client, server) = tokio::join!(dialer.dial(addr, &trust, AMPLE), accept);
        let server = server.unwrap();
        let max_rate_bytes_per_s = NonZeroU64::new(cap_bytes_per_s);
        server.set_sending(Sending { algorithm: Algorithm::Lrc, max_rate_bytes_per_s });
        server.admit();
        tokio::spawn(send_for_ever(server));
        clients.push((dialer, client.unwrap()));
    }
    let [slow, middle, fast] = &clients[..] else { unreachable!() };
    let count = |client: &(Dialer, Connection)| count(client.1.clone(), 3_000_000, over.clone());
    let bytes = tokio::join!(count(slow), count(middle), count(fast));
    // Relations only: how long all of it takes is up to the machine.
    assert_eq!(bytes.2.min(3_000_000), 3_000_000, "{bytes:?}");
    let of_the_fastest = |bytes: usize| bytes as f64 / 3e6;
    assert!((0.18..0.32).contains(&of_the_fastest(bytes.0)), "{bytes:?}");
    assert!((0.4..0.6).contains(&of_the_fastest(bytes.1)), "{bytes:?}");
}
