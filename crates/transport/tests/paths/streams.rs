//! What quinn does to streams on long paths that lose packets, and what keeps it from hurting.

use std::time::Duration;

use fulmar_netsim::{Direction, Loss, Profile, virtual_net};
use fulmar_transport::Sending;
use tokio::time::Instant;

use crate::rig::{Site, link, send_all, stream};

const RANGES: i32 = 24;

fn lossy(rate_mbit_per_s: f64, rtt_ms: f64, loss: f64) -> Profile {
    let both =
        Direction { loss_after_queue: Some(Loss::Bernoulli(loss)), ..link(rate_mbit_per_s, rtt_ms).up };
    Profile::symmetric("lossy", both)
}

/// quinn closes a connection, "too many gaps in stream buffer", once 1,024 gaps are open on one ordered stream. The credit of
/// a stream is what keeps them fewer, whatever a sender puts on it.
#[test]
fn however_much_is_sent_on_one_stream_its_gaps_do_not_end_the_connection() {
    virtual_net::run(async {
        let site = Site::new();
        let pair = site.connect(0, &lossy(300.0, 300.0, 0.2), Sending::default()).await;
        let ((mut send, _hears), (_answers, mut receive)) = stream(&pair).await;
        send_all(&mut send, &mut receive, 24 << 20).await;
        assert_eq!(pair.server.close_reason(), None);
    });
}

/// quinn repairs a stream only after everything that waits at the same priority. So what comes first in a file has to go first.
#[test]
fn ranges_arrive_in_order_although_each_loses_packets() {
    virtual_net::run(async {
        let site = Site::new();
        let pair = site.connect(0, &lossy(100.0, 100.0, 0.1), Sending::default()).await;
        let mut streams = Vec::new();
        for index in 0..RANGES {
            let ((send, hears), (answers, receive)) = stream(&pair).await;
            send.set_priority(-index);
            streams.push((send, receive, (hears, answers)));
        }
        let started = Instant::now();
        let ranges = streams.into_iter().map(|(mut send, mut receive, keep)| {
            tokio::spawn(async move {
                send_all(&mut send, &mut receive, 1 << 20).await;
                drop(keep);
                started.elapsed()
            })
        });
        let mut ends = Vec::new();
        for range in ranges.collect::<Vec<_>>() {
            ends.push(range.await.expect("a range"));
        }
        let all = ends.iter().max().copied().unwrap_or_default();
        for (index, end) in (1..).zip(ends) {
            // Its turn, and time for the path to be found and for repairs.
            assert!(
                end <= all * index / RANGES as u32 + Duration::from_secs(1),
                "range {index}: {end:?} of {all:?}"
            );
        }
    });
}
