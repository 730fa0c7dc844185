//! A server on one host, clients on others, and a link to each.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use fulmar_netsim::{
    Direction, Profile,
    virtual_net::{Network, VirtualRuntime},
};
use fulmar_transport::{
    Connection, Dialer, EndpointSeed, FrameReceiver, FrameSender, Identity, Listener, Sending, ServerTrust,
};
use tokio::time::Instant;

/// Long enough that only a hang reaches it.
pub(crate) const AMPLE: Duration = Duration::from_secs(600);

pub(crate) const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// The host of the n-th client.
pub(crate) fn host(number: u8) -> IpAddr {
    [10, 0, 1, number].into()
}

/// A link with this rate and round trip, and a queue of a round trip.
pub(crate) fn link(rate_mbit_per_s: f64, rtt_ms: f64) -> Profile {
    let both =
        Direction { rate_mbit_per_s: Some(rate_mbit_per_s), delay_ms: rtt_ms / 2.0, ..Direction::default() };
    Profile::symmetric("link", both)
}

/// A listening server.
pub(crate) struct Site {
    pub(crate) network: Network,
    listener: Listener,
    identity: Identity,
    addr: SocketAddr,
}

/// Both ends of one connection.
pub(crate) struct Pair {
    pub(crate) client: Connection,
    pub(crate) server: Connection,
    /// The client's socket.
    pub(crate) addr: SocketAddr,
    _dialer: Dialer,
}

impl Site {
    pub(crate) fn new() -> Self {
        let network = Network::new(1);
        let identity = Identity::generate().expect("it works on a network without faults");
        let socket = network.bind((SERVER, 4433).into()).expect("it works on a network without faults");
        let addr = socket.addr();
        let seed = Some(EndpointSeed([1; 32]));
        let listener = Listener::bind_with(socket, Arc::new(VirtualRuntime), &identity, seed)
            .expect("it works on a network without faults");
        Self { network, listener, identity, addr }
    }

    /// Connects the n-th client over a link of its own.
    pub(crate) async fn connect(&self, number: u8, profile: &Profile, sending: Sending) -> Pair {
        self.network.join(host(number), SERVER, profile).expect("it works on a network without faults");
        let socket =
            self.network.bind((host(number), 0).into()).expect("it works on a network without faults");
        let addr = socket.addr();
        let (key, seed) = (
            Identity::generate().expect("it works on a network without faults"),
            Some(EndpointSeed([number; 32])),
        );
        let dialer = Dialer::with_socket(socket, Arc::new(VirtualRuntime), &key, seed)
            .expect("it works on a network without faults");
        let dialer = dialer.with_sending(sending);
        let trust = ServerTrust::from(self.identity.fingerprint());
        let accept = async {
            self.listener.accept().await.expect("it works on a network without faults").finish().await
        };
        let (client, server) = tokio::join!(dialer.dial(self.addr, &trust, AMPLE), accept);
        let server = server.expect("it works on a network without faults");
        server.admit();
        Pair { client: client.expect("it works on a network without faults"), server, addr, _dialer: dialer }
    }
}

/// A stream that the client has opened: its ends at the client and at the server.
pub(crate) async fn stream(pair: &Pair) -> ((FrameSender, FrameReceiver), (FrameSender, FrameReceiver)) {
    let (mut send, receive) = pair.client.open_stream().await.expect("it works on a network without faults");
    send.send(&0u8).await.expect("it works on a network without faults");
    let (server_send, mut server_receive) =
        pair.server.accept_stream().await.expect("it works on a network without faults");
    assert_eq!(server_receive.recv::<u8>().await.expect("it works on a network without faults"), Some(0));
    ((send, receive), (server_send, server_receive))
}

/// Sends `bytes` and waits until all of them have arrived; how long that took.
pub(crate) async fn send_all(send: &mut FrameSender, receive: &mut FrameReceiver, bytes: usize) -> Duration {
    let started = Instant::now();
    let write = send.send_bytes(vec![7; bytes].into());
    let read = async {
        let mut left = bytes;
        while left > 0 {
            left -= receive.read_body_chunk(left).await.expect("it works on a network without faults").len();
        }
    };
    let (written, ()) = tokio::join!(write, read);
    written.expect("it works on a network without faults");
    started.elapsed()
}
