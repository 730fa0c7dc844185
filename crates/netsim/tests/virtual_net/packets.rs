//! Bare sockets: what becomes of single datagrams.

use std::{
    future::poll_fn,
    io::{ErrorKind, IoSliceMut},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use fulmar_netsim::{
    Direction, Profile,
    virtual_net::{self, Network, PacketFate, Socket},
};
use quinn::{
    AsyncUdpSocket,
    udp::{EcnCodepoint, RecvMeta, Transmit},
};

use crate::rig::{addr, client, hosts, server, wire};

fn send(socket: &Socket, destination: SocketAddr, contents: &[u8], segment_size: Option<usize>) {
    let ecn = Some(EcnCodepoint::Ect0);
    let transmit = Transmit { destination, ecn, contents, segment_size, src_ip: None };
    socket.try_send(&transmit).expect("a virtual socket takes everything");
}

/// The next datagrams that a socket has: at least one.
async fn receive(socket: &Socket) -> Vec<(RecvMeta, Vec<u8>)> {
    let mut buffers = vec![[0; 2000]; 32];
    let mut metas = [RecvMeta::default(); 32];
    let received = poll_fn(|cx| {
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        socket.poll_recv(cx, &mut slices, &mut metas)
    });
    let count = received.await.expect("an open socket");
    (0..count).map(|index| (metas[index], buffers[index][..metas[index].len].to_vec())).collect()
}

fn pair(profile: &Profile) -> (Network, Arc<Socket>, Arc<Socket>) {
    let network = Network::new(1);
    network.join(hosts().0, hosts().1, profile).expect("in range");
    network.keep_records();
    let sockets = (network.bind(client()).expect("free"), network.bind(server()).expect("free"));
    (network, sockets.0, sockets.1)
}

/// When the link said that each packet would arrive, in the order of sending.
fn promised(network: &Network) -> Vec<Duration> {
    let times = network.trace().records.into_iter().filter_map(|record| match record.fate {
        PacketFate::Delivered { at, .. } => Some(at),
        _ => None,
    });
    times.collect()
}

#[test]
fn no_packet_is_early_nor_a_whole_step_late() {
    let jittery = Direction { delay_ms: 10.3, jitter_ms: 5.0, reordering: true, ..Direction::default() };
    virtual_net::run(async {
        let (network, below, above) = pair(&Profile::symmetric("jittery", jittery));
        tokio::spawn(async move {
            for number in 0..200_u8 {
                send(&below, server(), &[number], None);
                if number % 7 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            std::future::pending::<()>().await;
        });
        let mut arrived = 0;
        while arrived < 200 {
            let (received, promised) = (receive(&above).await, promised(&network));
            for (_, payload) in received {
                let (now, at) = (network.elapsed(), promised[usize::from(payload[0])]);
                assert!(now >= at && now - at <= Duration::from_millis(1), "{now:?} instead of {at:?}");
                arrived += 1;
            }
        }
    });
}

#[test]
fn what_cannot_overtake_arrives_in_order() {
    let both =
        Direction { delay_ms: 10.0, jitter_ms: 9.0, rate_mbit_per_s: Some(5.0), ..Direction::default() };
    virtual_net::run(async {
        let (_network, below, above) = pair(&Profile::symmetric("fifo", both));
        let mut expected = 0;
        for number in 0..8_u8 {
            send(&below, server(), &[number; 1000], None);
        }
        while expected < 8 {
            for (_, payload) in receive(&above).await {
                assert_eq!(payload, [expected; 1000]);
                expected += 1;
            }
        }
    });
}

#[test]
fn every_packet_of_a_batch_meets_the_link_by_itself() {
    let small = Direction { mtu_bytes: Some(1000), ..Direction::default() };
    virtual_net::run(async {
        let (network, below, above) = pair(&Profile::symmetric("small", small));
        assert!(below.max_transmit_segments() >= 10 && !below.may_fragment());
        // 972 bytes fill an IPv4 packet of 1,000; 973 are one too many.
        send(&below, server(), &[1; 972 * 3 + 10], Some(972));
        send(&below, server(), &[2; 973 * 2], Some(973));
        let mut lengths = Vec::new();
        while lengths.len() < 4 {
            lengths.extend(receive(&above).await.iter().map(|(_, payload)| payload.len()));
        }
        assert_eq!(lengths, [972, 972, 972, 10]);
        let (up, _) = network.counters(hosts().0, hosts().1).expect("a link");
        assert_eq!((up.delivered_packets, up.lost_too_big_packets), (4, 2));
    });
}

#[test]
fn a_packet_says_where_it_comes_from_and_keeps_its_marks() {
    virtual_net::run(async {
        let (network, below, above) = pair(&wire(1.0));
        send(&below, server(), b"hello", None);
        let (meta, payload) = receive(&above).await.remove(0);
        assert_eq!((meta.addr, meta.ecn, payload), (client(), Some(EcnCodepoint::Ect0), b"hello".to_vec()));
        assert_eq!(meta.dst_ip, Some(server().ip()));
        let public = addr("192.0.2.1:9");
        network.rebind(client(), public).expect("free");
        send(&below, server(), b"again", None);
        assert_eq!(receive(&above).await[0].0.addr, public);
        // Only the new address leads back.
        send(&above, client(), b"to the old one", None);
        send(&above, public, b"to the new one", None);
        assert_eq!(receive(&below).await[0].1, b"to the new one");
        assert_eq!(network.trace().tallies.nobody_there, 1);
    });
}

#[test]
fn hosts_behind_one_public_address_keep_their_own_links() {
    virtual_net::run(async {
        let (network, near, above) = pair(&wire(1.0));
        let far = network.bind(addr("10.0.0.3:5000")).expect("free");
        network.join(far.addr().ip(), server().ip(), &wire(100.0)).expect("in range");
        for (socket, public) in [(&near, "192.0.2.1:1"), (&far, "192.0.2.1:2")] {
            network.rebind(socket.addr(), addr(public)).expect("free");
        }
        send(&above, addr("192.0.2.1:2"), b"far", None);
        send(&above, addr("192.0.2.1:1"), b"near", None);
        assert_eq!(receive(&near).await[0].1, b"near");
        assert_eq!(network.elapsed().as_millis(), 1);
        assert_eq!(receive(&far).await[0].1, b"far");
        assert_eq!(network.elapsed().as_millis(), 100);
    });
}

#[test]
#[should_panic(expected = "within a day")]
fn a_run_that_hangs_is_ended() {
    virtual_net::run(std::future::pending::<()>());
}

#[test]
fn both_address_families_are_carried() {
    virtual_net::run(async {
        let network = Network::new(1);
        network.join_others(&wire(1.0)).expect("in range");
        let (v6, v4) = (addr("[2001:db8::1]:1"), addr("10.0.0.3:3"));
        let (six, four) = (network.bind(v6).expect("free"), network.bind(v4).expect("free"));
        send(&six, addr("[::ffff:10.0.0.3]:3"), b"down", None);
        assert_eq!(receive(&four).await[0].0.addr, v6);
        send(&four, v6, b"up", None);
        // As a dual-stack socket of the system shows it.
        assert_eq!(receive(&six).await[0].0.addr, addr("[::ffff:10.0.0.3]:3"));
    });
}

#[test]
fn packets_vanish_where_no_link_leads_or_nobody_is() {
    virtual_net::run(async {
        let (network, below, above) = pair(&wire(5.0));
        send(&below, addr("10.9.9.9:9"), b"no link", None);
        send(&below, addr("10.0.0.1:1"), b"nobody", None);
        send(&below, server(), b"gone meanwhile", None);
        drop(above);
        tokio::time::sleep(Duration::from_millis(10)).await;
        let tallies = network.trace().tallies;
        assert_eq!((tallies.sent, tallies.no_link, tallies.nobody_there), (3, 1, 2), "{tallies:?}");
    });
}

#[test]
fn addresses_are_bound_once_and_free_after_the_socket() {
    virtual_net::run(async {
        let network = Network::new(1);
        let kind =
            |at: &str| network.bind(addr(at)).map(|socket| socket.addr()).map_err(|error| error.kind());
        let first = network.bind(client()).expect("free");
        assert_eq!(kind("10.0.0.2:5000"), Err(ErrorKind::AddrInUse));
        assert_eq!(kind("0.0.0.0:5000"), Err(ErrorKind::AddrNotAvailable));
        assert_eq!(kind("10.0.0.2:0"), Ok(addr("10.0.0.2:49152")));
        network.rebind(client(), addr("10.0.0.2:7000")).expect("free");
        assert_eq!(kind("10.0.0.2:7000"), Err(ErrorKind::AddrInUse));
        drop(first);
        assert_eq!(kind("10.0.0.2:7000"), Ok(addr("10.0.0.2:7000")));
        let second = network.bind(client()).expect("free again");
        assert_eq!(second.local_addr().expect("an address"), client());
    });
}

#[test]
fn a_socket_that_was_closed_is_not_the_next_one_at_its_address() {
    virtual_net::run(async {
        let (network, below, above) = pair(&wire(1.0));
        assert!(network.close(server()));
        let next = network.bind(server()).expect("free");
        send(&above, client(), b"from the dead", None);
        send(&below, server(), b"to the living", None);
        assert_eq!(receive(&next).await[0].1, b"to the living");
        assert_eq!(network.trace().tallies.sent, 1);
        // Dropping the closed one leaves the new one open.
        drop(above);
        assert!(network.close(server()));
    });
}
