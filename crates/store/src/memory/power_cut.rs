//! Cutting the power of a store in memory.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{
    DEFAULT_CAPACITY_BYTES, DeviceLatency, MemoryStore, Shared,
    device::{Content, Device},
    names::Names,
    tree::{File, Space, Tree},
};
use crate::Environment;

/// What a power cut leaves to chance; the same for the same seed.
#[derive(Debug)]
pub(super) struct Chance(blake3::OutputReader);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(
            blake3::Hasher::new_derive_key("fulmar store power cut")
                .update(&seed.to_le_bytes())
                .finalize_xof(),
        )
    }

    /// A number from 0 to `most`.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        let mut drawn = [0; 8];
        self.0.fill(&mut drawn);
        let numbers = (most as u64).saturating_add(1);
        usize::try_from(u64::from_le_bytes(drawn) % numbers).unwrap_or(most)
    }
}

/// What became of bytes that were on their way: the whole length as zeros, a part alone, or a part and zeros behind it.
fn damaged(bytes: &Bytes, chance: &mut Chance) -> Bytes {
    let written = chance.up_to(bytes.len().saturating_sub(1));
    match chance.up_to(2) {
        0 => vec![0; bytes.len()].into(),
        1 => bytes.slice(..written),
        _ => {
            let mut partly = bytes[..written].to_vec();
            partly.resize(bytes.len(), 0);
            partly.into()
        }
    }
}

fn after_power_cut(content: &Content, chance: &mut Chance) -> Arc<Content> {
    let bytes = content.bytes();
    Content::on_device(if content.is_synced() { bytes.clone() } else { damaged(bytes, chance) })
}

impl MemoryStore {
    /// An empty store of [`DEFAULT_CAPACITY_BYTES`] on the model of a device whose steps take so long.
    #[must_use]
    pub fn on_device(environment: Environment, latency: DeviceLatency) -> Arc<Self> {
        let names = Names::on_device(Tree::new(environment.clock.now()));
        let space = Arc::new(Space::new(DEFAULT_CAPACITY_BYTES));
        let shared = Shared::new(names, space, Device { latency }, environment);
        Arc::new(Self { shared: Arc::new(shared) })
    }

    /// What the next start would find if the power went now: another store, on the same kind of device, with what is
    /// durable and with that part of the rest that `seed` decides on. Nobody should use this one any more. None when the
    /// store stands on no device.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> Option<Arc<Self>> {
        let old = &self.shared;
        let mut chance = Chance::new(seed);
        let mut tree = old.names().after_power_cut(&mut chance)?;
        let space = Arc::new(Space::new(old.space.capacity()));
        let replaced = tree.replace_files(|file| {
            let content = after_power_cut(&file.content, &mut chance);
            let mut held = space.nothing();
            held.grow(content.bytes().len() as u64)?;
            let File { modified, mode, version, .. } = *file;
            Ok(File { content, modified, mode, version, _held: held })
        });
        replaced.expect("what fitted before the power cut fits after it");
        let shared = Shared {
            catalog: old.catalog.copy(),
            answers: Mutex::new(old.answers().after_power_cut(&tree)),
            ..Shared::new(Names::on_device(tree), space, old.device, old.environment.clone())
        };
        Some(Arc::new(Self { shared: Arc::new(shared) }))
    }
}

#[cfg(test)]
mod tests;
