//! The exact bytes of every frame of `fulmar/1`, each field annotated.
//!
//! The bytes are written down as pieces of hexadecimal with their meaning, and what is compared is the pieces put
//! together: an annotation cannot stand beside bytes that it does not describe. A change here is a change of the wire
//! format: it may only ever add frames (`docs/PROTOCOL.md`, "Growth").

mod all;
mod coverage;
mod document;
mod exchange;
mod frame;
mod hello;
mod hostile;
mod later;
mod reply;
mod request;
mod transfer;
mod values;
