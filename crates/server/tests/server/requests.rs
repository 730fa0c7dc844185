//! Requests that break the rules: each is answered on its own stream, or resets it, and the connection lives.

use fulmar_proto::{error::ErrorCode, request::Request, upload::OnExists};
use fulmar_transport::StreamError;

use crate::{
    peer::{Peer, code, path, payload, upload},
    rig::run,
};

#[test]
fn a_malformed_request_is_answered_and_the_connection_lives() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let mut trailing = payload(&Request::Remove { path: path("a"), recursive: false });
        trailing.push(0);
        let malformed: &[&[u8]] = &[
            // Nothing; a request without its fields; one with a byte behind it; the kind in a longer encoding.
            b"",
            b"\x05",
            &trailing,
            b"\x81\x00\x01a",
            // Paths: up, absolute, the server's own folder, a control character, not UTF-8.
            b"\x05\x02..\x00",
            b"\x05\x04a/..\x00",
            b"\x05\x02/a\x00",
            b"\x05\x07.fulmar\x00",
            b"\x05\x02a\n\x00",
            b"\x05\x02\xc3\x28\x00",
            // A path that claims four billion bytes, a flag that is neither.
            b"\x05\xff\xff\xff\xff\x0fa\x00",
            b"\x05\x01a\x02",
        ];
        for bytes in malformed {
            let mut stream = peer.stream().await;
            stream.frame_of(bytes).await;
            assert_eq!(code(&stream.reply().await), ErrorCode::MALFORMED, "{}", bytes.escape_ascii());
            assert_eq!(stream.try_reply().await, Ok(None), "the answer is final");
        }
        peer.check_alive().await;
    });
}

#[test]
fn an_end_instead_of_a_request_is_answered() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let mut receiver = peer.stream().await.finish();
        let reply = receiver.recv_growing().await.expect("a reply arrives").expect("a reply comes");
        assert_eq!(code(&reply), ErrorCode::MALFORMED);
        peer.check_alive().await;
    });
}

/// The length of a frame is not believed beyond the limit, and nothing is made of a part of one.
#[test]
fn a_frame_that_is_too_long_or_cut_resets_its_stream_alone() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        for bytes in [&b"\x01\x00\x01\x00"[..], b"\xff\xff\xff\xff", b"\x00\x00\x00\x80aaaa"] {
            let mut stream = peer.stream().await;
            stream.raw(bytes).await;
            assert!(matches!(stream.try_reply().await, Err(StreamError::Reset(_))), "{bytes:?}");
        }
        let whole = payload(&Request::Remove { path: path("alive"), recursive: true });
        let mut frame = u32::try_from(whole.len()).expect("short").to_le_bytes().to_vec();
        frame.extend_from_slice(&whole);
        for len in 1..frame.len() {
            let mut stream = peer.stream().await;
            stream.raw(&frame[..len]).await;
            let mut receiver = stream.finish();
            let reply = receiver.recv_growing::<fulmar_proto::reply::Reply>().await;
            assert!(matches!(reply, Err(StreamError::Reset(_))), "cut to {len}: {reply:?}");
        }
        peer.check_alive().await;
    });
}

#[test]
fn a_range_over_the_limit_cannot_be_said() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        // Write and Read of 2 MiB and a byte at offset 0, of nothing, and of a misaligned byte.
        let ranges: [&[u8]; 3] = [b"\x00\x81\x80\x80\x01", b"\x00\x00", b"\x01\x01"];
        for range in ranges {
            let write = [&b"\x0a"[..], &[1; 16], b"\x00", range].concat();
            let read = [&b"\x08\x01a"[..], &[1; 32], range].concat();
            for payload in [write, read] {
                let mut stream = peer.stream().await;
                stream.frame_of(&payload).await;
                assert_eq!(code(&stream.reply().await), ErrorCode::MALFORMED, "{payload:?}");
            }
        }
        // The same requests with a good range are understood.
        for payload in [[&b"\x0a"[..], &[1; 16], b"\x00\x00\x01"].concat()] {
            let mut stream = peer.stream().await;
            stream.frame_of(&payload).await;
            assert_eq!(code(&stream.reply().await), ErrorCode::UNKNOWN_UPLOAD);
        }
        peer.check_alive().await;
    });
}

#[test]
fn sizes_over_the_limit_are_refused_before_a_byte_of_the_body() {
    run(async {
        let (rig, peer) = Peer::alone().await;
        let limit = u64::from(peer.welcome.limits.max_body_bytes);
        for on_exists in [OnExists::Fail, OnExists::Overwrite] {
            for size in [limit + 1, 1 << 32, u64::MAX] {
                let upload = fulmar_proto::upload::BeginUpload { on_exists, ..upload("a", size) };
                assert_eq!(peer.refused(&Request::Put { upload }).await, ErrorCode::OVER_LIMIT, "{size}");
            }
        }
        let unknown = fulmar_proto::upload::BeginUpload { size: None, ..upload("a", 0) };
        assert_eq!(peer.refused(&Request::Put { upload: unknown }).await, ErrorCode::MALFORMED);
        peer.put("b", b"b").await;
        let open = |first_bytes| Request::Open { path: path("b"), first_bytes };
        assert_eq!(peer.refused(&open((2 << 20) + 1)).await, ErrorCode::OVER_LIMIT);
        assert_eq!(peer.fetch("b").await, b"b");
        assert!(!rig.has("a").await);
        peer.check_alive().await;
    });
}

#[test]
fn a_file_of_exactly_the_limit_is_put() {
    run(async {
        let (_rig, peer) = Peer::alone().await;
        let bytes = crate::peer::content(2 << 20);
        assert_eq!(peer.put("a", &bytes).await.size, 2 << 20);
        assert!(peer.fetch("a").await == bytes);
    });
}
