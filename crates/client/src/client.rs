//! The client: its identity, its memory of servers, and how it connects.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use fulmar_disk::{Buffers, Offload};
use fulmar_proto::{
    MINOR,
    address::HostPort,
    codec,
    fingerprint::Fingerprint,
    hello::{Congestion, EXTENSION_INVITE, Extension, Extensions, Features, Hello},
    invite::{EXPORTER_LABEL, InviteProof, InviteToken},
    range::MAX_RANGE_BYTES,
    text::Text,
};
use fulmar_transport::{
    AddMode, BytePool, Connection, DialError, Dialer, Identity, KnownHost, KnownHosts, KnownHostsError,
    Paths, Role, Sending, ServerTrust, StreamError, resolve,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    admission::greet,
    endpoint::Endpoint,
    error::{Error, Pin},
    session::Session,
};

/// The file of the state folder that holds the keys of known servers.
const KNOWN_HOSTS_FILE: &str = "known_hosts";

/// The file of the state folder that holds what was found out about paths.
const PATHS_FILE: &str = "paths";

/// How much memory for pieces of files is kept while it is not used, in bytes. In a transfer one piece goes when the next
/// comes, so a few ranges are enough.
const KEPT_BYTES: usize = 4 * MAX_RANGE_BYTES as usize;

/// How a client is set up.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The folder of the identity and of the known servers.
    pub state_dir: PathBuf,
    /// What the client calls itself, for the server's log and list of clients.
    pub name: String,
    /// How long connecting may take, from looking up the name to Welcome.
    pub connect_timeout: Duration,
    /// How many threads read, write and hash files.
    pub threads: usize,
    /// The most bytes of ranges on their way that are held in memory, over all connections.
    pub max_memory_bytes: u64,
    /// How this side sends, and what it asks of the server.
    pub sending: Sending,
    /// Whether a connection begins with what the last one to the same server has found out about the path.
    pub remember_paths: bool,
}

/// What a client holds in memory unless told otherwise, in bytes: enough for six times what a path of 1 Gbit/s and 200 ms holds.
pub const MAX_MEMORY_BYTES: u64 = 256 << 20;

impl ClientConfig {
    /// A client with this state folder: 10 s to connect, 4 threads, 256 MiB, no name. It remembers paths.
    #[must_use]
    pub fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            name: String::new(),
            connect_timeout: Duration::from_secs(10),
            threads: 4,
            max_memory_bytes: MAX_MEMORY_BYTES,
            sending: Sending::default(),
            remember_paths: true,
        }
    }
}

/// What to think of a server whose key is not in the list of known servers. An invite pins its server by itself, and a
/// key that differs from a known one is refused in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Refuse it, and say which key it offered.
    KnownOnly,
    /// Accept it, and remember it.
    RecordNew,
    /// Accept this key alone, and remember it.
    Pinned(Fingerprint),
}

/// A server that was reached and has been told Hello.
struct Reached {
    session: Session,
    /// Its key is to be remembered.
    is_new: bool,
}

/// A client. Cheap to clone; clones share their sockets and threads.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) config: ClientConfig,
    pub(crate) dialer: Dialer,
    pub(crate) offload: Offload,
    /// For the pieces of files on their way in either direction.
    pub(crate) buffers: Buffers,
    /// The memory for ranges on their way.
    pub(crate) pool: BytePool,
}

impl Client {
    /// Loads the identity of the state folder, making it first when there is none. Opens no socket. Blocks briefly on
    /// the file system.
    ///
    /// # Errors
    /// [`Error::Identity`]; [`Error::System`] when there are no threads to be had.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        let identity = Identity::load_or_create(&config.state_dir, Role::Client)?;
        let offload = Offload::threads(config.threads).map_err(Error::System)?;
        Ok(Self::with_dialer(config, Dialer::new(&identity), offload))
    }

    /// As [`Client::new`], with a dialer that is there already, such as one of a virtual network, whose identity counts;
    /// all blocking work runs through `offload`. Does nothing yet.
    #[must_use]
    pub fn with_dialer(config: ClientConfig, dialer: Dialer, offload: Offload) -> Self {
        let pool = BytePool::new(config.max_memory_bytes);
        let dialer = dialer.with_sending(config.sending);
        Self { config, dialer, offload, buffers: Buffers::new(KEPT_BYTES), pool }
    }

    /// The fingerprint of this client's key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.dialer.fingerprint()
    }

    /// Connects to a server and waits until it has admitted this client.
    ///
    /// All addresses of the host are tried, IPv6 and IPv4 raced. A key that was accepted for the first time, by an
    /// invite or by `trust`, is remembered once the server has admitted this client.
    ///
    /// # Errors
    /// [`Error::UnknownServer`], [`Error::ServerKeyChanged`], [`Error::PinNotKnown`], [`Error::PinsDiffer`],
    /// [`Error::PinNotOffered`]: nothing was sent but the handshake. [`Error::Server`]
    /// when the server refuses this client. [`Error::Dial`], [`Error::Resolve`], [`Error::NoWelcome`].
    pub async fn connect(&self, endpoint: &Endpoint, trust: &Trust) -> Result<Session, Error> {
        let reached = self.reach(endpoint, trust).await?;
        self.settle(reached).await
    }

    /// As [`Client::connect`], but does not wait for a server that is known by its key to admit this client: what is asked
    /// of the session meanwhile is sent right behind Hello, which saves a round trip. The server runs nothing of it before it
    /// has admitted this client. If it refuses, the first call on the session fails with the error that
    /// [`Client::connect`] would have failed with.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_early(&self, endpoint: &Endpoint, trust: &Trust) -> Result<Session, Error> {
        let reached = self.reach(endpoint, trust).await?;
        if reached.is_new { self.settle(reached).await } else { Ok(reached.session) }
    }

    /// Waits until a server has admitted this client, and remembers a key that is new.
    async fn settle(&self, reached: Reached) -> Result<Session, Error> {
        let Reached { session, is_new } = reached;
        session.welcome().await?;
        if is_new {
            self.remember(session.address(), session.fingerprint()).await?;
        }
        Ok(session)
    }

    /// Connects to a server and says Hello.
    async fn reach(&self, endpoint: &Endpoint, trust: &Trust) -> Result<Reached, Error> {
        let deadline = Instant::now() + self.config.connect_timeout;
        match timeout_at(deadline, self.reach_by(deadline, endpoint, trust)).await {
            Ok(result) => result,
            Err(_) => Err(Error::NoWelcome),
        }
    }

    async fn reach_by(
        &self,
        deadline: Instant,
        endpoint: &Endpoint,
        trust: &Trust,
    ) -> Result<Reached, Error> {
        let address = endpoint.address();
        let demanded = demanded(endpoint, trust)?;
        let (known, paths) = self.known(address).await?;
        let (server_trust, is_new) = demand(address, demanded, &known)?;
        let is_new = is_new && (demanded.is_some() || *trust == Trust::RecordNew);
        let dialled = self.dial(address, server_trust, trust).await;
        let connection = dialled.map_err(|error| refused(address, error, demanded, known))?;
        let token = match endpoint {
            Endpoint::Invite(invite) => invite.token.as_ref(),
            Endpoint::Address(_) => None,
        };
        connection.recall(paths.get(connection.path_key(), now_s()));
        connection.lend(self.pool.clone());
        let hello = greet(&connection, &self.hello(&connection, token)?).await?;
        let session = Session::start(self.clone(), address.clone(), connection, hello, deadline);
        Ok(Reached { session, is_new })
    }

    async fn dial(
        &self,
        address: &HostPort,
        server_trust: ServerTrust,
        trust: &Trust,
    ) -> Result<Connection, Error> {
        let within = self.config.connect_timeout;
        let addrs = resolve(address.host(), address.port()).await?;
        match self.dialer.dial_any(addrs.clone(), &server_trust, within).await {
            Err(DialError::UnknownServer(offered)) if *trust == Trust::RecordNew => {
                // The key is pinned from here on, so that the server that is recorded is the one that was reached.
                let pinned = ServerTrust::from(offered);
                self.dialer.dial_any(addrs, &pinned, within).await.map_err(Error::Dial)
            }
            Err(DialError::UnknownServer(fingerprint)) => {
                let answered = if let [one] = addrs.as_slice() { Some(*one) } else { None };
                Err(Error::UnknownServer { address: address.clone(), answered, fingerprint })
            }
            result => result.map_err(Error::Dial),
        }
    }

    fn hello(&self, connection: &Connection, token: Option<&InviteToken>) -> Result<Hello, Error> {
        let mut extensions = Vec::new();
        if let Some(token) = token {
            let exporter = connection
                .exporter(EXPORTER_LABEL, b"")
                .map_err(|_| Error::UnexpectedReply("no exporter"))?;
            let proof =
                InviteProof { id: token.id(), mac: token.key().prove(&exporter, &self.fingerprint()) };
            let frame = codec::encode_frame(&proof).map_err(StreamError::from)?;
            extensions
                .push(Extension { tag: EXTENSION_INVITE, bytes: frame[codec::PREFIX_BYTES..].to_vec() });
        }
        Ok(Hello {
            minor: MINOR,
            features: Features::EARLY_COMMIT,
            extensions: Extensions::try_from(extensions).unwrap_or_default(),
            name: Text::new(&self.config.name),
            max_rate_bytes_per_s: self.config.sending.max_rate_bytes_per_s.map(NonZeroU64::get),
            congestion: Congestion::from(self.config.sending.algorithm),
        })
    }

    /// The file that holds the keys of known servers. It need not exist.
    #[must_use]
    pub fn known_hosts_file(&self) -> PathBuf {
        self.config.state_dir.join(KNOWN_HOSTS_FILE)
    }

    /// The keys that are known for a server, and all paths that are.
    async fn known(&self, address: &HostPort) -> Result<(Vec<KnownHost>, Paths), Error> {
        let (file, address) = (self.known_hosts_file(), address.clone());
        let paths = self.paths_file();
        let look_up = move || -> Result<(Vec<KnownHost>, Paths), KnownHostsError> {
            let hosts = KnownHosts::load(&file)?;
            let known = hosts.entries().filter(|host| host.host_port == address).cloned().collect();
            Ok((known, paths.as_deref().map(Paths::load).unwrap_or_default()))
        };
        Ok(self.offload.run(look_up).await?)
    }

    /// The file for what was found out about paths, if that is remembered.
    fn paths_file(&self) -> Option<PathBuf> {
        self.config.remember_paths.then(|| self.config.state_dir.join(PATHS_FILE))
    }

    /// Keeps what a connection has found out about its path for the next one.
    pub(crate) async fn remember_path(&self, connection: &Connection) {
        let (Some(file), Some(found)) = (self.paths_file(), connection.remembered()) else { return };
        let key = connection.path_key();
        // Without it the next connection only starts as this one did.
        let _ = self.offload.run(move || Paths::add_to_file(&file, key, found, now_s())).await;
    }

    async fn remember(&self, address: &HostPort, fingerprint: Fingerprint) -> Result<(), Error> {
        let (this, address) = (self.clone(), address.clone());
        self.offload.run(move || this.trust_server(&address, fingerprint)).await
    }

    /// Remembers a server's key, durably. Blocks briefly on the file system.
    ///
    /// # Errors
    /// [`Error::KnownHosts`], also when another key is known for this server.
    pub fn trust_server(&self, address: &HostPort, fingerprint: Fingerprint) -> Result<(), Error> {
        let mut hosts = KnownHosts::load(&self.known_hosts_file())?;
        hosts.add(address, fingerprint, today(), AddMode::First)?;
        Ok(())
    }

    pub(crate) async fn goodbye(&self) {
        self.dialer.wait_idle().await;
    }
}

/// The one key that the endpoint or the caller demands.
fn demanded(endpoint: &Endpoint, trust: &Trust) -> Result<Option<Pin>, Error> {
    match (endpoint, trust) {
        (Endpoint::Invite(invite), Trust::Pinned(pin)) if invite.fingerprint != *pin => {
            Err(Error::PinsDiffer { demanded: *pin, invite: invite.fingerprint })
        }
        (Endpoint::Invite(invite), _) => Ok(Some(Pin::Invite(invite.fingerprint))),
        (Endpoint::Address(_), Trust::Pinned(pin)) => Ok(Some(Pin::Caller(*pin))),
        (Endpoint::Address(_), Trust::KnownOnly | Trust::RecordNew) => Ok(None),
    }
}

/// What to demand of the server in the handshake, and whether its key would be a new one.
fn demand(
    address: &HostPort,
    demanded: Option<Pin>,
    known: &[KnownHost],
) -> Result<(ServerTrust, bool), Error> {
    let keys: Vec<Fingerprint> = known.iter().map(|host| host.fingerprint).collect();
    match demanded {
        Some(pin) if keys.is_empty() => Ok((ServerTrust::from(pin.fingerprint()), true)),
        Some(pin) if keys.contains(&pin.fingerprint()) => Ok((ServerTrust::from(pin.fingerprint()), false)),
        Some(pin) => Err(Error::PinNotKnown { address: address.clone(), known: known.to_vec(), pin }),
        None if keys.is_empty() => Ok((ServerTrust::NothingKnown, true)),
        None => Ok((ServerTrust::Pinned(keys), false)),
    }
}

/// What a key that was refused in the handshake means: one that has changed, or one that was demanded in vain.
fn refused(address: &HostPort, error: Error, demanded: Option<Pin>, known: Vec<KnownHost>) -> Error {
    let address = address.clone();
    let Error::Dial(DialError::ServerKeyChanged { known: wanted, offered }) = error else { return error };
    // Of an unknown server, a key is wanted that was demanded, or that another of its addresses offered a moment ago.
    let pin = demanded.or_else(|| wanted.first().map(|key| Pin::Caller(*key)));
    match pin {
        Some(pin) if known.is_empty() => Error::PinNotOffered { address, pin, offered },
        _ => Error::ServerKeyChanged { address, known, offered },
    }
}

/// Seconds since 1970.
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn today() -> fulmar_transport::known_hosts::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_pins_whatever_the_caller_would_accept() {
        let fingerprint = Fingerprint([7; 32]);
        let address = "lab:4433";
        let invite: Endpoint =
            format!("fulmar://{}@{address}", fingerprint.to_base32()).parse().expect("an invite");
        let plain: Endpoint = address.parse().expect("an address");
        let other = Fingerprint([8; 32]);
        let pin = |endpoint: &Endpoint, trust: &Trust| demanded(endpoint, trust).expect("one key at most");
        for trust in [Trust::KnownOnly, Trust::RecordNew, Trust::Pinned(fingerprint)] {
            assert_eq!(pin(&invite, &trust), Some(Pin::Invite(fingerprint)));
        }
        assert_eq!(pin(&plain, &Trust::Pinned(other)), Some(Pin::Caller(other)));
        assert_eq!(pin(&plain, &Trust::RecordNew), None);
        // Two keys are demanded: whichever was taken, the other word would be broken.
        let both = demanded(&invite, &Trust::Pinned(other));
        assert!(matches!(both, Err(Error::PinsDiffer { demanded, .. }) if demanded == other));
    }

    fn known(fingerprint: Fingerprint) -> Vec<KnownHost> {
        vec![KnownHost { host_port: lab(), fingerprint, first_seen: today() }]
    }

    fn lab() -> HostPort {
        "lab:4433".parse().expect("an address")
    }

    #[test]
    fn a_demanded_key_that_is_not_the_known_one_is_refused_before_anything_is_sent() {
        let (a, b) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let refused = demand(&lab(), Some(Pin::Caller(b)), &known(a));
        assert!(matches!(refused, Err(Error::PinNotKnown { pin: Pin::Caller(pin), .. }) if pin == b));
        assert!(matches!(demand(&lab(), Some(Pin::Invite(a)), &known(a)), Ok((_, false))));
        assert!(matches!(demand(&lab(), Some(Pin::Invite(a)), &[]), Ok((_, true))));
        assert!(
            matches!(demand(&lab(), None, &known(a)), Ok((ServerTrust::Pinned(keys), false)) if keys == [a])
        );
    }

    #[test]
    fn a_key_that_was_demanded_in_vain_is_no_changed_key() {
        let (a, b) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let offered = || Error::Dial(DialError::ServerKeyChanged { known: vec![a], offered: b });
        let pin = Some(Pin::Caller(a));
        let in_vain = refused(&lab(), offered(), pin, vec![]);
        assert!(matches!(&in_vain, Error::PinNotOffered { offered, .. } if *offered == b));
        assert!(!in_vain.to_string().contains("changed"), "{in_vain}");
        for pin in [pin, None] {
            let changed = refused(&lab(), offered(), pin, known(a));
            assert!(matches!(&changed, Error::ServerKeyChanged { known: k, .. } if *k == known(a)));
            assert!(changed.to_string().contains("changed"), "{changed}");
        }
    }
}
