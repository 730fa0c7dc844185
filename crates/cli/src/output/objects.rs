//! The objects that `--json` prints: one per line, `"v":1` and a `"type"` in each. Sizes are bytes, durations
//! nanoseconds, times RFC 3339, hashes hexadecimal. Fields are only ever added.

pub(crate) mod admin;
pub(crate) mod doctor;
pub(crate) mod path;

use fulmar_client::{Action, Outcome, Session, Transferred};
use fulmar_proto::{
    hello::Welcome,
    listing::{Entry as ListedEntry, EntryKind, EntryName},
    text::Escaped,
};
use serde::Serialize;

use super::{failure::Told, units};

/// The version of all these objects.
const V: u32 = 1;

/// A failure.
#[derive(Debug, Serialize)]
pub(crate) struct Error<'a> {
    v: u32,
    r#type: &'static str,
    code: u8,
    kind: &'a str,
    message: &'a str,
    verb: &'a str,
    object: Option<&'a str>,
    hint: Option<&'a str>,
    line: Option<u64>,
}

impl<'a> Error<'a> {
    pub(crate) fn new(told: &'a Told) -> Self {
        Self {
            v: V,
            r#type: "error",
            code: told.code.number(),
            kind: told.kind,
            message: &told.message,
            verb: &told.verb,
            object: told.object.as_deref(),
            hint: told.hint.as_deref(),
            line: told.line,
        }
    }
}

/// A server is bound.
#[derive(Debug, Serialize)]
pub(crate) struct Listening<'a> {
    v: u32,
    r#type: &'static str,
    addr: String,
    fingerprint: String,
    invite: Option<&'a str>,
}

impl<'a> Listening<'a> {
    pub(crate) fn new(addr: std::net::SocketAddr, fingerprint: String, invite: Option<&'a str>) -> Self {
        Self { v: V, r#type: "listening", addr: addr.to_string(), fingerprint, invite }
    }
}

/// A connection to a server.
#[derive(Debug, Serialize)]
pub(crate) struct Connected {
    v: u32,
    r#type: &'static str,
    addr: String,
    remote: String,
    fingerprint: String,
    server: String,
    grants: String,
    rtt_ns: u64,
    already: bool,
}

impl Connected {
    pub(crate) fn new(session: &Session, welcome: &Welcome, already: bool) -> Self {
        Self {
            v: V,
            r#type: "connected",
            addr: session.address().to_string(),
            remote: session.remote_addr().to_string(),
            fingerprint: session.fingerprint().to_string(),
            server: welcome.server_name.as_str().to_owned(),
            grants: welcome.grants.to_string(),
            rtt_ns: units::nanos(session.rtt()),
            already,
        }
    }
}

/// A word for what a listed thing is.
pub(crate) fn kind_word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Link => "link",
        EntryKind::Other => "other",
    }
}

/// One listed file or directory.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    v: u32,
    r#type: &'static str,
    path: String,
    name: &'a str,
    /// False when the name is an escaped form that no command takes.
    servable: bool,
    kind: &'static str,
    size: u64,
    modified: Option<String>,
    mode: String,
    id: Option<String>,
    media_type: Option<&'a str>,
    blake3: Option<String>,
    uploaded_by: Option<String>,
    uploaded: Option<String>,
}

impl<'a> Entry<'a> {
    /// `path` is the whole path of the entry below the served root.
    pub(crate) fn new(entry: &'a ListedEntry, path: String) -> Self {
        let (name, servable) = match &entry.name {
            EntryName::Servable(name) => (name.as_str(), true),
            EntryName::Unservable(text) => (text.as_str(), false),
        };
        let catalog = entry.catalog.as_ref();
        Self {
            v: V,
            r#type: "entry",
            path,
            name,
            servable,
            kind: kind_word(entry.kind),
            size: entry.size,
            modified: units::rfc3339(entry.modified),
            mode: format!("{:04o}", entry.mode.bits()),
            id: catalog.map(|info| info.id.to_string()),
            media_type: catalog.map(|info| info.media_type.as_str()),
            blake3: catalog.and_then(|info| info.root).map(|root| root.to_string()),
            uploaded_by: catalog.and_then(|info| info.uploaded_by).map(|client| client.to_string()),
            uploaded: catalog.and_then(|info| info.uploaded).and_then(units::rfc3339),
        }
    }
}

/// The size of a file or a tree.
#[derive(Debug, Serialize)]
pub(crate) struct Size<'a> {
    v: u32,
    r#type: &'static str,
    path: &'a str,
    kind: &'static str,
    bytes: u64,
    files: u64,
    directories: u64,
}

impl<'a> Size<'a> {
    pub(crate) fn new(path: &'a str, measured: &fulmar_client::Measured) -> Self {
        Self {
            v: V,
            r#type: "size",
            path,
            kind: kind_word(measured.kind),
            bytes: measured.bytes,
            files: measured.files,
            directories: measured.directories,
        }
    }
}

/// How far a transfer or a hash is.
#[derive(Debug, Serialize)]
pub(crate) struct Progress {
    v: u32,
    r#type: &'static str,
    verb: &'static str,
    path: String,
    bytes: u64,
    total: Option<u64>,
    elapsed_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    files_done: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files_total: Option<usize>,
}

impl Progress {
    pub(crate) fn new(
        verb: &'static str,
        path: &str,
        bytes: u64,
        total: Option<u64>,
        elapsed: std::time::Duration,
    ) -> Self {
        let (path, elapsed_ns) = (path.to_owned(), units::nanos(elapsed));
        let (files_done, files_total) = (None, None);
        Self { v: V, r#type: "progress", verb, path, bytes, total, elapsed_ns, files_done, files_total }
    }

    /// The same of one of several files: how many of them have ended, out of how many.
    pub(crate) fn among(self, (done, total): (usize, usize)) -> Self {
        if total > 1 { Self { files_done: Some(done), files_total: Some(total), ..self } } else { self }
    }
}

/// A transfer is done.
#[derive(Debug, Serialize)]
pub(crate) struct TransferDone<'a> {
    v: u32,
    r#type: &'static str,
    verb: &'a str,
    source: &'a str,
    path: &'a str,
    bytes: u64,
    sent_bytes: u64,
    resumed_bytes: u64,
    blake3: Option<String>,
    elapsed_ns: u64,
    outcome: &'static str,
}

/// A stable word for how a transfer ended well.
pub(crate) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Stored => "stored",
        Outcome::AlreadyThere => "already-there",
        Outcome::Skipped => "skipped",
    }
}

impl<'a> TransferDone<'a> {
    pub(crate) fn new(verb: &'a str, transferred: &'a Transferred) -> Self {
        let compared = transferred.outcome != Outcome::Skipped;
        Self {
            v: V,
            r#type: "done",
            verb,
            source: &transferred.source,
            path: &transferred.destination,
            bytes: transferred.bytes,
            sent_bytes: transferred.sent_bytes,
            resumed_bytes: transferred.resumed_bytes,
            blake3: compared.then(|| transferred.root.to_string()),
            elapsed_ns: units::nanos(transferred.elapsed),
            outcome: outcome_word(transferred.outcome),
        }
    }
}

/// What a transfer would do, where only that was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Plan<'a> {
    v: u32,
    r#type: &'static str,
    verb: &'a str,
    source: &'a str,
    path: &'a str,
    bytes: u64,
    action: &'static str,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(verb: &'a str, source: &'a str, path: &'a str, bytes: u64, action: Action) -> Self {
        let action = match action {
            Action::Store => "store",
            Action::Replace => "replace",
            Action::Number => "rename",
            Action::AlreadyThere => "already-there",
            Action::Skip => "skip",
            Action::MakeDirectory => "make-directory",
        };
        Self { v: V, r#type: "plan", verb, source, path, bytes, action }
    }
}

/// Any other command is done. Fields that do not apply are left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Done<'a> {
    pub(crate) v: u32,
    pub(crate) r#type: &'static str,
    pub(crate) verb: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blake3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directories: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'a str>,
}

impl<'a> Done<'a> {
    /// Says that `verb` is done.
    pub(crate) fn new(verb: &'a str) -> Self {
        Self { v: V, r#type: "done", verb, ..Self::default() }
    }
}

/// An invite that was made.
#[derive(Debug, Serialize)]
pub(crate) struct Invite<'a> {
    v: u32,
    r#type: &'static str,
    invite: &'a str,
    grants: String,
    expires: Option<String>,
}

impl<'a> Invite<'a> {
    pub(crate) fn new(invite: &'a str, grants: String, expires: Option<String>) -> Self {
        Self { v: V, r#type: "invite", invite, grants, expires }
    }
}

/// The fingerprint of a key of this machine.
#[derive(Debug, Serialize)]
pub(crate) struct Fingerprint {
    v: u32,
    r#type: &'static str,
    role: &'static str,
    fingerprint: String,
}

impl Fingerprint {
    pub(crate) fn new(role: &'static str, fingerprint: String) -> Self {
        Self { v: V, r#type: "fingerprint", role, fingerprint }
    }
}

/// An entry's name as people may see it, a directory with a slash behind it.
pub(crate) fn shown_name(entry: &ListedEntry) -> String {
    let name = match &entry.name {
        EntryName::Servable(name) => name.escaped().to_string(),
        // Escaped by the server already; escaping it again here trusts nobody.
        EntryName::Unservable(text) => Escaped(text.as_str()).to_string(),
    };
    match entry.kind {
        EntryKind::Directory => format!("{name}/"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;
    use crate::output::{Failure, hint::Caller};

    #[test]
    fn an_error_object_has_its_three_fields() {
        let failure = Failure::new(ExitCode::Exists, "exists", "it exists").about("a.txt");
        let text = serde_json::to_string(&Error::new(&failure.told("upload", Some(2), &Caller::Lines)))
            .expect("encodes");
        assert_eq!(
            text,
            r#"{"v":1,"type":"error","code":8,"kind":"exists","message":"it exists","verb":"upload","object":"a.txt","hint":null,"line":2}"#
        );
    }

    #[test]
    fn the_listening_object_is_the_documented_line() {
        let addr = "127.0.0.1:41234".parse().expect("an address");
        let object = Listening::new(addr, "SHA256:x".to_owned(), Some("fulmar://y"));
        assert_eq!(
            serde_json::to_string(&object).expect("encodes"),
            r#"{"v":1,"type":"listening","addr":"127.0.0.1:41234","fingerprint":"SHA256:x","invite":"fulmar://y"}"#
        );
    }

    #[test]
    fn done_leaves_out_what_does_not_apply() {
        let object = Done { path: Some("a"), files: Some(1), ..Done::new("rm") };
        assert_eq!(
            serde_json::to_string(&object).expect("encodes"),
            r#"{"v":1,"type":"done","verb":"rm","path":"a","files":1}"#
        );
    }
}
