//! Who moves what, and which way.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One way of moving a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contender {
    Tcp,
    Tls,
    Fulmar,
}

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Fulmar];

    /// The word for the command line and for file names.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Fulmar => "fulmar",
        }
    }

    /// The name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS over TCP",
            Self::Fulmar => "fulmar",
        }
    }
}

/// How a sending TCP socket decides what the path can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Congestion {
    /// What most servers have
    Cubic,
    /// The bar for a link that loses packets
    Bbr,
}

impl Congestion {
    /// The kernel's name for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }
}

/// Who sends the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// The client sends.
    Upload,
    /// The server sends.
    Download,
}

impl Direction {
    pub(crate) const ALL: [Self; 2] = [Self::Upload, Self::Download];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }

    /// A heading for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Upload => "**Upload** (the client sends)",
            Self::Download => "**Download** (the server sends)",
        }
    }
}

/// The length of a file in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes)) {
            Some((unit, bytes)) => write!(f, "{} {unit}", self.0 / bytes),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// One kind of transfer: a place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) size: Size,
    pub(crate) direction: Direction,
    pub(crate) contender: Contender,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_divides_them() {
        let shown = [1 << 30, 3 << 20, 1536, 1000].map(|bytes| Size(bytes).to_string());
        assert_eq!(shown, ["1 GiB", "3 MiB", "1536 B", "1000 B"]);
    }
}
