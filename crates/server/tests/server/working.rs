//! Long work: the client is told that it goes on, and can end it.

use std::sync::Arc;

use fulmar_proto::{code::ResetCode, digest::Digest, grants::Grants, reply::Reply, request::Request};
use fulmar_server::AuditKind;
use fulmar_store::MemoryStore;
use tokio::sync::mpsc;

use crate::{
    peer::{Peer, Stream, identity, path},
    rig::{Rig, Setup, environment, run},
    slow_store::{Hash, SlowStore},
};

struct Slow {
    rig: Rig,
    peer: Peer,
    store: Arc<SlowStore>,
    happened: mpsc::UnboundedReceiver<Hash>,
}

async fn slow() -> Slow {
    let (client, environment) = (identity(), environment());
    let memory = MemoryStore::new(environment.clone());
    let (store, happened) = SlowStore::new(memory.clone());
    let setup = Setup::default().with(&client, Grants::ALL);
    let rig = setup.start_on(environment, memory, store.clone());
    let peer = Peer::connect(&rig, &client).await;
    peer.put("a", b"bytes").await;
    Slow { rig, peer, store, happened }
}

async fn hash(slow: &mut Slow) -> Stream {
    let mut stream = slow.peer.stream().await;
    stream.send(&Request::Hash { path: path("a"), reread: true }).await;
    assert_eq!(slow.happened.recv().await, Some(Hash::Begun));
    stream
}

#[test]
fn long_work_is_reported_until_it_is_done() {
    run(async {
        let mut slow = slow().await;
        let mut stream = hash(&mut slow).await;
        for _ in 0..2 {
            assert_eq!(stream.reply().await, Reply::Working { done: 42, total: 100 });
        }
        // Others are served meanwhile.
        slow.peer.check_alive().await;
        slow.store.release();
        assert_eq!(stream.final_reply().await, Reply::Hashed { size: 5, root: Digest::of(b"bytes") });
        assert_eq!(stream.try_reply().await, Ok(None));
    });
}

#[test]
fn short_work_is_not_reported() {
    run(async {
        let mut slow = slow().await;
        let mut stream = hash(&mut slow).await;
        slow.store.release();
        assert!(matches!(stream.reply().await, Reply::Hashed { .. }));
    });
}

#[test]
fn a_client_that_gives_up_ends_the_work() {
    run(async {
        let mut slow = slow().await;
        let Stream { sender, receiver } = hash(&mut slow).await;
        receiver.stop(ResetCode::CANCELLED);
        assert_eq!(slow.happened.recv().await, Some(Hash::Dropped { stopped: true }));
        let ended = loop {
            let record = slow.rig.record(AuditKind::Command).await;
            if record.step == "hash" {
                break record;
            }
        };
        assert_eq!(ended.result, "cancelled");
        drop(sender);
        slow.peer.check_alive().await;
    });
}

#[test]
fn a_connection_that_ends_ends_the_work() {
    run(async {
        let mut slow = slow().await;
        let _stream = hash(&mut slow).await;
        slow.peer.connection.close(fulmar_proto::code::CloseCode::DONE, "");
        // It is told by the connection's end, so nobody has to ask the work itself.
        assert!(matches!(slow.happened.recv().await, Some(Hash::Dropped { .. })));
    });
}
