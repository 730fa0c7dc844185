use fulmar_proto::codec::MAX_FRAME_BYTES;
use proptest::prelude::*;

use super::*;

#[test]
fn a_length_over_the_limit_is_known_from_the_prefix_alone() {
    let longest = u32::try_from(MAX_FRAME_BYTES).unwrap();
    assert_eq!(missing_bytes(&longest.to_le_bytes()), Ok(MAX_FRAME_BYTES));
    assert_eq!(missing_bytes(&(longest + 1).to_le_bytes()), Err(DecodeError::TooLong(longest + 1)));
    assert_eq!(missing_bytes(&[0xff; 4]), Err(DecodeError::TooLong(u32::MAX)));
}

proptest! {
    #[test]
    fn the_missing_bytes_lead_to_the_frames_end(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
        let frame = [&u32::try_from(payload.len()).unwrap().to_le_bytes()[..], &payload].concat();
        for have in 0..=frame.len() {
            let missing = missing_bytes(&frame[..have]).unwrap();
            prop_assert_eq!(missing == 0, have == frame.len());
            prop_assert!(have + missing <= frame.len(), "nothing of what follows is taken");
        }
    }
}
