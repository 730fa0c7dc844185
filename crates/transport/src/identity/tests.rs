use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Barrier};

use super::*;

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_first_start_makes_private_files_and_later_ones_find_the_same_key() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("state");
    let first = Identity::load_or_create(&state, Role::Server).unwrap();
    assert_eq!(mode_of(&state), 0o700);
    assert_eq!(mode_of(&state.join("server.key")), 0o600);
    assert_eq!(mode_of(&state.join("server.crt")) & 0o133, 0, "not executable, not writable by others");
    let again = Identity::load_or_create(&state, Role::Server).unwrap();
    assert_eq!(again.fingerprint(), first.fingerprint());
    assert_eq!(again.certificate(), first.certificate());
}

#[test]
fn a_server_and_a_client_share_a_folder_and_not_a_key() {
    let state = tempfile::tempdir().unwrap();
    let server = Identity::load_or_create(state.path(), Role::Server).unwrap();
    let client = Identity::load_or_create(state.path(), Role::Client).unwrap();
    assert_ne!(server.fingerprint(), client.fingerprint());
    assert!(state.path().join("client.key").exists());
}

#[test]
fn the_fingerprint_is_the_digest_of_the_spki() {
    let identity = Identity::generate().unwrap();
    let spki = tls::spki_of(identity.certificate()).unwrap();
    assert_eq!(spki.len(), 44);
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, &spki);
    assert_eq!(identity.fingerprint().0, digest.as_ref());
    assert_ne!(identity.fingerprint(), Identity::generate().unwrap().fingerprint());
}

#[test]
fn of_many_first_starts_one_makes_the_key_and_all_use_it() {
    let root = tempfile::tempdir().unwrap();
    let state = Arc::new(root.path().join("state"));
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (state, barrier) = (state.clone(), barrier.clone());
            std::thread::spawn(move || {
                barrier.wait();
                Identity::load_or_create(&state, Role::Client).unwrap().fingerprint()
            })
        })
        .collect();
    let mut fingerprints: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    fingerprints.push(Identity::load_or_create(&state, Role::Client).unwrap().fingerprint());
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1);
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_remedy() {
    let state = tempfile::tempdir().unwrap();
    Identity::load_or_create(state.path(), Role::Server).unwrap();
    let key = state.path().join("server.key");
    for mode in [0o644, 0o640, 0o604, 0o660] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = Identity::load_or_create(state.path(), Role::Server).unwrap_err();
        assert!(
            matches!(error, IdentityError::File(PrivateFileError::TooOpen { .. })),
            "{mode:o}: {error:?}"
        );
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    Identity::load_or_create(state.path(), Role::Server).unwrap();
}

#[test]
fn a_key_behind_a_symlink_is_refused() {
    let state = tempfile::tempdir().unwrap();
    Identity::load_or_create(state.path(), Role::Server).unwrap();
    let (key, moved) = (state.path().join("server.key"), state.path().join("moved"));
    std::fs::rename(&key, &moved).unwrap();
    symlink(&moved, &key).unwrap();
    let error = Identity::load_or_create(state.path(), Role::Server).unwrap_err();
    assert!(matches!(error, IdentityError::File(PrivateFileError::Symlink(_))), "{error:?}");
}

#[test]
fn malformed_keys_are_refused_and_left_alone() {
    let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let ours = KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem();
    let cut = &ours[..ours.len() / 2];
    for content in ["", "not a key", cut, p256.as_str()] {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("client.key");
        private_file::write_private(&path, content.as_bytes()).unwrap();
        let error = Identity::load_or_create(state.path(), Role::Client).unwrap_err();
        assert!(matches!(error, IdentityError::MalformedKey(_)), "{content:?}: {error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), content.as_bytes());
    }
}

#[test]
fn a_missing_or_foreign_certificate_is_made_anew_around_the_same_key() {
    let state = tempfile::tempdir().unwrap();
    let first = Identity::load_or_create(state.path(), Role::Server).unwrap();
    let path = state.path().join("server.crt");

    std::fs::remove_file(&path).unwrap();
    let second = Identity::load_or_create(state.path(), Role::Server).unwrap();
    assert_eq!(second.fingerprint(), first.fingerprint());

    let other = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    std::fs::write(&path, self_signed(&other).unwrap().pem()).unwrap();
    let third = Identity::load_or_create(state.path(), Role::Server).unwrap();
    assert_eq!(third.fingerprint(), first.fingerprint());
    let written = CertificateDer::from_pem_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(&written, third.certificate());
}

#[test]
fn a_malformed_certificate_is_refused_and_left_alone() {
    for content in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let state = tempfile::tempdir().unwrap();
        Identity::load_or_create(state.path(), Role::Server).unwrap();
        let path = state.path().join("server.crt");
        std::fs::write(&path, content).unwrap();
        let error = Identity::load_or_create(state.path(), Role::Server).unwrap_err();
        assert!(matches!(error, IdentityError::MalformedCertificate(_)), "{content:?}: {error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), content.as_bytes());
    }
}

#[test]
fn a_key_in_a_folder_that_cannot_be_written_is_enough() {
    let state = tempfile::tempdir().unwrap();
    let first = Identity::load_or_create(state.path(), Role::Server).unwrap();
    std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let again = Identity::load_or_create(state.path(), Role::Server).unwrap();
    assert_eq!(again.fingerprint(), first.fingerprint());
    std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_debug_form_shows_the_fingerprint_alone() {
    let identity = Identity::generate().unwrap();
    assert_eq!(
        format!("{identity:?}"),
        format!("Identity {{ fingerprint: {}, .. }}", identity.fingerprint())
    );
}
