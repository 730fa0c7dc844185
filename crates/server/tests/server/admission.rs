//! Who is let in, and what becomes of commands that were sent before that was known.

use fulmar_proto::{error::ErrorCode, grants::Grants, reply::Reply, request::Request};
use fulmar_server::AuditKind;

use crate::{
    peer::{Peer, Stranger, code, content, identity, path, plain_hello, trailer, upload},
    rig::{Setup, run},
};

fn remove(name: &str) -> Request {
    Request::Remove { path: path(name), recursive: false }
}

#[test]
fn an_unknown_client_is_refused_and_what_it_sent_along_is_not_run() {
    run(async {
        let owner = identity();
        let mut rig = Setup::default().with(&owner, Grants::ALL).start();
        let peer = Peer::connect(&rig, &owner).await;
        peer.put("precious", b"bytes").await;

        let unknown = identity();
        let stranger = Stranger::dial(&rig, &unknown).await;
        let (mut hello, mut command) = (stranger.stream().await, stranger.stream().await);
        let mut put = stranger.stream().await;
        hello.send(&plain_hello()).await;
        command.send(&remove("precious")).await;
        put.send(&Request::Put { upload: upload("planted", 5) }).await;
        put.raw(b"bytes").await;
        put.send(&trailer(0, b"bytes")).await;
        assert_eq!(code(&hello.reply().await), ErrorCode::UNKNOWN_CLIENT);
        stranger.connection.close(fulmar_proto::code::CloseCode::DONE, "");
        let refused = rig.record(AuditKind::Refused).await;
        assert_eq!(refused.result, ErrorCode::UNKNOWN_CLIENT.word());

        assert!(rig.has("precious").await && !rig.has("planted").await);
        peer.check_alive().await;
        let fingerprint = unknown.fingerprint();
        let later: Vec<_> =
            rig.records_so_far().into_iter().filter(|record| record.client == fingerprint).collect();
        assert!(later.is_empty(), "nothing follows the refusal: {later:?}");
        assert!(rig.has("precious").await && !rig.has("planted").await);
    });
}

#[test]
fn commands_before_hello_wait_for_admission() {
    run(async {
        let owner = identity();
        let mut rig = Setup::default().with(&owner, Grants::ALL).start();
        let witness = Peer::connect(&rig, &owner).await;
        witness.put("old", b"bytes").await;

        let stranger = Stranger::dial(&rig, &owner).await;
        let (hello, mut command) = (stranger.stream().await, stranger.stream().await);
        command.send(&remove("old")).await;
        let mut put = stranger.stream().await;
        let bytes = content(100_000);
        put.send(&Request::Put { upload: upload("new", 100_000) }).await;
        put.raw(&bytes).await;
        put.send(&trailer(0, &bytes)).await;
        // The server has had round trips enough to run them if it would.
        witness.check_alive().await;
        assert!(rig.has("old").await && !rig.has("new").await);

        let _ = rig.records_so_far();
        let mut hello = hello;
        hello.send(&plain_hello()).await;
        assert!(matches!(hello.reply().await, Reply::Welcome(_)));
        assert_eq!(command.final_reply().await, Reply::Removed { files: 1, directories: 0 });
        assert!(matches!(put.final_reply().await, Reply::Stored(_)));
        let first = rig.records_so_far().into_iter().next().expect("records");
        assert_eq!(first.kind, AuditKind::Connected);
        assert_eq!(witness.fetch("new").await, bytes);
    });
}

#[test]
fn anonymous_clients_may_do_what_the_server_says_and_no_more() {
    run(async {
        let reader = Grants::LIST.with(Grants::READ);
        let rig = Setup { anonymous: reader, ..Setup::default() }.start();
        let peer = Peer::connect(&rig, &identity()).await;
        assert_eq!(peer.welcome.grants, reader);
        let stat = Request::Stat { path: "".parse().expect("the root") };
        assert!(matches!(peer.ask(&stat).await, Reply::Entry(_)));
        let put = peer.put_upload(upload("a", 1), b"a").await;
        assert_eq!(code(&put), ErrorCode::NOT_GRANTED);
        assert_eq!(peer.refused(&remove("a")).await, ErrorCode::NOT_GRANTED);
        assert!(!rig.has("a").await);
    });
}

#[test]
fn an_enrolled_client_has_its_own_grants_and_not_those_of_strangers() {
    run(async {
        let lister = identity();
        let setup = Setup { anonymous: Grants::ALL, ..Setup::default() };
        let rig = setup.with(&lister, Grants::LIST).start();
        let peer = Peer::connect(&rig, &lister).await;
        assert_eq!(peer.welcome.grants, Grants::LIST);
        assert_eq!(peer.refused(&remove("a")).await, ErrorCode::NOT_GRANTED);
    });
}
