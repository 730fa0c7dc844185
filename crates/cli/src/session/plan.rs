//! What `connme` comes to.

use fulmar_proto::{address::HostPort, fingerprint::Fingerprint};

use crate::config::Target;

/// What `connme` has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// There is a connection to the same server.
    Stay,
    /// There is one to another server.
    Refuse,
    /// There is one to the same server, of which another key than this is demanded now.
    OtherKey(Fingerprint),
    /// There is none.
    Connect(Target),
}

/// Decides, given the server of the connection, if there is one, and its key.
pub(super) fn plan(
    live: Option<(&HostPort, Fingerprint)>,
    wanted: Option<Target>,
    default: impl FnOnce() -> Target,
) -> Plan {
    match (live, wanted) {
        (Some(_), None) => Plan::Stay,
        (Some((server, key)), Some(wanted)) if wanted.endpoint.address() == server => match wanted.demanded()
        {
            Some(demanded) if demanded != key => Plan::OtherKey(demanded),
            _ => Plan::Stay,
        },
        (Some(_), Some(_)) => Plan::Refuse,
        (None, Some(wanted)) => Plan::Connect(wanted),
        (None, None) => Plan::Connect(default()),
    }
}

#[cfg(test)]
mod tests {
    use fulmar_client::Endpoint;

    use super::*;

    fn target(text: &str) -> Target {
        Target::from(text.parse::<Endpoint>().expect("an endpoint"))
    }

    #[test]
    fn connme_keeps_a_connection_and_never_swaps_it() {
        let lab: HostPort = "lab".parse().expect("an address");
        let default = || target("elsewhere");
        let key = Fingerprint([1; 32]);
        let live = Some((&lab, key));
        assert_eq!(plan(live, None, default), Plan::Stay);
        assert_eq!(plan(live, Some(target("LAB:4433")), default), Plan::Stay);
        assert_eq!(plan(live, Some(target("lab:1")), default), Plan::Refuse);
        // The same server by its address, of which an invite or the file demands a key.
        let other = Fingerprint([2; 32]);
        for (pin, expected) in [(key, Plan::Stay), (other, Plan::OtherKey(other))] {
            let invite = target(&format!("fulmar://{}@lab", pin.to_base32()));
            assert_eq!(plan(live, Some(invite), default), expected);
            let of_file = Target { pin: Some(pin), ..target("lab") };
            assert_eq!(plan(live, Some(of_file), default), expected);
        }
        assert_eq!(plan(None, Some(target("lab:1")), default), Plan::Connect(target("lab:1")));
        assert_eq!(plan(None, None, default), Plan::Connect(target("elsewhere")));
    }
}
