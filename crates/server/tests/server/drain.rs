//! A server that is asked to stop.

use std::time::Duration;

use fulmar_proto::{
    code::CloseCode, digest::Digest, error::ErrorCode, grants::Grants, hello::Notice, path::DirPath,
    reply::Reply, request::Request, upload::Begun,
};
use fulmar_transport::{ConnectionLost, Dialer, ServerTrust, StreamError};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    peer::{Peer, Stream, code, content, identity, path, range, trailer, upload},
    rig::{Setup, run},
};

async fn assert_shut_down(peer: &Peer) {
    match peer.closed().await {
        ConnectionLost::ClosedByPeer { code, .. } => assert_eq!(code, CloseCode::SHUTTING_DOWN),
        other => panic!("not closed by the server: {other}"),
    }
}

fn stat() -> Request {
    Request::Stat { path: DirPath::root() }
}

const LEN: usize = 100_000;

/// Begins an upload of `bytes` to `a`, and writes the first half of its only range.
async fn half_written(peer: &Peer, bytes: &[u8]) -> (Begun, Stream) {
    let begin = Request::Begin { upload: upload("a", LEN as u64), first: None };
    let Reply::Begun(begun) = peer.ask(&begin).await else { panic!("not begun") };
    let (upload_id, generation) = (begun.upload_id, begun.generation);
    let mut write = peer.stream().await;
    let range = range(0, u32::try_from(LEN).expect("short"));
    write.send(&Request::Write { upload_id, generation, range }).await;
    write.raw(&bytes[..LEN / 2]).await;
    (begun, write)
}

fn commit(begun: &Begun, bytes: &[u8]) -> Request {
    let (upload_id, generation) = (begun.upload_id, begun.generation);
    Request::Commit { upload_id, generation, size: bytes.len() as u64, root: Digest::of(bytes) }
}

#[test]
fn an_idle_client_is_told_and_run_returns() {
    run(async {
        let (mut rig, mut peer) = Peer::alone().await;
        rig.stop();
        assert_eq!(peer.notice().await, Ok(Some(Notice::GoingAway { grace_ms: 30_000 })));
        assert_shut_down(&peer).await;
        rig.ended().await;
    });
}

#[test]
fn an_upload_that_runs_is_finished_and_nothing_new_begins() {
    run(async {
        let (mut rig, mut peer) = Peer::alone().await;
        let bytes = content(LEN);
        let (begun, mut write) = half_written(&peer, &bytes).await;

        rig.stop();
        assert!(matches!(peer.notice().await, Ok(Some(Notice::GoingAway { .. }))));
        for request in [
            stat(),
            Request::Put { upload: upload("b", 1) },
            Request::Open { path: path("a"), first_bytes: 0 },
        ] {
            assert_eq!(peer.refused(&request).await, ErrorCode::GOING_AWAY, "{request:?}");
        }
        write.raw(&bytes[LEN / 2..]).await;
        write.send(&trailer(0, &bytes)).await;
        assert_eq!(write.final_reply().await, Reply::Written);
        assert!(matches!(peer.ask(&commit(&begun, &bytes)).await, Reply::Stored(_)));

        assert_shut_down(&peer).await;
        rig.ended().await;
        assert!(rig.has("a").await && !rig.has("b").await);
    });
}

/// However busy a client is at that moment, it is told.
#[test]
fn busy_clients_are_told_as_well() {
    run(async {
        let client = identity();
        let mut rig = Setup::default().with(&client, Grants::ALL).start();
        let (answered, mut answers) = mpsc::channel(64);
        let mut busy = JoinSet::new();
        for _ in 0..12 {
            busy.spawn(ask_until_refused(Peer::connect(&rig, &client).await, answered.clone()));
        }
        for _ in 0..1000 {
            answers.recv().await.expect("they go on until they are refused");
        }
        rig.stop();
        drop(answers);
        while let Some(notice) = busy.join_next().await {
            let notice = notice.expect("no client panics");
            assert!(matches!(notice, Ok(Some(Notice::GoingAway { .. }))), "{notice:?}");
        }
        rig.ended().await;
    });
}

/// Sends one command after the other, eight at a time, until the server starts no more; then reads what it was told.
async fn ask_until_refused(
    mut peer: Peer,
    answered: mpsc::Sender<()>,
) -> Result<Option<Notice>, StreamError> {
    loop {
        let mut streams = Vec::new();
        for _ in 0..8 {
            let mut stream = peer.stream().await;
            stream.send(&stat()).await;
            streams.push(stream);
        }
        let mut refused = false;
        for stream in &mut streams {
            let reply = stream.final_reply().await;
            // Nobody counts any more once the server has been asked to stop.
            let _ = answered.send(()).await;
            refused |= !matches!(reply, Reply::Entry(_)) && code(&reply) == ErrorCode::GOING_AWAY;
        }
        if refused {
            return peer.notice().await;
        }
    }
}

#[test]
fn the_second_request_to_stop_ends_what_runs() {
    run(async {
        let (mut rig, mut peer) = Peer::alone().await;
        let (_begun, _write) = half_written(&peer, &content(LEN)).await;
        rig.stop();
        assert!(matches!(peer.notice().await, Ok(Some(Notice::GoingAway { .. }))));
        rig.stop_now();
        assert_shut_down(&peer).await;
        rig.ended().await;
        assert!(!rig.has("a").await);
    });
}

#[test]
fn nobody_new_is_let_in() {
    run(async {
        let client = identity();
        let mut rig = Setup::default().with(&client, Grants::ALL).start();
        let mut peer = Peer::connect(&rig, &client).await;
        let bytes = content(LEN);
        let (begun, mut write) = half_written(&peer, &bytes).await;
        rig.stop();
        assert!(matches!(peer.notice().await, Ok(Some(Notice::GoingAway { .. }))));
        let (dialer, trust) = (Dialer::new(&client), ServerTrust::from(rig.fingerprint()));
        assert!(dialer.dial(rig.server.local_addr(), &trust, Duration::from_secs(1)).await.is_err());
        // The one that was in before is still served.
        write.raw(&bytes[LEN / 2..]).await;
        write.send(&trailer(0, &bytes)).await;
        assert_eq!(write.final_reply().await, Reply::Written);
        assert!(matches!(peer.ask(&commit(&begun, &bytes)).await, Reply::Stored(_)));
        rig.ended().await;
    });
}
