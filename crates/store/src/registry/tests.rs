use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use fulmar_proto::{
    digest::{Digest, RangeDigest},
    range::Range,
    upload::OnExists,
};
use proptest::prelude::*;

use super::*;

const CLIENT: Fingerprint = Fingerprint([1; 32]);

fn new_upload(size: Option<u64>, lasting: bool) -> NewUpload {
    NewUpload {
        client: CLIENT,
        path: RelPath::parse("file").unwrap(),
        size,
        modified: None,
        mode: None,
        source_token: SourceToken([2; 32]),
        on_exists: OnExists::Fail,
        lasting,
    }
}

fn open(size: Option<u64>) -> Arc<Upload<()>> {
    Arc::new(Upload::new(UploadId([3; 16]), new_upload(size, true), 0, None, Timestamp::EPOCH, ()))
}

/// Polls once.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn range(offset: u64, len: u32) -> Range {
    Range::new(offset, len).unwrap()
}

#[test]
fn a_turn_waits_for_the_passes_and_no_pass_is_given_meanwhile() {
    let upload = open(Some(65_536));
    let reservation = upload.reserve(0, range(0, 65_536)).unwrap();
    let pass = reservation.pass().unwrap();
    let mut turn = pin!(upload.turn(Claim::Generation(0)));
    assert!(turn.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(matches!(reservation.pass(), Err(StoreError::Busy)));
    assert!(matches!(upload.reserve(0, range(65_536, 1)), Err(StoreError::Busy)));
    assert!(now(upload.turn(Claim::Newer)).is_none(), "one turn at a time");
    drop(pass);
    assert!(turn.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[test]
fn a_turn_that_nobody_waits_for_any_more_is_given_back() {
    let upload = open(Some(65_536));
    let reservation = upload.reserve(0, range(0, 65_536)).unwrap();
    let pass = reservation.pass().unwrap();
    assert!(now(upload.turn(Claim::Generation(0))).is_none());
    drop(pass);
    reservation.pass().unwrap();
}

#[test]
fn a_newer_claim_refuses_the_old_generation_at_once() {
    let upload = open(None);
    let old = upload.reserve(0, range(0, 65_536)).unwrap();
    let _pass = old.pass().unwrap();
    {
        let mut turn = pin!(upload.turn(Claim::Newer));
        assert!(turn.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(matches!(old.pass(), Err(StoreError::StaleGeneration)));
    }
    // The range of the old generation is free, and its late end does not take it from the new one.
    let new = upload.reserve(1, range(0, 65_536)).unwrap();
    drop(old);
    assert!(matches!(upload.reserve(1, range(0, 65_536)), Err(StoreError::RangeTaken)));
    drop(new);
    upload.reserve(1, range(0, 65_536)).unwrap();
    assert!(matches!(now(upload.turn(Claim::Generation(0))), Some(Err(Ended::Stale))));
}

#[test]
fn the_last_generation_is_not_followed_by_the_first() {
    let upload = open(None);
    upload.lock().generation = u32::MAX;
    assert!(matches!(now(upload.turn(Claim::Newer)), Some(Err(Ended::Stale))));
}

#[test]
fn whoever_waits_learns_how_an_upload_ended() {
    let registry = Registry::default();
    let upload = open(Some(0));
    registry.insert(Arc::clone(&upload)).unwrap();
    let turn = now(upload.turn(Claim::Generation(0))).unwrap().unwrap();
    turn.check(0, Digest::EMPTY).unwrap();
    let mut waiting = pin!(upload.turn(Claim::Generation(0)));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    registry.retire(turn, None);
    match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(Ended::Gone)) => {}
        other => panic!("{other:?}"),
    }
    assert!(registry.all().is_empty() && registry.find(&new_upload(Some(0), true)).is_none());
    assert!(matches!(upload.reserve(0, range(0, 1)), Err(StoreError::UnknownUpload)));
}

#[test]
fn a_source_is_open_once_and_only_lasting_ones_are_found() {
    let registry = Registry::default();
    let add = |id: u8, lasting| {
        let upload = new_upload(None, lasting);
        registry.insert(Arc::new(Upload::new(UploadId([id; 16]), upload, 0, None, Timestamp::EPOCH, ())))
    };
    add(1, false).unwrap();
    assert!(registry.find(&new_upload(None, true)).is_none());
    add(2, true).unwrap();
    assert_eq!(add(3, true), Err(Refused::Taken));
    add(4, false).unwrap();
    assert_eq!(registry.find(&new_upload(None, true)).unwrap().id, UploadId([2; 16]));
    assert!(registry.find(&new_upload(None, false)).is_none());
    assert_eq!(registry.all().len(), 3);
}

#[test]
fn what_was_verified_is_believed_until_something_is_written() {
    let upload = open(Some(4));
    let root = Digest::of(b"1234");
    upload.lock().verified = Some((4, root));
    let turn = now(upload.turn(Claim::Generation(0))).unwrap().unwrap();
    turn.check(4, root).unwrap();
    assert!(matches!(turn.check(4, Digest::of(b"4321")), Err(StoreError::DigestMismatch)));
    drop(turn);
    let reservation = upload.reserve(0, range(0, 4)).unwrap();
    drop(reservation);
    let turn = now(upload.turn(Claim::Generation(0))).unwrap().unwrap();
    assert!(matches!(turn.check(4, root), Err(StoreError::Incomplete)));
}

proptest! {
    /// Whatever is reserved, given back and completed in whatever order: no byte has two writers, none is completed
    /// twice.
    #[test]
    fn no_two_writers_share_a_byte(steps in proptest::collection::vec((0u64..32, 0u32..6, any::<u8>()), 1..80)) {
        let upload = open(None);
        let mut held: Vec<Reservation<()>> = Vec::new();
        let mut done: Vec<Range> = Vec::new();
        for (slot, power, action) in steps {
            let len = 65_536u32 << power;
            let wanted = range(slot * u64::from(len), len);
            let overlaps = |other: &Range| other.offset() < wanted.end() && wanted.offset() < other.end();
            let free = !held.iter().any(|held| overlaps(&held.range())) && !done.iter().any(overlaps);
            match upload.reserve(0, wanted) {
                Ok(reservation) => { prop_assert!(free); held.push(reservation); }
                Err(error) => prop_assert!(!free && matches!(error, StoreError::RangeTaken)),
            }
            if action % 3 == 0 && !held.is_empty() {
                held.swap_remove(usize::from(action) % held.len());
            }
            if action % 3 == 1 && !held.is_empty() {
                let reservation = held.swap_remove(usize::from(action) % held.len());
                let digest = RangeDigest::of(reservation.range(), &vec![0; reservation.range().len() as usize]).unwrap();
                reservation.complete(digest).unwrap();
                prop_assert!(reservation.complete(digest).is_err());
                done.push(reservation.range());
            }
        }
        let covered: u64 = done.iter().map(|range| u64::from(range.len())).sum();
        prop_assert_eq!(upload.lock().tree.covered_bytes(), covered);
    }
}
