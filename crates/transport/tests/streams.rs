//! Frames, bodies and how streams and connections end, over real connections on loopback.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod common;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use common::*;
use fulmar_proto::code::{CloseCode, ResetCode};
use fulmar_proto::codec::{DecodeError, EncodeError, MAX_FRAME_BYTES, encode_frame};
use fulmar_transport::{ConnectionLost, StreamError};

/// Polls a future once: whether it is ready without anything else happening.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn frames_and_bodies_follow_each_other_both_ways() {
    let pair = pair().await;
    let ((mut send, mut receive), (mut server_send, mut server_receive)) = stream(&pair).await;
    let body = Bytes::from((0..=255u8).cycle().take(100_000).collect::<Vec<u8>>());
    send.send("request").await.unwrap();
    send.send_bytes(body.clone()).await.unwrap();
    send.send(&Some(17u64)).await.unwrap();
    send.finish().unwrap();
    assert_eq!(server_receive.recv_expected::<String>().await.unwrap(), "request");
    let mut start = vec![0; 60_000];
    server_receive.read_body(&mut start).await.unwrap();
    let mut got = start;
    while got.len() < body.len() {
        let chunk = server_receive.read_body_chunk(body.len() - got.len()).await.unwrap();
        assert!(!chunk.is_empty());
        got.extend_from_slice(&chunk);
    }
    assert_eq!(got, body);
    assert_eq!(server_receive.recv::<Option<u64>>().await.unwrap(), Some(Some(17)));
    assert_eq!(server_receive.recv::<u8>().await.unwrap(), None);
    assert_eq!(server_receive.recv_expected::<u8>().await, Err(StreamError::Truncated));
    server_send.send(&true).await.unwrap();
    server_send.finish().unwrap();
    assert_eq!(receive.recv::<bool>().await.unwrap(), Some(true));
    assert_eq!(receive.recv::<bool>().await.unwrap(), None);
}

#[tokio::test]
async fn a_dropped_sender_resets_and_never_looks_like_an_end() {
    let pair = pair().await;
    let cancelled = StreamError::Reset(ResetCode::CANCELLED);

    let ((send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    drop(send);
    assert_eq!(server_receive.recv::<u8>().await, Err(cancelled.clone()));

    // In the middle of a frame, and by a panic.
    let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    let writer = tokio::spawn(async move {
        send.send_bytes(Bytes::from_static(&[100, 0, 0, 0, 1, 2, 3])).await.unwrap();
        panic!("as a bug would");
    });
    assert!(writer.await.unwrap_err().is_panic());
    assert_eq!(server_receive.recv_payload().await, Err(cancelled));

    let ((send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    send.reset(ResetCode::STALLED);
    assert_eq!(server_receive.recv::<u8>().await, Err(StreamError::Reset(ResetCode::STALLED)));
}

#[tokio::test]
async fn after_a_cancelled_write_the_stream_can_only_be_reset() {
    let pair = pair().await;
    let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    // More than the server's window before admission, so that the write cannot complete.
    let body = Bytes::from(vec![0; 1 << 20]);
    assert!(poll_once(send.send_bytes(body)).is_pending());
    assert_eq!(send.send(&1u8).await, Err(StreamError::Ended));
    assert_eq!(send.finish(), Err(StreamError::Ended));
    let error = loop {
        match server_receive.read_body_chunk(1 << 16).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error, StreamError::Reset(ResetCode::CANCELLED));
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_from_its_prefix() {
    let pair = pair().await;
    let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    let too_long = vec![0u8; MAX_FRAME_BYTES];
    assert_eq!(send.send(&too_long).await, Err(StreamError::Encode(EncodeError::TooLong)));
    let fits = vec![7u8; MAX_FRAME_BYTES - 3];
    send.send(&fits).await.unwrap();
    assert_eq!(server_receive.recv::<Vec<u8>>().await.unwrap(), Some(fits));
    // The prefix alone, with nothing behind it and no end: the answer cannot have waited for more.
    let len = u32::try_from(MAX_FRAME_BYTES).unwrap() + 1;
    send.send_bytes(Bytes::copy_from_slice(&len.to_le_bytes())).await.unwrap();
    let expected = StreamError::Malformed(DecodeError::TooLong(len));
    assert_eq!(server_receive.recv_payload().await, Err(expected.clone()));
    assert_eq!(server_receive.recv_payload().await, Err(expected));
}

#[tokio::test]
async fn malformed_frames_are_errors_and_leave_the_next_frame_readable() {
    let pair = pair().await;
    let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    send.send_bytes(Bytes::from_static(&[2, 0, 0, 0, 5, 5])).await.unwrap();
    send.send_bytes(Bytes::from_static(&[0, 0, 0, 0])).await.unwrap();
    send.send(&9u8).await.unwrap();
    let trailing = StreamError::Malformed(DecodeError::TrailingBytes);
    assert_eq!(server_receive.recv::<u8>().await, Err(trailing));
    assert_eq!(server_receive.recv_payload().await.unwrap(), Some(Vec::new()));
    assert_eq!(server_receive.recv::<u8>().await.unwrap(), Some(9));
}

#[tokio::test]
async fn a_frame_in_pieces_survives_cancelled_receives() {
    let pair = pair().await;
    let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    let frame = encode_frame("in pieces").unwrap();
    let (last, first) = frame.split_last().unwrap();
    for byte in first {
        send.send_bytes(Bytes::copy_from_slice(&[*byte])).await.unwrap();
        // Polled and dropped again and again, before and after bytes arrive.
        for _ in 0..8 {
            assert!(poll_once(server_receive.recv::<String>()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    send.send_bytes(Bytes::copy_from_slice(&[*last])).await.unwrap();
    assert_eq!(server_receive.recv::<String>().await.unwrap().as_deref(), Some("in pieces"));
    // What a dropped receive has taken is not lost to a body read.
    send.send_bytes(Bytes::from_static(b"abc")).await.unwrap();
    let round_trip = async {
        let (_client_half, _server_half) = stream(&pair).await;
    };
    tokio::select! {
        biased;
        frame = server_receive.recv_payload() => panic!("{frame:?}"),
        () = round_trip => {}
    }
    let mut body = [0; 3];
    server_receive.read_body(&mut body).await.unwrap();
    assert_eq!(&body, b"abc");
}

#[tokio::test]
async fn an_end_inside_a_frame_or_a_body_is_truncated() {
    let pair = pair().await;
    for part in [&[1][..], &[4, 0, 0, 0], &[4, 0, 0, 0, 1, 2, 3]] {
        let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
        send.send_bytes(Bytes::copy_from_slice(part)).await.unwrap();
        send.finish().unwrap();
        assert_eq!(server_receive.recv_payload().await, Err(StreamError::Truncated), "{part:?}");
    }
    let ((mut send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    send.send_bytes(Bytes::from_static(b"ab")).await.unwrap();
    send.finish().unwrap();
    assert_eq!(server_receive.read_body(&mut [0; 3]).await, Err(StreamError::Truncated));
}

#[tokio::test]
async fn a_receiver_that_stops_tells_the_sender_why() {
    let pair = pair().await;

    let ((mut send, _receive), (_server_send, server_receive)) = stream(&pair).await;
    server_receive.stop(ResetCode::NOT_NEEDED);
    assert_eq!(send.stopped().await, Ok(Some(ResetCode::NOT_NEEDED)));
    assert_eq!(send.send(&1u8).await, Err(StreamError::Stopped(ResetCode::NOT_NEEDED)));

    let ((send, _receive), (_server_send, server_receive)) = stream(&pair).await;
    drop(server_receive);
    assert_eq!(send.stopped().await, Ok(Some(ResetCode::CANCELLED)));

    let ((send, _receive), (_server_send, mut server_receive)) = stream(&pair).await;
    let stopped = send.stopped();
    send.finish().unwrap();
    assert_eq!(server_receive.recv::<u8>().await.unwrap(), None);
    drop(server_receive);
    assert_eq!(stopped.await, Ok(None), "received to the end");
}

#[tokio::test]
async fn a_stranger_has_few_streams_until_admitted() {
    let pair = pair().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let Poll::Ready(stream) = poll_once(pair.client.open_stream()) else { panic!("fewer than 8") };
        held.push(stream.unwrap());
    }
    assert!(poll_once(pair.client.open_stream()).is_pending());
    pair.server.admit();
    while held.len() <= fulmar_transport::tuning::STREAMS_AFTER_ADMISSION as usize {
        held.push(pair.client.open_stream().await.unwrap());
    }
    assert!(poll_once(pair.client.open_stream()).is_pending());
}

#[tokio::test]
async fn a_stranger_has_little_buffer_until_admitted() {
    let pair = pair().await;
    let (mut send, _receive) = pair.client.open_stream().await.unwrap();
    let before = 256 * 1024;
    assert!(poll_once(send.send_bytes(Bytes::from(vec![1; before]))).is_ready());
    let mut rest = pin!(send.send_bytes(Bytes::from(vec![2; 1 << 20])));
    assert!(poll_once(rest.as_mut()).is_pending());
    pair.server.admit();
    // Completes although the server has read nothing.
    rest.await.unwrap();
}

#[tokio::test]
async fn a_client_accepts_no_streams() {
    let pair = pair().await;
    pair.server.admit();
    assert!(poll_once(pair.server.open_stream()).is_pending());
}

#[tokio::test]
async fn closing_carries_a_code_and_harmless_words() {
    let pair = pair().await;
    let ((mut send, mut receive), _server) = stream(&pair).await;
    pair.server.close(CloseCode::REVOKED, "\u{1b}[2Jgone");
    let lost = pair.client.closed().await;
    assert_eq!(
        lost,
        ConnectionLost::ClosedByPeer { code: CloseCode::REVOKED, reason: "\u{1b}[2Jgone".into() }
    );
    assert!(!lost.to_string().contains('\u{1b}'), "{lost}");
    assert_eq!(pair.server.closed().await, ConnectionLost::ClosedLocally);
    assert_eq!(pair.client.close_reason(), Some(lost.clone()));
    assert_eq!(receive.recv::<u8>().await, Err(StreamError::Lost(lost.clone())));
    assert_eq!(send.send(&1u8).await, Err(StreamError::Lost(lost.clone())));
    assert_eq!(pair.client.open_stream().await.err(), Some(lost.clone()));
    assert_eq!(pair.client.accept_stream().await.err(), Some(lost));
}
