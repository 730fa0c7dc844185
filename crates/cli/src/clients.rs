//! `fulmar clients`: who may come in, on the server's machine.

use clap::Subcommand;
use fulmar_proto::{
    fingerprint::Fingerprint,
    grants::Grants,
    text::{Escaped, Text},
};
use fulmar_server::{Client, TrustStore};
use fulmar_store::{Clock as _, SystemClock};

use crate::{
    args::Global,
    exit_code::ExitCode,
    invite::trust_failure,
    output::{
        Failure, Printer,
        hint::Hint,
        objects::admin,
        table::{self, Align},
        units,
    },
    state_dir,
};

/// What help shows at the end.
pub(crate) const EXAMPLES: &str = "Examples:
  fulmar clients
  fulmar clients add SHA256:NMKnzdI4Tr7rJG0e5MiEk6Lyo8zweOv7UKp5rV7nrKA --grants list,read --name press
  fulmar clients grant press list,read,write
  fulmar clients revoke press
  fulmar clients revoke NMKnzdI4";

/// A shorter beginning of a key could be meant by chance.
const MIN_PREFIX_CHARS: usize = 8;

/// What to do with the list of clients.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// List the enrolled clients.
    List,
    /// Enrol a client by its key, which `fulmar fingerprint --client` prints on its machine.
    Add {
        /// The client's key.
        #[arg(value_name = "SHA256:...")]
        key: Fingerprint,
        /// What it may do: words out of list, read, write, delete, joined by commas; or all, or none.
        #[arg(long, value_name = "GRANTS", default_value = "all")]
        grants: Grants,
        /// What to call it.
        #[arg(long, value_name = "TEXT", default_value = "")]
        name: String,
    },
    /// Change what a client may do.
    Grant {
        /// The client: its key, the beginning of its key (8 characters or more), or its name.
        #[arg(value_name = "CLIENT")]
        client: String,
        /// What it may do from now on, in place of what it might.
        #[arg(value_name = "GRANTS")]
        grants: Grants,
    },
    /// Remove a client. A running server tells it and closes its connections.
    Revoke {
        /// The client: its key, the beginning of its key (8 characters or more), or its name.
        #[arg(value_name = "CLIENT")]
        client: String,
    },
}

/// `fulmar clients`.
pub(crate) fn run(
    command: Option<&ClientsCommand>,
    global: &Global,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let state = state_dir::locate(global.state.as_deref())?;
    let trust = TrustStore::open(&state).map_err(|error| trust_failure(&error))?;
    match command {
        None | Some(ClientsCommand::List) => {
            let state = state.to_string_lossy();
            list(&trust.clients(), &format!("(no client is enrolled in {})", Escaped(&state)), printer);
        }
        Some(ClientsCommand::Add { key, grants, name }) => add(&trust, *key, *grants, name, printer)?,
        Some(ClientsCommand::Grant { client, grants }) => grant(&trust, client, *grants, printer)?,
        Some(ClientsCommand::Revoke { client }) => revoke(&trust, client, printer)?,
    }
    Ok(ExitCode::Done)
}

fn list(clients: &[Client], nobody: &str, printer: &Printer) {
    for client in clients {
        printer.object(&admin::Client::new(client, None));
    }
    if clients.is_empty() {
        printer.data(nobody);
        return;
    }
    let header = ["key", "grants", "name", "enrolled"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(clients.iter().map(row)).collect();
    for line in table::rows([Align::Left; 4], &rows) {
        printer.data(line);
    }
}

fn row(client: &Client) -> [String; 4] {
    let enrolled = client.enrolled.map_or_else(|| "-".to_owned(), units::table_time);
    [client.fingerprint.to_string(), client.grants.to_string(), shown_name(client), enrolled]
}

/// The name came from the client itself.
fn shown_name(client: &Client) -> String {
    if client.name.is_empty() { "-".to_owned() } else { Escaped(&client.name).to_string() }
}

fn add(
    trust: &TrustStore,
    key: Fingerprint,
    grants: Grants,
    name: &str,
    printer: &Printer,
) -> Result<(), Failure> {
    let name = Text::new(name).as_str().to_owned();
    let client = Client { fingerprint: key, grants, name, enrolled: Some(SystemClock.now()) };
    if let Some(known) = trust.add(&client).map_err(|error| trust_failure(&error))? {
        let message = format!("is enrolled already, with {}", known.grants);
        let failure = Failure::new(ExitCode::Exists, "exists", message).about(key.to_string());
        return Err(failure.hint(Hint::run(format!("clients grant {key} {grants}"))));
    }
    printer.object(&admin::Client::new(&client, Some("added")));
    printer.answer(format_args!("enrolled {key} with {grants}"));
    Ok(())
}

fn grant(trust: &TrustStore, wanted: &str, grants: Grants, printer: &Printer) -> Result<(), Failure> {
    let key = find(&trust.clients(), wanted)?;
    let before = trust.set_grants(&key, grants).map_err(|error| trust_failure(&error))?;
    let before = before.ok_or_else(|| unknown(wanted))?;
    printer.object(&admin::Client::new(&Client { grants, ..before.clone() }, Some("granted")));
    let name = shown_name(&before);
    printer.answer(format_args!("{key} ({name}) has {grants} now, and had {}", before.grants));
    Ok(())
}

fn revoke(trust: &TrustStore, wanted: &str, printer: &Printer) -> Result<(), Failure> {
    let key = find(&trust.clients(), wanted)?;
    let revoked = trust.revoke(&key).map_err(|error| trust_failure(&error))?;
    let revoked = revoked.ok_or_else(|| unknown(wanted))?;
    printer.object(&admin::Client::new(&revoked, Some("revoked")));
    let name = shown_name(&revoked);
    printer.answer(format_args!("revoked {key} ({name}), which had {}", revoked.grants));
    Ok(())
}

/// The key of the one client that is meant by a key, a name or the beginning of a key.
fn find(clients: &[Client], wanted: &str) -> Result<Fingerprint, Failure> {
    if let Ok(key) = wanted.parse::<Fingerprint>() {
        return match clients.iter().any(|client| client.fingerprint == key) {
            true => Ok(key),
            false => Err(unknown(wanted)),
        };
    }
    let found: Vec<_> = clients.iter().filter(|client| is_meant(client, wanted)).collect();
    match found.as_slice() {
        [] => Err(unknown(wanted)),
        [one] => Ok(one.fingerprint),
        several => Err(ambiguous(several, wanted)),
    }
}

fn is_meant(client: &Client, wanted: &str) -> bool {
    let digits = |text: &str| text.strip_prefix("SHA256:").unwrap_or(text).to_owned();
    let beginning = digits(wanted);
    let begins = beginning.len() >= MIN_PREFIX_CHARS
        && digits(&client.fingerprint.to_string()).starts_with(&beginning);
    begins || (!wanted.is_empty() && client.name == wanted)
}

fn unknown(wanted: &str) -> Failure {
    Failure::new(ExitCode::NotFound, "not-found", "no such client is enrolled")
        .about(wanted)
        .hint(Hint::run("clients").then(" lists them; a beginning of a key needs 8 characters"))
}

fn ambiguous(several: &[&Client], wanted: &str) -> Failure {
    let count = several.len();
    let keys: Vec<_> = several.iter().take(3).map(|client| client.fingerprint.to_string()).collect();
    let more = if count > keys.len() { " ..." } else { "" };
    Failure::usage(format!("{count} clients could be meant"))
        .about(wanted)
        .hint(format!("name one by its key: {}{more}", keys.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u8, name: &str) -> Client {
        Client {
            fingerprint: Fingerprint([n; 32]),
            grants: Grants::ALL,
            name: name.to_owned(),
            enrolled: None,
        }
    }

    fn code(clients: &[Client], wanted: &str) -> Result<Fingerprint, ExitCode> {
        find(clients, wanted).map_err(|failure| failure.code)
    }

    #[test]
    fn a_client_is_meant_by_its_key_its_name_or_a_long_enough_beginning() {
        let mut twin = client(1, "twin");
        twin.fingerprint.0[31] = 9;
        let clients =
            [client(1, "laptop"), twin.clone(), client(2, "laptop"), client(3, ""), client(4, "AwMDAwMD")];
        let key = |n: u8| Fingerprint([n; 32]);
        let text = |n: u8| key(n).to_string();
        assert_eq!(code(&clients, &text(1)), Ok(key(1)));
        assert_eq!(code(&clients, "twin"), Ok(twin.fingerprint));
        // Both forms of a beginning, on both sides of the shortest one.
        let eight = &text(2)["SHA256:".len()..][..8];
        assert_eq!(code(&clients, eight), Ok(key(2)));
        assert_eq!(code(&clients, &format!("SHA256:{eight}")), Ok(key(2)));
        assert_eq!(code(&clients, &eight[..7]), Err(ExitCode::NotFound));
        assert_eq!(code(&clients, &format!("SHA256:{}", &eight[..7])), Err(ExitCode::NotFound));
        // Keys that begin alike, names that several have, and a name that is the beginning of another's key.
        assert_eq!(code(&clients, &text(1)[..20]), Err(ExitCode::Usage));
        assert_eq!(code(&clients, "laptop"), Err(ExitCode::Usage));
        assert_eq!(code(&clients, "AwMDAwMD"), Err(ExitCode::Usage));
        for wanted in ["", "-", "LAPTOP", "nobody", &text(7)] {
            assert_eq!(code(&clients, wanted), Err(ExitCode::NotFound), "{wanted:?}");
        }
    }

    #[test]
    fn whoever_could_be_meant_is_named_in_the_hint() {
        let clients: Vec<_> = (0..5).map(|n| client(n, "x")).collect();
        let failure = find(&clients, "x").expect_err("five");
        let hint = failure.shown_hint().expect("a hint");
        assert!(hint.contains(&clients[2].fingerprint.to_string()) && hint.ends_with(" ..."), "{hint}");
    }
}
