use std::os::unix::fs::PermissionsExt;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn host(text: &str) -> HostPort {
    text.parse().unwrap()
}

fn key(byte: u8) -> Fingerprint {
    Fingerprint([byte; 32])
}

const DAY: Date = date(2026, 11, 2);

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    (folder, path)
}

#[test]
fn a_missing_file_knows_nobody_and_is_made_by_the_first_addition() {
    let (_folder, path) = file();
    let mut hosts = KnownHosts::load(&path).unwrap();
    let lab = host("Lab.Example:99");
    assert_eq!(hosts.lookup(&lab), []);
    assert_eq!(hosts.trust(&lab), ServerTrust::NothingKnown);
    assert!(hosts.add(&lab, key(1), DAY, AddMode::First).unwrap());
    let line = format!("lab.example:99 ed25519 {} first-seen=2026-11-02\n", key(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(hosts.lookup(&host("LAB.example:99")), [key(1)]);
    assert_eq!(hosts.trust(&lab), ServerTrust::Pinned(vec![key(1)]));
    assert_eq!(hosts.lookup(&host("lab.example:98")), [], "another port is another server");
    assert_eq!(KnownHosts::load(&path).unwrap().lookup(&lab), [key(1)]);
}

#[test]
fn adding_again_changes_nothing_and_another_key_needs_asking() {
    let (_folder, path) = file();
    let mut hosts = KnownHosts::load(&path).unwrap();
    let lab = host("lab");
    hosts.add(&lab, key(1), DAY, AddMode::First).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(!hosts.add(&lab, key(1), date(2027, 1, 1), AddMode::First).unwrap());
    let error = hosts.add(&lab, key(2), DAY, AddMode::First).unwrap_err();
    assert!(
        matches!(&error, KnownHostsError::OtherKeyKnown { known, .. } if *known == [key(1)]),
        "{error:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(hosts.add(&lab, key(2), DAY, AddMode::Additional).unwrap());
    assert_eq!(hosts.lookup(&lab), [key(1), key(2)]);
    assert_eq!(hosts.line_of(&lab, key(2)), Some(2));
    assert_eq!(hosts.line_of(&lab, key(3)), None);
}

#[test]
fn additions_of_other_processes_are_kept_and_count() {
    let (_folder, path) = file();
    let mut one = KnownHosts::load(&path).unwrap();
    let mut two = KnownHosts::load(&path).unwrap();
    one.add(&host("a"), key(1), DAY, AddMode::First).unwrap();
    two.add(&host("b"), key(2), DAY, AddMode::First).unwrap();
    assert!(two.add(&host("a"), key(3), DAY, AddMode::First).is_err(), "stale knowledge must not decide");
    let now = KnownHosts::load(&path).unwrap();
    assert_eq!((now.lookup(&host("a")), now.lookup(&host("b"))), (vec![key(1)], vec![key(2)]));
}

#[test]
fn forgetting_removes_one_host_and_keeps_comments() {
    let (_folder, path) = file();
    let entry = |name: &str, k| format!("{name}:4433 ed25519 {} first-seen=2026-11-02\n", key(k));
    let comment = "# mine: do not touch\n\n";
    let text = format!("{comment}{}{}{}", entry("a", 1), entry("b", 2), entry("a", 3));
    std::fs::write(&path, text).unwrap();
    let mut hosts = KnownHosts::load(&path).unwrap();
    assert_eq!(hosts.forget(&host("a")).unwrap(), [key(1), key(3)]);
    assert_eq!(hosts.forget(&host("a")).unwrap(), []);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{comment}{}", entry("b", 2)));
}

#[test]
fn malformed_lines_are_fatal_and_named() {
    let good = format!("a:1 ed25519 {} first-seen=2026-11-02", key(1));
    assert!(parse(good.as_bytes()).is_ok());
    let k = key(1);
    let cases = [
        ("a:1 ed25519".to_owned(), MalformedLine::Fields),
        (format!(" {good}"), MalformedLine::Fields),
        (format!("{good} "), MalformedLine::Fields),
        (format!("{good} revoked"), MalformedLine::Fields),
        (good.replace(' ', "  "), MalformedLine::Fields),
        (good.replace(' ', "\t"), MalformedLine::Fields),
        (good.replace("a:1", "A:1"), MalformedLine::HostPort),
        (good.replace("a:1", "a"), MalformedLine::HostPort),
        (good.replace("a:1", "a:0"), MalformedLine::HostPort),
        (good.replace("a:1", "a:01"), MalformedLine::HostPort),
        (good.replace("a:1", "*"), MalformedLine::HostPort),
        (good.replace("ed25519", "rsa"), MalformedLine::KeyKind),
        (good.replace("SHA256", "sha256"), MalformedLine::Fingerprint),
        (good.replace(&k.to_string(), "SHA256:"), MalformedLine::Fingerprint),
        (good.replace("first-seen=", ""), MalformedLine::FirstSeen),
        (good.replace("2026-11-02", "2026-02-30"), MalformedLine::FirstSeen),
        (good.replace("2026-11-02", "20261102"), MalformedLine::FirstSeen),
        (good.replace("2026-11-02", "2026-11-02T00:00"), MalformedLine::FirstSeen),
        (format!("{good}\0"), MalformedLine::FirstSeen),
    ];
    for (line, reason) in cases {
        assert_eq!(parse(format!("# c\n\n{good}\n{line}\n{good}").as_bytes()), Err((4, reason)), "{line:?}");
    }
    assert_eq!(parse(b"# a\n\xff\n"), Err((2, MalformedLine::NotText)));
}

#[test]
fn a_file_that_cannot_be_trusted_is_refused_and_never_replaced() {
    let (_folder, path) = file();
    let check = |expected: fn(&KnownHostsError) -> bool| {
        let before = std::fs::read(&path).unwrap();
        let error = KnownHosts::load(&path).unwrap_err();
        assert!(expected(&error), "{error:?}");
        let mut stale = KnownHosts { path: path.clone(), lines: Vec::new() };
        assert!(stale.add(&host("a"), key(1), DAY, AddMode::First).is_err());
        assert!(stale.forget(&host("a")).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    };
    std::fs::write(&path, "garbage\n").unwrap();
    check(|e| matches!(e, KnownHostsError::Malformed { line: 1, .. }));
    std::fs::write(&path, vec![b'#'; MAX_FILE_BYTES + 1]).unwrap();
    check(|e| matches!(e, KnownHostsError::File(PrivateFileError::TooLarge { .. })));
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    check(|e| matches!(e, KnownHostsError::File(PrivateFileError::TooOpen { .. })));
}

#[test]
fn the_largest_file_is_read_and_not_outgrown() {
    let (_folder, path) = file();
    std::fs::write(&path, [vec![b'#'; MAX_FILE_BYTES - 1], vec![b'\n']].concat()).unwrap();
    let mut hosts = KnownHosts::load(&path).unwrap();
    let error = hosts.add(&host("a"), key(1), DAY, AddMode::First).unwrap_err();
    assert!(matches!(error, KnownHostsError::Full(_)), "{error:?}");
    assert!(KnownHosts::load(&path).is_ok());
}

fn any_host() -> impl Strategy<Value = KnownHost> {
    let name = "[a-zA-Z0-9]([a-zA-Z0-9.-]{0,20})|::1|fe80::1%eth0";
    (name, 1u16.., any::<[u8; 32]>(), 0i16..9999, 1i8..=12, 1i8..=28).prop_map(
        |(name, port, key, year, month, day)| KnownHost {
            host_port: HostPort::new(&name, port).unwrap(),
            fingerprint: Fingerprint(key),
            first_seen: date(year, month, day),
        },
    )
}

proptest! {
    #[test]
    fn entries_come_back(entry in any_host()) {
        prop_assert_eq!(entry.to_string().parse::<KnownHost>(), Ok(entry));
    }

    #[test]
    fn no_bytes_panic_and_what_is_read_is_written_the_same(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "([#a:1 \\n]|ed25519|SHA256:|A{43}|first-seen=|2026-11-02){0,30}",
    ) {
        let _ = parse(&bytes);
        if let Ok(lines) = parse(text.as_bytes()) {
            let written: String = lines.iter().map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(parse(written.as_bytes()), Ok(lines));
        }
    }
}
