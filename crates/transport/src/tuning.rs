//! Every transport parameter that differs from quinn's default, in one place, each with its reason.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt,
};

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// QUIC version 1 (RFC 9000), the only one spoken: drafts only widen what a stranger can reach.
pub const QUIC_VERSION: u32 = 1;

/// Packets that may overtake another before it counts as lost. At RFC 9002's 3, a few milliseconds of jitter cost four
/// fifths of the throughput; above 128 quinn drops the late packet as a duplicate anyway.
pub const PACKET_THRESHOLD: u32 = 128;

/// Round trips after which a packet counts as lost once later ones arrived (RFC 9002 section 6.1.2: 9/8).
pub const TIME_THRESHOLD: f32 = 9.0 / 8.0;

/// The first guess of the round-trip time. RFC 9002's 333 ms makes a lost first packet cost a second; 100 ms more than
/// halves the slow handshakes under heavy loss, and a path that is slower only sees one packet repeated.
pub const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Silence after which a connection counts as lost, on both sides. Long enough for the back-off of a handshake and for
/// an outage that a moving client survives.
pub const IDLE_TIMEOUT_MS: u32 = 60_000;

/// How often an otherwise silent client shows that it is there: often enough for any middlebox (RFC 9308 section 3.2).
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Credit of one stream, in bytes: a body of 2 MiB and the frames around it, so that credit never stalls a range.
/// More on one ordered stream is dangerous: quinn closes the connection once 1,024 gaps are open on it.
pub const STREAM_RECEIVE_WINDOW: u32 = 2 * MIB + 128 * KIB;

/// The largest datagram that path discovery tries, in bytes of UDP payload: Ethernet's 1,500 less IPv6 and UDP headers.
pub const MAX_DATAGRAM_BYTES: u16 = 1452;

/// Streams that a client may open before it is admitted: its Hello and a few commands right behind it.
pub const STREAMS_BEFORE_ADMISSION: u32 = 8;

/// What a server buffers of a client that is not admitted yet, in bytes over all its streams.
pub const RECEIVE_WINDOW_BEFORE_ADMISSION: u32 = 256 * KIB;

/// What a server keeps for sending to a client that is not admitted yet, in bytes: replies to Hello are short.
pub const SEND_WINDOW_BEFORE_ADMISSION: u64 = 256 * KIB as u64;

/// Commands that an admitted client may have in flight: hundreds of small files. quinn hands the reassembly buffer of a
/// closed stream on to the stream that many places later, so each place comes to hold the tables of a 2 MiB body, about
/// 100 kB: 256 places bound that to 25 MB a connection, where 1,024 were measured to take 100 MB. The stream of Hello, which stays open, comes on top.
pub const STREAMS_AFTER_ADMISSION: u32 = 256;

/// What a server buffers of an admitted client, in bytes over all its streams.
pub const RECEIVE_WINDOW_AFTER_ADMISSION: u32 = 8 * MIB;

/// What a server keeps until an admitted client has acknowledged it, in bytes.
pub const SEND_WINDOW_AFTER_ADMISSION: u64 = 16 * MIB as u64;

/// What a client buffers, in bytes over all streams. Under loss, several round trips' worth waits for its gaps.
pub const CLIENT_RECEIVE_WINDOW: u32 = 32 * MIB;

/// What a client keeps until the server has acknowledged it, in bytes, including what waits behind a gap.
pub const CLIENT_SEND_WINDOW: u64 = 32 * MIB as u64;

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
    config
}

/// Settings of a server before anyone is admitted; see [`admit`].
pub(crate) fn server_config(tls: QuicServerConfig) -> ServerConfig {
    let mut transport = common();
    transport
        .max_concurrent_bidi_streams(STREAMS_BEFORE_ADMISSION.into())
        .receive_window(RECEIVE_WINDOW_BEFORE_ADMISSION.into())
        .send_window(SEND_WINDOW_BEFORE_ADMISSION);
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER_BYTES)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL_BYTES);
    config
}

/// Settings of a client, which accepts no streams: the server never opens one.
pub(crate) fn client_config(tls: QuicClientConfig) -> ClientConfig {
    let mut transport = common();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .receive_window(CLIENT_RECEIVE_WINDOW.into())
        .send_window(CLIENT_SEND_WINDOW)
        .keep_alive_interval(Some(KEEP_ALIVE));
    let mut config = ClientConfig::new(Arc::new(tls));
    config.version(QUIC_VERSION).transport_config(Arc::new(transport));
    config
}

/// Raises a server's limits for a client that has been admitted.
pub(crate) fn admit(connection: &quinn::Connection) {
    connection.set_max_concurrent_bi_streams((STREAMS_AFTER_ADMISSION + 1).into());
    connection.set_receive_window(RECEIVE_WINDOW_AFTER_ADMISSION.into());
    connection.set_send_window(SEND_WINDOW_AFTER_ADMISSION);
}

fn common() -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MAX_DATAGRAM_BYTES);
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
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(mtu))
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    transport
}
