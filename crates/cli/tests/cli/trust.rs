//! Who is believed to be whom: clients, servers, invites, and what answers at all.

use std::{fs, net::UdpSocket, sync::Arc};

use fulmar_proto::code::CloseCode;
use fulmar_transport::ConnectionLost;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::harness::{
    ALICE, Lab, Online, Output,
    data::{assert_absent, write},
};

/// An error is one line and at most one hint, and no data.
#[track_caller]
fn check_refusal(output: &Output) {
    assert!(output.stdout.is_empty(), "{output}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert!(lines[0].starts_with("fulmar: "), "{output}");
    assert!(lines.len() == 1 || (lines.len() == 2 && lines[1].starts_with("hint: ")), "{output}");
}

/// Fails if any client but the first was admitted, or sent anything.
#[track_caller]
fn check_nothing_sent(lab: &Lab) {
    assert!(lab.commands().is_empty(), "{:?}", lab.commands());
    let connected = lab.log().iter().filter(|record| record["event"] == "connected").count();
    assert!(connected <= 1, "only the enrolment connects");
}

#[test]
fn s14_an_unknown_client_is_refused() {
    let online = Online::new();
    write(&online.local("a.txt"), "x");
    for verb in [&["ls"][..], &["upload", "a.txt"], &["connme"]] {
        let output = online.command("stranger", ["--trust-new"]).args(verb).run().expect(4);
        check_refusal(&output);
        let own = online.fulmar("stranger", ["fingerprint", "--client"]).run().expect(0);
        output.complains(own.out().trim());
    }
    let lab = online.stop();
    check_nothing_sent(&lab);
    let refused: Vec<_> = lab.log().into_iter().filter(|record| record["event"] == "refused").collect();
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|record| record["result"] == "unknown-client"), "{refused:?}");
    assert_absent(&lab.share("a.txt"));
}

#[test]
fn s14_an_unknown_server_key_is_refused_off_a_terminal() {
    let Online { server, lab } = Online::new();
    fs::remove_file(lab.state(ALICE).join("known_hosts")).expect("removed");
    let run = |args: &[&str]| lab.fulmar(ALICE, ["-s", &server.addr]).args(args).run();
    let output = run(&["ls"]).expect(6);
    check_refusal(&output);
    output.complains(&server.fingerprint).complains("--trust-new");
    // Neither answering from a pipe nor --yes counts.
    lab.fulmar(ALICE, ["--yes", "-s", &server.addr, "shell"]).stdin("yes\nls\n").run().expect(6);
    let wrong = format!("SHA256:{}", "A".repeat(43));
    run(&["--fingerprint", &wrong, "ls"]).expect(6);
    assert_absent(&lab.state(ALICE).join("known_hosts"));
    server.stop().expect(0);
    check_nothing_sent(&lab);
}

#[test]
fn s14_a_key_can_be_named_or_recorded() {
    let Online { server, lab } = Online::new();
    let known_hosts = lab.state(ALICE).join("known_hosts");
    let run = |args: &[&str]| lab.fulmar(ALICE, ["-s", &server.addr]).args(args).run();
    for accept in [&["--trust-new"][..], &["--fingerprint", &server.fingerprint]] {
        fs::remove_file(&known_hosts).expect("removed");
        run(&[accept, &["ls"]].concat()).expect(0);
        // Recorded: from now on nothing has to be said.
        run(&["ls"]).expect(0);
        let text = fs::read_to_string(&known_hosts).expect("recorded");
        assert!(text.contains(&server.fingerprint), "{text}");
    }
}

#[test]
fn s14_a_changed_server_key_is_refused_whatever_one_says() {
    let Online { server, lab } = Online::new();
    let (addr, old) = (server.addr.clone(), server.fingerprint.clone());
    server.stop().expect(0);
    fs::rename(lab.state("server"), lab.state("old server")).expect("moved away");
    let server = lab.serve_on(&addr, &["--anonymous", "write"]);
    assert_ne!(server.fingerprint, old);
    let before = lab.log().len();
    write(&lab.local("a.txt"), "x");
    let new_invite = server.invite.clone().expect("nobody is enrolled");
    for args in [
        &["-s", &addr, "ls"][..],
        &["-s", &addr, "upload", "a.txt"],
        &["--trust-new", "-s", &addr, "ls"],
        &["--yes", "-s", &addr, "ls"],
        &["--fingerprint", &server.fingerprint, "-s", &addr, "ls"],
        &["-s", &new_invite, "ls"],
    ] {
        let output = lab.fulmar(ALICE, args).run().expect(6);
        check_refusal(&output);
        output.complains(&old).complains(&server.fingerprint);
        // What to do when it is as it should be.
        let hint = format!("fulmar hosts forget {addr}");
        lab.fulmar(ALICE, args).run().expect(6).complains(&hint);
    }
    server.stop().expect(0);
    let log = lab.log();
    let seen: Vec<_> = log[before..].iter().filter(|record| record["event"] != "refused").collect();
    assert!(seen.is_empty(), "something was sent: {seen:?}");
    assert_absent(&lab.share("a.txt"));
}

#[test]
fn an_invite_of_another_key_than_the_demanded_one_is_refused_before_anything_is_sent() {
    let Online { server, lab } = Online::new();
    let (wrong, invite) = (format!("SHA256:{}", "A".repeat(43)), lab.invite(&[]));
    let output = lab.fulmar("bob", ["--fingerprint", &wrong, "-s", &invite, "ls"]).run().expect(6);
    check_refusal(&output);
    output.complains(&wrong).complains(&server.fingerprint);
    assert_absent(&lab.state("bob").join("known_hosts"));
    // The invite is still good, for whoever demands the key that it has.
    lab.fulmar("bob", ["--fingerprint", &server.fingerprint, "-s", &invite, "ls"]).run().expect(0);
    server.stop().expect(0);
    let connections = lab.log().into_iter().filter(|record| record["event"] == "connected").count();
    assert_eq!(connections, 2, "the enrolments of both clients");
}

#[test]
fn s14_an_invite_works_once() {
    let online = Online::new();
    let invite = online.invite(&[]);
    online.enrol("bob", &invite);
    let output = online.fulmar("carol", ["-s", &invite, "ls"]).run().expect(4);
    check_refusal(&output);
    // Whom it has enrolled may go on naming it.
    online.fulmar("bob", ["-s", &invite, "ls"]).run().expect(0);
    let lab = online.stop();
    let refused: Vec<_> = lab.log().into_iter().filter(|record| record["event"] == "refused").collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["result"], "invite-invalid");
}

#[test]
fn s14_an_expired_or_forged_invite_is_refused() {
    let online = Online::new();
    let expired = online.invite(&["--expires", "0s"]);
    check_refusal(&online.fulmar("bob", ["-s", &expired, "ls"]).run().expect(4));
    // A token that is no invite of this server, with its key and address.
    let good = online.invite(&[]);
    let elsewhere = Online::new().invite(&[]);
    let (head, address) =
        good.split_once('.').and_then(|(h, rest)| Some((h, rest.split_once('@')?.1))).expect("parts");
    let token = elsewhere.split(['.', '@']).nth(1).expect("a token");
    let forged = format!("{head}.{token}@{address}");
    check_refusal(&online.fulmar("bob", ["-s", &forged, "ls"]).run().expect(4));
    // Another server's key: it never gets that far.
    let other = Lab::new().fulmar("server", ["fingerprint"]).run().expect(0);
    let pin = format!("--fingerprint={}", other.out().trim());
    online.fulmar("bob", ["-s", &online.server.addr, &pin, "ls"]).run().expect(6);
    // None of that has cost the good one.
    online.enrol("bob", &good);
}

#[test]
fn s14_a_revoked_client_is_refused() {
    let Online { server, lab } = Online::new();
    server.stop().expect(0);
    let path = lab.state("server").join("authorized_clients");
    let text = fs::read_to_string(&path).expect("there");
    assert!(text.contains("SHA256:"), "{text}");
    fs::write(&path, "").expect("emptied");
    let server = lab.serve(&[]);
    let args = ["--trust-new", "-s", &server.addr, "ls"];
    check_refusal(&lab.fulmar(ALICE, args).run().expect(4));
}

#[test]
fn s14_a_client_revoked_while_connected_is_sent_away() {
    let online = Online::new();
    let peer = online.peer();
    let mut shell = online.command(ALICE, ["shell"]).spawn();
    shell.feed(b"pwd\n");
    shell.wait_for(0, "/\n");
    fs::write(online.state("server").join("authorized_clients"), "").expect("emptied");
    let end = peer.wait_for_end();
    assert!(matches!(end, ConnectionLost::ClosedByPeer { code: CloseCode::REVOKED, .. }), "{end:?}");
    online.fails(4, ["ls"]);
    // The shell that was connected can do nothing more either.
    shell.feed(b"ls\n");
    let output = shell.finish().expect(4).complains("revoked");
    assert_eq!(output.out(), "/\n");
}

#[test]
fn s14_something_else_that_speaks_quic_is_told_apart() {
    let lab = Lab::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("threads");
    let _inside = runtime.enter();
    let endpoint = quinn::Endpoint::server(other_protocol(), "127.0.0.1:0".parse().expect("an address"));
    let endpoint = endpoint.expect("bound");
    let addr = endpoint.local_addr().expect("bound").to_string();
    runtime.spawn({
        let endpoint = endpoint.clone();
        async move {
            while let Some(incoming) = endpoint.accept().await {
                // It ends in an alert: the two have no protocol in common.
                assert!(incoming.await.is_err());
            }
        }
    });
    let output = lab.fulmar(ALICE, ["--trust-new", "-s", &addr, "ls"]).run().expect(12);
    check_refusal(&output);
    assert_absent(&lab.state(ALICE).join("known_hosts"));
    endpoint.close(0_u32.into(), b"");
}

/// A QUIC server of some other application.
fn other_protocol() -> quinn::ServerConfig {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let params = rcgen::CertificateParams::new(vec!["other.invalid".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a certificate and its key");
    tls.alpn_protocols = vec![b"other/1".to_vec()];
    quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).expect("a cipher suite")))
}

#[test]
fn s14_nothing_that_listens_is_told_in_time() {
    let lab = Lab::new();
    // One port that nobody has, and one whose owner never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let addr = silent.local_addr().expect("bound").to_string();
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    for addr in [addr, free.to_string()] {
        let args = ["--connect-timeout", "1s", "-s", &addr];
        for verb in ["ls", "connme"] {
            check_refusal(&lab.fulmar(ALICE, args).args([verb]).run().expect(5));
        }
    }
    let name = ["--connect-timeout", "1s", "-s", "no-such-host.invalid", "ls"];
    check_refusal(&lab.fulmar(ALICE, name).run().expect(5));
}

#[test]
fn s14_a_person_is_asked_about_an_unknown_key() {
    let Online { server, lab } = Online::new();
    let known_hosts = lab.state(ALICE).join("known_hosts");
    fs::remove_file(&known_hosts).expect("removed");
    let addr = &server.addr;
    let shell = lab.terminal(ALICE, &[]);
    for answer in ["", "y", "no"] {
        shell.shows("fulmar> ");
        shell.enter(&format!("connme {addr}"));
        shell.shows(&server.fingerprint);
        shell.shows("yes / no / paste the fingerprint");
        shell.enter(answer);
        shell.shows("not accepted");
        assert_absent(&known_hosts);
    }
    shell.shows("fulmar> ");
    shell.enter(&format!("connme {addr}"));
    shell.shows("yes / no / paste the fingerprint");
    shell.enter("yes");
    shell.shows(&format!("connected to {addr}"));
    assert!(fs::read_to_string(&known_hosts).expect("recorded").contains(&server.fingerprint));
    shell.enter("quit");
    shell.wait().expect(0);
    // The next time nobody is asked.
    lab.fulmar(ALICE, ["-s", addr, "ls"]).run().expect(0);
}

#[test]
fn s14_the_fingerprint_itself_is_an_answer_and_no_ends_a_single_command() {
    let Online { server, lab } = Online::new();
    fs::remove_file(lab.state(ALICE).join("known_hosts")).expect("removed");
    let declined = lab.terminal(ALICE, &["-s", &server.addr, "ls"]);
    declined.shows("paste the fingerprint");
    declined.enter("no");
    declined.wait().expect(6);
    let accepted = lab.terminal(ALICE, &["-s", &server.addr, "ls"]);
    accepted.shows("paste the fingerprint");
    accepted.enter(&server.fingerprint);
    accepted.shows("(empty)");
    accepted.wait().expect(0);
}

#[test]
fn a_client_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let online = Online::new();
    let key = online.state(ALICE).join("client.key");
    assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
    let output = online.run(["ls"]);
    assert_ne!(output.code, Some(0), "{output}");
    output.complains("client.key");
}
