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
        let entry = Client { fingerprint: Fingerprint(key), grants: Grants::READ, name };
        clients::set(&mut text, &entry, Timestamp::EPOCH);
        prop_assert_eq!(text.lines().count(), 1);
        let parsed = Clients::parse(Path::new("list"), &text).expect("own line");
        prop_assert_eq!(parsed.find(&entry.fingerprint).map(|c| c.grants), Some(Grants::READ));
    }
}
