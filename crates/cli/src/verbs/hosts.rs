//! `hosts`: servers with names, and servers whose keys are known.

use fulmar_client::Endpoint;
use fulmar_proto::{address::HostPort, fingerprint::Fingerprint, path::DirPath, text::Escaped};
use fulmar_transport::{
    AddMode, KnownHosts, KnownHostsError,
    known_hosts::{Date, KnownHost},
};

use crate::{
    config::{Config, Host},
    exit_code::ExitCode,
    hints::new_pin,
    output::{
        Failure,
        hint::Hint,
        objects::{Done, admin},
        table::{self, Align},
    },
    remote_path::RemotePath,
    server_name::{HostName, ServerName},
    session::Context,
    state_dir,
    verb::{AddHostArgs, HostsCommand},
};

pub(super) async fn hosts(
    context: &mut Context,
    command: Option<&HostsCommand>,
) -> Result<ExitCode, Failure> {
    match command {
        None | Some(HostsCommand::List) => list(context).await?,
        Some(HostsCommand::Add(args)) => add(context, args).await?,
        Some(HostsCommand::Remove { name }) => remove(context, name).await?,
        Some(HostsCommand::Trust { endpoint, key }) => trust(context, endpoint, *key).await?,
        Some(HostsCommand::Forget { endpoint }) => forget(context, endpoint).await?,
    }
    Ok(ExitCode::Done)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let known = load(context).await?;
    let hosts = merged(&context.config, &known);
    for host in &hosts {
        context.printer.object(host);
    }
    if hosts.is_empty() {
        context.printer.data("(no server is known yet)");
        return Ok(());
    }
    let header = ["name", "address", "key", "known since"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(hosts.iter().map(row)).collect();
    for line in table::rows([Align::Left; 4], &rows) {
        context.printer.data(line);
    }
    Ok(())
}

fn row(host: &admin::Host) -> [String; 4] {
    let name = match &host.name {
        Some(name) if host.default => format!("{name} (default)"),
        Some(name) => name.clone(),
        None => "-".to_owned(),
    };
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [name, host.addr.clone(), or_dash(&host.fingerprint), or_dash(&host.known_since)]
}

/// The servers of the file with the keys that are known for them, then those of which only the key is known.
fn merged(config: &Config, known: &[KnownHost]) -> Vec<admin::Host> {
    let named = config.hosts().iter().flat_map(|host| {
        let keys = known.iter().filter(|known| known.host_port == host.address);
        let mut keys: Vec<_> = keys.map(|known| (Some(known.fingerprint), Some(known.first_seen))).collect();
        if keys.is_empty()
            || host.fingerprint.is_some_and(|pin| !keys.iter().any(|(key, _)| *key == Some(pin)))
        {
            keys.push((host.fingerprint, None));
        }
        keys.into_iter().map(|(key, since)| of_file(config, host, key, since))
    });
    let unnamed = known.iter().filter(|known| config.host_at(&known.host_port).is_none());
    let unnamed = unnamed.map(|known| admin::Host {
        fingerprint: Some(known.fingerprint.to_string()),
        known_since: Some(known.first_seen.to_string()),
        ..admin::Host::new(known.host_port.to_string())
    });
    named.chain(unnamed).collect()
}

fn of_file(config: &Config, host: &Host, key: Option<Fingerprint>, since: Option<Date>) -> admin::Host {
    admin::Host {
        name: Some(host.name.as_str().to_owned()),
        fingerprint: key.map(|key| key.to_string()),
        known_since: since.map(|since| since.to_string()),
        pinned: host.fingerprint.is_some() && key == host.fingerprint,
        start_dir: host.start_dir.as_ref().map(super::shown_dir),
        default: config.is_default(host),
        ..admin::Host::new(host.address.to_string())
    }
}

async fn add(context: &mut Context, args: &AddHostArgs) -> Result<(), Failure> {
    let host = new_host(args)?;
    let (default, force) = (args.default, args.force);
    let (mut config, added) = (context.config.clone(), host.clone());
    context.config = blocking(move || config.add(&added, default, force).map(|()| config)).await?;
    answer(context, "added", host.name.as_str(), format_args!("{} is {}", host.name.as_str(), host.address));
    Ok(())
}

/// The server that the command describes.
fn new_host(args: &AddHostArgs) -> Result<Host, Failure> {
    let (address, pin) = match &args.endpoint.endpoint {
        Endpoint::Address(address) => (address.clone(), None),
        Endpoint::Invite(invite) if invite.token.is_none() => {
            (invite.address.clone(), Some(invite.fingerprint))
        }
        Endpoint::Invite(invite) => {
            let failure =
                Failure::usage("an invite works once and is a secret; it does not belong in the file");
            let address = &invite.address;
            let hint = format!("connect with it once, then name the server by its address, {address}");
            return Err(failure.about(address.to_string()).hint(hint));
        }
    };
    if pin.is_some() && args.fingerprint.is_some() && pin != args.fingerprint {
        return Err(
            Failure::usage("the endpoint pins another key than --fingerprint").about(address.to_string())
        );
    }
    let start_dir = args.start_dir.as_deref().map(|typed| RemotePath::resolve(&DirPath::root(), typed));
    let start_dir = start_dir.transpose()?.map(|path| path.path);
    Ok(Host { name: args.name.clone(), address, fingerprint: args.fingerprint.or(pin), start_dir })
}

async fn remove(context: &mut Context, name: &HostName) -> Result<(), Failure> {
    let (mut config, wanted) = (context.config.clone(), name.clone());
    let (config, (host, was_default)) =
        blocking(move || config.remove(&wanted).map(|removed| (config, removed))).await?;
    context.config = config;
    let note = if was_default { ", which was the default" } else { "" };
    let line = format_args!("removed {} ({}){note}", host.name.as_str(), host.address);
    answer(context, "removed", host.name.as_str(), line);
    Ok(())
}

async fn trust(context: &Context, server: &ServerName, key: Fingerprint) -> Result<(), Failure> {
    let address = address_of(context, server);
    let asked = address.clone();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let is_new = change(context, move |hosts| hosts.add(&asked, key, today, AddMode::First)).await?;
    let (outcome, word) = if is_new { ("trusted", "now") } else { ("already-there", "already") };
    answer(context, outcome, &address.to_string(), format_args!("{address} is {word} trusted with {key}"));
    Ok(())
}

async fn forget(context: &Context, server: &ServerName) -> Result<(), Failure> {
    let address = address_of(context, server);
    let asked = address.clone();
    let removed = change(context, move |hosts| hosts.forget(&asked)).await?;
    let pin = context.config.host_at(&address).filter(|host| host.fingerprint.is_some());
    let way_out = pin.map(|host| Hint::run(new_pin(host, None)));
    if removed.is_empty() {
        let failure = Failure::new(ExitCode::NotFound, "not-found", "no key of this server is known");
        let list = || Hint::run("hosts").then(" lists what is known");
        return Err(failure.about(address.to_string()).hint(way_out.unwrap_or_else(list)));
    }
    for key in &removed {
        answer(context, "forgotten", &address.to_string(), format_args!("forgot {key} of {address}"));
    }
    if let Some((host, way_out)) = pin.zip(way_out) {
        let (name, way_out) = (host.name.as_str(), context.printer.shown(&way_out));
        let note = "the configuration file still demands a key of";
        context.printer.note(format_args!("{note} {name}; for another one: {way_out}"));
    }
    Ok(())
}

/// The address that a name or an address means.
fn address_of(context: &Context, server: &ServerName) -> HostPort {
    context.config.resolve(server).endpoint.address().clone()
}

fn answer(context: &Context, outcome: &str, path: &str, line: std::fmt::Arguments<'_>) {
    context.printer.object(&Done { path: Some(path), outcome: Some(outcome), ..Done::new("hosts") });
    context.printer.answer(line);
}

/// The servers whose keys are known, in the order of the file.
async fn load(context: &Context) -> Result<Vec<KnownHost>, Failure> {
    change(context, |hosts| Ok(hosts.entries().cloned().collect())).await
}

/// Does something with the list of known servers.
async fn change<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&mut KnownHosts) -> Result<T, KnownHostsError> + Send + 'static,
) -> Result<T, Failure> {
    let file = context.client().known_hosts_file();
    let result = move || KnownHosts::load(&file).and_then(|mut hosts| work(&mut hosts));
    let done = blocking(move || Ok(result())).await?;
    done.map_err(|error| failure(&error))
}

fn failure(error: &KnownHostsError) -> Failure {
    match error {
        KnownHostsError::File(error) => state_dir::file_failure(error),
        KnownHostsError::OtherKeyKnown { host_port, known } => {
            let keys = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            let message = format!("another key is known for this server: {keys}");
            let failure = Failure::new(ExitCode::Untrusted, "server-untrusted", message);
            let hint = Hint::from("if the server really has a new key: ");
            failure.about(host_port.to_string()).hint(hint.then_run(format!("hosts forget {host_port}")))
        }
        other => Failure::new(ExitCode::Other, "other", Escaped(&other.to_string()).to_string()),
    }
}

/// Runs what touches files on a thread that may wait for them.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(Failure::new(ExitCode::Other, "other", error.to_string())))
}

/// Since when the key of a server is known, as text.
pub(super) async fn known_since(context: &Context, address: &HostPort, key: Fingerprint) -> Option<String> {
    let known = load(context).await.ok()?;
    let found = known.iter().find(|known| known.host_port == *address && known.fingerprint == key)?;
    Some(found.first_seen.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_are_listed_together() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config::in_file(dir.path().join("config.toml"));
        let (pin, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let address = |text: &str| text.parse::<HostPort>().expect("an address");
        let host = |name: &str, pin| {
            let name = name.parse().expect("a name");
            Host { address: address("lab:1"), name, fingerprint: pin, start_dir: None }
        };
        config.add(&host("a", None), true, false).expect("added");
        config.add(&host("b", Some(pin)), false, false).expect("added");
        config.add(&Host { address: address("new"), ..host("c", None) }, false, false).expect("added");
        let first_seen: Date = "2026-11-02".parse().expect("a date");
        let known = |text, fingerprint| KnownHost { host_port: address(text), fingerprint, first_seen };
        let listed = merged(&config, &[known("lab:1", other), known("else:2", pin)]);
        let shown: Vec<_> = listed.iter().map(row).collect();
        let (pin, other) = (pin.to_string(), other.to_string());
        let expected = [
            ["a (default)", "lab:1", &other, "2026-11-02"],
            ["b", "lab:1", &other, "2026-11-02"],
            ["b", "lab:1", &pin, "-"],
            ["c", "new:4433", "-", "-"],
            ["-", "else:2", &pin, "2026-11-02"],
        ];
        assert_eq!(shown, expected);
        let pinned: Vec<_> = listed.iter().map(|host| host.pinned).collect();
        assert_eq!(pinned, [false, false, true, false, false]);
    }
}
