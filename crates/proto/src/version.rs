//! Opaque tokens that tell one state of a file from another.

use serde::{Deserialize, Serialize};

/// An opaque token of 32 bytes that names one state of one stored file. It changes whenever the file's bytes may have
/// changed. Only the store that made it can say what it consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version(pub [u8; 32]);

/// An opaque token of 32 bytes by which an uploader names the state of its source, so that the server can tell a
/// repeated upload of the same file from one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceToken(pub [u8; 32]);

/// The random identifier of one upload, made by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UploadId(pub [u8; 16]);

/// The random identifier of one stored file in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(pub [u8; 8]);

/// Writes bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl std::fmt::Display for UploadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        hex(&self.0, f)
    }
}

impl std::fmt::Display for FileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        hex(&self.0, f)
    }
}
