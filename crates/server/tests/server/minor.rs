//! Clients of a later minor version, and clients that are none.

use fulmar_proto::{code::CloseCode, error::ErrorCode, grants::Grants, reply::Reply, request::Request};
use fulmar_transport::ConnectionLost;

use crate::{
    peer::{Peer, Stranger, code, identity, path},
    rig::{Setup, run},
};

/// Hello of minor version 7, with features, extensions and a controller that nobody knows.
const LATER_HELLO: &[u8] = b"\x24\0\0\0\
    \x07\
    \x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\
    \x02\xc0\xb8\x02\x03new\xff\xff\x03\0\
    \x0alater peer\
    \0\
    \xc8";

#[test]
fn a_hello_of_a_later_minor_version_is_welcome() {
    run(async {
        let identity = identity();
        let rig = Setup::default().with(&identity, Grants::LIST).start();
        let stranger = Stranger::dial(&rig, &identity).await;
        let mut stream = stranger.stream().await;
        stream.raw(LATER_HELLO).await;
        match stream.reply().await {
            Reply::Welcome(welcome) => {
                assert_eq!((welcome.minor, welcome.grants), (0, Grants::LIST));
                assert_eq!(welcome.server_name.as_str(), "rig");
            }
            other => panic!("not welcome: {other:?}"),
        }
        let mut stream = stranger.stream().await;
        stream.send(&Request::Stat { path: "".parse().expect("the root") }).await;
        assert!(matches!(stream.reply().await, Reply::Entry(_)));
    });
}

#[test]
fn an_unknown_request_is_unsupported_and_the_connection_lives() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        for payload in [&b"\x0e"[..], b"\x0e\x01a\x01", b"\xff\xff\xff\xff\x0f"] {
            let mut stream = peer.stream().await;
            stream.frame_of(payload).await;
            assert_eq!(code(&stream.reply().await), ErrorCode::UNSUPPORTED, "{payload:?}");
            assert_eq!(stream.try_reply().await, Ok(None), "the answer is final");
        }
        peer.check_alive().await;
    });
}

/// What is no Hello ends the connection: there is nobody to talk to.
#[test]
fn a_first_frame_that_is_no_hello_closes_the_connection() {
    run(async {
        let identity = identity();
        let rig = Setup::default().with(&identity, Grants::ALL).start();
        let request = crate::peer::payload(&Request::Remove { path: path("a"), recursive: false });
        let mut trailing = crate::peer::payload(&crate::peer::plain_hello());
        trailing.push(0);
        for payload in [&b""[..], b"\x07", &request, &trailing] {
            let stranger = Stranger::dial(&rig, &identity).await;
            let mut stream = stranger.stream().await;
            stream.frame_of(payload).await;
            assert_closed(&stranger, CloseCode::PROTOCOL).await;
        }
        for bytes in [&b"\x01\x00\x01\x00"[..], b"\xff\xff\xff\xff"] {
            let stranger = Stranger::dial(&rig, &identity).await;
            let mut stream = stranger.stream().await;
            stream.raw(bytes).await;
            assert_closed(&stranger, CloseCode::PROTOCOL).await;
        }
        // An end before Hello, or inside it.
        for bytes in [&b"\x09\0\0\0"[..], &LATER_HELLO[..20]] {
            let stranger = Stranger::dial(&rig, &identity).await;
            let mut stream = stranger.stream().await;
            stream.raw(bytes).await;
            let _receiver = stream.finish();
            assert_closed(&stranger, CloseCode::PROTOCOL).await;
        }
    });
}

async fn assert_closed(stranger: &Stranger, expected: CloseCode) {
    match stranger.connection.closed().await {
        ConnectionLost::ClosedByPeer { code, .. } => assert_eq!(code, expected),
        other => panic!("not closed by the server: {other}"),
    }
}
