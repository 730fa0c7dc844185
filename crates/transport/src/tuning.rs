//! Every transport parameter that differs from quinn's default, in one place, each with its reason.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt,
};

use crate::sending::GovernorConfig;

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// QUIC version 1 (RFC 9000), the only one spoken: drafts only widen what a stranger can reach.
pub const QUIC_VERSION: u32 = 1;

/// Packets that may overtake another before it counts as lost. At RFC 9002's 3, a few milliseconds of jitter cost four
/// fifths of the throughput; above 128 quinn drops the late packet as a duplicate anyway.
pub const PACKET_THRESHOLD: u32 = 128;

/// Round trips after which a packet counts as lost once later ones arrived. RFC 9002 section 6.1.2 has 9/8; quinn takes the
/// round trip from the newest packet acknowledged, which where packets overtake each other is an early one, so that 9/8 of it
/// falsely counted 19 % of the packets as lost at 5 ms of jitter on 50 ms, and 1.2 still 7 %.
pub const TIME_THRESHOLD: f32 = 1.25;

/// The first guess of the round-trip time. RFC 9002's 333 ms makes a lost first packet cost a second; with 50 ms it costs
/// 150, and a path that is slower only sees a packet repeated.
pub const INITIAL_RTT: Duration = Duration::from_millis(50);

/// How long after a path seemed to have stopped carrying large datagrams it is tried again (quinn: 60 s). Random loss alone
/// can look so, at 20 % within seconds, and small datagrams cost a fifth of the rate.
pub const BLACK_HOLE_COOLDOWN: Duration = Duration::from_secs(5);

/// Silence after which a connection counts as lost, on both sides. Long enough for the back-off of a handshake and for
/// an outage that a moving client survives.
pub const IDLE_TIMEOUT_MS: u32 = 60_000;

/// How often a side that hears nothing shows that it is there: often enough for any middlebox (RFC 9308 section 3.2). The
/// server does so too: when its last acknowledgement is lost, and then every later one, the client's probes come at twice
/// the distance each time until the idle timeout is over, although both are there.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Credit of one stream, in bytes: a body of 2 MiB and the frames around it, so that credit never stalls a range.
/// More on one ordered stream is dangerous: quinn closes the connection once 1,024 gaps are open on it.
pub const STREAM_RECEIVE_WINDOW: u32 = 2 * MIB + 128 * KIB;

/// The largest datagram that path discovery tries where the system does not say what the route's first link takes, in
/// bytes of UDP payload: Ethernet's 1,500 less IPv6 and UDP headers.
pub const ETHERNET_DATAGRAM_BYTES: u16 = 1452;

/// The largest datagram ever tried and taken, in bytes of UDP payload. Most of the work is per packet: on loopback, 32,000
/// took a tenth less processor time than 6,500 on a busy machine, and that half of what 1,452 takes; 65,000 no less than 32,000. The
/// socket cuts what quinn hands the kernel in one call, up to ten packets, into what the kernel takes.
pub const MAX_DATAGRAM_BYTES: u16 = 32_000;

/// What is kept of a peer's datagrams, in bytes. They are probes of one byte that nobody reads (`sending::tail`); quinn drops
/// the oldest.
pub const PROBE_BUFFER_BYTES: usize = 64;

/// Streams that a client may open before it is admitted: its Hello and a few commands right behind it.
pub const STREAMS_BEFORE_ADMISSION: u32 = 8;

/// What a server buffers of a client that is not admitted yet, in bytes over all its streams.
pub const RECEIVE_WINDOW_BEFORE_ADMISSION: u32 = 256 * KIB;

/// What a server keeps for sending to a client that is not admitted yet, in bytes: replies to Hello are short.
pub const SEND_WINDOW_BEFORE_ADMISSION: u64 = 256 * KIB as u64;

/// Commands that an admitted client may have in flight: hundreds of small files. quinn hands the reassembly buffer of a
/// closed stream on to the stream that many places later, so each place comes to hold the tables of a 2 MiB body, about
/// 100 kB: 512 places bound that to 50 MB a connection, where 1,024 were measured to take 100 MB. With 256, 10,000 files of 4 KiB over
/// 100 Mbit/s and 50 ms took 1.6 times as long as one of the same bytes, with 512 1.1 to 1.3. The stream of Hello, which stays open, comes on top.
pub const STREAMS_AFTER_ADMISSION: u32 = 512;

/// What a server buffers of an admitted client, in bytes over all its streams; less on short paths, see
/// [`FULL_WINDOW_RTT`].
pub const RECEIVE_WINDOW_AFTER_ADMISSION: u32 = 8 * MIB;

/// What a server keeps until an admitted client has acknowledged it, in bytes; more on a path that holds more, on loan.
pub const SEND_WINDOW_AFTER_ADMISSION: u64 = 16 * MIB as u64;

/// What a client buffers, in bytes over all streams. Under loss, several round trips' worth waits for its gaps. Less on
/// short paths, see [`FULL_WINDOW_RTT`].
pub const CLIENT_RECEIVE_WINDOW: u32 = 32 * MIB;

/// The shortest round trip on which a receive window is given in full; on a shorter path it is as much less. A full path
/// holds little then, and what is more waits in the receiver's socket: on loopback a window of 32 MiB overran the socket's
/// 4 MiB a dozen times per GiB, and one such burst of losses looked like a path that carries no large datagrams, which
/// cost the rest of the connection half its speed. A client's 32 MiB in 10 ms are 27 Gbit/s.
pub const FULL_WINDOW_RTT: Duration = Duration::from_millis(10);

/// A smoothed round trip above this is taken for that of the path, whatever the shortest one was: a short path's queues
/// do not reach it, since its window fits its sockets.
pub const MOVED_PATH_RTT: Duration = Duration::from_millis(30);

/// The least that a receive window becomes on a short path, in bytes: four pieces of a body, so that ranges arrive side
/// by side also where the system gives sockets no more than its usual 208 KiB.
pub const LEAST_RECEIVE_WINDOW: u32 = MIB;

/// What a client keeps until the server has acknowledged it, in bytes, including what waits behind a gap. Transfers borrow the
/// memory for what they have on their way, so this is no bound of its own.
pub const CLIENT_SEND_WINDOW: u64 = 256 * MIB as u64;

/// Handshakes that may wait to be accepted or refused.
pub const MAX_INCOMING: usize = 1024;

/// Datagrams kept for one handshake that was not accepted yet, in bytes. There is no early data, so little comes.
pub const INCOMING_BUFFER_BYTES: u64 = 64 * KIB as u64;

/// Datagrams kept for all handshakes that were not accepted yet, in bytes.
pub const INCOMING_BUFFER_TOTAL_BYTES: u64 = 16 * MIB as u64;

/// Settings of the socket side, shared by both roles. `seed` fixes quinn's own randomness, for simulations.
pub(crate) fn endpoint_config(seed: Option<[u8; 32]>) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![QUIC_VERSION]).rng_seed(seed);
    // The only error is a size below that of the first packets.
    let _ = config.max_udp_payload_size(MAX_DATAGRAM_BYTES);
    config
}

/// Settings of a server before anyone is admitted; see [`admit`].
pub(crate) fn server_config(tls: QuicServerConfig) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER_BYTES)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL_BYTES);
    config
}

/// Settings of a server for one client, on whose route datagrams may be tried up to `datagram_bytes`.
pub(crate) fn server_transport(datagram_bytes: u16, governor: Arc<GovernorConfig>) -> TransportConfig {
    let mut transport = common(datagram_bytes, governor);
    transport
        .max_concurrent_bidi_streams(STREAMS_BEFORE_ADMISSION.into())
        .receive_window(RECEIVE_WINDOW_BEFORE_ADMISSION.into())
        .send_window(SEND_WINDOW_BEFORE_ADMISSION)
        .keep_alive_interval(Some(KEEP_ALIVE));
    transport
}

/// Settings of a client, which accepts no streams: the server never opens one. On its route datagrams may be tried up to
/// `datagram_bytes`.
pub(crate) fn client_config(
    tls: QuicClientConfig,
    datagram_bytes: u16,
    governor: Arc<GovernorConfig>,
) -> ClientConfig {
    let mut transport = common(datagram_bytes, governor);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        // Raised once the round trip is known; it only ever grows.
        .receive_window(LEAST_RECEIVE_WINDOW.into())
        .send_window(CLIENT_SEND_WINDOW)
        .keep_alive_interval(Some(KEEP_ALIVE));
    let mut config = ClientConfig::new(Arc::new(tls));
    config.version(QUIC_VERSION).transport_config(Arc::new(transport));
    config
}

/// The receive window on a path with this round trip: `most` on a long one; on a short one less, but never less than
/// three quarters of what the socket can hold, since the kernel counts its own overhead too.
pub(crate) fn receive_window(most: u32, rtt: Duration, socket_bytes: usize) -> u32 {
    let share = rtt.as_micros().min(FULL_WINDOW_RTT.as_micros()) * u128::from(most);
    let by_path = u32::try_from(share / FULL_WINDOW_RTT.as_micros()).unwrap_or(most);
    let by_socket = u32::try_from(socket_bytes / 4 * 3).unwrap_or(most);
    by_path.max(by_socket).max(LEAST_RECEIVE_WINDOW).min(most)
}

/// Raises a server's limits for a client that has been admitted, all but the receive window.
pub(crate) fn admit(connection: &quinn::Connection) {
    connection.set_max_concurrent_bi_streams((STREAMS_AFTER_ADMISSION + 1).into());
    connection.set_send_window(SEND_WINDOW_AFTER_ADMISSION);
}

fn common(datagram_bytes: u16, governor: Arc<GovernorConfig>) -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(datagram_bytes.min(MAX_DATAGRAM_BYTES)).black_hole_cooldown(BLACK_HOLE_COOLDOWN);
    let mut transport = TransportConfig::default();
    transport
        .packet_threshold(PACKET_THRESHOLD)
        .time_threshold(TIME_THRESHOLD)
        .initial_rtt(INITIAL_RTT)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .stream_receive_window(STREAM_RECEIVE_WINDOW.into())
        // Without fairness a stream's repairs wait until all new data of its priority has been sent.
        .send_fairness(true)
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(Some(PROBE_BUFFER_BYTES))
        .mtu_discovery_config(Some(mtu))
        .congestion_controller_factory(governor);
    transport
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receive_windows_are_full_on_long_paths_and_fit_the_socket_on_short_ones() {
        let most = CLIENT_RECEIVE_WINDOW;
        let socket = 4 << 20;
        let window = |rtt_us, socket_bytes| receive_window(most, Duration::from_micros(rtt_us), socket_bytes);
        assert_eq!(window(10_000, socket), most);
        assert_eq!(window(500_000, socket), most);
        assert_eq!(window(5_000, socket), most / 2);
        assert!(window(9_999, socket) < most);
        assert_eq!(window(0, socket), 3 * MIB);
        assert_eq!(window(500, socket), 3 * MIB);
        assert_eq!(window(0, 0), LEAST_RECEIVE_WINDOW);
        assert_eq!(window(0, usize::MAX), most);
        assert_eq!(receive_window(100, Duration::ZERO, socket), 100);
    }
}
