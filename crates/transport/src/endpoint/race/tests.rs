use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fulmar_proto::fingerprint::Fingerprint;

use super::*;
use crate::connection::ConnectionLost;

fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const A: &str = "[::1]:1";
const B: &str = "1.1.1.1:1";
const C: &str = "[::2]:1";

/// What an address does, and after how many milliseconds.
#[derive(Clone, Copy)]
enum Act {
    Answer(u64),
    Refuse(u64),
    Untrusted(u64),
    Silence,
    Panic,
}

/// What came of a race on virtual time.
struct Outcome {
    result: Result<SocketAddr, DialError>,
    /// When it was over, in milliseconds.
    at_ms: u128,
    /// When each address was tried, in milliseconds.
    tried: Vec<(SocketAddr, u128)>,
    discarded: Vec<SocketAddr>,
}

async fn perform(addr: SocketAddr, act: Act) -> Result<SocketAddr, DialError> {
    let after = |ms| tokio::time::sleep(Duration::from_millis(ms));
    match act {
        Act::Answer(ms) => after(ms).await,
        Act::Refuse(ms) => {
            after(ms).await;
            return Err(DialError::Refused);
        }
        Act::Untrusted(ms) => {
            after(ms).await;
            return Err(DialError::UnknownServer(Fingerprint([1; 32])));
        }
        Act::Silence => std::future::pending().await,
        Act::Panic => panic!("as a bug would"),
    }
    Ok(addr)
}

async fn race(acts: &[(&str, Act)], timeout_ms: u64) -> Outcome {
    let start = Instant::now();
    let script: HashMap<SocketAddr, Act> =
        acts.iter().map(|(addr, act)| (addr.parse().unwrap(), *act)).collect();
    let tried = Arc::new(Mutex::new(Vec::new()));
    let discarded = RefCell::new(Vec::new());
    let attempt = |addr: SocketAddr| {
        tried.lock().unwrap().push((addr, start.elapsed().as_millis()));
        perform(addr, script[&addr])
    };
    let order = addrs(&acts.iter().map(|(addr, _)| *addr).collect::<Vec<_>>());
    let result = run(order, Duration::from_millis(timeout_ms), attempt, |late| {
        discarded.borrow_mut().push(late);
    })
    .await;
    let at_ms = start.elapsed().as_millis();
    let tried = tried.lock().unwrap().clone();
    Outcome { result, at_ms, tried, discarded: discarded.into_inner() }
}

fn times(outcome: &Outcome) -> Vec<u128> {
    outcome.tried.iter().map(|(_, ms)| *ms).collect()
}

#[tokio::test(start_paused = true)]
async fn attempts_start_a_quarter_second_apart_and_the_first_success_wins() {
    let outcome = race(&[(A, Act::Silence), (B, Act::Silence), (C, Act::Answer(40))], 10_000).await;
    assert_eq!(outcome.result.unwrap(), addrs(&[C])[0]);
    assert_eq!(outcome.at_ms, 540);
    let expected: Vec<_> = addrs(&[A, B, C]).into_iter().zip([0, 250, 500]).collect();
    assert_eq!(outcome.tried, expected);

    // An earlier attempt may still win after later ones have started.
    let outcome = race(&[(A, Act::Answer(300)), (B, Act::Answer(100))], 10_000).await;
    assert_eq!((outcome.result.unwrap(), outcome.at_ms), (addrs(&[A])[0], 300));
    let outcome = race(&[(A, Act::Answer(100)), (B, Act::Answer(0))], 10_000).await;
    assert_eq!((times(&outcome), outcome.at_ms), (vec![0], 100), "the second was never needed");
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_the_next_attempt_at_once() {
    let outcome = race(&[(A, Act::Refuse(10)), (B, Act::Panic), (C, Act::Answer(5))], 10_000).await;
    assert_eq!(times(&outcome), [0, 10, 10]);
    assert_eq!((outcome.result.unwrap(), outcome.at_ms), (addrs(&[C])[0], 15));
}

#[tokio::test(start_paused = true)]
async fn an_untrusted_key_is_final() {
    let outcome = race(&[(A, Act::Silence), (B, Act::Untrusted(40)), (C, Act::Answer(0))], 10_000).await;
    assert!(matches!(outcome.result, Err(DialError::UnknownServer(_))));
    // Neither the silent address is waited for nor the good one tried, which would hide what was seen.
    assert_eq!((outcome.at_ms, times(&outcome)), (290, vec![0, 250]));
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_is_one_for_all() {
    let outcome = race(&[(A, Act::Silence), (B, Act::Silence)], 400).await;
    assert!(matches!(outcome.result, Err(DialError::NoAnswer)));
    assert_eq!(outcome.at_ms, 400);
    let outcome = race(&[(A, Act::Silence), (B, Act::Refuse(10))], 400).await;
    assert!(matches!(outcome.result, Err(DialError::Refused)), "what answered says more than what did not");
    assert_eq!(outcome.at_ms, 400);
    let outcome = race(&[(A, Act::Refuse(10)), (B, Act::Refuse(10))], 400).await;
    assert!(matches!(outcome.result, Err(DialError::Refused)));
    assert_eq!(outcome.at_ms, 20, "nothing is left to wait for");
}

#[tokio::test(start_paused = true)]
async fn of_two_successes_at_once_the_second_is_discarded() {
    let outcome = race(&[(A, Act::Answer(260)), (B, Act::Answer(10))], 10_000).await;
    let winner = outcome.result.unwrap();
    let both = addrs(&[A, B]);
    assert!(both.contains(&winner));
    let other: Vec<_> = both.into_iter().filter(|addr| *addr != winner).collect();
    assert_eq!(outcome.discarded, other);
}

#[tokio::test(start_paused = true)]
async fn without_addresses_there_is_nothing_to_try() {
    assert!(matches!(race(&[], 10).await.result, Err(DialError::NoAddress)));
}

#[test]
fn families_alternate_from_the_first_and_repetitions_go() {
    let mixed = interleaved(addrs(&["[::1]:1", "[::2]:1", "[::1]:1", "1.1.1.1:1", "[::3]:1", "2.2.2.2:1"]));
    assert_eq!(mixed, addrs(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]));
    let mixed = interleaved(addrs(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]));
    assert_eq!(mixed, addrs(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]));
    assert!(interleaved(Vec::new()).is_empty());
}

#[test]
fn the_failure_that_says_most_is_reported() {
    let unknown = DialError::UnknownServer(Fingerprint([1; 32]));
    let mismatch = DialError::ProtocolMismatch(ConnectionLost::VersionMismatch);
    assert!(matches!(heavier(None, DialError::NoAnswer), DialError::NoAnswer));
    assert!(matches!(heavier(Some(DialError::NoAnswer), DialError::Refused), DialError::Refused));
    assert!(matches!(heavier(Some(DialError::Refused), DialError::NoAnswer), DialError::Refused));
    assert!(matches!(heavier(Some(DialError::Refused), mismatch), DialError::ProtocolMismatch(_)));
    assert!(heavier(Some(unknown), DialError::NoAnswer).is_identity());
}
