//! The profiles that come with the model.

use super::Profile;

macro_rules! profiles {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../profiles/", $name, ".toml")))),*]
    };
}

/// Names and texts, from good links to bad ones.
const PROFILES: [(&str, &str); 12] = profiles![
    "lan",
    "wan",
    "wifi",
    "intercontinental",
    "lte",
    "lossy-1",
    "lossy-5",
    "lossy-10",
    "lossy-20",
    "satellite",
    "field",
    "flaky",
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(name, _)| *name)
}

pub(super) fn find(name: &str) -> Option<Profile> {
    let (_, text) = PROFILES.iter().find(|(known, _)| *known == name)?;
    let profile = Profile::parse(text);
    debug_assert!(profile.is_ok(), "{name}: {profile:?}");
    profile.ok().map(|profile| Profile { name: name.to_owned(), ..profile })
}
