//! Listening, dialling, racing addresses, and saying no; on loopback.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::*;
use fulmar_proto::code::CloseCode;
use fulmar_transport::{
    BindError, Connection, ConnectionLost, DialError, Dialer, EndpointSeed, Identity, Listener, ResolveError,
    ServerTrust, resolve, socket, tuning,
};
use quinn::{Runtime, TokioRuntime};

/// Far longer than loopback needs, short enough to wait for.
const SHORT: Duration = Duration::from_millis(600);

/// A socket that takes packets and never answers.
fn dead() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(loopback()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

#[tokio::test]
async fn the_race_gets_past_an_address_that_does_not_answer() {
    let identity = Identity::generate().unwrap();
    let (listener, addr) = listen(&identity);
    serve(&listener);
    let (_dead, dead_addr) = dead();
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let trust = identity.fingerprint().into();
    // From a task of its own, as a library's user would.
    let dial = async move { dialer.dial_any(vec![dead_addr, addr], &trust, AMPLE).await };
    let connection = tokio::spawn(dial).await.unwrap().unwrap();
    assert_eq!(connection.remote_addr(), addr);
    assert_eq!(connection.peer(), identity.fingerprint());
}

#[tokio::test]
async fn the_race_closes_the_attempt_that_lost() {
    let identity = Identity::generate().unwrap();
    let (slow, slow_addr) = listen(&identity);
    let (fast, fast_addr) = listen(&identity);
    serve(&fast);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let trust = identity.fingerprint().into();
    let connection = dialer.dial_any(vec![slow_addr, fast_addr], &trust, AMPLE).await.unwrap();
    assert_eq!(connection.remote_addr(), fast_addr);
    // The slow server answers only now, to a client that has gone: there must be no second connection.
    let lost = slow.accept().await.unwrap().finish().await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(connection.close_reason(), None);
}

#[tokio::test]
async fn an_untrusted_key_wins_over_an_address_that_does_not_answer() {
    let identity = Identity::generate().unwrap();
    let (listener, addr) = listen(&identity);
    serve(&listener);
    let (_dead, dead_addr) = dead();
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let trust = Identity::generate().unwrap().fingerprint().into();
    let error = dialer.dial_any(vec![dead_addr, addr], &trust, AMPLE).await.unwrap_err();
    assert!(
        matches!(&error, DialError::ServerKeyChanged { offered, .. } if *offered == identity.fingerprint()),
        "{error:?}"
    );
}

#[tokio::test]
async fn when_all_fail_the_most_telling_failure_is_reported() {
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let ((_a, a), (_b, b)) = (dead(), dead());
    let trust = ServerTrust::NothingKnown;
    let error = dialer.dial_any(vec![a, b], &trust, SHORT).await.unwrap_err();
    assert!(matches!(error, DialError::NoAnswer), "{error:?}");

    let (listener, addr) = listen(&Identity::generate().unwrap());
    let port_zero = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (refused, ()) = tokio::join!(dialer.dial_any(vec![port_zero, addr], &trust, AMPLE), async {
        listener.accept().await.unwrap().refuse();
    });
    assert!(matches!(refused, Err(DialError::Refused)), "{refused:?}");

    let error = dialer.dial_any(Vec::new(), &trust, AMPLE).await.unwrap_err();
    assert!(matches!(error, DialError::NoAddress), "{error:?}");
    let error = dialer.dial_any(vec![port_zero], &trust, AMPLE).await.unwrap_err();
    assert!(matches!(error, DialError::BadAddress(addr) if addr == port_zero), "{error:?}");
}

#[tokio::test]
async fn an_attempt_can_be_refused_ignored_or_asked_for_proof() {
    let identity = Identity::generate().unwrap();
    let (listener, addr) = listen(&identity);
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let trust = ServerTrust::from(identity.fingerprint());

    let (client, ()) = tokio::join!(dialer.dial(addr, &trust, AMPLE), async {
        listener.accept().await.unwrap().refuse();
    });
    assert!(matches!(client, Err(DialError::Refused)), "{client:?}");

    let (client, ()) = tokio::join!(dialer.dial(addr, &trust, AMPLE), async {
        let first = listener.accept().await.unwrap();
        assert!(!first.remote_validated());
        first.retry();
        let second = listener.accept().await.unwrap();
        assert!(second.remote_validated());
        second.finish().await.unwrap();
    });
    client.unwrap();

    let (client, ()) = tokio::join!(dialer.dial(addr, &trust, SHORT), async {
        listener.accept().await.unwrap().ignore();
    });
    assert!(matches!(client, Err(DialError::NoAnswer)), "{client:?}");
}

#[tokio::test]
async fn the_wildcard_serves_ipv4_and_shows_its_clients_as_such() {
    let identity = Identity::generate().unwrap();
    let listener = Listener::bind("[::]:0".parse().unwrap(), &identity).unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialer = Dialer::new(&Identity::generate().unwrap());
    let trust = ServerTrust::from(identity.fingerprint());
    let mut addrs = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if socket::ipv6_available() {
        addrs.push(format!("[::1]:{port}").parse().unwrap());
        addrs.push(format!("[::ffff:127.0.0.1]:{port}").parse().unwrap());
    }
    for addr in addrs {
        let accept = async {
            let incoming = listener.accept().await.unwrap();
            let claimed = incoming.remote_addr();
            (claimed, incoming.finish().await.unwrap())
        };
        let (client, (claimed, server)) = tokio::join!(dialer.dial(addr, &trust, AMPLE), accept);
        client.unwrap();
        assert_eq!(server.remote_addr().ip(), addr.ip().to_canonical());
        assert_eq!(claimed, server.remote_addr());
    }
}

#[tokio::test]
async fn buffers_are_read_back_on_both_ends() {
    let pair = pair().await;
    let listening = pair.listener.socket_buffers().unwrap();
    assert!(listening.receive_bytes > 0 && listening.send_bytes > 0, "{listening:?}");
    assert_eq!(pair.dialer.socket_buffers(), Some(listening), "both ask for the same");
    assert_eq!(Dialer::new(&Identity::generate().unwrap()).socket_buffers(), None);
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_it() {
    let identity = Identity::generate().unwrap();
    let (_listener, addr) = listen(&identity);
    let error = Listener::bind(addr, &identity).unwrap_err();
    assert!(matches!(&error, BindError::Socket { addr: a, .. } if *a == addr), "{error:?}");
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn closing_an_endpoint_tells_the_peers_and_leaves_nothing_open() {
    let pair = pair().await;
    assert_eq!(pair.listener.open_connections(), 1);
    pair.listener.close(CloseCode::SHUTTING_DOWN, "bye");
    let expected = ConnectionLost::ClosedByPeer { code: CloseCode::SHUTTING_DOWN, reason: "bye".into() };
    assert_eq!(pair.client.closed().await, expected);
    pair.listener.wait_idle().await;
    assert_eq!(pair.listener.open_connections(), 0);
    assert!(pair.listener.accept().await.is_none());

    pair.dialer.close(CloseCode::DONE, "");
    pair.dialer.wait_idle().await;
    let addr = pair.listener.local_addr().unwrap();
    let error = pair.dialer.dial(addr, &ServerTrust::NothingKnown, AMPLE).await.unwrap_err();
    assert!(matches!(error, DialError::Closed), "{error:?}");
}

#[tokio::test]
async fn open_connections_survive_the_end_of_accepting_and_new_ones_get_no_answer() {
    let pair = pair().await;
    pair.listener.stop_accepting();
    let addr = pair.listener.local_addr().unwrap();
    let error = pair.dialer.dial(addr, &ServerTrust::NothingKnown, SHORT).await.unwrap_err();
    assert!(matches!(error, DialError::NoAnswer), "{error:?}");
    let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    send.send(&5u8).await.unwrap();
    assert_eq!(server_receive.recv::<u8>().await.unwrap(), Some(5));
}

#[tokio::test]
async fn an_address_is_resolved_without_waiting_for_a_thread() {
    for text in ["127.0.0.1", "::1"] {
        let mut resolving = pin!(resolve(text, 4433));
        let answer = resolving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(answer, Poll::Ready(Ok(_))), "{text}");
    }
}

#[tokio::test]
async fn addresses_resolve_to_themselves_once() {
    for text in ["127.0.0.1", "::1"] {
        let expected = SocketAddr::new(text.parse().unwrap(), 4433);
        assert_eq!(resolve(text, 4433).await.unwrap(), [expected]);
    }
    // Refused before any name server is asked.
    assert!(matches!(resolve("nul\0byte", 1).await, Err(ResolveError::Lookup { .. })));
}

#[tokio::test]
async fn both_ends_work_on_sockets_that_the_caller_brings() {
    let socket = || {
        let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime);
        (runtime.wrap_udp_socket(UdpSocket::bind(loopback()).unwrap()).unwrap(), runtime)
    };
    let identity = Identity::generate().unwrap();
    let (server_socket, runtime) = socket();
    let listener =
        Listener::bind_with(server_socket, runtime, &identity, Some(EndpointSeed([1; 32]))).unwrap();
    let (client_socket, runtime) = socket();
    let dialer = Dialer::with_socket(client_socket, runtime, &Identity::generate().unwrap(), None).unwrap();
    serve(&listener);
    let addr = listener.local_addr().unwrap();
    let connection = dialer.dial(addr, &identity.fingerprint().into(), AMPLE).await.unwrap();
    let (mut send, mut receive) = connection.open_stream().await.unwrap();
    send.send(&9u8).await.unwrap();
    assert_eq!(receive.recv::<u8>().await.unwrap(), Some(9));
    assert_eq!(listener.socket_buffers(), None);
}

#[tokio::test]
async fn datagrams_grow_as_far_as_the_route_and_the_tuning_allow() {
    let Some(mtu) = loopback_mtu() else {
        println!("skipped: this system does not tell the loopback interface's MTU");
        return;
    };
    let limit = tuning::MAX_DATAGRAM_BYTES.min(u16::try_from(mtu - 28).unwrap_or(u16::MAX));
    let pair = pair().await;
    assert!(pair.client.stats().path_mtu_bytes < limit, "the first packets are small");
    // Path discovery probes when there is nothing else to send, and tells nobody when it is done; so it is given round
    // trips until both ends have come within its smallest step.
    let grown = |connection: &Connection| connection.stats().path_mtu_bytes + 20 >= limit;
    let ((mut ask, mut answers), (mut answer, mut asked)) = stream(&pair).await;
    let grow = async {
        while !(grown(&pair.client) && grown(&pair.server)) {
            ask.send(&1u8).await.unwrap();
            assert_eq!(asked.recv::<u8>().await.unwrap(), Some(1));
            answer.send(&2u8).await.unwrap();
            assert_eq!(answers.recv::<u8>().await.unwrap(), Some(2));
        }
    };
    let grew = tokio::time::timeout(AMPLE, grow).await;
    let reached = [&pair.client, &pair.server].map(|end| end.stats().path_mtu_bytes);
    assert!(grew.is_ok(), "{reached:?} of {limit}");
    assert!(reached.iter().all(|mtu| *mtu <= limit), "{reached:?} of {limit}");
}

fn loopback_mtu() -> Option<u32> {
    std::fs::read_to_string("/sys/class/net/lo/mtu").ok()?.trim().parse().ok()
}
