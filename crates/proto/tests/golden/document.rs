//! `docs/PROTOCOL.md` says what the code says: its example, its numbers, its words.

use fulmar_proto::{
    code::{CloseCode, ResetCode},
    error::ErrorCode,
};

use crate::{all, exchange};

const DOCUMENT: &str = include_str!("../../../../docs/PROTOCOL.md");

#[test]
fn the_example_is_the_tested_exchange() {
    let text = exchange::text();
    assert!(DOCUMENT.contains(&text), "the example must read:\n{text}");
}

fn assert_row(number: u32, word: &str) {
    let row = format!("| {number} | `{word}` |");
    assert!(DOCUMENT.contains(&row), "there is no row {row}");
}

#[test]
fn every_kind_of_frame_has_a_row() {
    let mut rows = 0;
    for golden in all::frames() {
        let Some((_, kind)) = golden.kind else { continue };
        let (_, variant) = golden.name.split_once("::").expect("an enum and its variant");
        assert_row(kind, variant.split(' ').next().expect("a word"));
        rows += 1;
    }
    assert!(rows >= 39, "{rows} rows");
}

#[test]
fn every_code_has_a_row() {
    for code in ErrorCode::KNOWN {
        assert_row(u32::from(code.0), code.word());
    }
    let (mut resets, mut closes) = (0, 0);
    for number in 0..1000 {
        if ResetCode(number).name() != ResetCode(u32::MAX).name() {
            assert_row(number, ResetCode(number).name());
            resets += 1;
        }
        if CloseCode(number).name() != CloseCode(u32::MAX).name() {
            assert_row(number, CloseCode(number).name());
            closes += 1;
        }
    }
    assert_eq!((resets, closes), (8, 9));
}
