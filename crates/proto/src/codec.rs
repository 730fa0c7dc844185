//! Frames: a little-endian `u32` length, then one postcard value.
//!
//! Decoding is strict. A frame longer than [`MAX_FRAME_BYTES`] is refused before anything is allocated; a value must
//! use up its frame; and because postcard accepts over-long varints, every decoded value is encoded again and must give
//! the same bytes, so that each value has exactly one encoding on the wire. No wire type is recursive.

use serde::{Serialize, de::DeserializeOwned};

/// The longest payload of a frame, in bytes: 64 KiB. The length prefix is not counted.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// The length prefix of a frame, in bytes.
pub const PREFIX_BYTES: usize = 4;

/// Why a frame could not be decoded. Always the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The length prefix announces more than [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes is longer than the protocol allows")]
    TooLong(u32),
    /// The payload is not an encoding of the expected type, or a value in it breaks that type's rules.
    #[error("a frame does not hold what the protocol expects there")]
    Malformed,
    /// The payload continues after the value.
    #[error("a frame holds bytes after its value")]
    TrailingBytes,
    /// The payload is not the one canonical encoding of its value.
    #[error("a frame is not in its canonical encoding")]
    NotCanonical,
    /// The value is of a kind appended by a later minor version; the number is its discriminant.
    #[error("a frame is of a kind unknown to this version (number {0})")]
    UnknownKind(u32),
}

/// Why a value could not be encoded. Always the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The encoding is longer than [`MAX_FRAME_BYTES`].
    #[error("a frame would be longer than the protocol allows")]
    TooLong,
    /// The value cannot be represented (never the case for the types of this crate).
    #[error("a value cannot be encoded")]
    Unencodable,
}

/// An enum whose variants are only ever appended. The discriminant is read before the value, so that a variant of a
/// later minor version is told apart from a malformed frame.
pub trait Growing {
    /// How many variants this version knows; discriminants from here on are of later versions.
    const VARIANTS: u32;
}

/// Encodes `value` as a whole frame, length prefix included.
///
/// # Errors
/// [`EncodeError::TooLong`] when the payload exceeds [`MAX_FRAME_BYTES`].
pub fn encode_frame<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let frame = postcard::to_extend(value, vec![0u8; PREFIX_BYTES]).map_err(|_| EncodeError::Unencodable)?;
    let len = frame.len() - PREFIX_BYTES;
    if len > MAX_FRAME_BYTES {
        return Err(EncodeError::TooLong);
    }
    let mut frame = frame;
    let prefix = u32::try_from(len).map_err(|_| EncodeError::TooLong)?;
    frame[..PREFIX_BYTES].copy_from_slice(&prefix.to_le_bytes());
    Ok(frame)
}

/// How many bytes `value` takes as a payload; used to fill pages up to a bound.
///
/// # Errors
/// [`EncodeError::Unencodable`] as for [`encode_frame`].
pub fn payload_len<T: Serialize + ?Sized>(value: &T) -> Result<usize, EncodeError> {
    postcard::experimental::serialized_size(value).map_err(|_| EncodeError::Unencodable)
}

/// The payload length that a frame's prefix announces.
///
/// # Errors
/// [`DecodeError::TooLong`] when it exceeds [`MAX_FRAME_BYTES`].
pub fn frame_len(prefix: [u8; PREFIX_BYTES]) -> Result<usize, DecodeError> {
    let len = u32::from_le_bytes(prefix);
    match usize::try_from(len) {
        Ok(n) if n <= MAX_FRAME_BYTES => Ok(n),
        _ => Err(DecodeError::TooLong(len)),
    }
}

/// Decodes the payload of one frame.
///
/// # Errors
/// Any [`DecodeError`] but [`DecodeError::UnknownKind`].
pub fn decode_frame<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    if payload.len() > MAX_FRAME_BYTES {
        return Err(DecodeError::TooLong(u32::try_from(payload.len()).unwrap_or(u32::MAX)));
    }
    let (value, rest) = postcard::take_from_bytes::<T>(payload).map_err(|_| DecodeError::Malformed)?;
    if !rest.is_empty() {
        return Err(DecodeError::TrailingBytes);
    }
    let again = postcard::to_allocvec(&value).map_err(|_| DecodeError::Malformed)?;
    if again != payload {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Decodes the payload of one frame that holds an enum with appended variants.
///
/// # Errors
/// As [`decode_frame`], and [`DecodeError::UnknownKind`] for a variant of a later minor version.
pub fn decode_growing<T: Serialize + DeserializeOwned + Growing>(payload: &[u8]) -> Result<T, DecodeError> {
    let (kind, _) = postcard::take_from_bytes::<u32>(payload).map_err(|_| DecodeError::Malformed)?;
    if kind >= T::VARIANTS {
        return Err(DecodeError::UnknownKind(kind));
    }
    decode_frame(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn length_is_checked_before_anything_else() {
        assert_eq!(frame_len(65_536u32.to_le_bytes()), Ok(65_536));
        assert_eq!(frame_len(65_537u32.to_le_bytes()), Err(DecodeError::TooLong(65_537)));
        assert_eq!(frame_len([0xff; 4]), Err(DecodeError::TooLong(u32::MAX)));
    }

    #[test]
    fn a_frame_of_exactly_the_limit_is_encoded_and_one_byte_more_is_not() {
        // A byte vector's encoding is its varint length (three bytes here) and its bytes.
        let fits = vec![7u8; MAX_FRAME_BYTES - 3];
        let frame = encode_frame(&fits).expect("fits");
        assert_eq!(frame.len(), PREFIX_BYTES + MAX_FRAME_BYTES);
        assert_eq!(decode_frame::<Vec<u8>>(&frame[PREFIX_BYTES..]), Ok(fits));
        assert_eq!(encode_frame(&vec![7u8; MAX_FRAME_BYTES - 2]), Err(EncodeError::TooLong));
    }

    #[test]
    fn trailing_bytes_and_long_varints_are_refused() {
        assert_eq!(decode_frame::<u32>(&[5]), Ok(5));
        assert_eq!(decode_frame::<u32>(&[5, 0]), Err(DecodeError::TrailingBytes));
        assert_eq!(decode_frame::<u32>(&[0x85, 0x00]), Err(DecodeError::NotCanonical));
        assert_eq!(decode_frame::<u32>(&[0x85]), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_claimed_length_does_not_allocate() {
        // A vector of 2^32 bytes that is not there.
        assert_eq!(decode_frame::<Vec<u8>>(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(DecodeError::Malformed));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value: (u64, Option<u32>, Vec<u8>)) {
            let frame = encode_frame(&value).expect("small");
            let mut prefix = [0u8; 4];
            prefix.copy_from_slice(&frame[..4]);
            prop_assert_eq!(frame_len(prefix).expect("short"), frame.len() - 4);
            prop_assert_eq!(decode_frame::<(u64, Option<u32>, Vec<u8>)>(&frame[4..]).expect("own"), value);
        }

        #[test]
        fn what_decodes_has_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = decode_frame::<(u64, Option<u32>, Vec<u8>)>(&bytes) {
                prop_assert_eq!(&encode_frame(&value).expect("small")[4..], &bytes[..]);
            }
        }
    }
}
