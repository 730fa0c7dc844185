//! What may help when the client library reports an error: at most one line, with something to run.

use fulmar_client::{DiskError, Error, ErrorKind, Pin};
use fulmar_proto::{
    DEFAULT_PORT, address::HostPort, error::ErrorCode, fingerprint::Fingerprint, text::Escaped,
};

use crate::{
    config::Host,
    exit_code::ExitCode,
    output::{
        Failure,
        failure::{how_full, who_may},
        hint::Hint,
    },
    verbs::shown_dir,
};

/// The failure that `error` is, about `object` unless the error names something else.
pub(crate) fn failure_of(error: &Error, object: &str, own: Fingerprint) -> Failure {
    let kind = error.kind();
    let object = error.subject().unwrap_or_else(|| object.to_owned());
    let hint = hint(error, &object, own);
    let failure = Failure::new(ExitCode::from(kind), kind.word(), error.to_string()).about(object);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(error: &Error, object: &str, own: Fingerprint) -> Option<Hint> {
    let hint = match error {
        Error::UnknownServer { address, fingerprint, .. } => {
            let compare = Hint::from("compare it with `fulmar fingerprint` on the server, then: ");
            compare
                .then_run(format!("hosts trust {address} {fingerprint}"))
                .or_on_command_line("compare it with `fulmar fingerprint` on the server, then use --trust-new")
        }
        Error::ServerKeyChanged { address, .. } | Error::PinNotKnown { address, .. } => {
            let forget = Hint::from("if the server was reinstalled: ");
            forget.then_run(format!("hosts forget {address}")).then(", then connect again")
        }
        Error::PinNotOffered { .. } => {
            "compare with `fulmar fingerprint` on the server, or ask for a new invite there".into()
        }
        Error::PinsDiffer { .. } => {
            "leave --fingerprint out to trust the invite, or compare both with `fulmar fingerprint` on the server"
                .into()
        }
        Error::Server(failure) => return hint_of_code(failure.code, object, own),
        Error::NoLocalDirectory { path } => {
            let purpose = "it is made on this machine";
            Hint::system(purpose, &format!("mkdir -p {}", quoted(&path.to_string_lossy())))
        }
        Error::Resolve(_) => {
            let question = Hint::from("is the name right? ");
            question.then_run("hosts").then(" lists the servers that are known here")
        }
        Error::Dial(_) | Error::NoWelcome => unreachable_hint(object),
        Error::Local { path, error } => return hint_of_disk(error, &path.to_string_lossy()),
        Error::LocalName(_) => Hint::from("give it another name there: ").then_run("upload FILE NAME"),
        Error::SourceChanged => CHANGING_HINT.into(),
        _ => return hint_of_kind(error.kind()),
    };
    Some(hint)
}

/// The server of the configuration file whose pin is the reason for `error`.
fn pinned<'a>(error: &Error, hosts: &'a [Host]) -> Option<&'a Host> {
    let (address, wanted) = match error {
        Error::PinNotKnown { address, pin: Pin::Caller(pin), .. }
        | Error::PinNotOffered { address, pin: Pin::Caller(pin), .. } => (address, vec![*pin]),
        Error::ServerKeyChanged { address, known, .. } => {
            (address, known.iter().map(|host| host.fingerprint).collect())
        }
        _ => return None,
    };
    let is_meant =
        |host: &&Host| host.address == *address && host.fingerprint.is_some_and(|pin| wanted.contains(&pin));
    hosts.iter().find(is_meant)
}

/// What helps when the server has not the key that the configuration file, with these servers, demands of it.
pub(crate) fn pin_hint(error: &Error, hosts: &[Host]) -> Option<Hint> {
    let host = pinned(error, hosts)?;
    let demanded = |key| new_pin(host, Some(key));
    match error {
        Error::ServerKeyChanged { address, offered, .. } => {
            let forget =
                Hint::from("if the server was reinstalled: ").then_run(format!("hosts forget {address}"));
            Some(forget.then(", then: ").then_run(demanded(*offered)))
        }
        Error::PinNotOffered { offered, .. } => {
            Some(Hint::from("if the server was reinstalled: ").then_run(demanded(*offered)))
        }
        Error::PinNotKnown { address, known, .. } => {
            let key = known.first()?.fingerprint;
            let file = Hint::from("if the configuration file is out of date: ").then_run(demanded(key));
            Some(file.then("; if not: ").then_run(format!("hosts forget {address}")))
        }
        _ => None,
    }
}

/// The command that has the configuration file demand another key of a server.
pub(crate) fn new_pin(host: &Host, key: Option<Fingerprint>) -> String {
    let key = key.map_or_else(|| "NEW".to_owned(), |key| key.to_string());
    let (name, address) = (host.name.as_str(), &host.address);
    let start_dir = host.start_dir.as_ref().map(|dir| format!(" --start-dir {}", quoted(&shown_dir(dir))));
    format!("hosts add -f {name} {address} --fingerprint {key}{}", start_dir.unwrap_or_default())
}

fn hint_of_code(code: ErrorCode, object: &str, own: Fingerprint) -> Option<Hint> {
    let hint: Hint = match code {
        ErrorCode::UNKNOWN_CLIENT => format!(
            "an invite lets this client in (on the server: `fulmar invite`), or there: fulmar clients add {own}"
        )
        .into(),
        ErrorCode::INVITE_INVALID => {
            "an invite works once and not for ever; ask for a new one (on the server: `fulmar invite`)".into()
        }
        ErrorCode::NOT_GRANTED => format!("on the server: fulmar clients grant {own} GRANTS").into(),
        ErrorCode::REVOKED => "ask for a new invite (on the server: `fulmar invite`)".into(),
        ErrorCode::EXISTS => EXISTS_HINT.into(),
        ErrorCode::NO_PARENT => match object.trim_end_matches('/').rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => Hint::run(format!("mkdir -p {}", quoted(parent))),
            _ => Hint::run(format!("mkdir -p {}", quoted(object))),
        },
        ErrorCode::NOT_EMPTY => Hint::run(format!("rm -r {}", quoted(object))),
        ErrorCode::NOT_FOUND => Hint::run("ls").then(" shows what is there"),
        ErrorCode::NOT_A_DIRECTORY | ErrorCode::IS_A_DIRECTORY | ErrorCode::NOT_SERVABLE => {
            Hint::run(format!("stat {}", quoted(object))).then(" shows what it is")
        }
        ErrorCode::READ_ONLY | ErrorCode::POLICY | ErrorCode::OVER_LIMIT => {
            Hint::run("status").then(" shows what this server allows")
        }
        ErrorCode::MALFORMED | ErrorCode::UNSUPPORTED | ErrorCode::VERSION => VERSION_HINT.into(),
        ErrorCode::CHANGED => CHANGING_HINT.into(),
        ErrorCode::DIGEST_MISMATCH | ErrorCode::INCOMPLETE | ErrorCode::UNKNOWN_UPLOAD | ErrorCode::BUSY => {
            "run the command again".into()
        }
        ErrorCode::STALE_GENERATION => {
            Hint::from("let one of them finish; ").then_run("ls -l").then(" shows what came of it")
        }
        ErrorCode::NO_SPACE => Hint::run("size /").then(" shows what is stored; less of it makes room"),
        ErrorCode::DISK | ErrorCode::INTERNAL | ErrorCode::PERMISSION => {
            "the server's own messages say more (on the server: `fulmar serve DIR --log-file FILE`)".into()
        }
        ErrorCode::UNKNOWN_OUTCOME => Hint::run("ls").then(" shows whether it did"),
        ErrorCode::NAME_TOO_LONG => {
            let shorter = Hint::from("give it a shorter name there: ").then_run("upload FILE NAME");
            shorter.then(", ").then_run("mv FROM TO")
        }
        ErrorCode::STALLED | ErrorCode::GOING_AWAY => reconnect(),
        _ => return None,
    };
    Some(hint)
}

const EXISTS_HINT: &str = "-f replaces it; --on-exists skip or rename leaves it";
const CHANGING_HINT: &str = "run the command again once nothing writes to the file any more";
const VERSION_HINT: &str = "compare `fulmar --version` here and on the server";

/// How to go on behind a connection that is gone.
pub(crate) fn reconnect() -> Hint {
    Hint::run("connme").then(" connects again").or_on_command_line("run the command again")
}

/// What to look at when nothing answers under an address.
fn unreachable_hint(address: &str) -> Hint {
    let port = address.parse::<HostPort>().map_or(DEFAULT_PORT, |address| address.port());
    format!(
        "is it running, and does its firewall let UDP port {port} in? on the server: ss -ulpn sport = :{port}"
    )
    .into()
}

fn hint_of_disk(error: &DiskError, path: &str) -> Option<Hint> {
    let path = quoted(path);
    let hint = match error {
        DiskError::NotFound => Hint::run("lls").then(" shows what is there"),
        DiskError::NoSpace => how_full(&path),
        DiskError::PermissionDenied | DiskError::ReadOnly => who_may(&path),
        DiskError::Changed => CHANGING_HINT.into(),
        DiskError::NameTooLong => Hint::from("give it a shorter name: ").then_run("download FILE NAME"),
        _ => return None,
    };
    Some(hint)
}

fn hint_of_kind(kind: ErrorKind) -> Option<Hint> {
    let text = match kind {
        ErrorKind::Exists => EXISTS_HINT,
        ErrorKind::ConnectionLost => return Some(reconnect()),
        ErrorKind::Protocol => VERSION_HINT,
        ErrorKind::DigestMismatch => "run the command again",
        _ => return None,
    };
    Some(text.into())
}

/// A path as it can be typed again.
pub(crate) fn quoted(path: &str) -> String {
    shell_words::quote(&Escaped(path).to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::hint::Caller;
    use fulmar_proto::error::Failure as Refusal;

    fn hint_for(code: ErrorCode, object: &str) -> Option<String> {
        shown(&Error::Server(Refusal::new(code)), object, &Caller::Lines)
    }

    fn shown(error: &Error, object: &str, caller: &Caller) -> Option<String> {
        hint(error, object, Fingerprint([0; 32])).map(|hint| hint.shown(caller))
    }

    fn address() -> HostPort {
        "lab:4433".parse().expect("an address")
    }

    /// Errors with hints of their own, beside those that the server names by a code.
    fn other_errors() -> Vec<Error> {
        let (key, path) = (Fingerprint([7; 32]), || "/mnt/my disk".into());
        let pin = Pin::Caller(key);
        let disk = |error| Error::Local { path: path(), error };
        vec![
            Error::UnknownServer { address: address(), answered: None, fingerprint: key },
            Error::ServerKeyChanged { address: address(), known: vec![], offered: key },
            Error::PinNotKnown { address: address(), known: vec![], pin },
            Error::PinNotOffered { address: address(), pin, offered: key },
            Error::PinsDiffer { demanded: key, invite: Fingerprint([8; 32]) },
            Error::NoLocalDirectory { path: path() },
            Error::LocalExists { path: path() },
            Error::NoWelcome,
            Error::Stalled,
            Error::SourceChanged,
            Error::DigestMismatch,
            Error::LocalName(fulmar_proto::path::PathError::Backslash),
            disk(DiskError::NotFound),
            disk(DiskError::NoSpace),
            disk(DiskError::PermissionDenied),
            disk(DiskError::ReadOnly),
            disk(DiskError::NameTooLong),
        ]
    }

    #[test]
    fn no_hint_on_a_command_line_names_a_bare_verb() {
        let server = |code: &ErrorCode| Error::Server(Refusal::new(*code));
        let errors = ErrorCode::KNOWN.iter().map(server).chain(other_errors());
        let verbs = crate::words::line_command();
        let is_verb = |word: &str| verbs.find_subcommand(word).is_some();
        let caller = Caller::command_line(None, Some(&"lab".parse().expect("a name")));
        let mut commands = 0;
        for error in errors {
            let (here, there) = (shown(&error, "in/a b", &caller), shown(&error, "in/a b", &Caller::Lines));
            let Some((here, there)) = here.zip(there) else { continue };
            // Where a command can begin: at the front, behind a colon or a comma, and in backticks.
            for part in here.split(['`', ':', ',', ';']) {
                let first = part.split_whitespace().next().unwrap_or_default();
                let is_system = ["who may do what:", "it is made on this machine:"]
                    .iter()
                    .any(|purpose| here.starts_with(purpose));
                assert!(!is_verb(first) || is_system, "{here}");
            }
            commands += usize::from(here.contains("fulmar -s lab "));
            assert!(!there.contains("fulmar -s"), "{there}");
        }
        assert!(commands >= 8, "{commands}");
    }

    #[test]
    fn a_pin_of_the_file_that_fits_no_more_can_be_replaced() {
        let (old, new) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let start_dir = Some(fulmar_proto::path::DirPath::root());
        let name = "lab".parse().expect("a name");
        let host = Host { name, address: address(), fingerprint: Some(old), start_dir };
        let pin = Pin::Caller(old);
        let first_seen = "2026-11-02".parse().expect("a date");
        let known =
            |fingerprint| vec![fulmar_client::KnownHost { host_port: address(), fingerprint, first_seen }];
        let hosts = [host];
        let command = format!("hosts add -f lab lab:4433 --fingerprint {new} --start-dir /");
        for error in [
            Error::ServerKeyChanged { address: address(), known: known(old), offered: new },
            Error::PinNotOffered { address: address(), pin, offered: new },
            Error::PinNotKnown { address: address(), known: known(new), pin },
        ] {
            let hint = pin_hint(&error, &hosts).expect("a hint").shown(&Caller::default());
            assert!(hint.contains(&format!("fulmar {command}")), "{hint}");
        }
        assert_eq!(pin_hint(&Error::NoWelcome, &hosts), None);
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
        assert!(unreachable_hint("lab:99").shown(&Caller::Lines).ends_with("ss -ulpn sport = :99"));
        assert!(unreachable_hint("lab").shown(&Caller::Lines).contains("port 4433 "));
    }

    #[test]
    fn a_full_disk_is_shown_by_a_command_that_can_be_run() {
        let hint = hint_of_disk(&DiskError::NoSpace, "/mnt/my disk").expect("a hint");
        assert_eq!(hint.shown(&Caller::default()), "how full it is: df -h '/mnt/my disk'");
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
        let pin = Pin::Caller(fingerprint);
        let not_known = Error::PinNotKnown { address: address.clone(), known: vec![], pin };
        for error in [changed, not_known] {
            let hint_for = |caller: &Caller| shown(&error, "lab", caller).expect("a hint");
            let (alone, in_shell) = (hint_for(&Caller::default()), hint_for(&Caller::Lines));
            assert!(alone.contains("fulmar hosts forget lab:4433"), "{alone}");
            assert!(in_shell.contains(": hosts forget lab:4433"), "{in_shell}");
        }
        // A key that was demanded of a server that is not known: there is nothing to forget.
        let in_vain = Error::PinNotOffered { address, pin, offered: fingerprint };
        assert!(shown(&in_vain, "lab", &Caller::Lines).is_some_and(|hint| !hint.contains("forget")));
    }
}
