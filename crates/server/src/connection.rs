//! One client, from its Hello to its end.

use std::{
    net::SocketAddr,
    num::NonZeroU64,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use fulmar_proto::{
    MINOR,
    code::CloseCode,
    error::{ErrorCode, Failure},
    fingerprint::Fingerprint,
    grants::Grants,
    hello::{Extensions, Features, Hello, Limits as WireLimits, Notice, Welcome},
    invite::EXPORTER_LABEL,
    reply::Reply,
    text::Text,
};
use fulmar_transport::{
    Algorithm, Connection, ConnectionLost, FrameReceiver, FrameSender, Paths, Sending, StreamError,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    admission,
    audit::{AuditKind, AuditRecord},
    command::{self, Context, Ended},
    server::{Phase, Shared},
    trust::Redeemed,
    under_way::UploadsUnderWay,
};

/// How many ranges are read and handed to a connection at the same time. A client asks for many at once; handed over in the
/// order in which it asked, they also arrive in order. Several, so that some are read while others are handed over.
const SENDERS_AT_ONCE: usize = 4;

/// One connection whose handshake is complete.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    shared: Arc<Shared>,
    connection: Connection,
    number: u64,
    remote: SocketAddr,
    name: Text,
    /// What the client may do although its key is not enrolled: the anonymous grants, when it came in by them.
    anonymous: Grants,
    under_way: UploadsUnderWay,
    /// What the client can do beyond the minor version.
    features: Features,
    turns: Arc<Semaphore>,
}

/// Serves one connection until it ends, and keeps the log's records of it.
pub(crate) async fn serve(shared: Arc<Shared>, connection: Connection, number: u64) {
    let remote = connection.remote_addr();
    let mut client = ClientConnection {
        shared,
        connection,
        number,
        remote,
        name: Text::default(),
        anonymous: Grants::NONE,
        under_way: UploadsUnderWay::default(),
        features: Features::default(),
        turns: Arc::new(Semaphore::new(SENDERS_AT_ONCE)),
    };
    client.connection.lend(client.shared.pool.clone());
    let started = Instant::now();
    let hello_timeout = client.shared.limits.hello_timeout;
    // From before admission on, so that no revocation falls between the two.
    let trust_changed = client.shared.trust_changed.subscribe();
    let admitted = match timeout(hello_timeout, client.receive_hello()).await {
        Ok(Ok((hello, sender, receiver))) => client.admit(hello, sender, receiver).await,
        Ok(Err(_)) => {
            client.connection.close(CloseCode::PROTOCOL, "no hello");
            Err("malformed")
        }
        Err(_) => {
            client.connection.close(CloseCode::HELLO_TIMEOUT, "no hello in time");
            Err("stalled")
        }
    };
    match admitted {
        Ok(notices) => {
            client.record(AuditKind::Connected, Ended::of_connection("ok", started));
            client.serve_commands(notices, trust_changed).await;
            let reason = client.connection.closed().await;
            client.remember_path();
            client.record(AuditKind::Closed, Ended::of_connection(close_word(&reason), started));
        }
        Err(word) => client.record(AuditKind::Refused, Ended::of_connection(word, started)),
    }
}

impl ClientConnection {
    fn client(&self) -> Fingerprint {
        self.connection.peer()
    }

    async fn receive_hello(&self) -> Result<(Hello, FrameSender, FrameReceiver), StreamError> {
        let (sender, mut receiver) = self.connection.accept_stream().await?;
        let hello = receiver.recv_expected().await?;
        Ok((hello, sender, receiver))
    }

    /// Admits the client, or refuses it with the reason. Returns the stream for notices.
    async fn admit(
        &mut self,
        hello: Hello,
        mut sender: FrameSender,
        receiver: FrameReceiver,
    ) -> Result<FrameSender, &'static str> {
        (self.name, self.features) = (hello.name.clone(), hello.features);
        let grants = match self.decide(&hello).await {
            Ok(grants) => grants,
            Err(failure) => {
                let word = failure.code.word();
                self.refuse(failure, sender).await;
                return Err(word);
            }
        };
        self.connection.set_sending(wishes(&hello));
        self.recall_path();
        self.connection.admit();
        if sender.send(&Reply::Welcome(self.welcome(grants))).await.is_err() {
            return Err("connection-lost");
        }
        // The client says nothing more on this stream.
        drop(receiver);
        Ok(sender)
    }

    /// Begins with what the client's last connection has found out about the path.
    fn recall_path(&self) {
        let (key, now_s) = (self.connection.path_key(), self.shared.environment.clock.now().secs());
        self.connection.recall(self.paths().get(key, now_s));
    }

    /// Keeps what this connection has found out about the path for the client's next one.
    fn remember_path(&self) {
        if let (true, Some(found)) = (self.shared.config.remember_paths, self.connection.remembered()) {
            let (key, now_s) = (self.connection.path_key(), self.shared.environment.clock.now().secs());
            self.paths().note(key, found, now_s);
        }
    }

    /// Paths are whole between any two steps, so a poisoned lock is as good as any.
    fn paths(&self) -> MutexGuard<'_, Paths> {
        self.shared.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn decide(&mut self, hello: &Hello) -> Result<Grants, Failure> {
        let claim = admission::claim(hello).map_err(|_| Failure::new(ErrorCode::MALFORMED))?;
        let enrolled = self.shared.trust.find(&self.client());
        let redeemed = match admission::must_redeem(&claim, enrolled.as_ref()) {
            Some(proof) => Some(self.redeem(proof).await?),
            None => None,
        };
        let anonymous = self.shared.config.anonymous;
        let grants = admission::decide(enrolled.as_ref(), redeemed.as_ref(), anonymous)?;
        if enrolled.is_none() && redeemed.is_none() {
            self.anonymous = anonymous;
        }
        Ok(grants)
    }

    async fn redeem(&self, proof: fulmar_proto::invite::InviteProof) -> Result<Redeemed, Failure> {
        let internal = || Failure::new(ErrorCode::INTERNAL);
        let exporter = self.connection.exporter(EXPORTER_LABEL, b"").map_err(|_| internal())?;
        let (trust, client, name) = (self.shared.trust.clone(), self.client(), self.name.clone());
        let environment = &self.shared.environment;
        let now = environment.clock.now();
        let redeem = move || trust.redeem(&proof, &exporter, &client, &name, now);
        environment.offload.run(redeem).await.map_err(|error| {
            tracing::error!(%error, "an invite could not be redeemed");
            internal()
        })
    }

    fn welcome(&self, grants: Grants) -> Welcome {
        let limits = &self.shared.limits;
        Welcome {
            minor: MINOR,
            features: Features::EARLY_COMMIT,
            extensions: Extensions::default(),
            server_name: Text::new(&self.shared.config.name),
            grants,
            policies: self.shared.config.policies,
            limits: WireLimits {
                max_commands: limits.max_commands,
                max_body_bytes: limits.max_body_bytes,
                stall_timeout_ms: u32::try_from(limits.stall_timeout.as_millis()).unwrap_or(u32::MAX),
            },
        }
    }

    /// Tells the client why it is not admitted. Closing at once could overtake the reply, so the client is given a
    /// moment to close.
    async fn refuse(&self, failure: Failure, mut sender: FrameSender) {
        if sender.send(&Reply::Failed(failure)).await.is_ok() && sender.finish().is_ok() {
            let _ = timeout(self.shared.limits.hello_timeout, self.connection.closed()).await;
        }
        self.connection.close(CloseCode::NOT_ADMITTED, "");
    }

    /// What the client may do at this moment; none when it was revoked.
    fn grants(&self) -> impl Fn() -> Option<Grants> + Send + 'static {
        let (trust, client, anonymous) = (self.shared.trust.clone(), self.client(), self.anonymous);
        move || match trust.find(&client) {
            Some(enrolled) => Some(enrolled.grants),
            None if anonymous != Grants::NONE => Some(anonymous),
            None => None,
        }
    }

    fn context(&self) -> Context {
        Context {
            store: self.shared.store.clone(),
            uploads: self.shared.uploads.clone(),
            policies: self.shared.config.policies,
            limits: self.shared.limits,
            pool: self.shared.pool.clone(),
            client: self.client(),
            under_way: self.under_way.clone(),
            early_commit: self.features.has(Features::EARLY_COMMIT),
            turns: self.turns.clone(),
            progress: self.connection.progress(),
        }
    }

    /// The command loop. Ends when the connection has ended, or has been closed here.
    async fn serve_commands(&self, notices: FrameSender, mut trust_changed: watch::Receiver<()>) {
        let mut notices = Notices(Some(notices));
        let mut commands = JoinSet::new();
        let mut phase = self.shared.phase.subscribe();
        let (mut told, mut rests) = (false, true);
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Stopped {
                self.connection.close(CloseCode::SHUTTING_DOWN, "");
                break;
            }
            let draining = now == Phase::Draining;
            if draining && !told {
                told = true;
                let grace_ms = u32::try_from(self.shared.limits.drain_timeout.as_millis());
                notices.send(&Notice::GoingAway { grace_ms: grace_ms.unwrap_or(u32::MAX) }).await;
            }
            tokio::select! {
                // In a fixed order, so that a simulation can be repeated. What revokes or ends comes before what begins.
                biased;
                Ok(()) = trust_changed.changed() => if (self.grants())().is_none() {
                    notices.send_last(&Notice::Revoked).await;
                    self.connection.close(CloseCode::REVOKED, "");
                    break;
                },
                Ok(()) = phase.changed() => {}
                Some(ended) = commands.join_next() => {
                    self.record_command(ended);
                    rests = false;
                }
                stream = self.connection.accept_stream() => match stream {
                    Ok((sender, receiver)) => {
                        let (context, grants) = (self.context(), self.grants());
                        commands.spawn(command::serve(context, sender, receiver, grants, draining));
                    }
                    Err(_) => break,
                },
                () = sleep(REST_INTERVAL), if !rests && !draining && commands.is_empty() => rests = self.connection.rest(),
                () = sleep(self.shared.limits.drain_linger), if draining && self.is_idle(&commands) => {
                    notices.end().await;
                    self.connection.close(CloseCode::SHUTTING_DOWN, "");
                    break;
                }
            }
        }
        // What still runs finds its stream gone and ends; a commit that has begun is carried through.
        while let Some(ended) = commands.join_next().await {
            self.record_command(ended);
        }
    }

    /// Whether nothing runs and nothing is about to go on.
    fn is_idle(&self, commands: &JoinSet<Ended>) -> bool {
        commands.is_empty() && self.under_way.is_empty()
    }

    fn record_command(&self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(ended) => self.record(AuditKind::Command, ended),
            Err(error) => tracing::error!(%error, connection = self.number, "a command ended in a panic"),
        }
    }

    fn record(&self, kind: AuditKind, ended: Ended) {
        let client_name = match self.shared.trust.find(&self.client()) {
            Some(client) if !client.name.is_empty() => client.name,
            _ => self.name.as_str().to_owned(),
        };
        self.shared.audit.record(&AuditRecord {
            time: self.shared.environment.clock.now(),
            kind,
            connection: self.number,
            remote: self.remote,
            client: self.client(),
            client_name,
            verb: ended.verb,
            step: ended.step,
            path: ended.account.path,
            target: ended.account.target,
            bytes: ended.account.bytes,
            result: ended.result.to_owned(),
            duration: ended.duration,
        });
    }
}

impl Ended {
    fn of_connection(result: &'static str, started: Instant) -> Self {
        let account = crate::exchange::Account::default();
        Self { verb: "", step: "", account, result, duration: started.elapsed() }
    }
}

/// How long a connection is without a command before what it keeps for sending is given back.
const REST_INTERVAL: Duration = Duration::from_millis(200);

/// How long a notice is given to arrive before the connection is closed, which would overtake it.
const NOTICE_TIME: Duration = Duration::from_secs(1);

/// The stream of Hello, once it carries notices.
struct Notices(Option<FrameSender>);

impl Notices {
    /// Sends a notice. A client that takes none must not hold up its commands, so it gets no second try.
    async fn send(&mut self, notice: &Notice) {
        let Some(mut sender) = self.0.take() else { return };
        if let Ok(Ok(())) = timeout(NOTICE_TIME, sender.send(notice)).await {
            self.0 = Some(sender);
        }
    }

    /// Sends a notice and waits until it has arrived, or could have.
    async fn send_last(mut self, notice: &Notice) {
        self.send(notice).await;
        self.end().await;
    }

    /// Ends the stream and waits until everything on it has arrived, or could have.
    async fn end(self) {
        let Some(sender) = self.0 else { return };
        let arrived = sender.stopped();
        if sender.finish().is_ok() {
            let _ = timeout(NOTICE_TIME, arrived).await;
        }
    }
}

/// How the client would like this side to send.
fn wishes(hello: &Hello) -> Sending {
    let max_rate_bytes_per_s = hello.max_rate_bytes_per_s.and_then(NonZeroU64::new);
    Sending { algorithm: Algorithm::from(hello.congestion), max_rate_bytes_per_s }
}

/// How a connection ended, for the log.
fn close_word(reason: &ConnectionLost) -> &'static str {
    match reason {
        ConnectionLost::ClosedByPeer { code, .. } => code.name(),
        ConnectionLost::ClosedLocally => "closed",
        ConnectionLost::TimedOut => "timed out",
        ConnectionLost::Reset => "reset",
        _ => "protocol violation",
    }
}
