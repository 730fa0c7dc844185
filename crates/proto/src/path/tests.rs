use proptest::prelude::*;

use super::*;

fn path(text: &str) -> RelPath {
    RelPath::parse(text).expect("a valid path")
}

#[test]
fn every_rule_has_its_own_error() {
    let cases = [
        ("", PathError::Empty),
        ("/a", PathError::Absolute),
        ("/", PathError::Absolute),
        ("a/", PathError::TrailingSlash),
        ("a//b", PathError::EmptyName),
        ("a/./b", PathError::Dots),
        ("..", PathError::Dots),
        ("a\\b", PathError::Backslash),
        ("a\u{1f}", PathError::Control),
        ("a\u{7f}", PathError::Control),
        ("a\u{9b}", PathError::Control),
        ("a\u{202e}", PathError::DirectionControl),
        ("a\u{2028}", PathError::LineSeparator),
        ("a\u{ffff}", PathError::NonCharacter),
        (".Fulmar/x", PathError::Reserved),
    ];
    for (text, expected) in cases {
        assert_eq!(RelPath::parse(text), Err(expected), "{text:?}");
    }
    assert_eq!(RelPath::parse_bytes(b"a\xff"), Err(PathError::NotUtf8));
    assert_eq!(RelPath::parse(&"a".repeat(256)), Err(PathError::NameTooLong));
    assert_eq!(RelPath::parse(&["a"; 65].join("/")), Err(PathError::TooDeep));
    assert_eq!(RelPath::parse(&vec!["a".repeat(255); 17].join("/")), Err(PathError::TooLong));
}

#[test]
fn the_bounds_themselves_are_within() {
    assert!(RelPath::parse(&"a".repeat(MAX_NAME_BYTES)).is_ok());
    assert_eq!(path(&["a"; MAX_COMPONENTS].join("/")).components().count(), MAX_COMPONENTS);
    let longest = [vec!["a".repeat(255); 15], vec!["b".repeat(127), "c".repeat(128)]].concat().join("/");
    assert_eq!(longest.len(), MAX_PATH_BYTES);
    assert!(RelPath::parse(&longest).is_ok());
}

#[test]
fn paths_come_apart_and_together() {
    let file = path("a/b/c.tar.gz");
    assert_eq!(file.components().collect::<Vec<_>>(), ["a", "b", "c.tar.gz"]);
    assert_eq!(file.name(), "c.tar.gz");
    assert_eq!(file.extension(), Some("gz"));
    assert_eq!(file.parent().as_str(), "a/b");
    assert_eq!(file.parent().join("c.tar.gz"), Ok(file.clone()));
    assert_eq!(path("a").parent(), DirPath::root());
    assert_eq!(DirPath::root().join("a"), Ok(path("a")));
    assert_eq!(DirPath::from(path("a")).join_path(&path("b/c")), Ok(path("a/b/c")));
    assert_eq!(DirPath::root().join_path(&path("b/c")), Ok(path("b/c")));
    assert_eq!(DirPath::root().components().count(), 0);
    assert!(DirPath::root().is_root() && DirPath::root().to_rel().is_none());
    assert_eq!(DirPath::parse("a/b").expect("valid").to_rel(), Some(path("a/b")));
}

#[test]
fn joining_takes_one_valid_name() {
    let dir = DirPath::parse("a").expect("valid");
    let cases = [
        ("", PathError::Empty),
        ("b/c", PathError::NotAName),
        ("../b", PathError::NotAName),
        ("/b", PathError::NotAName),
        ("..", PathError::Dots),
        (".", PathError::Dots),
        ("b\\c", PathError::Backslash),
        ("b\n", PathError::Control),
    ];
    for (name, expected) in cases {
        assert_eq!(dir.join(name), Err(expected), "{name:?}");
        assert_eq!(Name::parse(name), Err(expected), "{name:?}");
    }
    assert_eq!(DirPath::root().join(".fulmar"), Err(PathError::Reserved));
    assert!(dir.join(".fulmar").is_ok() && Name::parse(".fulmar").is_ok());
    let deep = DirPath::parse(&["a"; 64].join("/")).expect("valid");
    assert_eq!(deep.join("b"), Err(PathError::TooDeep));
}

#[test]
fn decoding_checks_the_rules() {
    let encoded = |text: &str| postcard::to_allocvec(text).expect("encodes");
    for text in ["", "..", "/etc/passwd", "a\\b", ".fulmar", "a\u{1b}"] {
        assert!(postcard::from_bytes::<RelPath>(&encoded(text)).is_err(), "{text:?}");
    }
    assert!(postcard::from_bytes::<DirPath>(&encoded("")).expect("the root").is_root());
    assert!(postcard::from_bytes::<DirPath>(&encoded("..")).is_err());
    assert!(postcard::from_bytes::<Name>(&encoded("a/b")).is_err());
    assert_eq!(serde_json::from_str::<RelPath>("\"a/b\"").expect("valid"), path("a/b"));
}

#[test]
fn nothing_is_printed_raw() {
    let odd = path("a\u{200b}b");
    assert_eq!(odd.escaped().to_string(), "a\\u{200b}b");
    assert_eq!(format!("{odd:?}"), "\"a\\u{200b}b\"");
}

#[test]
fn extensions() {
    let cases = [
        ("a.txt", Some("txt")),
        ("a.tar.gz", Some("gz")),
        ("a", None),
        (".bashrc", None),
        (".a.b", Some("b")),
        ("..a", Some("a")),
        ("a.", Some("")),
    ];
    for (name, expected) in cases {
        assert_eq!(Name::parse(name).expect("valid").extension(), expected, "{name}");
    }
    assert!(same_extension("a.TXT", "b.txt"));
    assert!(same_extension("a", ".b"));
    assert!(!same_extension("a.txt", "a"));
    assert!(!same_extension("a.txt", "a.txt.exe"));
    assert!(!same_extension("a.é", "a.É"), "only ASCII case is ignored");
    assert!(!same_extension("a.", "a"));
}

#[test]
fn numbered_names() {
    let cases = [
        ("report.txt", 1, "report (1).txt"),
        ("d/a.tar.gz", 12, "d/a.tar (12).gz"),
        ("a", 2, "a (2)"),
        (".bashrc", 1, ".bashrc (1)"),
        ("a (1).txt", 1, "a (1) (1).txt"),
        ("x.", 1, "x (1)."),
    ];
    for (before, number, after) in cases {
        assert_eq!(path(before).with_suffix_number(number), Ok(path(after)));
    }
}

#[test]
fn numbered_names_stay_within_the_bounds() {
    let numbered = |name: &str| path(name).with_suffix_number(7).expect("fits").name().to_owned();
    assert_eq!(numbered(&"a".repeat(251)), format!("{} (7)", "a".repeat(251)));
    assert_eq!(numbered(&"a".repeat(252)), format!("{} (7)", "a".repeat(251)));
    assert_eq!(numbered(&format!("{}.txt", "a".repeat(251))), format!("{} (7).txt", "a".repeat(247)));
    // A two-byte character that does not fit is left out as a whole.
    assert_eq!(numbered(&format!("{}a", "é".repeat(127))), format!("{} (7)", "é".repeat(125)));
    // An extension that leaves no room for the name is shortened with it.
    let long_extension = format!("a.{}", "x".repeat(252));
    assert_eq!(numbered(&long_extension), format!("{} (7)", &long_extension[..251]));

    let longest_parent =
        [vec!["a".repeat(255); 15], vec!["b".repeat(127), "c".repeat(126)]].concat().join("/");
    let longest = path(&format!("{longest_parent}/d"));
    assert_eq!(longest.as_str().len(), MAX_PATH_BYTES);
    assert_eq!(longest.with_suffix_number(1), Err(PathError::TooLong));
}

/// Text that is likely to break a rule, and often nearly keeps them all.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-zA-Z0-9._ -]{1,8}",
        2 => Just("/".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(".fulmar".to_owned()),
        1 => any::<char>().prop_map(String::from),
        1 => (0usize..300).prop_map(|n| "x".repeat(n)),
    ];
    proptest::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_accepted_stays_below_the_root(text in any_text()) {
        let Ok(path) = RelPath::parse(&text) else { return Ok(()) };
        prop_assert_eq!(path.as_str(), &text);
        prop_assert!(!text.contains(['\\', '\0', '\n']) && !text.starts_with('/') && text.len() <= 4096);
        let components: Vec<_> = path.components().collect();
        prop_assert_eq!(components.join("/"), text.clone());
        prop_assert!((1..=64).contains(&components.len()));
        for component in &components {
            prop_assert!((1..=255).contains(&component.len()) && *component != "." && *component != "..");
            prop_assert!(Name::parse(component).is_ok());
        }
        prop_assert!(!components[0].eq_ignore_ascii_case(".fulmar"));
        // An independent reading: the standard library sees only ordinary components.
        let std_components = std::path::Path::new(&text).components();
        prop_assert!(std_components.clone().all(|c| matches!(c, std::path::Component::Normal(_))));
        prop_assert_eq!(std_components.count(), components.len());
        prop_assert_eq!(path.parent().join(path.name()), Ok(path.clone()));
        let encoded = postcard::to_allocvec(&path).expect("encodes");
        prop_assert_eq!(postcard::from_bytes::<RelPath>(&encoded).expect("decodes"), path);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(RelPath::parse_bytes(&bytes).is_ok() || bytes.is_empty(), DirPath::parse_bytes(&bytes).is_ok());
        let _ = postcard::from_bytes::<RelPath>(&bytes);
        let _ = Name::parse_bytes(&bytes);
    }

    #[test]
    fn a_numbered_name_is_another_valid_name(text in any_text(), number: u32) {
        let Ok(path) = RelPath::parse(&text) else { return Ok(()) };
        if let Ok(numbered) = path.with_suffix_number(number) {
            prop_assert_ne!(&numbered, &path);
            prop_assert_eq!(numbered.parent(), path.parent());
            let mark = format!(" ({number})");
            prop_assert!(numbered.name().contains(&mark));
        } else {
            prop_assert!(text.len() > MAX_PATH_BYTES - MAX_NAME_BYTES);
        }
    }
}
