//! Measurements: transfers that leave nothing behind.

use std::{
    io,
    pin::pin,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use fulmar_client::{
    DownloadTarget, Error, Event, Observer, Session, TransferOptions, Transferred, UploadSource,
};
use fulmar_proto::{
    path::{DirPath, RelPath},
    upload::Destination,
};
use tokio::{
    sync::Notify,
    time::{Instant, interval, sleep},
};

use super::{
    machine::Watch,
    noise::{Noise, unused_name},
    run::{Run, Sample, Way},
};

/// How often the transport is asked how it is.
const SAMPLED_EVERY: Duration = Duration::from_millis(50);

/// When a measurement ends, whatever comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) time: Duration,
    pub(super) bytes: u64,
}

/// Follows a transfer, and says when it has moved enough.
#[derive(Debug)]
struct Meter {
    acknowledged: AtomicU64,
    enough: u64,
    reached: Notify,
}

impl Meter {
    fn new(bounds: Bounds) -> Self {
        Self { acknowledged: AtomicU64::new(0), enough: bounds.bytes, reached: Notify::new() }
    }
}

impl Observer for Meter {
    fn on(&self, event: Event) {
        if let Event::Acknowledged { bytes } = event {
            self.acknowledged.store(bytes, Ordering::Relaxed);
            if bytes >= self.enough {
                self.reached.notify_one();
            }
        }
    }
}

/// Sends random bytes to a name that does not exist, and takes them back before there is a file.
pub(super) async fn upload(session: &Session, bounds: Bounds) -> Result<Run, Error> {
    let (keep, over) = mpsc::channel();
    let source = UploadSource::Reader(Box::new(Noise::new(bounds.bytes, over)));
    let destination = Destination { path: DirPath::parse(&unused_name())?, must_be_directory: false };
    let (options, meter) = (TransferOptions::default(), Meter::new(bounds));
    let transfer = session.upload(source, &destination, &options, &meter);
    let run = follow(session, Way::Up, transfer, &meter, bounds).await;
    // Only now may the reader end.
    drop(keep);
    run
}

/// Fetches a file, or its beginning, and throws it away.
pub(super) async fn download(session: &Session, file: &RelPath, bounds: Bounds) -> Result<Run, Error> {
    let (options, meter) = (TransferOptions::default(), Meter::new(bounds));
    let target = DownloadTarget::Writer(Box::new(io::sink()));
    let transfer = session.download(file, target, &options, &meter);
    follow(session, Way::Down, transfer, &meter, bounds).await
}

/// Drives a transfer until it ends or has been followed for long enough, and drops it then.
async fn follow(
    session: &Session,
    way: Way,
    transfer: impl Future<Output = Result<Transferred, Error>>,
    meter: &Meter,
    bounds: Bounds,
) -> Result<Run, Error> {
    let machine = Watch::begin(session.dropped_datagrams().await);
    let began = Instant::now();
    let sample = || Sample { at: began.elapsed(), stats: session.stats() };
    let mut samples = vec![sample()];
    let mut ticks = interval(SAMPLED_EVERY);
    let mut transfer = pin!(transfer);
    let mut late = pin!(sleep(bounds.time));
    loop {
        tokio::select! {
            biased;
            ended = &mut transfer => {
                ended?;
                break;
            }
            () = meter.reached.notified() => break,
            () = &mut late => break,
            _ = ticks.tick() => samples.push(sample()),
        }
    }
    samples.push(sample());
    let bytes = meter.acknowledged.load(Ordering::Relaxed);
    let machine = machine.end(session.dropped_datagrams().await);
    Ok(Run::new(way, bytes, &samples, machine))
}
