//! Downloads to a writer: in order, as they arrive.

use std::{collections::BTreeMap, io::Write};

use fulmar_proto::{digest::DigestTree, path::RelPath};

use super::{Done, Event, FIRST_BYTES, Observer, Outcome, Ranges, fetch, root_of};
use crate::{error::Error, session::Session, transfer::fetch::Fetched};

type Writer = Box<dyn Write + Send>;

pub(super) async fn download(
    session: &Session,
    path: &RelPath,
    writer: Writer,
    observer: &dyn Observer,
) -> Result<Done, Error> {
    let (opened, first) = fetch::open(session, path, FIRST_BYTES).await?;
    observer.on(Event::Started { size: Some(opened.size) });
    let first = first.map(|first| (first.range, first.fetch(session.clone())));
    let mut ranges = Ranges::new(session, path, &opened, first);
    let mut tree = DigestTree::new(Some(opened.size));
    let mut writer = writer;
    // Ranges that have arrived before an earlier one. They count as in flight, so that their memory is bounded.
    let mut waiting = Waiting::default();
    loop {
        match ranges.next(waiting.bytes, fetch::fetch).await {
            Ok(Some((_, fetched))) => waiting.put(fetched),
            Ok(None) => break,
            // What has been written cannot be taken back, so there is no beginning anew.
            Err(error) if error.is_changed() => return Err(Error::SourceChanged),
            Err(error) => return Err(error),
        }
        while let Some(fetched) = waiting.take(tree.covered_bytes()) {
            writer = write(session, fetched, &mut tree, writer).await?;
            observer.on(Event::Acknowledged { bytes: tree.covered_bytes() });
            ranges.start(waiting.bytes, fetch::fetch);
        }
    }
    let root = root_of(&tree, &opened)?;
    session.offload().run(move || writer.flush()).await.map_err(Error::Stdio)?;
    let (bytes, outcome) = (opened.size, Outcome::Stored);
    Ok(Done { destination: "-".to_owned(), bytes, sent_bytes: bytes, root, outcome })
}

/// Ranges that have arrived, by their offsets.
#[derive(Default)]
struct Waiting {
    ranges: BTreeMap<u64, Fetched>,
    bytes: u64,
}

impl Waiting {
    fn put(&mut self, fetched: Fetched) {
        self.bytes += u64::from(fetched.range.len());
        self.ranges.insert(fetched.range.offset(), fetched);
    }

    fn take(&mut self, offset: u64) -> Option<Fetched> {
        let fetched = self.ranges.remove(&offset)?;
        self.bytes -= u64::from(fetched.range.len());
        Some(fetched)
    }
}

/// Verifies the next range and writes it; nothing unverified is ever written.
async fn write(
    session: &Session,
    fetched: Fetched,
    tree: &mut DigestTree,
    mut writer: Writer,
) -> Result<Writer, Error> {
    let job = move || {
        let digest = fetched.verify()?;
        writer.write_all(&fetched.bytes).map_err(Error::Stdio)?;
        Ok::<_, Error>((fetched.range, digest, writer))
    };
    let (range, digest, writer) = session.offload().run(job).await?;
    tree.insert(range, digest).map_err(|_| Error::UnexpectedReply("overlap"))?;
    Ok(writer)
}
