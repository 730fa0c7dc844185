//! `invite` and `fingerprint`: what the owner of a server's state can tell about it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use fulmar_proto::{
    DEFAULT_PORT, address::HostPort, fingerprint::Fingerprint, grants::Grants, invite::InviteUrl,
    time::Timestamp,
};
use fulmar_server::{TrustError, TrustStore};
use fulmar_store::{Clock as _, SystemClock, SystemEntropy};
use fulmar_transport::identity::{Identity, IdentityError, Role};

use crate::{
    args::{Global, InviteArgs, PublicAddress},
    exit_code::ExitCode,
    output::{Failure, Printer, hint::Hint, objects, units},
    state_dir,
};

/// How long an invite lasts unless told otherwise.
pub(crate) const DEFAULT_VALIDITY: Duration = Duration::from_secs(3600);

/// `fulmar invite`.
pub(crate) fn invite(args: &InviteArgs, global: &Global, printer: &Printer) -> Result<ExitCode, Failure> {
    let state = state_dir::locate(global.state.as_deref())?;
    let known = state_dir::server_address(&state);
    let address = match (&args.public_addr, known) {
        (Some(public), known) => with_port(public, known.map_or(DEFAULT_PORT, |known| known.port()))?,
        (None, Some(known)) => known,
        (None, None) => {
            return Err(Failure::usage("no server has used this state yet, so its address is unknown")
                .hint(Hint::run("invite --public-addr HOST[:PORT]")));
        }
    };
    let fingerprint = load_identity(&state, Role::Server)?;
    let trust = TrustStore::open(&state).map_err(|error| trust_failure(&error))?;
    let url = make(&trust, fingerprint, address, args.grants, args.expires)?.to_string();
    let expires = expiry(args.expires).and_then(units::rfc3339);
    printer.object(&objects::Invite::new(&url, args.grants.to_string(), expires));
    printer.data(&url);
    printer.note(lifetime(args.grants, args.expires));
    Ok(ExitCode::Done)
}

/// `fulmar fingerprint`.
pub(crate) fn fingerprint(client: bool, global: &Global, printer: &Printer) -> Result<ExitCode, Failure> {
    let state = state_dir::locate(global.state.as_deref())?;
    let (role, word) = if client { (Role::Client, "client") } else { (Role::Server, "server") };
    let fingerprint = load_identity(&state, role)?.to_string();
    printer.object(&objects::Fingerprint::new(word, fingerprint.clone()));
    printer.data(fingerprint);
    Ok(ExitCode::Done)
}

/// Makes an invite and records it in the state folder.
pub(crate) fn make(
    trust: &TrustStore,
    fingerprint: Fingerprint,
    address: HostPort,
    grants: Grants,
    valid_for: Duration,
) -> Result<InviteUrl, Failure> {
    let token = trust.make_invite(grants, valid_for, SystemClock.now(), &SystemEntropy);
    let token = token.map_err(|error| trust_failure(&error))?;
    Ok(InviteUrl { fingerprint, token: Some(token), address })
}

/// What an invite is good for, in words.
pub(crate) fn lifetime(grants: Grants, valid_for: Duration) -> String {
    format!("one use, valid for {}, grants {grants}", humantime::format_duration(valid_for))
}

/// The address that invites carry: the one that the operator names, else the bound one, else for a wildcard an address
/// of this machine. The second value is true for that last, guessed kind.
pub(crate) fn public_address(
    named: Option<&PublicAddress>,
    bound: SocketAddr,
) -> Result<(HostPort, bool), Failure> {
    if let Some(named) = named {
        return Ok((with_port(named, bound.port())?, false));
    }
    let guessed = bound.ip().is_unspecified();
    let ip = if guessed { own_address(bound.is_ipv6()) } else { bound.ip() };
    let address = HostPort::new(&ip.to_string(), bound.port());
    Ok((address.map_err(|error| Failure::usage(error.to_string()))?, guessed))
}

fn with_port(address: &PublicAddress, port: u16) -> Result<HostPort, Failure> {
    let address = HostPort::new(&address.host, address.port.unwrap_or(port));
    address.map_err(|error| Failure::usage(error.to_string()).about("--public-addr"))
}

/// The address that this machine would send from. Connecting a UDP socket looks the route up and sends nothing; the
/// addresses asked about are set aside for documentation (RFC 5737, RFC 3849).
fn own_address(ipv6_too: bool) -> IpAddr {
    let v4 = (IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)));
    let v6 =
        (IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
    let routes = if ipv6_too { &[v4, v6][..] } else { &[v4][..] };
    let found = routes.iter().find_map(|(from, to)| source_address(*from, *to));
    found.unwrap_or(Ipv4Addr::LOCALHOST.into())
}

fn source_address(from: IpAddr, to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((from, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

fn expiry(valid_for: Duration) -> Option<Timestamp> {
    let seconds = SystemClock.now().secs().checked_add(i64::try_from(valid_for.as_secs()).ok()?)?;
    Timestamp::new(seconds, 0).ok()
}

fn load_identity(state: &Path, role: Role) -> Result<Fingerprint, Failure> {
    let identity = Identity::load_or_create(state, role).map_err(|error| identity_failure(&error))?;
    Ok(identity.fingerprint())
}

/// What to say of an identity that cannot be used.
pub(crate) fn identity_failure(error: &IdentityError) -> Failure {
    match error {
        IdentityError::File(error) => state_dir::file_failure(error),
        other => Failure::new(ExitCode::Other, "identity", other.to_string()),
    }
}

/// What to say of lists of clients and invites that cannot be used.
pub(crate) fn trust_failure(error: &TrustError) -> Failure {
    match error {
        TrustError::File(error) => state_dir::file_failure(error),
        other => Failure::new(ExitCode::Other, "state", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> PublicAddress {
        text.parse().expect("an address")
    }

    #[test]
    fn an_invite_carries_the_named_address_or_the_bound_one() {
        let bound: SocketAddr = "127.0.0.1:41234".parse().expect("an address");
        let address =
            |named: Option<&PublicAddress>| public_address(named, bound).map(|(a, _)| a.to_string());
        assert_eq!(address(None).as_deref(), Ok("127.0.0.1:41234"));
        assert_eq!(address(Some(&public("lab"))).as_deref(), Ok("lab:41234"));
        assert_eq!(address(Some(&public("lab:99"))).as_deref(), Ok("lab:99"));
    }

    #[test]
    fn a_wildcard_is_no_address_to_invite_to() {
        for wildcard in ["0.0.0.0:4433", "[::]:4433"] {
            let (address, guessed) =
                public_address(None, wildcard.parse().expect("an address")).expect("one");
            assert!(guessed);
            let ip: IpAddr = address.host().parse().expect("an IP address");
            assert!(!ip.is_unspecified());
            assert_eq!(address.port(), 4433);
        }
    }

    #[test]
    fn an_invite_is_made_for_the_address_the_server_used_last() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let trust = TrustStore::open(dir.path()).expect("opens");
        let address: HostPort = "lab:99".parse().expect("an address");
        let url =
            make(&trust, Fingerprint([3; 32]), address.clone(), Grants::ALL, DEFAULT_VALIDITY).expect("made");
        let text = url.to_string();
        assert!(text.starts_with("fulmar://") && text.ends_with("@lab:99"), "{text}");
        assert!(url.token.is_some());
        assert_eq!(
            lifetime(Grants::ALL, DEFAULT_VALIDITY),
            "one use, valid for 1h, grants list,read,write,delete"
        );
    }
}
