//! The objects of `hosts`, `clients` and `status`.

use fulmar_client::{Session, Stats};
use fulmar_proto::hello::{Policies, Welcome};
use serde::Serialize;

use super::{V, path::Path, units};

/// A server with a name, or one whose key is known. One with several keys has an object for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Host {
    pub(crate) v: u32,
    pub(crate) r#type: &'static str,
    /// None: only its key is known.
    pub(crate) name: Option<String>,
    pub(crate) addr: String,
    pub(crate) fingerprint: Option<String>,
    /// The day on which the key was accepted.
    pub(crate) known_since: Option<String>,
    /// The configuration file demands this key.
    pub(crate) pinned: bool,
    pub(crate) start_dir: Option<String>,
    /// Connected to when no server is named.
    pub(crate) default: bool,
}

impl Host {
    /// An address of which nothing else is known.
    pub(crate) fn new(addr: String) -> Self {
        Self {
            v: V,
            r#type: "host",
            name: None,
            addr,
            fingerprint: None,
            known_since: None,
            pinned: false,
            start_dir: None,
            default: false,
        }
    }
}

/// A client that is enrolled, or was until now.
#[derive(Debug, Serialize)]
pub(crate) struct Client {
    v: u32,
    r#type: &'static str,
    fingerprint: String,
    /// What it may do; of a revoked one, what it could.
    grants: String,
    name: String,
    enrolled: Option<String>,
    /// What has just been done: `added`, `granted` or `revoked`.
    change: Option<&'static str>,
}

impl Client {
    pub(crate) fn new(client: &fulmar_server::Client, change: Option<&'static str>) -> Self {
        Self {
            v: V,
            r#type: "client",
            fingerprint: client.fingerprint.to_string(),
            grants: client.grants.to_string(),
            name: client.name.clone(),
            enrolled: client.enrolled.and_then(units::rfc3339),
            change,
        }
    }
}

/// Whether there is a connection, and what is to be said about it.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    v: u32,
    r#type: &'static str,
    connected: bool,
    /// What `connme` would connect to, while there is no connection.
    pub(crate) connme: Option<String>,
    /// The fingerprint of this client's key.
    pub(crate) client: String,
    pub(crate) local_dir: String,
    #[serde(flatten)]
    pub(crate) connection: Option<Connection>,
}

impl Status {
    pub(crate) fn new(
        client: String,
        local_dir: String,
        connme: Option<String>,
        connection: Option<Connection>,
    ) -> Self {
        Self {
            v: V,
            r#type: "status",
            connected: connection.is_some(),
            connme,
            client,
            local_dir,
            connection,
        }
    }
}

/// What is known about a connection.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Connection {
    pub(crate) addr: String,
    /// The address that answered.
    pub(crate) remote: String,
    /// The name that the configuration file gives to the server.
    pub(crate) name: Option<String>,
    /// What the server calls itself, unescaped.
    pub(crate) server: String,
    pub(crate) fingerprint: String,
    pub(crate) known_since: Option<String>,
    /// The minor version that the server speaks.
    pub(crate) protocol_minor: u16,
    pub(crate) encryption: &'static str,
    /// As the server said at connecting; they may have been changed since.
    pub(crate) grants: String,
    pub(crate) policies: Vec<&'static str>,
    pub(crate) connected_ns: u64,
    pub(crate) rtt_ns: u64,
    pub(crate) congestion_window_bytes: u64,
    pub(crate) path_mtu_bytes: u16,
    pub(crate) sent_packets: u64,
    pub(crate) lost_packets: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) remote_dir: String,
    #[serde(flatten)]
    pub(crate) path: Path,
}

impl Connection {
    pub(crate) fn new(
        session: &Session,
        welcome: &Welcome,
        name: Option<String>,
        known_since: Option<String>,
        remote_dir: String,
        dropped_datagrams: Option<u64>,
    ) -> Self {
        let stats: Stats = session.stats();
        Self {
            addr: session.address().to_string(),
            remote: session.remote_addr().to_string(),
            name,
            server: welcome.server_name.as_str().to_owned(),
            fingerprint: session.fingerprint().to_string(),
            known_since,
            protocol_minor: welcome.minor,
            // Neither side offers any other version.
            encryption: "TLS 1.3",
            grants: welcome.grants.to_string(),
            policies: policy_words(welcome.policies),
            connected_ns: units::nanos(session.connected_for()),
            rtt_ns: units::nanos(stats.rtt),
            congestion_window_bytes: stats.congestion_window_bytes,
            path_mtu_bytes: stats.path_mtu_bytes,
            sent_packets: stats.sent_packets,
            lost_packets: stats.lost_packets,
            sent_bytes: stats.sent_bytes,
            received_bytes: stats.received_bytes,
            remote_dir,
            path: Path::new(&stats, session.socket_buffers(), dropped_datagrams),
        }
    }
}

/// The options of `serve` that the policies come from.
pub(crate) fn policy_words(policies: Policies) -> Vec<&'static str> {
    let words = [
        (Policies::READ_ONLY, "read-only"),
        (Policies::KEEP_EXTENSION, "keep-extension"),
        (Policies::NO_OVERWRITE, "no-overwrite"),
    ];
    words.into_iter().filter(|(policy, _)| policies.has(*policy)).map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_object_of_the_documented_form() {
        assert_eq!(
            serde_json::to_string(&Host::new("lab:4433".to_owned())).expect("encodes"),
            r#"{"v":1,"type":"host","name":null,"addr":"lab:4433","fingerprint":null,"known_since":null,"pinned":false,"start_dir":null,"default":false}"#
        );
    }

    #[test]
    fn without_a_connection_a_status_is_short() {
        let status = Status::new("SHA256:x".into(), "/home".into(), Some("lab:4433".into()), None);
        assert_eq!(
            serde_json::to_string(&status).expect("encodes"),
            r#"{"v":1,"type":"status","connected":false,"connme":"lab:4433","client":"SHA256:x","local_dir":"/home"}"#
        );
    }

    #[test]
    fn policies_are_named_as_the_options_of_serve() {
        let both = Policies::READ_ONLY.with(Policies::NO_OVERWRITE);
        assert_eq!(policy_words(both), ["read-only", "no-overwrite"]);
        assert!(policy_words(Policies::default()).is_empty());
    }
}
