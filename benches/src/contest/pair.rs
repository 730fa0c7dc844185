//! Both sides of one contender, a transfer between them, and the check of what has come of it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use fulmar_proto::digest::Digest;
use serde::Serialize;

use super::{
    Cell, Contender, Direction, Ended, Part, Scene, Stage, Venue,
    contenders::{Job, prepare_tls},
    scene::source_name,
    side::Side,
};

/// What one side used for a transfer.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Share {
    /// Processor time for this transfer, in seconds, ending the connection included.
    pub(crate) cpu_s: f64,
    /// The most memory that the process ever had; each process makes one kind of transfer.
    pub(crate) peak_bytes: u64,
}

/// What a transfer came to.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub(crate) end: End,
    pub(crate) elapsed: Duration,
    /// File bytes that the receiver had by then.
    pub(crate) received_bytes: u64,
    pub(crate) client: Share,
    pub(crate) server: Share,
}

impl Moved {
    /// Itself, if the whole file was moved.
    pub(crate) fn whole(self) -> Result<Self> {
        match self.end {
            End::Finished => Ok(self),
            End::Stopped => bail!("it was stopped after {:.1} s", self.elapsed.as_secs_f64()),
            End::Failed(reason) => bail!("{reason}"),
        }
    }
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "end", content = "reason", rename_all = "lowercase")]
pub(crate) enum End {
    /// The file is there, and it is the right one.
    Finished,
    /// Its time was over.
    Stopped,
    /// One of the sides gave up, with these words.
    Failed(String),
}

/// The two processes of one cell. They live as long as this and make only this kind of transfer, so that their memory is
/// what this kind takes.
#[derive(Debug)]
pub(crate) struct Pair {
    cell: Cell,
    client: Side,
    server: Side,
    receiver_dir: PathBuf,
}

impl Pair {
    /// Starts both sides.
    pub(crate) fn start(stage: &Stage, cell: Cell, venue: &Venue<'_>) -> Result<Self> {
        if cell.contender == Contender::Tls {
            prepare_tls(&stage.server_state, &stage.client_state)?;
        }
        let start = |part, server| Side::start(part, cell.contender, stage, server, venue);
        let server = start(Part::Server, None)?;
        let client = start(Part::Client, Some(&server.greeting))?;
        Ok(Self { cell, client, server, receiver_dir: stage.receiver_dir(cell.direction).to_owned() })
    }

    /// Moves the file to a name that is not yet taken, checks what has come of it, and removes that.
    pub(crate) fn transfer(&mut self, scene: &Scene, target: &str, limit: Option<Duration>) -> Result<Moved> {
        let cell = self.cell;
        let source = match cell.direction {
            Direction::Upload => scene.source_path(cell.size)?.to_owned(),
            Direction::Download => source_name(cell.size).into(),
        };
        let job = Job { direction: cell.direction, source, target: target.to_owned() };
        let before = (self.client.usage()?, self.server.usage()?);
        let ended = self.client.transfer(job, limit)?;
        let (end, elapsed, received_bytes) = match &ended {
            Ended::Done(done) => (End::Finished, done.elapsed, cell.size.0),
            Ended::Stopped { elapsed } => (End::Stopped, *elapsed, self.received_bytes()?),
            Ended::Failed { elapsed, reason } => {
                (End::Failed(reason.clone()), *elapsed, self.received_bytes()?)
            }
        };
        let after = (self.client.usage()?, self.server.usage()?);
        if let Ended::Done(done) = ended {
            self.check(scene, target, done.digest)?;
        }
        let share = |cpu: Duration, peak_bytes| Share { cpu_s: cpu.as_secs_f64(), peak_bytes };
        Ok(Moved {
            end,
            elapsed,
            received_bytes,
            client: share(after.0.cpu.saturating_sub(before.0.cpu), after.0.peak_bytes),
            server: share(after.1.cpu.saturating_sub(before.1.cpu), after.1.peak_bytes),
        })
    }

    /// The numbers of both processes.
    pub(crate) fn processes(&self) -> [u32; 2] {
        [self.client.process(), self.server.process()]
    }

    fn received_bytes(&mut self) -> Result<u64> {
        match Part::counting(self.cell.contender, self.cell.direction) {
            Part::Client => self.client.received_bytes(),
            Part::Server => self.server.received_bytes(),
        }
    }

    fn check(&self, scene: &Scene, target: &str, agreed: Digest) -> Result<()> {
        let result = self.receiver_dir.join(target);
        ensure!(
            agreed == scene.digest(self.cell.size)?,
            "the sides agreed on a digest that is not the source's"
        );
        ensure!(digest_of(&result)? == agreed, "the published file holds other bytes");
        Ok(fs::remove_file(&result)?)
    }
}

fn digest_of(path: &Path) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}
