//! TLS 1.3 over TCP by rustls: the cipher suite, key exchange and kind of keys that fulmar has, each side trusting one
//! certificate of the other's, no resumption.

use std::{
    fs,
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use fulmar_transport::tls::{CIPHER_SUITE, KEY_EXCHANGE, SERVER_NAME};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    server::WebPkiClientVerifier,
};

use super::stream::Wrap;

const KEY_FILE: &str = "key.der";
const OWN_FILE: &str = "own.der";
const PEER_FILE: &str = "peer.der";

/// How much is asked of the socket at once. rustls reads 4 KiB at a time; a buffer below it saves the system calls.
const READ_BYTES: usize = 256 * 1024;

/// Makes keys and certificates of both sides and puts them where [`TlsServer::load`] and [`TlsClient::load`] look.
pub(in crate::contest) fn prepare(server_state: &Path, client_state: &Path) -> Result<()> {
    let (server, client) = (make(server_state)?, make(client_state)?);
    fs::write(server_state.join(PEER_FILE), &client)?;
    fs::write(client_state.join(PEER_FILE), &server)?;
    Ok(())
}

fn make(state: &Path) -> Result<CertificateDer<'static>> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let certificate = CertificateParams::new(vec![SERVER_NAME.to_owned()])?.self_signed(&key)?;
    fs::write(state.join(KEY_FILE), key.serialize_der())?;
    fs::write(state.join(OWN_FILE), certificate.der())?;
    Ok(certificate.der().clone())
}

/// What a side's folder holds.
struct Keys {
    key: PrivateKeyDer<'static>,
    own: Vec<CertificateDer<'static>>,
    trusted: RootCertStore,
}

impl Keys {
    fn load(state: &Path) -> Result<Self> {
        let read = |name| fs::read(state.join(name)).with_context(|| format!("cannot read {name}"));
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from(read(PEER_FILE)?))?;
        let key = PrivatePkcs8KeyDer::from(read(KEY_FILE)?).into();
        Ok(Self { key, own: vec![CertificateDer::from(read(OWN_FILE)?)], trusted })
    }
}

/// Only what fulmar negotiates with itself.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CIPHER_SUITE);
    provider.kx_groups.retain(|group| group.name() == KEY_EXCHANGE);
    Arc::new(provider)
}

/// The server's end of connections.
#[derive(Debug)]
pub(super) struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    pub(super) fn load(state: &Path) -> Result<Self> {
        let keys = Keys::load(state)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(keys.trusted.into(), provider()).build()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(keys.own, keys.key)?;
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }
}

impl Wrap for TlsServer {
    type Channel = Channel;

    fn wrap(&self, socket: TcpStream) -> Result<Channel> {
        Channel::shake_hands(ServerConnection::new(Arc::clone(&self.0))?.into(), socket)
    }
}

/// The client's end of connections.
#[derive(Debug)]
pub(super) struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    pub(super) fn load(state: &Path) -> Result<Self> {
        let keys = Keys::load(state)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(keys.trusted)
            .with_client_auth_cert(keys.own, keys.key)?;
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }
}

impl Wrap for TlsClient {
    type Channel = Channel;

    fn wrap(&self, socket: TcpStream) -> Result<Channel> {
        let name = ServerName::try_from(SERVER_NAME)?;
        Channel::shake_hands(ClientConnection::new(Arc::clone(&self.0), name)?.into(), socket)
    }
}

/// A TLS connection and its socket. A whole buffer is encrypted before the socket is written to, in one call.
#[derive(Debug)]
pub(super) struct Channel {
    tls: Connection,
    incoming: BufReader<TcpStream>,
    outgoing: TcpStream,
}

impl Channel {
    fn shake_hands(mut tls: Connection, socket: TcpStream) -> Result<Self> {
        // Without a limit a write takes everything; every write is followed by sending it.
        tls.set_buffer_limit(None);
        let outgoing = socket.try_clone()?;
        let mut channel = Self { tls, incoming: BufReader::with_capacity(READ_BYTES, socket), outgoing };
        while channel.tls.is_handshaking() {
            channel.flush()?;
            if channel.tls.is_handshaking() {
                channel.take_in()?;
            }
        }
        channel.flush()?;
        let suite = channel.tls.negotiated_cipher_suite().map(|suite| suite.suite());
        ensure!(suite == Some(CIPHER_SUITE), "another cipher suite was negotiated: {suite:?}");
        Ok(channel)
    }

    /// Reads something from the socket and decrypts it.
    fn take_in(&mut self) -> io::Result<()> {
        if self.tls.read_tls(&mut self.incoming)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let state = self.tls.process_new_packets();
        state.map(drop).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.take_in()?,
                result => return result,
            }
        }
    }
}

impl Write for Channel {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let taken = self.tls.writer().write(buffer)?;
        self.flush()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.outgoing)?;
        }
        Ok(())
    }
}
