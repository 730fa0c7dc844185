//! What a person is told about a server's key, and what of the answers is consent.

use std::net::{IpAddr, SocketAddr};

use fulmar_client::KnownHost;
use fulmar_proto::{address::HostPort, fingerprint::Fingerprint};

use crate::{exit_code::ExitCode, output::Failure};

/// What is asked last, behind [`question`].
pub(crate) const PROMPT: &str = "yes / no / paste the fingerprint: ";

/// The question about a key that is not known. The fingerprint has a line of its own, to be compared and copied; the
/// other lines are short enough for a narrow terminal.
pub(crate) fn question(address: &HostPort, answered: Option<SocketAddr>, fingerprint: Fingerprint) -> String {
    let answered = answered.map(|from| from.ip()).filter(|ip| address.host().parse::<IpAddr>() != Ok(*ip));
    let from = answered.map_or_else(String::new, |ip| format!(" ({ip})"));
    format!(
        "The server {address}{from}\nis not known yet. Its key:\n  {fingerprint}\n\
         Compare it with what the server printed\nat its start, or what\n`fulmar fingerprint` prints there.\nTrust this key?"
    )
}

/// Whether the answer is consent. Only a whole `yes` or the fingerprint itself is; just pressing Enter is not.
pub(crate) fn consent(answer: &str, fingerprint: Fingerprint) -> Result<(), Failure> {
    let answer = answer.trim();
    if answer.eq_ignore_ascii_case("yes") || answer.parse() == Ok(fingerprint) {
        return Ok(());
    }
    let refused = |message: &str| Failure::new(ExitCode::Untrusted, "server-untrusted", message);
    if answer.parse::<Fingerprint>().is_ok() {
        return Err(refused("the key was not accepted: that is another fingerprint")
            .hint("ask whoever runs the server: somebody else may have answered in its place"));
    }
    let refused = refused("the key was not accepted");
    match answer.to_ascii_lowercase().as_str() {
        "" | "no" | "n" => Err(refused),
        _ => Err(refused.hint("connect again; only a whole yes, or the fingerprint, accepts a key")),
    }
}

/// What stands above the error when a known server has another key than before.
pub(crate) fn changed_banner(address: &HostPort, known: &[KnownHost], offered: Fingerprint) -> String {
    let known = known.iter().map(|host| format!("  known since {}  {}\n", host.first_seen, host.fingerprint));
    let known: String = known.collect();
    format!("SERVER KEY CHANGED for {address}\n{known}  offered now             {offered}\nNothing was sent.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> HostPort {
        "lab.example:4433".parse().expect("an address")
    }

    #[test]
    fn only_a_whole_yes_or_the_fingerprint_is_consent() {
        let fingerprint = Fingerprint([7; 32]);
        for answer in ["yes\n", " YES ", &fingerprint.to_string()] {
            assert!(consent(answer, fingerprint).is_ok(), "{answer}");
        }
        for answer in ["", "y", "no", "yes please", &Fingerprint([8; 32]).to_string()] {
            let refused = consent(answer, fingerprint).expect_err(answer);
            assert_eq!(refused.code, ExitCode::Untrusted);
            assert!(refused.message.starts_with("the key was not accepted"), "{answer}");
        }
        let half = consent("y", fingerprint).expect_err("no consent");
        assert!(half.shown_hint().is_some_and(|hint| hint.contains("a whole yes")));
        let other = consent(&Fingerprint([8; 32]).to_string(), fingerprint).expect_err("another");
        assert!(other.message.contains("another fingerprint"));
    }

    #[test]
    fn the_question_names_the_address_that_answered() {
        let fingerprint = Fingerprint([7; 32]);
        let from: SocketAddr = "192.0.2.7:4433".parse().expect("an address");
        let text = question(&lab(), Some(from), fingerprint);
        assert!(text.starts_with("The server lab.example:4433 (192.0.2.7)\nis not known yet."), "{text}");
        assert!(text.contains(&format!("\n  {fingerprint}\n")), "{text}");
        let bare: HostPort = "192.0.2.7:4433".parse().expect("an address");
        assert!(question(&bare, Some(from), fingerprint).starts_with("The server 192.0.2.7:4433\nis not"));
    }

    #[test]
    fn the_banner_has_both_keys_below_each_other() {
        let first_seen = "2026-11-02".parse().expect("a date");
        let known = KnownHost { host_port: lab(), fingerprint: Fingerprint([7; 32]), first_seen };
        let banner = changed_banner(&lab(), &[known], Fingerprint([8; 32]));
        let lines: Vec<&str> = banner.lines().collect();
        assert_eq!(lines[0], "SERVER KEY CHANGED for lab.example:4433");
        assert_eq!(lines[1].find("SHA256:"), lines[2].find("SHA256:"));
        assert!(
            lines[1].starts_with("  known since 2026-11-02  ") && lines[2].starts_with("  offered now  ")
        );
        assert_eq!(lines[3..], ["Nothing was sent."]);
    }
}
