//! What may help when the client library reports an error: at most one line, with something to run.

use fulmar_client::{Error, ErrorKind};
use fulmar_proto::{error::ErrorCode, fingerprint::Fingerprint, text::Escaped};

use crate::{exit_code::ExitCode, output::Failure};

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

fn hint(error: &Error, object: &str, own: Fingerprint) -> Option<String> {
    match error {
        Error::UnknownServer { .. } => {
            Some("compare it with `fulmar fingerprint` on the server, then use --trust-new".to_owned())
        }
        Error::ServerKeyChanged { address, file, .. } => Some(format!(
            "if the server really has a new key, remove the line of {address} from {} and connect again",
            Escaped(&file.to_string_lossy())
        )),
        Error::Server(failure) => hint_of_code(failure.code, object, own),
        Error::NoLocalDirectory { .. } => {
            Some("it is made locally, with your own shell; lls shows what is there".into())
        }
        _ => hint_of_kind(error.kind()),
    }
}

fn hint_of_code(code: ErrorCode, object: &str, own: Fingerprint) -> Option<String> {
    let text = match code {
        ErrorCode::UNKNOWN_CLIENT => {
            format!("ask for an invite (`fulmar invite` on the server), or to be enrolled with {own}")
        }
        ErrorCode::INVITE_INVALID => {
            "an invite works once and not for ever; ask for a new one (`fulmar invite`)".into()
        }
        ErrorCode::NOT_GRANTED => format!("ask the server's admin for that grant for {own}"),
        ErrorCode::EXISTS => EXISTS_HINT.into(),
        ErrorCode::NO_PARENT => match object.trim_end_matches('/').rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => format!("mkdir -p {}", quoted(parent)),
            _ => format!("mkdir -p {}", quoted(object)),
        },
        ErrorCode::NOT_EMPTY => format!("rm -r {}", quoted(object)),
        ErrorCode::NOT_FOUND => "ls shows what is there".into(),
        _ => return None,
    };
    Some(text)
}

const EXISTS_HINT: &str = "-f replaces it; --on-exists skip or rename leaves it";

fn hint_of_kind(kind: ErrorKind) -> Option<String> {
    let text = match kind {
        ErrorKind::Exists => EXISTS_HINT,
        ErrorKind::CannotConnect => {
            "is the server running, and is its UDP port open? see `fulmar serve --help`"
        }
        ErrorKind::ConnectionLost => "connme connects again; or run the command again",
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
        hint(&Error::Server(Refusal::new(code)), object, Fingerprint([0; 32]))
    }

    #[test]
    fn hints_can_be_run() {
        assert_eq!(hint_for(ErrorCode::NO_PARENT, "in/a b/c.txt").as_deref(), Some("mkdir -p 'in/a b'"));
        assert_eq!(hint_for(ErrorCode::NOT_EMPTY, "dir").as_deref(), Some("rm -r dir"));
        assert_eq!(hint_for(ErrorCode::EXISTS, "a").as_deref(), Some(EXISTS_HINT));
        assert_eq!(hint_for(ErrorCode::DISK, "a"), None);
    }

    #[test]
    fn a_stranger_learns_what_to_send_to_the_admin() {
        let hint = hint_for(ErrorCode::UNKNOWN_CLIENT, "lab").expect("a hint");
        assert!(hint.contains("SHA256:"), "{hint}");
    }
}
