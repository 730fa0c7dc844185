//! No variant without golden bytes.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_proto::{
    codec::Growing,
    hello::Notice,
    listing::{EntryKind, EntryName},
    reply::Reply,
    request::Request,
    text::Text,
    trailer::Trailer,
    upload::OnExists,
};

use crate::{
    all,
    frame::{check, fixed},
    values::name,
};

#[test]
fn every_variant_of_every_growing_enum_has_a_frame() {
    let mut seen: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for (family, kind) in all::frames().iter().filter_map(|golden| golden.kind) {
        seen.entry(family).or_default().insert(kind);
    }
    let expected =
        BTreeMap::from([known::<Request>(), known::<Reply>(), known::<Notice>(), known::<Trailer>()]);
    assert_eq!(seen, expected);
}

fn known<T: Growing>() -> (&'static str, BTreeSet<u32>) {
    (std::any::type_name::<T>(), (0..T::VARIANTS).collect())
}

#[test]
fn names_tell_frames_apart() {
    let frames = all::readable();
    let names: BTreeSet<_> = frames.iter().map(|golden| golden.name).collect();
    assert_eq!(names.len(), frames.len());
}

/// The enums inside frames. They cannot grow: an unknown variant inside a frame makes the frame malformed.
#[test]
fn variants_inside_frames() {
    check(&[
        fixed("EntryKind::File", EntryKind::File, &[("00", "file")]),
        fixed("EntryKind::Directory", EntryKind::Directory, &[("01", "directory")]),
        fixed("EntryKind::Link", EntryKind::Link, &[("02", "link")]),
        fixed("EntryKind::Other", EntryKind::Other, &[("03", "other")]),
        fixed("OnExists::Fail", OnExists::Fail, &[("00", "fail")]),
        fixed("OnExists::Overwrite", OnExists::Overwrite, &[("01", "overwrite")]),
        fixed("OnExists::Skip", OnExists::Skip, &[("02", "skip")]),
        fixed("OnExists::Rename", OnExists::Rename, &[("03", "rename")]),
        fixed("EntryName::Servable", EntryName::Servable(name("a")), &[("00", "servable"), ("01 61", "a")]),
        fixed(
            "EntryName::Unservable",
            EntryName::Unservable(Text::new("a")),
            &[("01", "not"), ("01 61", "a")],
        ),
    ]);
}
