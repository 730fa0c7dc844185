//! Invites: good once, for one key, on one connection.

use std::time::Duration;

use fulmar_proto::{
    code::CloseCode,
    error::ErrorCode,
    grants::Grants,
    hello::{EXTENSION_INVITE, Extension, Hello},
    invite::{EXPORTER_LABEL, InviteProof, InviteToken},
};
use fulmar_transport::{Connection, Identity};

use crate::{
    peer::{Stranger, hello_with, identity, payload, plain_hello},
    rig::{Rig, Setup, run},
};

const HOUR: Duration = Duration::from_secs(3600);

fn invite(rig: &Rig, grants: Grants, valid_for: Duration) -> InviteToken {
    let now = rig.environment.clock.now();
    let made = rig.server.trust().make_invite(grants, valid_for, now, &*rig.environment.entropy);
    made.expect("the list of invites is written")
}

fn proof(token: &InviteToken, connection: &Connection, client: &Identity) -> InviteProof {
    let exporter = connection.exporter(EXPORTER_LABEL, b"").expect("a short label");
    InviteProof { id: token.id(), mac: token.key().prove(&exporter, &client.fingerprint()) }
}

fn hello(proof: &InviteProof) -> Hello {
    hello_with(vec![Extension { tag: EXTENSION_INVITE, bytes: payload(proof) }])
}

/// Closes a refused connection, so that the server need not wait for that.
fn leave(stranger: &Stranger) {
    stranger.connection.close(CloseCode::DONE, "");
}

#[test]
fn an_invite_enrols_one_client_once() {
    run(async {
        let rig = Setup::default().start();
        let token = invite(&rig, Grants::LIST.with(Grants::WRITE), HOUR);
        let (first, second) = (identity(), identity());

        let stranger = Stranger::dial(&rig, &first).await;
        let shown = hello(&proof(&token, &stranger.connection, &first));
        let peer = stranger.admitted(&shown).await;
        assert_eq!(peer.welcome.grants, Grants::LIST.with(Grants::WRITE));
        assert!(rig.server.trust().find(&first.fingerprint()).is_some());

        let stranger = Stranger::dial(&rig, &second).await;
        let shown = hello(&proof(&token, &stranger.connection, &second));
        assert_eq!(stranger.refused(&shown).await, ErrorCode::INVITE_INVALID);
        assert!(rig.server.trust().find(&second.fingerprint()).is_none());
        leave(&stranger);

        // Whom it has enrolled may come back, and need not show it, but may.
        let again = Stranger::dial(&rig, &first).await.admitted(&plain_hello()).await;
        assert_eq!(again.welcome.grants, peer.welcome.grants);
        let stranger = Stranger::dial(&rig, &first).await;
        let shown = hello(&proof(&token, &stranger.connection, &first));
        assert_eq!(stranger.admitted(&shown).await.welcome.grants, peer.welcome.grants);
    });
}

#[test]
fn a_proof_is_worth_nothing_elsewhere() {
    run(async {
        let rig = Setup::default().start();
        let token = invite(&rig, Grants::READ, HOUR);
        let (client, thief) = (identity(), identity());

        // On another connection of the same client.
        let here = Stranger::dial(&rig, &client).await;
        let there = Stranger::dial(&rig, &client).await;
        let replayed = hello(&proof(&token, &here.connection, &client));
        assert_eq!(there.refused(&replayed).await, ErrorCode::INVITE_INVALID);
        leave(&there);

        // For another key, on that key's own connection.
        let other = Stranger::dial(&rig, &thief).await;
        let stolen = hello(&proof(&token, &other.connection, &client));
        assert_eq!(other.refused(&stolen).await, ErrorCode::INVITE_INVALID);
        leave(&other);

        // With another token's key under the same identifier.
        let guess = Stranger::dial(&rig, &thief).await;
        let wrong = InviteToken::from_random([0; 16]);
        let forged = InviteProof { id: token.id(), ..proof(&wrong, &guess.connection, &thief) };
        assert_eq!(guess.refused(&hello(&forged)).await, ErrorCode::INVITE_INVALID);
        leave(&guess);

        // None of this has used the invite up.
        assert_eq!(here.admitted(&replayed).await.welcome.grants, Grants::READ);
    });
}

#[test]
fn an_invite_that_has_expired_is_invalid() {
    run(async {
        let rig = Setup::default().start();
        let token = invite(&rig, Grants::READ, Duration::ZERO);
        let client = identity();
        let stranger = Stranger::dial(&rig, &client).await;
        let shown = hello(&proof(&token, &stranger.connection, &client));
        assert_eq!(stranger.refused(&shown).await, ErrorCode::INVITE_INVALID);
    });
}

#[test]
fn a_bad_invite_is_no_way_in_where_strangers_are_welcome() {
    run(async {
        let rig = Setup { anonymous: Grants::READ, ..Setup::default() }.start();
        let client = identity();
        let stranger = Stranger::dial(&rig, &client).await;
        let unknown = InviteToken::from_random([7; 16]);
        let shown = hello(&proof(&unknown, &stranger.connection, &client));
        assert_eq!(stranger.refused(&shown).await, ErrorCode::INVITE_INVALID);
    });
}

#[test]
fn an_extension_that_is_no_proof_is_malformed() {
    run(async {
        let client = identity();
        let rig = Setup::default().with(&client, Grants::ALL).start();
        for len in [0, 39, 41, 4096] {
            let stranger = Stranger::dial(&rig, &client).await;
            let shown = hello_with(vec![Extension { tag: EXTENSION_INVITE, bytes: vec![0; len] }]);
            assert_eq!(stranger.refused(&shown).await, ErrorCode::MALFORMED, "{len} bytes");
            leave(&stranger);
        }
    });
}
