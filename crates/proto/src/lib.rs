//! What crosses the wire between a fulmar client and a fulmar server.
//!
//! # Roles
//!
//! A **server** serves a directory (a *store*) to clients whose public keys it knows. A **client** opens one QUIC
//! connection and then **one bidirectional stream per command**. The first stream carries [`hello::Hello`]; it stays
//! open for the life of the connection and carries the server's [`hello::Notice`]s afterwards.
//!
//! # Streams
//!
//! ```text
//! client                                        server
//!   request frame [body, trailer frame]  ──►
//!                                        ◄──   zero or more `Working` frames
//!                                        ◄──   one final reply frame [pages | body, trailer frame]
//! ```
//!
//! * A **frame** is a `u32` little-endian length (at most [`codec::MAX_FRAME_BYTES`], checked before anything is
//!   allocated) followed by one postcard value. Trailing bytes and non-canonical encodings are errors.
//! * A **body** is raw file bytes of a length that the frame before it declared. It ends in a [`trailer::Trailer`]
//!   frame. The end of a stream (FIN) never means that anything is complete.
//! * What can outgrow a frame (listings, range sets) travels as pages of frames.
//! * Success is only ever an application reply.
//!
//! # Growth
//!
//! The ALPN [`ALPN`] names the major version. Within it, enum variants are only ever appended, and used only after the
//! other side has shown in its Hello or Welcome that it knows them. An unknown request is answered
//! [`error::ErrorCode::UNSUPPORTED`] on its stream and the connection lives. Unknown extensions, features, policies,
//! error codes and reset codes are ignored or passed through, never fatal.
//!
//! # What is absent
//!
//! This crate does no IO and has no clock, no runtime and no random numbers: bytes come in, values go out.

pub mod address;
pub mod code;
pub mod codec;
pub mod digest;
pub mod error;
pub mod fingerprint;
pub mod grants;
pub mod hello;
#[cfg(any(test, feature = "test-corpus"))]
pub mod hostile;
pub mod invite;
pub mod listing;
pub mod path;
pub mod range;
pub mod reply;
pub mod request;
pub mod text;
pub mod time;
pub mod trailer;
pub mod upload;
pub mod version;

/// The ALPN protocol name. It carries the major version of the protocol and is mandatory on both sides.
pub const ALPN: &[u8] = b"fulmar/1";

/// The minor version that this crate speaks, sent in Hello and Welcome.
pub const MINOR: u16 = 0;

/// The port that a server listens on, and a client dials, when none is named.
pub const DEFAULT_PORT: u16 = 4433;
