//! The conditions of a measurement, without anything that names the machine or its owner.

use std::{fs, num::NonZero, path::Path, process::Command, thread};

use anyhow::{Context as _, Result};
use fulmar_transport::tls::{CIPHER_SUITE, KEY_EXCHANGE};
use serde::Serialize;

/// What measurements depend on besides the code.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Conditions {
    pub(crate) fulmar: &'static str,
    /// The commit that the working tree is at, when there is one.
    pub(crate) commit: Option<String>,
    pub(crate) profile: &'static str,
    /// Of libraries that matter, from the lock file.
    pub(crate) libraries: Vec<String>,
    pub(crate) cipher_suite: String,
    pub(crate) key_exchange: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    /// What the bench over loopback goes through, and the length of its packets.
    pub(crate) interface: &'static str,
    pub(crate) mtu_bytes: Option<u64>,
    /// The most that a socket may have for datagrams that wait to be read, in bytes.
    pub(crate) rmem_max_bytes: Option<u64>,
    pub(crate) tcp_congestion_control: Option<String>,
    pub(crate) file_system: String,
}

impl Conditions {
    /// Of this machine, with files in `dir`.
    pub(crate) fn here(dir: &Path) -> Result<Self> {
        let number = |path| text_of(path).and_then(|text| text.parse().ok());
        let info = rustix::system::sysinfo();
        let stat = rustix::fs::statfs(dir).with_context(|| format!("cannot use {}", dir.display()))?;
        Ok(Self {
            fulmar: env!("CARGO_PKG_VERSION"),
            commit: commit(),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
            libraries: ["quinn", "quinn-proto", "rustls", "aws-lc-rs", "blake3", "tokio"]
                .into_iter()
                .filter_map(|name| version(include_str!("../../../Cargo.lock"), name))
                .collect(),
            cipher_suite: format!("{CIPHER_SUITE:?}"),
            key_exchange: format!("{KEY_EXCHANGE:?}"),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            memory_mib: (info.totalram as u64).saturating_mul(u64::from(info.mem_unit)) >> 20,
            interface: "lo",
            mtu_bytes: number("/sys/class/net/lo/mtu"),
            rmem_max_bytes: number("/proc/sys/net/core/rmem_max"),
            tcp_congestion_control: text_of("/proc/sys/net/ipv4/tcp_congestion_control"),
            file_system: file_system(u64::try_from(stat.f_type).unwrap_or_default()),
        })
    }
}

fn text_of(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn commit() -> Option<String> {
    let git = Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"]).output().ok()?;
    let text = String::from_utf8(git.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| git.status.success() && !text.is_empty())
}

/// The name of the processor.
fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or("unknown", |(_, name)| name.trim()).to_owned()
}

/// `NAME VERSION` of a package in a lock file.
fn version(lock: &str, name: &str) -> Option<String> {
    let package =
        lock.split("[[package]]").find(|package| package.contains(&format!("name = \"{name}\"\n")))?;
    let line = package.lines().find_map(|line| line.strip_prefix("version = "))?;
    Some(format!("{name} {}", line.trim_matches('"')))
}

/// The name of a kind of file system, by its number (statfs(2)).
fn file_system(magic: u64) -> String {
    let known = [
        (0x0102_1994, "tmpfs"),
        (0xef53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683e, "btrfs"),
        (0x794c_7630, "overlay"),
        (0x6969, "nfs"),
        (0x2fc1_2fc1, "zfs"),
        (0xf2f5_2010, "f2fs"),
    ];
    let found = known.iter().find(|(number, _)| *number == magic);
    found.map_or_else(|| format!("file system {magic:#x}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_of_this_machine_are_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let conditions = Conditions::here(dir.path()).expect("known");
        assert!(conditions.cores > 0 && conditions.memory_mib > 0);
        assert_eq!(conditions.cipher_suite, "TLS13_AES_128_GCM_SHA256");
        assert_eq!(conditions.key_exchange, "X25519MLKEM768");
        assert_eq!(conditions.libraries.len(), 6, "{:?}", conditions.libraries);
        assert!(conditions.libraries[0].starts_with("quinn 0."), "{:?}", conditions.libraries);
        let path = dir.path().to_string_lossy().into_owned();
        assert!(!serde_json::to_string(&conditions).expect("text").contains(&path));
    }

    #[test]
    fn file_systems_have_names_and_others_numbers() {
        assert_eq!(file_system(0x0102_1994), "tmpfs");
        assert_eq!(file_system(0xef53), "ext4");
        assert_eq!(file_system(0x1234), "file system 0x1234");
    }

    #[test]
    fn the_processor_is_named_once() {
        assert_eq!(processor("processor : 0\nmodel name\t: Some CPU\nmodel name\t: Other\n"), "Some CPU");
        assert_eq!(processor(""), "unknown");
    }
}
