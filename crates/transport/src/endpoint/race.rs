//! Several addresses at once (RFC 8305, "Happy Eyeballs").

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::dialer::DialError;

/// How long an attempt has the stage to itself (RFC 8305 section 5, "Connection Attempt Delay").
const STAGGER: Duration = Duration::from_millis(250);

type Attempts<T> = JoinSet<Result<T, DialError>>;

/// Tries `addrs` by `attempt` until one succeeds, all fail, or `timeout` has passed. Unfinished attempts are dropped;
/// successes that came too late go to `discard`.
pub(super) async fn run<T, A, F>(
    addrs: Vec<SocketAddr>,
    timeout: Duration,
    attempt: A,
    discard: impl Fn(T),
) -> Result<T, DialError>
where
    T: Send + 'static,
    A: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, DialError>> + Send + 'static,
{
    let mut attempts = Attempts::new();
    let mut failure = None;
    let race = compete(interleaved(addrs), attempt, &mut attempts, &mut failure);
    let outcome = timeout_at(Instant::now() + timeout, race).await;
    attempts.abort_all();
    while let Some(ended) = attempts.join_next().await {
        if let Ok(Ok(late)) = ended {
            discard(late);
        }
    }
    match outcome {
        Ok(Some(winner)) => Ok(winner),
        Ok(None) => Err(failure.unwrap_or(DialError::NoAddress)),
        Err(_elapsed) => Err(heavier(failure, DialError::NoAnswer)),
    }
}

/// Starts the attempts one after another; the first success, or `None` with the weightiest failure left behind.
async fn compete<T, A, F>(
    addrs: Vec<SocketAddr>,
    attempt: A,
    attempts: &mut Attempts<T>,
    failure: &mut Option<DialError>,
) -> Option<T>
where
    T: Send + 'static,
    A: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, DialError>> + Send + 'static,
{
    let mut waiting = addrs.into_iter();
    let mut next_start = Instant::now();
    loop {
        if Instant::now() >= next_start
            && let Some(addr) = waiting.next()
        {
            attempts.spawn(attempt(addr));
            next_start = Instant::now() + STAGGER;
        }
        if attempts.is_empty() && waiting.len() == 0 {
            return None;
        }
        tokio::select! {
            // In a fixed order, so that a simulation can be repeated.
            biased;
            Some(ended) = attempts.join_next() => match ended {
                Ok(Ok(winner)) => return Some(winner),
                Ok(Err(error)) => {
                    let is_identity = error.is_identity();
                    *failure = Some(heavier(failure.take(), error));
                    if is_identity {
                        return None;
                    }
                    // RFC 8305 section 5: a failure starts the next attempt at once.
                    next_start = Instant::now();
                }
                // An attempt that panicked has said so; the others go on.
                Err(_panicked) => next_start = Instant::now(),
            },
            () = sleep_until(next_start), if waiting.len() > 0 => {}
        }
    }
}

/// Of two failures the one that says more about the server; of equal ones the earlier.
fn heavier(earlier: Option<DialError>, later: DialError) -> DialError {
    match earlier {
        Some(earlier) if earlier.weight() >= later.weight() => earlier,
        _ => later,
    }
}

/// The addresses with the families in turn, beginning with that of the first, otherwise in order and without
/// repetitions (RFC 8305 section 4).
fn interleaved(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addrs.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [preferred.next(), other.next()];
        if pair.iter().all(Option::is_none) {
            return mixed;
        }
        for addr in pair.into_iter().flatten() {
            if !mixed.contains(&addr) {
                mixed.push(addr);
            }
        }
    }
}

#[cfg(test)]
mod tests;
