//! `status`: whether there is a connection, to what, and how it fares.

use std::time::Duration;

use fulmar_client::{Limit, Phase, Session};
use fulmar_proto::text::Escaped;

use super::hosts::known_since;
use crate::{
    exit_code::ExitCode,
    output::{
        Failure,
        objects::{
            admin::{Connection, Status},
            path::Path,
        },
        table::{self, Align},
        units,
    },
    session::{Context, Mode},
};

pub(super) async fn status(context: &mut Context) -> Result<ExitCode, Failure> {
    if let Err(failure) = context.check_connectable()
        && failure.kind != "not-connected"
    {
        // That there was one until now is news, and no reason to say nothing else.
        context.printer.note(format_args!("{}: {failure}", failure.object.as_deref().unwrap_or_default()));
    }
    // In a batch this describes what is; a server that is named for later is not dialled for it.
    let is_wanted = context.server().is_some() || (context.mode == Mode::OneShot && context.is_connectable());
    let connection = match is_wanted {
        true => {
            let session = context.session().await?;
            Some(describe(context, &session).await?)
        }
        false => None,
    };
    let connme = connection.is_none().then(|| context.default_target().endpoint.address().to_string());
    let own = context.client().fingerprint().to_string();
    let local_dir = context.local_dir.to_string_lossy().into_owned();
    let status = Status::new(own, local_dir, connme, connection);
    context.printer.object(&status);
    for line in lines(&status) {
        context.printer.data(line);
    }
    Ok(ExitCode::Done)
}

async fn describe(context: &Context, session: &Session) -> Result<Connection, Failure> {
    let welcome = session.welcome().await.map_err(|error| context.failure(&error, "status"))?;
    let name = context.config.host_at(session.address()).map(|host| host.name.as_str().to_owned());
    let since = known_since(context, session.address(), session.fingerprint()).await;
    let remote_dir = format!("/{}", context.remote_dir.as_str());
    let dropped = session.dropped_datagrams().await;
    Ok(Connection::new(session, welcome, name, since, remote_dir, dropped))
}

/// The facts for people, one to a line.
fn lines(status: &Status) -> Vec<String> {
    let mut facts = match &status.connection {
        None => vec![("connection", "none".to_owned())],
        Some(connection) => connection_facts(connection),
    };
    if let Some(connme) = &status.connme {
        facts.push(("connme", format!("would connect to {connme}")));
    }
    facts.push(("local directory", Escaped(&status.local_dir).to_string()));
    facts.push(("own key", status.client.clone()));
    let rows: Vec<_> = facts.into_iter().map(|(key, value)| [key.to_owned(), value]).collect();
    table::rows([Align::Left; 2], &rows)
}

fn connection_facts(connection: &Connection) -> Vec<(&'static str, String)> {
    let Connection { addr, remote, server, fingerprint, sent_packets, lost_packets, .. } = connection;
    let name = connection.name.as_ref().map(|name| ("name", name.clone()));
    let since = connection.known_since.as_ref().map(|since| ("known since", since.clone()));
    let mut facts = vec![("connection", addr.clone())];
    facts.extend(name);
    facts.extend([
        ("address", remote.clone()),
        ("server", Escaped(server).to_string()),
        ("key", fingerprint.clone()),
    ]);
    facts.extend(since);
    facts.extend([
        ("protocol", format!("fulmar/1, minor version {}", connection.protocol_minor)),
        ("encryption", connection.encryption.to_owned()),
        ("grants", connection.grants.clone()),
        ("policies", or_none(&connection.policies)),
        ("connected for", units::duration(Duration::from_nanos(connection.connected_ns))),
        ("round trip", milliseconds(connection.rtt_ns)),
        ("best round trip", milliseconds(connection.path.min_rtt_ns)),
        ("window", units::size(connection.congestion_window_bytes)),
        ("path MTU", format!("{} bytes", connection.path_mtu_bytes)),
        (
            "packets",
            format!("{sent_packets} sent, {lost_packets} lost ({})", percent(*lost_packets, *sent_packets)),
        ),
        ("bytes", transferred(connection)),
    ]);
    facts.extend(path_facts(&connection.path));
    facts.extend([("directory", Escaped(&connection.remote_dir).to_string())]);
    facts
}

/// What the controller knows of the path to the server, and the socket at this end.
fn path_facts(path: &Path) -> Vec<(&'static str, String)> {
    let rate = |bytes_per_s| units::rate(bytes_per_s, Duration::from_secs(1));
    let known = [
        path.phase.map(|phase| ("phase", phase_words(phase).to_owned())),
        path.rate_bytes_per_s.map(|bytes_per_s| ("rate found", rate(bytes_per_s))),
        path.queue_ns.map(|nanos| ("queue", milliseconds(nanos))),
        path.jitter_ns.map(|nanos| ("jitter", milliseconds(nanos))),
        path.loss_floor.map(|ratio| ("loss floor", ratio_percent(ratio))),
        path.loss.map(|ratio| ("loss lately", ratio_percent(ratio))),
        path.limit.map(|limit| ("limited by", limit_words(limit).to_owned())),
    ];
    let mut facts = vec![("controller", path.controller.to_owned())];
    facts.extend(known.into_iter().flatten());
    facts.push(("rate cap", path.max_rate_bytes_per_s.map_or_else(|| "none".to_owned(), rate)));
    if let (Some(receive), Some(send)) = (path.receive_buffer_bytes, path.send_buffer_bytes) {
        let text = format!("{} to receive, {} to send", units::size(receive), units::size(send));
        facts.push(("socket buffers", text));
    }
    if let Some(dropped) = path.dropped_datagrams {
        facts.push(("socket drops", units::counted(dropped, "datagram", "datagrams")));
    }
    facts
}

/// What keeps this side from sending faster, in plain words.
fn limit_words(limit: Limit) -> &'static str {
    match limit {
        Limit::Startup => "nothing yet: the rate is still looked for",
        Limit::Path => "what the path carries",
        Limit::Application => "what there is to send, or the receiver takes",
        Limit::RateCap => "the rate cap",
        Limit::Rival => "a flow that fills the buffers of the path",
    }
}

/// What the controller is doing, in plain words.
fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Startup => "looking for the rate of the path",
        Phase::Cruise => "sending at the rate found",
        Phase::Probe => "trying whether the path carries more",
        Phase::Rival => "sharing the path with a flow that fills its buffers",
    }
}

pub(super) fn or_none(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Three decimals: on loopback and in a local network whole milliseconds say nothing.
pub(super) fn milliseconds(nanos: u64) -> String {
    let micros = nanos / 1000;
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

pub(super) fn ratio_percent(ratio: f64) -> String {
    format!("{:.2} %", ratio * 100.0)
}

fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

fn transferred(connection: &Connection) -> String {
    format!(
        "{} sent, {} received",
        units::size(connection.sent_bytes),
        units::size(connection.received_bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection {
            addr: "lab.example:4433".into(),
            remote: "192.0.2.7:4433".into(),
            name: Some("lab".into()),
            server: "evil\u{1b}[2J".into(),
            fingerprint: "SHA256:x".into(),
            known_since: Some("2026-11-02".into()),
            protocol_minor: 0,
            encryption: "TLS 1.3",
            grants: "list,read".into(),
            policies: vec!["read-only", "no-overwrite"],
            connected_ns: 65_000_000_000,
            rtt_ns: 12_345_678,
            congestion_window_bytes: 1_500_000,
            path_mtu_bytes: 1452,
            sent_packets: 1000,
            lost_packets: 7,
            sent_bytes: 4200,
            received_bytes: 12_582_912,
            remote_dir: "/in\u{1b}".into(),
            path: Path {
                controller: "lrc",
                phase: Some(Phase::Cruise),
                min_rtt_ns: 11_900_000,
                queue_ns: Some(445_678),
                rate_bytes_per_s: Some(12_250_000),
                loss_floor: Some(0.0069),
                loss: Some(0.0123),
                jitter_ns: Some(300_000),
                limit: Some(Limit::Path),
                max_rate_bytes_per_s: None,
                black_holes: 0,
                receive_buffer_bytes: Some(8_388_608),
                send_buffer_bytes: Some(8_388_608),
                dropped_datagrams: Some(1),
            },
        }
    }

    #[test]
    fn a_connection_is_described_line_by_line() {
        let status = Status::new("SHA256:own".into(), "/home/ada".into(), None, Some(connection()));
        let expected = "\
connection       lab.example:4433
name             lab
address          192.0.2.7:4433
server           evil\\u{1b}[2J
key              SHA256:x
known since      2026-11-02
protocol         fulmar/1, minor version 0
encryption       TLS 1.3
grants           list,read
policies         read-only, no-overwrite
connected for    1 min 5 s
round trip       12.345 ms
best round trip  11.900 ms
window           1.50 MB
path MTU         1452 bytes
packets          1000 sent, 7 lost (0.70 %)
bytes            4.20 kB sent, 12.58 MB received
controller       lrc
phase            sending at the rate found
rate found       12.2 MB/s
queue            0.445 ms
jitter           0.300 ms
loss floor       0.69 %
loss lately      1.23 %
limited by       what the path carries
rate cap         none
socket buffers   8.39 MB to receive, 8.39 MB to send
socket drops     1 datagram
directory        /in\\u{1b}
local directory  /home/ada
own key          SHA256:own";
        assert_eq!(lines(&status).join("\n"), expected);
    }

    #[test]
    fn without_a_connection_it_says_what_connme_would_do() {
        let status = Status::new("SHA256:own".into(), "/".into(), Some("lab:4433".into()), None);
        let expected = [
            "connection       none",
            "connme           would connect to lab:4433",
            "local directory  /",
            "own key          SHA256:own",
        ];
        assert_eq!(lines(&status), expected);
    }

    #[test]
    fn a_path_that_is_not_known_yet_is_described_by_what_is() {
        let fresh = Path::new(&fulmar_client::Stats::default(), None, None);
        assert_eq!(path_facts(&fresh), [("controller", "lrc".to_owned()), ("rate cap", "none".to_owned())]);
    }

    #[test]
    fn shares_of_nothing_and_of_everything() {
        assert_eq!(percent(0, 0), "0.00 %");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.00 %");
    }
}
