//! What a run of the command line knows: the client, its connection, and the two current directories.

mod plan;

use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fulmar_client::{Client, ClientConfig, Endpoint, Error, ErrorKind, Session, Trust};
use fulmar_proto::{address::HostPort, fingerprint::Fingerprint, path::DirPath};

use crate::{
    args::Global,
    config::{Config, Target},
    exit_code::ExitCode,
    hints,
    one_shot::cancelled,
    output::{Failure, Printer, failure::io_message, hint::Hint, objects, progress::Progress},
    sending,
    server_name::ServerName,
    shell::{
        input::{Input, Typed},
        places::Scope,
    },
    state_dir, trust,
};

use plan::{Plan, plan};

/// How long connecting may take unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How commands arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One, on the command line.
    OneShot,
    /// One per line, from a file or a pipe.
    Batch,
    /// One per line, from a person.
    Shell,
}

/// The state that commands share.
pub(crate) struct Context {
    pub(crate) printer: Arc<Printer>,
    pub(crate) mode: Mode,
    /// Where commands and answers come from.
    pub(crate) input: Input,
    /// The line of the batch that is being done.
    pub(crate) line: Option<u64>,
    /// The current remote directory; the root while not connected.
    pub(crate) remote_dir: DirPath,
    /// The current local directory. A variable: the process itself stays where it is.
    pub(crate) local_dir: PathBuf,
    pub(crate) config: Config,
    client: Client,
    pub(crate) trust: Trust,
    state_dir: PathBuf,
    pub(crate) session: Option<Session>,
    /// Connected to when a remote verb first needs it.
    on_demand: Option<Target>,
    /// The server that the command line or the environment names.
    named: Option<ServerName>,
}

/// When a connection is good for commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Once the server has shown the key that is known.
    NoLonger,
    /// Once the server has admitted this client.
    ForWelcome,
}

impl Context {
    /// Makes or loads the client's identity; connects to nothing.
    pub(crate) fn new(
        global: &Global,
        config: Config,
        printer: Arc<Printer>,
        mode: Mode,
    ) -> Result<Self, Failure> {
        let state_dir = state_dir::locate(global.state.as_deref())?;
        let timeout = global.connect_timeout.or(config.defaults.connect_timeout);
        let client_config = ClientConfig {
            state_dir: state_dir.clone(),
            name: host_name(),
            connect_timeout: timeout.unwrap_or(CONNECT_TIMEOUT),
            threads: crate::runtime::disk_threads(),
            sending: sending::wanted(global)?,
            ..ClientConfig::new(state_dir.clone())
        };
        let client = Client::new(client_config).map_err(|error| client_failure(&error))?;
        let local_dir = std::env::current_dir().map_err(|error| Failure::local(Path::new("."), &error))?;
        let named = match &global.server {
            Some(server) => Some(server.clone()),
            None => state_dir::server_of_environment()?,
        };
        Ok(Self {
            printer,
            mode,
            input: Input::default(),
            line: None,
            remote_dir: DirPath::root(),
            local_dir,
            config,
            client,
            trust: trust_of(global),
            state_dir,
            session: None,
            on_demand: None,
            named,
        })
    }

    /// The server named by the command line, the environment or the configuration file.
    pub(crate) fn preferred(&self) -> Option<&ServerName> {
        self.named.as_ref().or(self.config.defaults.server.as_ref())
    }

    /// Connects to `server` once a remote verb needs it.
    pub(crate) fn connect_on_demand(&mut self, server: &ServerName) {
        self.on_demand = Some(self.config.resolve(server));
    }

    /// Whether a remote verb would connect by itself, or already has.
    pub(crate) fn is_connectable(&self) -> bool {
        self.session.is_some() || self.on_demand.is_some()
    }

    /// The client, for local work that the library does too.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The server of the connection, while there is one.
    pub(crate) fn server(&self) -> Option<&HostPort> {
        self.session.as_ref().map(Session::address)
    }

    /// Says whether remote verbs can be tried at all, without connecting.
    pub(crate) fn check_connectable(&mut self) -> Result<(), Failure> {
        self.drop_dead_session()?;
        match (&self.session, &self.on_demand) {
            (None, None) => Err(self.not_connected()),
            _ => Ok(()),
        }
    }

    fn not_connected(&self) -> Failure {
        let failure = Failure::new(ExitCode::Connection, "not-connected", "not connected; use connme");
        let connme =
            Hint::run("connme HOST[:PORT]").then(", or connme and the invite that the server printed");
        failure.hint(connme.or_on_command_line("name the server with -s HOST[:PORT], or in FULMAR_SERVER"))
    }

    /// Connects to `endpoint` before anything else is done.
    pub(crate) async fn connect_first(&mut self, server: &ServerName) -> Result<(), Failure> {
        self.connect(&self.config.resolve(server), Wait::ForWelcome).await.map(|_| ())
    }

    /// The connection, made now when that was put off until it is needed.
    pub(crate) async fn session(&mut self) -> Result<Session, Failure> {
        self.check_connectable()?;
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        match self.on_demand.take() {
            // The one command travels right behind Hello. If the server refuses this client, the command fails with that.
            Some(target) if self.mode == Mode::OneShot => self.connect(&target, Wait::NoLonger).await,
            Some(target) => self.connect(&target, Wait::ForWelcome).await,
            None => Err(self.not_connected()),
        }
    }

    /// `connme`: connects, or says what there is a connection to.
    pub(crate) async fn connme(&mut self, wanted: Option<&ServerName>) -> Result<(), Failure> {
        // Connecting again is what this command is for: a dead connection needs no words.
        let _ = self.drop_dead_session();
        self.on_demand = None;
        let wanted = wanted.map(|server| self.config.resolve(server));
        let live = self.session.as_ref().map(|session| (session.address(), session.fingerprint()));
        match plan(live, wanted, || self.default_target()) {
            Plan::Stay => {
                self.answer_connected(true);
                Ok(())
            }
            Plan::Refuse => Err(self.already_connected()),
            Plan::OtherKey(demanded) => Err(self.connected_with_other_key(demanded)),
            Plan::Connect(target) => {
                self.connect(&target, Wait::ForWelcome).await?;
                self.answer_connected(false);
                Ok(())
            }
        }
    }

    fn already_connected(&self) -> Failure {
        let address = self.server().map(ToString::to_string).unwrap_or_default();
        Failure::usage(format!("already connected to {address}")).hint(leave_first())
    }

    /// There is a connection to the server, whose key is not the one that is demanded now.
    fn connected_with_other_key(&self, demanded: Fingerprint) -> Failure {
        let message = format!("connected already, but the server does not have the demanded key {demanded}");
        let failure = Failure::new(ExitCode::Untrusted, "server-untrusted", message).hint(leave_first());
        match self.server() {
            Some(address) => failure.about(address.to_string()),
            None => failure,
        }
    }

    fn answer_connected(&self, already: bool) {
        if let Some(session) = &self.session
            && let Some(Ok(welcome)) = session.admission()
        {
            self.printer.object(&objects::Connected::new(session, welcome, already));
            let word = if already { "already connected" } else { "connected" };
            self.printer.answer(format_args!("{word} to {}", session.address()));
        }
    }

    /// What `connme` without an argument connects to.
    pub(crate) fn default_target(&self) -> Target {
        let localhost = || {
            let address = HostPort::new("localhost", fulmar_proto::DEFAULT_PORT);
            address.expect("a plain name and a port above 0 are an address")
        };
        let last = || {
            let address = state_dir::last_server(&self.state_dir).unwrap_or_else(localhost);
            let named = self.config.host_at(&address).map(Target::from);
            named.unwrap_or_else(|| Target::from(Endpoint::Address(address)))
        };
        match self.preferred() {
            Some(server) => self.config.resolve(server),
            None => last(),
        }
    }

    async fn connect(&mut self, target: &Target, wait: Wait) -> Result<Session, Failure> {
        let endpoint = &target.endpoint;
        let trust = trust_for(&self.trust, target);
        let result = match wait {
            Wait::NoLonger => self.client.connect_early(endpoint, &trust).await,
            Wait::ForWelcome => self.client.connect(endpoint, &trust).await,
        };
        let session = match result {
            Ok(session) => session,
            Err(Error::UnknownServer { address, answered, fingerprint }) if self.may_ask() => {
                self.ask_about(&address, answered, fingerprint).await?;
                let trusted = self.client.trust_server(&address, fingerprint);
                trusted.map_err(|error| self.failure(&error, &address.to_string()))?;
                let result = self.client.connect(endpoint, &trust).await;
                result.map_err(|error| self.connect_failure(&error, endpoint))?
            }
            Err(error) => return Err(self.connect_failure(&error, endpoint)),
        };
        self.remember_if_admitted(&session);
        self.printer.detail(format_args!(
            "connected to {} ({}), rtt {} ms, key {}",
            session.address(),
            session.remote_addr(),
            session.rtt().as_millis(),
            session.fingerprint()
        ));
        self.remote_dir = match self.mode {
            // A single command means what it says, whatever the file says.
            Mode::OneShot => DirPath::root(),
            Mode::Batch | Mode::Shell => target.start_dir.clone().unwrap_or_else(DirPath::root),
        };
        self.session = Some(session.clone());
        Ok(session)
    }

    /// What `connme` without an argument goes to is a server that has let this client in.
    fn remember_if_admitted(&self, session: &Session) {
        if matches!(session.admission(), Some(Ok(_))) {
            state_dir::remember_last_server(&self.state_dir, session.address());
        }
    }

    /// Whether a person is there who can be asked.
    fn may_ask(&self) -> bool {
        self.mode != Mode::Batch && std::io::stdin().is_terminal() && self.printer.stderr_is_terminal()
    }

    async fn ask_about(
        &mut self,
        address: &HostPort,
        answered: Option<SocketAddr>,
        fingerprint: Fingerprint,
    ) -> Result<(), Failure> {
        let answer = self.ask(&trust::question(address, answered, fingerprint), trust::PROMPT).await?;
        trust::consent(&answer, fingerprint).map_err(|failure| failure.about(address.to_string()))
    }

    /// Asks the person at the terminal: `text` above, and `prompt` in front of the answer. The end of the input is an
    /// empty answer, and Ctrl-C cancels the command. Only where there is somebody to ask.
    pub(crate) async fn ask(&mut self, text: &str, prompt: &str) -> Result<String, Failure> {
        self.printer.write_stderr(text);
        match self.input.answer(&self.printer, prompt).await {
            Typed::Line(answer) => Ok(answer),
            Typed::End => Ok(String::new()),
            Typed::Interrupted => Err(cancelled(ExitCode::Interrupted)),
            Typed::Failed(error) => Err(Failure::usage(io_message(&error))),
        }
    }

    /// The failure of connecting. A key that has changed must not be missed among other lines: a person sees a banner.
    pub(crate) fn connect_failure(&self, error: &Error, endpoint: &Endpoint) -> Failure {
        if let Error::ServerKeyChanged { address, known, offered } = error
            && self.printer.stderr_is_terminal()
        {
            self.printer.alarm(&trust::changed_banner(address, known, *offered));
        }
        let failure = self.failure(error, &endpoint.address().to_string());
        match hints::pin_hint(error, self.config.hosts()) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// What a line is typed in.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            session: self.session.clone(),
            remote_dir: self.remote_dir.clone(),
            local_dir: self.local_dir.clone(),
            state_dir: self.state_dir.clone(),
            host_names: self.config.host_names().map(str::to_owned).collect(),
        }
    }

    /// Closes the connection, telling the server. Says whether there was one.
    pub(crate) async fn disconnect(&mut self) -> bool {
        self.on_demand = None;
        self.remote_dir = DirPath::root();
        match self.session.take() {
            Some(session) => {
                self.remember_if_admitted(&session);
                let alive = !session.is_closed();
                session.close().await;
                alive
            }
            None => false,
        }
    }

    /// Forgets a connection that has ended, of which the user has just been told.
    pub(crate) fn forget_dead_session(&mut self) {
        let _ = self.drop_dead_session();
    }

    fn drop_dead_session(&mut self) -> Result<(), Failure> {
        let Some(session) = self.session.take_if(|session| session.is_closed() || session.is_going_away())
        else {
            return Ok(());
        };
        self.remote_dir = DirPath::root();
        if let Some(Err(refusal)) = session.admission() {
            return Err(self.failure_about(&refusal, &session.address().to_string()));
        }
        let revoked = session.lost().is_some_and(|error| error.kind() == ErrorKind::Refused);
        let failure = if revoked {
            let own = self.client.fingerprint();
            Failure::new(ExitCode::Refused, "refused", "this client's access was revoked").hint(format!(
                "ask for an invite (`fulmar invite` on the server), or to be enrolled with {own}"
            ))
        } else {
            Failure::new(ExitCode::Connection, "connection-lost", "the connection was lost")
                .hint(hints::reconnect())
        };
        Err(failure.about(session.address().to_string()))
    }

    /// Tells of a failure of `verb`.
    pub(crate) fn report(&self, verb: &str, failure: &Failure) {
        self.printer.failure(verb, self.line, failure);
    }

    /// The failure that an error of the library is, about `object`; about the server when that has refused this client.
    pub(crate) fn failure(&self, error: &Error, object: &str) -> Failure {
        let refused = self.session.as_ref().and_then(|session| match session.admission() {
            Some(Err(refusal)) => Some((refusal, session.address().to_string())),
            _ => None,
        });
        match refused {
            Some((refusal, server)) => self.failure_about(&refusal, &server),
            None => self.failure_about(error, object),
        }
    }

    fn failure_about(&self, error: &Error, object: &str) -> Failure {
        let mut failure = hints::failure_of(error, object, self.client.fingerprint());
        failure.object = failure.object.map(|object| self.shown_local(&object).to_owned());
        failure
    }

    /// A local path as it is shown: what lies below the current local directory is named from there.
    pub(crate) fn shown_local<'a>(&self, path: &'a str) -> &'a str {
        let below = self.local_dir.to_str().and_then(|dir| path.strip_prefix(dir)?.strip_prefix('/'));
        below.unwrap_or(path)
    }

    /// Shows the progress of `verb` on so many files, and on so many bytes in all when that is known.
    pub(crate) fn progress(&self, verb: &'static str, files: usize, bytes_total: Option<u64>) -> Progress {
        Progress::new(&self.printer, verb, files, bytes_total)
    }

    /// A local path as it was typed, resolved against the current local directory. Where no other shell has done it,
    /// `~` is the home directory.
    pub(crate) fn local_path(&self, typed: &Path) -> PathBuf {
        match self.mode {
            Mode::OneShot => self.local_dir.join(typed),
            Mode::Batch | Mode::Shell => below_local_dir(&self.local_dir, typed),
        }
    }
}

/// A local path as it is typed in the shell, where `~` is the home directory.
pub(crate) fn below_local_dir(local_dir: &Path, typed: &Path) -> PathBuf {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty());
    match (typed.strip_prefix("~"), home()) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => local_dir.join(typed),
    }
}

fn leave_first() -> Hint {
    Hint::run("byebye").then(", then connme again")
}

fn trust_of(global: &Global) -> Trust {
    match global.fingerprint {
        Some(fingerprint) => Trust::Pinned(fingerprint),
        None if global.trust_new => Trust::RecordNew,
        None => Trust::KnownOnly,
    }
}

/// What to think of the key of `target`: the command line's word counts more than the file's.
pub(crate) fn trust_for(named: &Trust, target: &Target) -> Trust {
    match (named, target.pin) {
        (Trust::Pinned(_), _) | (_, None) => named.clone(),
        (Trust::KnownOnly | Trust::RecordNew, Some(pin)) => Trust::Pinned(pin),
    }
}

/// The failure of an error that is about no object of the user's.
fn client_failure(error: &Error) -> Failure {
    let kind = error.kind();
    let failure = Failure::new(ExitCode::from(kind), kind.word(), error.to_string());
    match error.subject() {
        Some(subject) => failure.about(subject),
        None => failure,
    }
}

/// What this machine calls itself, for the server's log.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::from(text.parse::<Endpoint>().expect("an endpoint"))
    }

    #[test]
    fn a_pin_of_the_file_counts_unless_the_command_line_names_one() {
        let (file, line) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let pinned = Target { pin: Some(file), ..target("lab") };
        for named in [Trust::KnownOnly, Trust::RecordNew] {
            assert_eq!(trust_for(&named, &pinned), Trust::Pinned(file));
            assert_eq!(trust_for(&named, &target("lab")), named);
        }
        assert_eq!(trust_for(&Trust::Pinned(line), &pinned), Trust::Pinned(line));
    }
}
