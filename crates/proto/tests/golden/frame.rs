//! A frame written down by hand, and how it is compared with what the codec makes of its value.

use std::fmt;

use fulmar_proto::codec::{self, DecodeError, Growing, PREFIX_BYTES};
use serde::{Serialize, de::DeserializeOwned};

/// Annotated bytes: hexadecimal digits (blanks between bytes are ignored, `xx*n` is the byte `xx` n times, and text in
/// single quotes is itself in UTF-8), and what they mean.
pub(crate) type Pieces<'a> = &'a [(&'a str, &'a str)];

/// What decoding a payload came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The value of the golden frame.
    Same,
    /// Another value, and the payload that it is encoded as.
    Other(Vec<u8>),
}

type Decode = Box<dyn Fn(&[u8]) -> Result<Read, DecodeError>>;

/// One frame.
pub(crate) struct Golden {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// Which enum it is of, when that is one whose variants are appended, and the discriminant.
    pub(crate) kind: Option<(&'static str, u32)>,
    /// The bytes that were written down.
    pub(crate) payload: Vec<u8>,
    /// The bytes that the codec makes of the value.
    pub(crate) frame: Vec<u8>,
    /// Reads a payload as the type of the frame's value.
    pub(crate) decode: Decode,
}

impl fmt::Debug for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A frame of a type that never gets another shape.
pub(crate) fn fixed<T>(name: &'static str, value: T, pieces: Pieces<'_>) -> Golden
where
    T: Serialize + DeserializeOwned + PartialEq + 'static,
{
    golden(name, None, value, pieces, codec::decode_frame::<T>)
}

/// A frame of an enum whose variants are appended.
pub(crate) fn growing<T>(name: &'static str, value: T, pieces: Pieces<'_>) -> Golden
where
    T: Serialize + DeserializeOwned + PartialEq + Growing + 'static,
{
    let payload = bytes_of(pieces);
    let kind = u32::from(*payload.first().expect("an enum begins with its discriminant"));
    assert!(kind < 0x80, "{name}: a discriminant of more than one byte needs another reading here");
    golden(name, Some((std::any::type_name::<T>(), kind)), value, pieces, codec::decode_growing::<T>)
}

fn golden<T>(
    name: &'static str,
    kind: Option<(&'static str, u32)>,
    value: T,
    pieces: Pieces<'_>,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
) -> Golden
where
    T: Serialize + PartialEq + 'static,
{
    let frame = codec::encode_frame(&value).expect("golden values are short");
    let read = move |payload: &[u8]| {
        let decoded = decode(payload)?;
        if decoded == value {
            return Ok(Read::Same);
        }
        let again = codec::encode_frame(&decoded).expect("what was decoded is short");
        Ok(Read::Other(again[PREFIX_BYTES..].to_vec()))
    };
    Golden { name, kind, payload: bytes_of(pieces), frame, decode: Box::new(read) }
}

/// Checks frames in both directions.
pub(crate) fn check(frames: &[Golden]) {
    for golden in frames {
        let name = golden.name;
        let (prefix, payload) = golden.frame.split_at(PREFIX_BYTES);
        assert_eq!(hex(payload), hex(&golden.payload), "{name} is encoded differently");
        let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
        assert_eq!(prefix, length, "{name}: the prefix is the payload's length, little end first");
        assert_eq!((golden.decode)(&golden.payload), Ok(Read::Same), "{name} is decoded differently");
    }
}

/// The bytes that pieces stand for.
pub(crate) fn bytes_of(pieces: Pieces<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (piece, meaning) in pieces {
        assert!(!meaning.is_empty(), "{piece} has no meaning");
        if let Some(text) = piece.strip_prefix('\'') {
            bytes.extend_from_slice(text.strip_suffix('\'').expect("a closing quote").as_bytes());
            continue;
        }
        for word in piece.split_whitespace() {
            let (byte, count) = word.split_once('*').unwrap_or((word, "1"));
            assert_eq!(byte.len(), 2, "{word} is not a byte of two digits");
            let byte = u8::from_str_radix(byte, 16).expect("hexadecimal digits");
            bytes.extend(std::iter::repeat_n(byte, count.parse().expect("a count")));
        }
    }
    bytes
}

/// Bytes as they are shown in messages and in the documentation.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn pieces_are_read_as_they_are_described() {
    assert_eq!(bytes_of(&[("01 ff", "a"), ("ab*3", "b"), ("'hé'", "c")]), b"\x01\xff\xab\xab\xabh\xc3\xa9");
}

#[test]
#[should_panic(expected = "is encoded differently")]
fn a_wrong_byte_is_noticed() {
    check(&[fixed("a number", 5u32, &[("06", "not five")])]);
}
