//! What a hostile peer makes of every golden frame.

use fulmar_proto::{
    codec::{self, DecodeError, MAX_FRAME_BYTES, PREFIX_BYTES},
    hello::Hello,
    listing::Page,
    request::Request,
    upload::HavePage,
};

use crate::{
    all,
    frame::{Golden, Pieces, Read, bytes_of},
};

/// A changed payload is refused, or it is the one encoding of another value.
fn check_changed(golden: &Golden, changed: &[u8]) {
    match (golden.decode)(changed) {
        Err(_) => {}
        Ok(Read::Other(again)) => assert_eq!(again, changed, "{golden:?}: two encodings of one value"),
        Ok(Read::Same) => panic!("{golden:?}: other bytes are read as the same value"),
    }
}

#[test]
fn a_byte_behind_a_frame_is_refused() {
    for golden in all::readable() {
        for byte in [0x00, 0x01, 0x80, 0xff] {
            let mut longer = golden.payload.clone();
            longer.push(byte);
            assert_eq!((golden.decode)(&longer), Err(DecodeError::TrailingBytes), "{golden:?}");
        }
    }
}

#[test]
fn a_frame_that_is_cut_is_refused_wherever_it_is_cut() {
    for golden in all::readable() {
        for len in 0..golden.payload.len() {
            let cut = &golden.payload[..len];
            assert_eq!((golden.decode)(cut), Err(DecodeError::Malformed), "{golden:?} cut to {len} bytes");
        }
    }
}

#[test]
fn a_longer_encoding_of_the_kind_is_refused() {
    for golden in all::readable().iter().filter(|golden| golden.kind.is_some()) {
        for filler in 1..=4 {
            let mut longer = vec![golden.payload[0] | 0x80];
            longer.extend(std::iter::repeat_n(0x80, filler - 1));
            longer.push(0);
            longer.extend_from_slice(&golden.payload[1..]);
            assert_eq!((golden.decode)(&longer), Err(DecodeError::NotCanonical), "{golden:?}, {filler}");
        }
    }
}

#[test]
fn a_longer_number_anywhere_is_never_the_same_value() {
    for golden in all::readable() {
        for (at, byte) in golden.payload.iter().enumerate().filter(|(_, byte)| **byte < 0x80) {
            let mut longer = golden.payload[..at].to_vec();
            longer.extend([byte | 0x80, 0]);
            longer.extend_from_slice(&golden.payload[at + 1..]);
            check_changed(&golden, &longer);
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_another_value_or_an_error() {
    for golden in all::readable() {
        for at in 0..golden.payload.len() {
            for bit in 0..8 {
                let mut flipped = golden.payload.clone();
                flipped[at] ^= 1 << bit;
                check_changed(&golden, &flipped);
            }
        }
    }
}

#[test]
fn no_frame_is_read_as_one_of_another_type_in_two_ways() {
    let frames = all::readable();
    for golden in &frames {
        for other in &frames {
            if let Ok(Read::Other(again)) = (golden.decode)(&other.payload) {
                assert_eq!(again, other.payload, "{other:?} read as {golden:?}");
            }
        }
    }
}

#[test]
fn a_prefix_over_the_limit_is_refused_before_the_payload_matters() {
    let limit = u32::try_from(MAX_FRAME_BYTES).expect("64 KiB");
    assert_eq!(codec::frame_len(limit.to_le_bytes()), Ok(MAX_FRAME_BYTES));
    for len in [limit + 1, limit << 8, u32::MAX] {
        assert_eq!(codec::frame_len(len.to_le_bytes()), Err(DecodeError::TooLong(len)));
    }
    // The little end comes first: read the other way round this would be 65 536.
    assert_eq!(codec::frame_len([0x00, 0x01, 0x00, 0x00]), Ok(256));
    for golden in all::readable() {
        let prefix = golden.frame.first_chunk::<PREFIX_BYTES>().expect("a prefix");
        assert_eq!(codec::frame_len(*prefix), Ok(golden.frame.len() - PREFIX_BYTES), "{golden:?}");
    }
}

#[test]
fn a_payload_over_the_limit_is_refused() {
    let long = vec![0; MAX_FRAME_BYTES + 1];
    assert_eq!(codec::decode_frame::<Vec<u8>>(&long), Err(DecodeError::TooLong(65_537)));
}

fn request(pieces: Pieces<'_>) -> Result<Request, DecodeError> {
    codec::decode_growing(&bytes_of(pieces))
}

#[test]
fn values_that_break_a_rule_are_malformed() {
    let malformed: &[Pieces<'_>] = &[
        &[("01", "Request::Stat"), ("02", "path: 2 bytes"), ("'..'", "path")],
        &[("01", "Request::Stat"), ("02", "path: 2 bytes"), ("'/a'", "path")],
        &[("01", "Request::Stat"), ("02", "path: 2 bytes"), ("c3 28", "not UTF-8")],
        &[("01", "Request::Stat"), ("07", "path: 7 bytes"), ("'.Fulmar'", "the server's own folder")],
        &[("03", "Request::Hash"), ("00", "path: empty, and a file has a name"), ("00", "reread: no")],
        &[("05", "Request::Remove"), ("01", "path: 1 byte"), ("'a'", "path"), ("02", "recursive: neither")],
        &[("00", "Request::List"), ("00", "root"), ("02", "cursor: neither"), ("00", "details: no")],
        &[
            ("00", "Request::List"),
            ("00", "root"),
            ("01 41", "cursor: 65 bytes"),
            ("c5*65", "it"),
            ("00", "no"),
        ],
        &[("08", "Request::Read"), ("01 61", "a"), ("5e*32", "version"), ("00", "offset"), ("00", "len: 0")],
        &[
            ("08", "Request::Read"),
            ("01 61", "a"),
            ("5e*32", "version"),
            ("00", "offset"),
            ("81 80 80 01", "len: 2 MiB and a byte"),
        ],
        &[
            ("0a", "Request::Write"),
            ("1d*16", "id"),
            ("01", "generation"),
            ("01", "offset: 1"),
            ("01", "len: 1"),
        ],
    ];
    for pieces in malformed {
        assert_eq!(request(pieces), Err(DecodeError::Malformed), "{pieces:?}");
    }
}

/// Lists announce their length. None is believed: what is not there is not allocated.
#[test]
fn announced_lengths_are_not_believed() {
    let four_billion = ("ff ff ff ff 0f", "2^32 - 1 of them");
    let hello = bytes_of(&[("00 00", "minor, features"), four_billion]);
    assert_eq!(codec::decode_frame::<Hello>(&hello), Err(DecodeError::Malformed));
    assert_eq!(codec::decode_frame::<Page>(&bytes_of(&[four_billion])), Err(DecodeError::Malformed));
    assert_eq!(codec::decode_frame::<HavePage>(&bytes_of(&[four_billion])), Err(DecodeError::Malformed));
    let stat = bytes_of(&[("01", "Request::Stat"), four_billion]);
    assert_eq!(codec::decode_growing::<Request>(&stat), Err(DecodeError::Malformed));
}

/// Lists that are too long are refused although every element is there.
#[test]
fn lists_over_their_limit_are_malformed() {
    let extensions = |count: u8| {
        let mut payload = vec![0, 0, count];
        payload.extend(std::iter::repeat_n([9, 0], usize::from(count)).flatten());
        payload.extend([0, 0, 0]);
        codec::decode_frame::<Hello>(&payload)
    };
    assert!(extensions(32).is_ok());
    assert_eq!(extensions(33), Err(DecodeError::Malformed));
    let have = |count: u16| {
        let mut payload = bytes_of(&[("80", "low bits of the count")]);
        payload[0] |= u8::try_from(count & 0x7f).expect("seven bits");
        payload.push(u8::try_from(count >> 7).expect("seven bits"));
        for _ in 0..count {
            payload.extend(bytes_of(&[("00", "offset"), ("80 80 04", "len"), ("c1*32", "chaining_value")]));
        }
        payload.push(0);
        codec::decode_frame::<HavePage>(&payload)
    };
    assert!(have(512).is_ok());
    assert_eq!(have(513), Err(DecodeError::Malformed));
}
