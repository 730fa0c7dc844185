//! Grants that are taken away while their client is connected.

use fulmar_proto::{
    code::CloseCode, error::ErrorCode, grants::Grants, hello::Notice, reply::Reply, request::Request,
};
use fulmar_transport::ConnectionLost;

use crate::{
    peer::{Peer, identity, path, upload},
    rig::{Setup, run},
};

async fn assert_revoked(peer: &Peer) {
    match peer.closed().await {
        ConnectionLost::ClosedByPeer { code, .. } => assert_eq!(code, CloseCode::REVOKED),
        other => panic!("not closed by the server: {other}"),
    }
}

#[test]
fn a_client_that_is_removed_is_disconnected_and_the_others_are_not() {
    run(async {
        let (kept, removed) = (identity(), identity());
        let rig = Setup::default().with(&kept, Grants::ALL).with(&removed, Grants::ALL).start();
        let (kept_peer, removed_peer) =
            (Peer::connect(&rig, &kept).await, Peer::connect(&rig, &removed).await);
        rig.enrol_only(&[(&kept, Grants::ALL)]);
        assert_revoked(&removed_peer).await;
        kept_peer.check_alive().await;
    });
}

#[test]
fn a_client_that_is_removed_is_told_so() {
    run(async {
        let client = identity();
        let rig = Setup::default().with(&client, Grants::ALL).start();
        let mut peer = Peer::connect(&rig, &client).await;
        rig.enrol_only(&[]);
        assert_eq!(peer.notice().await, Ok(Some(Notice::Revoked)));
        assert_revoked(&peer).await;
    });
}

#[test]
fn a_grant_that_is_taken_away_is_missed_by_the_next_command() {
    run(async {
        let client = identity();
        let rig = Setup::default().with(&client, Grants::ALL).start();
        let peer = Peer::connect(&rig, &client).await;
        peer.put("a", b"a").await;
        rig.enrol_only(&[(&client, Grants::LIST)]);
        rig.until_granted(&client, Grants::LIST).await;
        let remove = Request::Remove { path: path("a"), recursive: false };
        assert_eq!(peer.refused(&remove).await, ErrorCode::NOT_GRANTED);
        assert!(rig.has("a").await);
        assert!(matches!(
            peer.ask(&Request::Stat { path: "a".parse().expect("a path") }).await,
            Reply::Entry(_)
        ));
    });
}

#[test]
fn an_upload_that_has_begun_does_not_outlive_the_grant_to_write() {
    run(async {
        let client = identity();
        let rig = Setup::default().with(&client, Grants::ALL).start();
        let peer = Peer::connect(&rig, &client).await;
        let begun = match peer.ask(&Request::Begin { upload: upload("a", 1), first: None }).await {
            Reply::Begun(begun) => begun,
            other => panic!("not begun: {other:?}"),
        };
        rig.enrol_only(&[(&client, Grants::LIST)]);
        rig.until_granted(&client, Grants::LIST).await;
        let (upload_id, generation) = (begun.upload_id, begun.generation);
        let write = Request::Write { upload_id, generation, range: crate::peer::range(0, 1) };
        let reply = peer.ask_with(&write, b"a", &crate::peer::trailer(0, b"a")).await;
        assert_eq!(crate::peer::code(&reply), ErrorCode::NOT_GRANTED);
        assert!(!rig.has("a").await);
    });
}
