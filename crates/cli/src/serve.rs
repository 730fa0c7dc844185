//! `fulmar serve`: the server, and what it tells its operator.

mod log;

use std::{
    future::Future,
    net::{Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use fulmar_proto::{DEFAULT_PORT, address::HostPort, grants::Grants, hello::Policies};
use fulmar_server::{ServeError, Server, ServerConfig};
use fulmar_store::{
    Environment,
    local::{LocalOptions, LocalStore, OpenError},
};
use tokio::sync::oneshot;

use self::log::Log;
use crate::{
    args::{Global, ServeArgs},
    exit_code::ExitCode,
    hints::quoted,
    invite::{self, DEFAULT_VALIDITY},
    output::{Failure, Printer, failure::who_may, objects, units},
    runtime, session,
    signals::Signals,
    state_dir,
};

/// Serves until a signal asks it to stop.
pub(crate) async fn run(
    args: &ServeArgs,
    global: &Global,
    printer: &Arc<Printer>,
) -> Result<ExitCode, Failure> {
    let signals = Signals::catch()?;
    let state = state_dir::locate(global.state.as_deref())?;
    check_state_outside(&state, &args.dir)?;
    let environment = Environment::system(runtime::disk_threads())
        .map_err(|error| Failure::new(ExitCode::Other, "other", format!("cannot start threads: {error}")))?;
    let options = LocalOptions { read_only: args.read_only, ..LocalOptions::default() };
    let store = LocalStore::open(&args.dir, options, environment.clone())
        .map_err(|error| open_failure(&error, &args.dir))?;
    if store.is_read_only() && !args.read_only {
        printer.note("warning: the directory cannot be written to; it is served read-only");
    }
    let log = Arc::new(Log::open(args.log_file.as_deref(), printer)?);
    let config = config(args, state.clone(), store.is_read_only());
    let server = Server::bind(config, store.clone(), store, environment, log)
        .map_err(|error| serve_failure(&error))?;
    announce(&server, args, &state, printer)?;
    let (stop, stop_now) = stopping(signals);
    server.run(stop, stop_now).await;
    if let Some(dropped) = server.dropped_datagrams().await.filter(|dropped| *dropped > 0) {
        let dropped = units::counted(dropped, "datagram", "datagrams");
        printer.note(format_args!("the socket's receive buffer was full for {dropped}, which were dropped"));
    }
    Ok(ExitCode::Done)
}

fn config(args: &ServeArgs, state_dir: PathBuf, read_only: bool) -> ServerConfig {
    let wildcard = SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT));
    let policies = [
        (read_only, Policies::READ_ONLY),
        (args.keep_extension, Policies::KEEP_EXTENSION),
        (args.no_overwrite, Policies::NO_OVERWRITE),
    ];
    ServerConfig {
        listen: args.listen.unwrap_or(wildcard),
        state_dir,
        name: session::host_name(),
        policies: policies
            .into_iter()
            .filter(|(wanted, _)| *wanted)
            .fold(Policies::default(), |all, (_, policy)| all.with(policy)),
        anonymous: args.anonymous.grants(),
        max_connections: args.max_connections,
        max_memory_bytes: args.max_memory,
        remember_paths: true,
    }
}

/// The first signal drains the server, the second one ends it at once.
fn stopping(mut signals: Signals) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
    let (stop, stopped) = oneshot::channel();
    let (stop_now, stopped_now) = oneshot::channel();
    tokio::spawn(async move {
        signals.next().await;
        // A server that has ended meanwhile waits for neither.
        let _ = stop.send(());
        signals.next().await;
        let _ = stop_now.send(());
    });
    let wait = |signal: oneshot::Receiver<()>| async move {
        if signal.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    (wait(stopped), wait(stopped_now))
}

/// Tells the operator, or the script, that the server is there, and how to reach it.
fn announce(server: &Server, args: &ServeArgs, state: &Path, printer: &Printer) -> Result<(), Failure> {
    let (address, guessed) = invite::public_address(args.public_addr.as_ref(), server.local_addr())?;
    state_dir::remember_server_address(state, &address)?;
    let invite = make_invite(server, args, &address)?;
    let fingerprint = server.fingerprint().to_string();
    printer.object(&objects::Listening::new(server.local_addr(), fingerprint, invite.as_deref()));
    for line in banner(server, args, invite.as_deref()) {
        printer.data(line);
    }
    printer.flush();
    if guessed && invite.is_some() {
        printer.note(format_args!(
            "the invite names {}, an address of this machine; where clients need another, use --public-addr",
            address.host()
        ));
    }
    if let Some(warning) = server.socket_warning() {
        printer.note(format_args!("warning: {warning}"));
    }
    Ok(())
}

fn make_invite(server: &Server, args: &ServeArgs, address: &HostPort) -> Result<Option<String>, Failure> {
    if server.has_clients() && !args.invite {
        return Ok(None);
    }
    let made =
        invite::make(server.trust(), server.fingerprint(), address.clone(), Grants::ALL, DEFAULT_VALIDITY)?;
    Ok(Some(made.to_string()))
}

fn banner(server: &Server, args: &ServeArgs, invite: Option<&str>) -> Vec<String> {
    let dir = std::fs::canonicalize(&args.dir).unwrap_or_else(|_| args.dir.clone());
    let dir = dir.to_string_lossy();
    let mut lines = vec![
        format!("serving      {}  ({})", fulmar_proto::text::Escaped(&dir), rules(args)),
        format!("listening    {} (udp)", server.local_addr()),
        format!("fingerprint  {}", server.fingerprint()),
    ];
    if let Some(invite) = invite {
        lines.push(format!("invite       {invite}"));
        lines.push(format!("             ({})", invite::lifetime(Grants::ALL, DEFAULT_VALIDITY)));
        lines.push(format!("on the other machine:  fulmar shell {invite}"));
    }
    lines
}

/// How the directory is served, in words.
fn rules(args: &ServeArgs) -> String {
    let mut words = vec![if args.read_only { "read-only" } else { "read-write" }];
    if args.no_overwrite {
        words.push("no overwriting");
    }
    if args.keep_extension {
        words.push("extensions kept");
    }
    words.push(match args.anonymous {
        crate::args::Anonymous::None => "enrolled clients only",
        crate::args::Anonymous::Read => "anyone may read",
        crate::args::Anonymous::Write => "anyone may read and store",
    });
    words.join(", ")
}

/// Keys below the served directory would be served.
fn check_state_outside(state: &Path, dir: &Path) -> Result<(), Failure> {
    if !real(state).starts_with(real(dir)) {
        return Ok(());
    }
    let failure = Failure::usage("the state, with its keys, must not be inside the served directory");
    Err(failure.about(state.to_string_lossy()).hint("name another folder with --state DIR"))
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match existing.and_then(|(above, real)| Some(real.join(absolute.strip_prefix(above).ok()?))) {
        Some(real) => real,
        None => absolute,
    }
}

fn open_failure(error: &OpenError, dir: &Path) -> Failure {
    let (code, kind) = match error {
        OpenError::Locked => (ExitCode::Other, "locked"),
        _ => (ExitCode::LocalDisk, "local-disk"),
    };
    let failure = Failure::new(code, kind, error.to_string()).about(dir.to_string_lossy());
    match error {
        OpenError::Locked => {
            failure.hint("stop that one, or serve another directory; `ps -C fulmar` shows it")
        }
        _ => failure.hint(who_may(&quoted(&dir.to_string_lossy()))),
    }
}

fn serve_failure(error: &ServeError) -> Failure {
    match error {
        ServeError::Identity(error) => invite::identity_failure(error),
        ServeError::Trust(error) => invite::trust_failure(error),
        other => Failure::new(ExitCode::Other, "bind", other.to_string())
            .hint("`ss -ulpn` shows which ports are taken; --listen ADDR:PORT takes another"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;

    fn serve_args(line: &[&str]) -> ServeArgs {
        let words = ["fulmar", "serve", "dir"].iter().chain(line);
        match Cli::try_parse_from(words).expect("parses").command {
            Some(Command::Serve(args)) => args,
            other => panic!("not serve: {other:?}"),
        }
    }

    #[test]
    fn options_become_policies() {
        let config =
            |line: &[&str]| config(&serve_args(line), PathBuf::from("state"), line.contains(&"--read-only"));
        assert_eq!(config(&[]).policies, Policies::default());
        assert_eq!(config(&[]).listen.to_string(), "[::]:4433");
        let all = config(&["--read-only", "--keep-extension", "--no-overwrite", "--listen", "127.0.0.1:0"]);
        assert!(
            all.policies.has(Policies::READ_ONLY.with(Policies::KEEP_EXTENSION).with(Policies::NO_OVERWRITE))
        );
        assert_eq!(all.listen.to_string(), "127.0.0.1:0");
        assert_eq!(config(&["--anonymous", "read"]).anonymous, Grants::LIST.with(Grants::READ));
        assert!(!config(&["--anonymous", "write"]).anonymous.allow(Grants::DELETE));
        assert_eq!(config(&["--max-memory", "64MB"]).max_memory_bytes, 64_000_000);
    }

    #[test]
    fn the_banner_says_how_it_is_served() {
        assert_eq!(rules(&serve_args(&[])), "read-write, enrolled clients only");
        let line = ["--read-only", "--anonymous", "read"];
        assert_eq!(rules(&serve_args(&line)), "read-only, anyone may read");
    }

    #[test]
    fn the_state_stays_outside_of_what_is_served() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let served = dir.path().join("served");
        assert!(check_state_outside(&dir.path().join("state"), &served).is_ok());
        assert!(check_state_outside(&served.join("deep/state"), &served).is_err());
        assert!(check_state_outside(&served, &served).is_err());
        std::fs::create_dir(&served).expect("made");
        std::os::unix::fs::symlink(&served, dir.path().join("link")).expect("linked");
        assert!(check_state_outside(&dir.path().join("link/state"), &served).is_err());
    }
}
