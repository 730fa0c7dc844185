//! The form of the configuration file, and what is wrong with one that does not have it.

use std::{fmt, fmt::Display, time::Duration};

use clap::ValueEnum as _;
use fulmar_client::Endpoint;
use fulmar_proto::{address::HostPort, fingerprint::Fingerprint, path::DirPath, text::Escaped};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Defaults, Host};
use crate::{
    output::progress::ProgressMode,
    remote_path::RemotePath,
    secrets::masked,
    server_name::{HostName, ServerName},
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileForm {
    defaults: DefaultsForm,
    #[serde(deserialize_with = "hosts")]
    hosts: Vec<(HostName, HostForm)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table of defaults")]
struct DefaultsForm {
    #[serde(deserialize_with = "server")]
    server: Option<ServerName>,
    #[serde(deserialize_with = "progress")]
    progress: Option<ProgressMode>,
    #[serde(deserialize_with = "duration")]
    connect_timeout: Option<Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with endpoint in it")]
struct HostForm {
    #[serde(deserialize_with = "endpoint")]
    endpoint: (HostPort, Option<Fingerprint>),
    #[serde(default, deserialize_with = "fingerprint")]
    fingerprint: Option<Fingerprint>,
    #[serde(default, deserialize_with = "directory")]
    start_dir: Option<DirPath>,
}

/// Names are the same whatever their case, so a map would lose all but one of them.
fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(HostName, HostForm)>, D::Error> {
    struct Hosts;

    impl<'de> Visitor<'de> for Hosts {
        type Value = Vec<(HostName, HostForm)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of servers")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut hosts: Self::Value = Vec::new();
            while let Some(name) = map.next_key::<HostName>()? {
                if hosts.iter().any(|(known, _)| *known == name) {
                    return Err(A::Error::custom(format!(
                        "there is a second server named {}",
                        name.as_str()
                    )));
                }
                hosts.push((name, map.next_value()?));
            }
            Ok(hosts)
        }
    }

    deserializer.deserialize_map(Hosts)
}

/// Reads the file's text, or says in one line what is wrong with it and where.
pub(super) fn parse(text: &str) -> Result<(Defaults, Vec<Host>), String> {
    let form: FileForm = toml::from_str(text).map_err(|error| complaint(text, &error))?;
    let hosts = form.hosts.into_iter().map(|(name, form)| host(name, form));
    let mut hosts = hosts.collect::<Result<Vec<Host>, _>>()?;
    hosts.sort_by_key(|host| host.name.as_str().to_ascii_lowercase());
    let DefaultsForm { server, progress, connect_timeout } = form.defaults;
    Ok((Defaults { server, progress, connect_timeout }, hosts))
}

fn host(name: HostName, form: HostForm) -> Result<Host, String> {
    let (address, pin) = form.endpoint;
    if let (Some(pin), Some(named)) = (pin, form.fingerprint)
        && pin != named
    {
        return Err(format!("hosts.{}: the endpoint pins another key than fingerprint", name.as_str()));
    }
    Ok(Host { name, address, fingerprint: form.fingerprint.or(pin), start_dir: form.start_dir })
}

/// The parser's complaint in one line, with the place that it is about.
fn complaint(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    // The parser may repeat what it did not expect, and what it did not expect may be an invite.
    let message = Escaped(&masked(&message)).to_string();
    match error.span().and_then(|span| text.get(..span.start)) {
        None => message,
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!("line {line}, column {column}: {message}")
        }
    }
}

fn text<'de, D, T, E>(deserializer: D, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: Display,
{
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

/// An invite in a file would be a secret where none is expected, and it works once only.
const SECRET: &str =
    "an invite's secret does not belong in the file: connect with it once, then name HOST:PORT here";

fn server<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ServerName>, D::Error> {
    text(deserializer, |text| {
        let server: ServerName = text.parse().map_err(|error| format!("{error}"))?;
        match &server.endpoint {
            Endpoint::Invite(invite) if invite.token.is_some() => Err(SECRET.to_owned()),
            _ => Ok(Some(server)),
        }
    })
}

/// An address, and the key of an invite without a secret.
fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(HostPort, Option<Fingerprint>), D::Error> {
    text(deserializer, |text| match text.parse() {
        Ok(Endpoint::Address(address)) => Ok((address, None)),
        Ok(Endpoint::Invite(invite)) if invite.token.is_none() => {
            Ok((invite.address, Some(invite.fingerprint)))
        }
        Ok(Endpoint::Invite(_)) => Err(SECRET.to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

fn progress<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ProgressMode>, D::Error> {
    text(deserializer, |text| {
        ProgressMode::from_str(text, false).map(Some).map_err(|_| "one of auto, bar, plain, json, none")
    })
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    text(deserializer, |text| humantime::parse_duration(text).map(Some))
}

fn fingerprint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fingerprint>, D::Error> {
    text(deserializer, |text| text.parse::<Fingerprint>().map(Some))
}

fn directory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DirPath>, D::Error> {
    text(deserializer, |text| RemotePath::resolve(&DirPath::root(), text).map(|path| Some(path.path)))
}
