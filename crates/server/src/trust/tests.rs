use std::sync::Barrier;

use fulmar_store::SystemEntropy;
use proptest::prelude::*;

use super::*;

const EXPORTER: [u8; 32] = [5; 32];
const HOUR: Duration = Duration::from_secs(3600);

fn at(secs: i64) -> Timestamp {
    Timestamp::new(secs, 0).expect("whole seconds")
}

fn proof(token: &InviteToken, client: &Fingerprint) -> InviteProof {
    InviteProof { id: token.id(), mac: token.key().prove(&EXPORTER, client) }
}

fn client(n: u8) -> Fingerprint {
    Fingerprint([n; 32])
}

fn open() -> (tempfile::TempDir, TrustStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let trust = TrustStore::open(folder.path()).expect("empty");
    (folder, trust)
}

#[test]
fn an_invite_enrols_one_client_once() {
    let (folder, trust) = open();
    let token = trust.make_invite(Grants::READ, HOUR, at(0), &SystemEntropy).expect("made");
    let redeem = |n: u8| {
        let who = client(n);
        trust
            .redeem(&proof(&token, &who), &EXPORTER, &who, &Text::new("a \"laptop\"\n"), at(10))
            .expect("files work")
    };
    assert!(!trust.has_clients());
    assert_eq!(redeem(1), Redeemed::Enrolled(Grants::READ));
    assert_eq!(redeem(2), Redeemed::Invalid);
    assert_eq!(trust.find(&client(1)).map(|c| c.grants), Some(Grants::READ));
    assert_eq!(trust.find(&client(2)), None);
    // A second process sees the same.
    let again = TrustStore::open(folder.path()).expect("own files");
    assert_eq!(again.find(&client(1)).map(|c| c.name).as_deref(), Some("a laptop"));
}

#[test]
fn an_expired_invite_and_a_wrong_proof_enrol_nobody() {
    let (_folder, trust) = open();
    let token = trust.make_invite(Grants::ALL, HOUR, at(0), &SystemEntropy).expect("made");
    let who = client(1);
    let name = Text::default();
    let redeem = |proof: &InviteProof, client: &Fingerprint, now| {
        trust.redeem(proof, &EXPORTER, client, &name, at(now)).expect("files work")
    };
    assert_eq!(redeem(&proof(&token, &who), &who, 3600), Redeemed::Invalid);
    // Somebody else's proof, replayed.
    assert_eq!(redeem(&proof(&token, &who), &client(2), 10), Redeemed::Invalid);
    assert!(!trust.has_clients());
    // Neither attempt has burnt the invite.
    assert_eq!(redeem(&proof(&token, &who), &who, 3599), Redeemed::Enrolled(Grants::ALL));
}

#[test]
fn of_eight_racing_enrolments_exactly_one_succeeds() {
    let (_folder, trust) = open();
    let token = trust.make_invite(Grants::ALL, HOUR, at(0), &SystemEntropy).expect("made");
    let start = Barrier::new(8);
    let enrolled = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|n| {
                let (trust, token, start) = (&trust, &token, &start);
                scope.spawn(move || {
                    let who = client(n);
                    start.wait();
                    trust
                        .redeem(&proof(token, &who), &EXPORTER, &who, &Text::default(), at(1))
                        .expect("files work")
                })
            })
            .collect();
        let results: Vec<_> = racers.into_iter().map(|racer| racer.join().expect("no panic")).collect();
        results.iter().filter(|result| **result != Redeemed::Invalid).count()
    });
    assert_eq!(enrolled, 1);
}

#[test]
fn a_second_invite_adds_grants_and_keeps_other_lines() {
    let (folder, trust) = open();
    let who = client(1);
    for grants in [Grants::READ, Grants::WRITE] {
        let token = trust.make_invite(grants, HOUR, at(0), &SystemEntropy).expect("made");
        let name = Text::new("x");
        trust.redeem(&proof(&token, &who), &EXPORTER, &who, &name, at(1)).expect("files work");
    }
    let path = folder.path().join(CLIENTS_FILE);
    let text = std::fs::read_to_string(&path).expect("written");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(trust.find(&who).map(|c| c.grants), Some(Grants::READ.with(Grants::WRITE)));
    std::fs::write(&path, format!("# kept\n{text}")).expect("edited by hand");
    assert!(trust.reload().is_ok());
    let token = trust.make_invite(Grants::ALL, HOUR, at(0), &SystemEntropy).expect("made");
    trust
        .redeem(&proof(&token, &client(2)), &EXPORTER, &client(2), &Text::default(), at(1))
        .expect("files work");
    let text = std::fs::read_to_string(&path).expect("written");
    assert!(text.starts_with("# kept\n") && text.lines().count() == 3, "{text}");
}

#[test]
fn a_damaged_file_is_an_error_and_never_an_empty_list() {
    let (folder, trust) = open();
    let path = folder.path().join(CLIENTS_FILE);
    let key = client(1);
    let bad = [
        "nonsense".to_owned(),
        format!("{key}"),
        format!("{key} name=\"a\""),
        format!("{key} grants=everything"),
        format!("{key} grants=read colour=blue"),
        format!("{key} grants=read grants=all"),
        format!("{key} grants=read name=\"open"),
        format!("{key} grants=read\n{key} grants=all"),
    ];
    for text in bad {
        std::fs::write(&path, format!("# first line\n{text}\n")).expect("written");
        assert!(
            matches!(TrustStore::open(folder.path()), Err(TrustError::Line { line: 2 | 3, .. })),
            "{text}"
        );
        assert!(trust.reload().is_err(), "{text}");
    }
    std::fs::write(&path, [0xff, 0xfe]).expect("written");
    assert!(matches!(TrustStore::open(folder.path()), Err(TrustError::NotText(_))));
}

#[test]
fn a_line_removed_by_hand_takes_effect_at_the_next_look() {
    let (folder, trust) = open();
    let path = folder.path().join(CLIENTS_FILE);
    std::fs::write(&path, format!("{} grants=all\n", client(1))).expect("written");
    assert!(trust.reload().expect("readable"));
    assert!(trust.has_clients());
    assert!(!trust.reload().expect("readable"), "nothing changed");
    std::fs::write(&path, "").expect("written");
    assert!(trust.reload().expect("readable"));
    assert!(!trust.has_clients());
}

fn laptop(n: u8) -> Client {
    Client { fingerprint: client(n), grants: Grants::READ, name: "laptop".into(), enrolled: Some(at(60)) }
}

#[test]
fn a_client_is_added_once_changed_and_revoked_and_all_other_lines_stay() {
    let (folder, trust) = open();
    let path = folder.path().join(CLIENTS_FILE);
    let other = format!("# by hand\n{} grants=all added=long-ago\n\n", client(9));
    std::fs::write(&path, &other).expect("written");
    assert_eq!(trust.add(&laptop(1)).expect("files work"), None);
    let text = std::fs::read_to_string(&path).expect("written");
    let line = "grants=read name=\"laptop\" added=1970-01-01T00:01:00Z";
    assert_eq!(text, format!("{other}{} {line}\n", client(1)));
    // The second one changes nothing and says who is there.
    let again = Client { grants: Grants::ALL, ..laptop(1) };
    assert_eq!(trust.add(&again).expect("files work"), Some(laptop(1)));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), text);

    assert_eq!(trust.set_grants(&client(1), Grants::LIST).expect("files work"), Some(laptop(1)));
    let changed = Client { grants: Grants::LIST, ..laptop(1) };
    assert_eq!(trust.find(&client(1)), Some(changed.clone()));
    assert_eq!(trust.set_grants(&client(2), Grants::ALL).expect("files work"), None);
    assert_eq!(trust.clients().len(), 2);

    assert_eq!(trust.revoke(&client(1)).expect("files work"), Some(changed));
    assert_eq!(trust.revoke(&client(1)).expect("files work"), None);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), other);
    assert_eq!(trust.find(&client(9)).map(|client| client.enrolled), Some(None));
}

#[test]
fn a_change_in_another_process_is_kept_and_a_damaged_file_is_left_alone() {
    let (folder, trust) = open();
    let other = TrustStore::open(folder.path()).expect("opens");
    other.add(&laptop(1)).expect("files work");
    trust.add(&laptop(2)).expect("files work");
    other.revoke(&client(2)).expect("files work").expect("seen although it was added elsewhere");
    assert_eq!(TrustStore::open(folder.path()).expect("opens").clients(), [laptop(1)]);
    let path = folder.path().join(CLIENTS_FILE);
    std::fs::write(&path, "nonsense\n").expect("written");
    assert!(trust.add(&laptop(3)).is_err() && trust.revoke(&client(1)).is_err());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "nonsense\n");
}

#[test]
fn a_list_that_would_be_too_long_to_read_is_not_written() {
    let (folder, trust) = open();
    let path = folder.path().join(CLIENTS_FILE);
    let comment = format!("#{}\n", "x".repeat(MAX_FILE_BYTES - 2));
    std::fs::write(&path, &comment).expect("written");
    assert!(matches!(trust.add(&laptop(1)), Err(TrustError::Full(_))));
    assert!(trust.reload().is_ok());
}

#[test]
fn a_revocation_that_an_enrolment_takes_over_first_is_noticed_all_the_same() {
    let (folder, trust) = open();
    trust.add(&laptop(1)).expect("files work");
    trust.reload().expect("readable");
    TrustStore::open(folder.path()).expect("opens").revoke(&client(1)).expect("files work");
    let token = trust.make_invite(Grants::ALL, HOUR, at(0), &SystemEntropy).expect("made");
    let who = client(2);
    trust.redeem(&proof(&token, &who), &EXPORTER, &who, &Text::default(), at(1)).expect("files work");
    assert_eq!(trust.find(&client(1)), None);
    assert!(trust.reload().expect("readable"), "nobody would tell the revoked client");
    assert!(!trust.reload().expect("readable"));
}

#[test]
fn a_client_that_was_enrolled_and_revoked_between_two_looks_is_noticed() {
    let (folder, trust) = open();
    trust.add(&laptop(1)).expect("files work");
    TrustStore::open(folder.path()).expect("opens").revoke(&client(1)).expect("files work");
    assert!(trust.reload().expect("readable"), "it may be connected already");
    assert_eq!(trust.find(&client(1)), None);
}

#[test]
fn a_look_at_the_list_never_undoes_an_enrolment() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (_folder, trust) = open();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                trust.reload().expect("readable");
                // The lock goes to whoever asks first: without this the other thread would hardly get it.
                std::thread::yield_now();
            }
        });
        let lost = (0..200).find(|n| {
            trust.add(&laptop(*n)).expect("files work");
            (0..100).any(|_| trust.find(&client(*n)).is_none())
        });
        done.store(true, Ordering::Relaxed);
        assert_eq!(lost, None, "a client that was enrolled is gone again");
    });
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ -~\\n\"=]{0,200}", key: [u8; 32]) {
        let path = Path::new("list");
        let _ = Clients::parse(path, &text);
        let _ = Clients::parse(path, &format!("{} {text}", Fingerprint(key)));
        let _ = Invites::parse(path, &text);
    }

    #[test]
    fn any_name_survives_as_one_line(name: String, key: [u8; 32]) {
        let mut text = String::new();
        let enrolled = Some(Timestamp::EPOCH);
        let entry = Client { fingerprint: Fingerprint(key), grants: Grants::READ, name, enrolled };
        clients::set(&mut text, &entry);
        prop_assert_eq!(text.lines().count(), 1);
        let parsed = Clients::parse(Path::new("list"), &text).expect("own line");
        let found = parsed.find(&entry.fingerprint).expect("its key");
        prop_assert_eq!((found.grants, found.enrolled), (Grants::READ, enrolled));
        clients::remove(&mut text, &entry.fingerprint);
        prop_assert_eq!(text, "");
    }
}
