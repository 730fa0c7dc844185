//! What may help when the client library reports an error: at most one line, with something to run.

use fulmar_client::{DiskError, Error, ErrorKind};
use fulmar_proto::{
    DEFAULT_PORT, address::HostPort, error::ErrorCode, fingerprint::Fingerprint, text::Escaped,
};

use crate::{exit_code::ExitCode, output::Failure};

/// The failure that `error` is, about `object` unless the error names something else. In the shell commands are named
/// as they are typed there.
pub(crate) fn failure_of(error: &Error, object: &str, own: Fingerprint, in_shell: bool) -> Failure {
    let kind = error.kind();
    let object = error.subject().unwrap_or_else(|| object.to_owned());
    let hint = hint(error, &object, own, in_shell);
    let failure = Failure::new(ExitCode::from(kind), kind.word(), error.to_string()).about(object);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(error: &Error, object: &str, own: Fingerprint, in_shell: bool) -> Option<String> {
    match error {
        Error::UnknownServer { .. } => {
            Some("compare it with `fulmar fingerprint` on the server, then use --trust-new".to_owned())
        }
        Error::ServerKeyChanged { address, .. } | Error::PinNotKnown { address, .. } => {
            let program = if in_shell { "" } else { "fulmar " };
            Some(format!(
                "if the server was reinstalled: {program}hosts forget {address}, then connect again"
            ))
        }
        Error::PinNotOffered { .. } => {
            Some("compare with `fulmar fingerprint` on the server, or ask for a new invite there".to_owned())
        }
        Error::Server(failure) => hint_of_code(failure.code, object, own),
        Error::NoLocalDirectory { .. } => {
            Some("it is made locally, with your own shell; lls shows what is there".into())
        }
        Error::Resolve(_) => {
            Some("is the name right? `fulmar hosts` lists the servers that are known here".into())
        }
        Error::Dial(_) | Error::NoWelcome => Some(unreachable_hint(object)),
        Error::Local { path, error } => hint_of_disk(error, &path.to_string_lossy()),
        Error::LocalName(_) => Some("give it another name there: upload FILE NAME".into()),
        Error::SourceChanged => Some(CHANGING_HINT.into()),
        _ => hint_of_kind(error.kind()),
    }
}

fn hint_of_code(code: ErrorCode, object: &str, own: Fingerprint) -> Option<String> {
    let text = match code {
        ErrorCode::UNKNOWN_CLIENT => format!(
            "connect with an invite (on the server: `fulmar invite`), or there: fulmar clients add {own}"
        ),
        ErrorCode::INVITE_INVALID => {
            "an invite works once and not for ever; ask for a new one (on the server: `fulmar invite`)".into()
        }
        ErrorCode::NOT_GRANTED => format!("on the server: fulmar clients grant {own} GRANTS"),
        ErrorCode::REVOKED => "ask for a new invite (on the server: `fulmar invite`)".into(),
        ErrorCode::EXISTS => EXISTS_HINT.into(),
        ErrorCode::NO_PARENT => match object.trim_end_matches('/').rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => format!("mkdir -p {}", quoted(parent)),
            _ => format!("mkdir -p {}", quoted(object)),
        },
        ErrorCode::NOT_EMPTY => format!("rm -r {}", quoted(object)),
        ErrorCode::NOT_FOUND => "ls shows what is there".into(),
        ErrorCode::NOT_A_DIRECTORY | ErrorCode::IS_A_DIRECTORY | ErrorCode::NOT_SERVABLE => {
            format!("stat {} shows what it is", quoted(object))
        }
        ErrorCode::READ_ONLY | ErrorCode::POLICY | ErrorCode::OVER_LIMIT => {
            "`status` shows what this server allows".into()
        }
        ErrorCode::MALFORMED | ErrorCode::UNSUPPORTED | ErrorCode::VERSION => VERSION_HINT.into(),
        ErrorCode::CHANGED => CHANGING_HINT.into(),
        ErrorCode::DIGEST_MISMATCH | ErrorCode::INCOMPLETE | ErrorCode::UNKNOWN_UPLOAD | ErrorCode::BUSY => {
            "run the command again".into()
        }
        ErrorCode::STALE_GENERATION => "let one of them finish; `ls -l` shows what came of it".into(),
        ErrorCode::NO_SPACE => "`size /` shows what is stored, rm makes room".into(),
        ErrorCode::DISK | ErrorCode::INTERNAL | ErrorCode::PERMISSION => {
            "the server's own messages say more (on the server: `fulmar serve DIR --log-file FILE`)".into()
        }
        ErrorCode::UNKNOWN_OUTCOME => "`ls` shows whether it did".into(),
        ErrorCode::NAME_TOO_LONG => "give it a shorter name there: upload FILE NAME, mv FROM TO".into(),
        ErrorCode::STALLED | ErrorCode::GOING_AWAY => RECONNECT_HINT.into(),
        _ => return None,
    };
    Some(text)
}

const EXISTS_HINT: &str = "-f replaces it; --on-exists skip or rename leaves it";
const CHANGING_HINT: &str = "run the command again once nothing writes to the file any more";
const VERSION_HINT: &str = "compare `fulmar --version` here and on the server";
const RECONNECT_HINT: &str = "connme connects again; or run the command again";

/// What to look at when nothing answers under an address.
fn unreachable_hint(address: &str) -> String {
    let port = address.parse::<HostPort>().map_or(DEFAULT_PORT, |address| address.port());
    format!(
        "is it running, and does its firewall let UDP port {port} in? on the server: ss -ulpn sport = :{port}"
    )
}

fn hint_of_disk(error: &DiskError, path: &str) -> Option<String> {
    let path = quoted(path);
    let text = match error {
        DiskError::NotFound => "lls shows what is there".to_owned(),
        DiskError::NoSpace => format!("df -h {path} shows how full it is"),
        DiskError::PermissionDenied | DiskError::ReadOnly => format!("ls -ld {path} shows who may do what"),
        DiskError::Changed => CHANGING_HINT.to_owned(),
        DiskError::NameTooLong => "give it a shorter name: download FILE NAME".to_owned(),
        _ => return None,
    };
    Some(text)
}

fn hint_of_kind(kind: ErrorKind) -> Option<String> {
    let text = match kind {
        ErrorKind::Exists => EXISTS_HINT,
        ErrorKind::ConnectionLost => RECONNECT_HINT,
        ErrorKind::Protocol => VERSION_HINT,
        ErrorKind::DigestMismatch => "run the command again",
        _ => return None,
    };
    Some(text.to_owned())
}

/// A path as it can be typed again.
pub(crate) fn quoted(path: &str) -> String {
    shell_words::quote(&Escaped(path).to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_proto::error::Failure as Refusal;

    fn hint_for(code: ErrorCode, object: &str) -> Option<String> {
        hint(&Error::Server(Refusal::new(code)), object, Fingerprint([0; 32]), false)
    }

    #[test]
    fn hints_can_be_run() {
        assert_eq!(hint_for(ErrorCode::NO_PARENT, "in/a b/c.txt").as_deref(), Some("mkdir -p 'in/a b'"));
        assert_eq!(hint_for(ErrorCode::NOT_EMPTY, "dir").as_deref(), Some("rm -r dir"));
        assert_eq!(hint_for(ErrorCode::EXISTS, "a").as_deref(), Some(EXISTS_HINT));
    }

    #[test]
    fn whoever_is_refused_or_stuck_learns_what_to_run() {
        // Nothing can be run against these: the message says all there is.
        let without = [ErrorCode::CANCELLED, ErrorCode::INTO_ITSELF];
        for code in ErrorCode::KNOWN {
            let hint = hint_for(*code, "in/a b");
            assert_eq!(hint.is_none(), without.contains(code), "{}: {hint:?}", code.word());
            assert!(hint.is_none_or(|hint| hint.lines().count() == 1), "{}", code.word());
        }
    }

    #[test]
    fn the_hint_names_the_port_that_was_dialled() {
        assert!(unreachable_hint("lab:99").ends_with("ss -ulpn sport = :99"));
        assert!(unreachable_hint("lab").contains("port 4433 "));
    }

    #[test]
    fn a_full_disk_is_shown_by_a_command_that_can_be_run() {
        let hint = hint_of_disk(&DiskError::NoSpace, "/mnt/my disk");
        assert_eq!(hint.as_deref(), Some("df -h '/mnt/my disk' shows how full it is"));
    }

    #[test]
    fn a_stranger_learns_what_to_send_to_the_admin() {
        let hint = hint_for(ErrorCode::UNKNOWN_CLIENT, "lab").expect("a hint");
        assert!(hint.contains("SHA256:"), "{hint}");
    }

    #[test]
    fn a_key_that_is_not_the_known_one_can_be_forgotten() {
        let address: HostPort = "lab:4433".parse().expect("an address");
        let fingerprint = Fingerprint([7; 32]);
        let changed =
            Error::ServerKeyChanged { address: address.clone(), known: vec![], offered: fingerprint };
        let pin = fulmar_client::Pin::Caller(fingerprint);
        let not_known = Error::PinNotKnown { address: address.clone(), known: vec![], pin };
        for error in [changed, not_known] {
            let hint_for = |in_shell| hint(&error, "lab", fingerprint, in_shell).expect("a hint");
            assert!(hint_for(false).contains("fulmar hosts forget lab:4433"), "{}", hint_for(false));
            assert!(hint_for(true).contains(": hosts forget lab:4433"), "{}", hint_for(true));
        }
        // A key that was demanded of a server that is not known: there is nothing to forget.
        let in_vain = Error::PinNotOffered { address, pin, offered: fingerprint };
        assert!(hint(&in_vain, "lab", fingerprint, true).is_some_and(|hint| !hint.contains("forget")));
    }
}
