//! `doctor`: step by step, what works between this machine and a server, what does not, and what keeps transfers from being
//! faster. It has a connection of its own and leaves no file on either side.

mod findings;
mod limit;
mod machine;
mod measure;
mod noise;
mod report;
mod run;

use std::{sync::Arc, time::Duration};

use fulmar_client::{Client, Endpoint, Error, ErrorKind, Session, Trust};
use fulmar_proto::{
    address::HostPort,
    error::ErrorCode,
    fingerprint::Fingerprint,
    grants::Grants,
    hello::{Policies, Welcome},
    path::{DirPath, RelPath},
    text::Escaped,
};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use self::{
    findings::Knock,
    measure::Bounds,
    report::{Finding, Report},
    run::{Run, Way},
};
use super::{hosts::known_since, status::or_none};
use crate::{
    config::Target,
    exit_code::ExitCode,
    hints::quoted,
    output::{Failure, hint::Hint, objects::admin::policy_words},
    remote_path::resolve_below_root,
    session::{Context, Mode, trust_for},
    verb::DoctorArgs,
};

/// How many small requests tell about round trips. Meanwhile the transport finds out how large packets may be.
const REQUESTS: usize = 12;

const NAME: &str = "name";
const HANDSHAKE: &str = "handshake";
const KEY: &str = "server key";
const ADMISSION: &str = "admission";
const ROUND_TRIP: &str = "round trip";
const PATH_MTU: &str = "path MTU";
const SOCKET: &str = "socket";
const UPLOAD: &str = "upload";
const DOWNLOAD: &str = "download";
const LIMITED_BY: &str = "limited by";

pub(super) async fn doctor(context: &mut Context, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let patient = Patient::of(context, args)?;
    let printer = Arc::clone(&context.printer);
    let report = Report::new(&printer);
    reach(context, &patient, &report).await?;
    let (session, welcome) = admit(context, &patient, &report).await?;
    let farewell = Farewell::of(&session, context);
    let examined = examine(context, &patient, &session, &welcome, &report).await;
    farewell.say(&session).await;
    examined.map(|()| ExitCode::Done)
}

/// Whom it is about, and what is wanted.
struct Patient {
    target: Target,
    trust: Trust,
    /// The file to be fetched, and how it was named.
    file: Option<(RelPath, String)>,
    bounds: Bounds,
    /// It was named by an invite that lets a stranger in once.
    has_invite: bool,
    /// This command with longer measurements.
    again: String,
}

impl Patient {
    /// Without a name it is the server of the connection, or the one that `connme` would connect to.
    fn of(context: &Context, args: &DoctorArgs) -> Result<Self, Failure> {
        let connected = context.server().map(|address| {
            let named = context.config.host_at(address).map(Target::from);
            named.unwrap_or_else(|| Target::from(Endpoint::Address(address.clone())))
        });
        let named = args.endpoint.as_ref().map(|server| context.config.resolve(server));
        let mut target = named.or(connected).unwrap_or_else(|| context.default_target());
        let has_invite = match &mut target.endpoint {
            // It works once, and that is not for a question.
            Endpoint::Invite(invite) => invite.token.take().is_some(),
            Endpoint::Address(_) => false,
        };
        let address = target.endpoint.address().clone();
        let dir =
            if context.server() == Some(&address) { context.remote_dir.clone() } else { DirPath::root() };
        let file = args.file.as_ref().map(|typed| Ok((resolve_below_root(&dir, typed)?, typed.clone())));
        let bounds = Bounds { time: Duration::from_secs(args.seconds.into()), bytes: args.limit };
        let file_option =
            args.file.as_ref().map_or_else(String::new, |file| format!(" --file {}", quoted(file)));
        let again =
            format!("doctor {address} --seconds {} --limit 10GiB{file_option}", args.seconds.max(5) * 4);
        Ok(Self {
            trust: trust_for(&context.trust, &target),
            target,
            file: file.transpose()?,
            bounds,
            has_invite,
            again,
        })
    }

    fn address(&self) -> &HostPort {
        self.target.endpoint.address()
    }
}

/// Has the connection closed in order, also when the command is cancelled: a measurement has to be taken back before. It must not be
/// closed twice at once, since only the first one waits for that.
struct Farewell(Option<Session>);

impl Farewell {
    fn of(session: &Session, context: &mut Context) -> Self {
        if context.mode == Mode::OneShot {
            // Closed by the process at its end, which waits for it.
            context.session = Some(session.clone());
            return Self(None);
        }
        Self(Some(session.clone()))
    }

    async fn say(mut self, session: &Session) {
        self.0 = None;
        session.close().await;
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            tokio::spawn(async move { session.close().await });
        }
    }
}

/// Looks the name up, and begins a handshake with each address.
async fn reach(context: &Context, patient: &Patient, report: &Report<'_>) -> Result<(), Failure> {
    let named = patient.address().to_string();
    let client = context.client();
    let addrs = client.addresses(patient.address()).await.map_err(|error| context.failure(&error, &named));
    let addrs = report.unless_failed(NAME, addrs)?;
    report.tell(NAME, &findings::addresses(&addrs));
    let mut knocking = JoinSet::new();
    for (index, addr) in addrs.into_iter().enumerate() {
        let client = client.clone();
        knocking.spawn(async move { (index, addr, client.knock(addr).await) });
    }
    let mut knocked = knocking.join_all().await;
    knocked.sort_unstable_by_key(|(index, ..)| *index);
    let has_answer = knocked.iter().any(|(.., result)| result.is_ok());
    if has_answer {
        let knocks = knocked.into_iter().map(|(_, addr, result)| Knock {
            addr,
            answer: result.map(|knocked| knocked.elapsed).map_err(|error| error.to_string()),
        });
        report.tell(HANDSHAKE, &findings::handshakes(&knocks.collect::<Vec<_>>()));
        return Ok(());
    }
    let why = knocked.into_iter().find_map(|(.., result)| result.err()).unwrap_or(Error::NoWelcome);
    Err(report.failed(HANDSHAKE, context.failure(&why, &named)))
}

/// Connects as every other command does, and says of the server's key and of this client what came of it.
async fn admit(
    context: &mut Context,
    patient: &Patient,
    report: &Report<'_>,
) -> Result<(Session, Welcome), Failure> {
    let began = Instant::now();
    let endpoint = &patient.target.endpoint;
    let connected = connect(context.client(), endpoint, &patient.trust).await;
    let elapsed = began.elapsed();
    let own = context.client().fingerprint();
    match connected {
        Ok((session, welcome)) => {
            let since = known_since(context, session.address(), session.fingerprint()).await;
            report.tell(KEY, &key(session.fingerprint(), since.as_deref(), patient));
            report.tell(ADMISSION, &admission(&session, &welcome, own, elapsed));
            Ok((session, welcome))
        }
        Err(error) => {
            let failure = with_invite(context.connect_failure(&error, endpoint), &error, patient.has_invite);
            let step = step_of(&error);
            if step == ADMISSION {
                report.tell(KEY, &Finding::good("the one that is known here, or was demanded"));
            }
            Err(report.failed(step, failure))
        }
    }
}

async fn connect(client: &Client, endpoint: &Endpoint, trust: &Trust) -> Result<(Session, Welcome), Error> {
    let session = client.connect(endpoint, trust).await?;
    let welcome = session.welcome().await?.clone();
    Ok((session, welcome))
}

/// A stranger who has an invite at hand needs no other.
fn with_invite(failure: Failure, error: &Error, has_invite: bool) -> Failure {
    match error {
        Error::Server(refusal) if has_invite && refusal.code == ErrorCode::UNKNOWN_CLIENT => {
            let unused = Hint::from("the invite is still unused: connme and the invite lets this client in");
            let on_command_line =
                "the invite is still unused: `fulmar shell` and the invite lets this client in";
            failure.hint(unused.or_on_command_line(on_command_line))
        }
        _ => failure,
    }
}

/// How far connecting has come.
fn step_of(error: &Error) -> &'static str {
    match error {
        Error::Resolve(_) => NAME,
        Error::Dial(_) => HANDSHAKE,
        error if error.kind() == ErrorKind::ServerUntrusted => KEY,
        _ => ADMISSION,
    }
}

fn key(key: Fingerprint, since: Option<&str>, patient: &Patient) -> Finding {
    let pinned = patient.target.demanded().is_some() || matches!(patient.trust, Trust::Pinned(_));
    let mut message = key.to_string();
    if let Some(since) = since {
        message.push_str(&format!(", known since {since}"));
    }
    if pinned {
        message.push_str(", and no other is accepted");
    }
    let values = json!({ "fingerprint": key.to_string(), "known_since": since, "pinned": pinned });
    Finding::good(message).values(values)
}

fn admission(session: &Session, welcome: &Welcome, own: Fingerprint, elapsed: Duration) -> Finding {
    let policies = policy_words(welcome.policies);
    let message = format!(
        "{} let {own} in within {}; grants {}, policies {}",
        match welcome.server_name.as_str() {
            "" => "the server".to_owned(),
            name => Escaped(name).to_string(),
        },
        findings::span(elapsed),
        welcome.grants,
        or_none(&policies),
    );
    Finding::good(message).values(json!({
        "client": own.to_string(),
        "remote": session.remote_addr().to_string(),
        "grants": welcome.grants.to_string(),
        "policies": policies,
        "protocol_minor": welcome.minor,
    }))
}

/// What the connection is like, and what it carries.
async fn examine(
    context: &Context,
    patient: &Patient,
    session: &Session,
    welcome: &Welcome,
    report: &Report<'_>,
) -> Result<(), Failure> {
    let trips =
        round_trips(session).await.map_err(|error| context.failure(&error, &patient.address().to_string()));
    let trips = report.unless_failed(ROUND_TRIP, trips)?;
    report.tell(ROUND_TRIP, &findings::round_trips(&trips, session.stats().min_rtt));
    report.tell(PATH_MTU, &findings::path_mtu(&session.stats(), patient.address().host()));
    let dropped = session.dropped_datagrams().await;
    report.tell(SOCKET, &findings::socket(session.socket_buffers(), dropped));
    let uploaded = match no_upload(welcome, patient.bounds, context.client().fingerprint()) {
        Some(why) => {
            report.tell(UPLOAD, &why);
            Ok(())
        }
        None => measured_upload(context, patient, session, report).await,
    };
    let downloaded = measured_download(context, patient, session, report).await;
    uploaded.and(downloaded)
}

/// How long some small requests take. One that is refused has gone there and back all the same.
async fn round_trips(session: &Session) -> Result<Vec<Duration>, Error> {
    let mut trips = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        match session.stat(&DirPath::root()).await {
            Ok(_) | Err(Error::Server(_)) => trips.push(began.elapsed()),
            Err(error) => return Err(error),
        }
    }
    Ok(trips)
}

async fn measured_upload(
    context: &Context,
    patient: &Patient,
    session: &Session,
    report: &Report<'_>,
) -> Result<(), Failure> {
    let run = measure::upload(session, patient.bounds).await;
    let run = run.map_err(|error| context.failure(&error, &patient.address().to_string()));
    tell_run(&report.unless_failed(UPLOAD, run)?, patient, report);
    Ok(())
}

/// Why no upload can be measured, or none is wanted.
fn no_upload(welcome: &Welcome, bounds: Bounds, own: Fingerprint) -> Option<Finding> {
    if bounds.time.is_zero() {
        Some(Finding::skipped("not measured"))
    } else if welcome.policies.has(Policies::READ_ONLY) {
        Some(Finding::skipped("not measured: the server is read-only"))
    } else if !welcome.grants.allow(Grants::WRITE) {
        let grants = welcome.grants.with(Grants::WRITE);
        let hint = format!("on the server: fulmar clients grant {own} {grants}");
        Some(Finding::skipped("not measured: this client may not write").hint(hint))
    } else {
        None
    }
}

async fn measured_download(
    context: &Context,
    patient: &Patient,
    session: &Session,
    report: &Report<'_>,
) -> Result<(), Failure> {
    let Some((file, typed)) = patient.file.as_ref().filter(|_| !patient.bounds.time.is_zero()) else {
        return Ok(());
    };
    let run = measure::download(session, file, patient.bounds).await;
    let run = run.map_err(|error| context.failure(&error, typed));
    tell_run(&report.unless_failed(DOWNLOAD, run)?, patient, report);
    Ok(())
}

fn tell_run(run: &Run, patient: &Patient, report: &Report<'_>) {
    let step = match run.way {
        Way::Up => UPLOAD,
        Way::Down => DOWNLOAD,
    };
    report.tell(step, &Finding::good(run.message()).values(run.values()));
    report.tell(LIMITED_BY, &limit::judge(run).finding(run, &patient.again));
}
