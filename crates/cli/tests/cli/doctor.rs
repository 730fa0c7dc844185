//! `doctor`: what it finds, what it says of what it does not, and that nothing is left of it.

use std::{fs, net::UdpSocket, path::Path, process::Command};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    ALICE, BINARY, Invocation, Lab, Online, Output,
    data::{MIB, assert_absent, assert_names, bytes, write},
};

/// Whoever knocks without being known.
const BOB: &str = "bob";

/// A measurement that its bytes end and no clock.
const BY_BYTES: [&str; 4] = ["--seconds", "3600", "--limit", "8MiB"];

/// The steps that were told, with what came of them.
fn steps(output: &Output) -> Vec<(String, String)> {
    let lines = output.out().lines().filter(|line| !line.starts_with(' '));
    lines
        .map(|line| {
            let (verdict, rest) = line.split_once("  ").expect("a verdict");
            let (step, _) = rest.trim_start().split_once("  ").expect("a step");
            (verdict.trim().to_owned(), step.to_owned())
        })
        .collect()
}

/// What came of a step.
#[track_caller]
fn verdict(output: &Output, step: &str) -> String {
    let found = steps(output).into_iter().find(|(_, name)| name == step);
    found.unwrap_or_else(|| panic!("no {step}: {output}")).0
}

/// The files of uploads that the server keeps.
fn staged(share: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![share.join(".fulmar")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("listed");
            if entry.file_type().expect("a type").is_dir() {
                dirs.push(entry.path());
                continue;
            }
            let name = entry.file_name().into_string().expect("UTF-8");
            if !name.starts_with("catalog") && name != "lock" {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn everything_that_works_is_good_and_nothing_is_left() {
    let online = Online::new();
    write(&online.share("big.bin"), bytes(5101, 4 * MIB));
    let addr = online.server.addr.clone();
    let args = ["doctor", &addr, "--file", "big.bin"];
    let output = online.fulmar(ALICE, args).args(BY_BYTES).run().expect(0);
    let names: Vec<_> = steps(&output).into_iter().map(|(_, step)| step).collect();
    let expected = [
        "name",
        "handshake",
        "server key",
        "admission",
        "round trip",
        "path MTU",
        "socket",
        "upload",
        "limited by",
        "download",
        "limited by",
    ];
    assert_eq!(names, expected, "{output}");
    for step in ["name", "handshake", "server key", "admission", "upload", "download"] {
        assert_eq!(verdict(&output, step), "good", "{output}");
    }
    let text = output.out();
    assert!(text.contains(&format!("{addr} (IPv4) answered in ")), "{output}");
    assert!(text.contains(&format!("{}, known since 20", online.server.fingerprint)), "{output}");
    assert!(text.contains("grants list,read,write,delete, policies none"), "{output}");
    assert_eq!(output.stderr, "");
    let lab = online.stop();
    assert_names(&lab.share("."), &[".fulmar", "big.bin"]);
    assert_eq!(staged(&lab.share(".")), Vec::<String>::new());
    let sent =
        lab.commands().into_iter().filter(|command| command["path"].to_string().contains("fulmar-doctor"));
    assert!(sent.count() > 8, "the server has seen an upload");
}

#[test]
fn scripts_get_an_object_for_each_step() {
    let online = Online::new();
    write(&online.share("big.bin"), bytes(5103, 4 * MIB));
    let args = ["--json", "doctor", &online.server.addr, "--file", "big.bin"];
    let output = online.fulmar(ALICE, args).args(BY_BYTES).run().expect(0);
    let objects = output.objects();
    let of = |step: &str| {
        let found = objects.iter().find(|object| object["step"] == step);
        found.unwrap_or_else(|| panic!("no {step}: {output}"))
    };
    assert!(objects.iter().all(|object| object["type"] == "check" && object["v"] == 1), "{output}");
    let number =
        |step: &str, key: &str| of(step)["values"][key].as_u64().unwrap_or_else(|| panic!("{key}: {output}"));
    assert_eq!(of("server key")["values"]["fingerprint"], online.server.fingerprint);
    assert_eq!(of("admission")["values"]["grants"], "list,read,write,delete");
    assert_eq!(number("round trip", "requests"), 12);
    assert!(number("round trip", "least_ns") > 0);
    assert!(number("path MTU", "path_mtu_bytes") >= 1200);
    assert!(number("socket", "receive_buffer_bytes") > 0);
    assert!(number("upload", "bytes") >= 8 * MIB as u64);
    assert!(number("upload", "sent_packets") > 0);
    assert!(number("upload", "carried_bytes") >= 8 * MIB as u64);
    assert_eq!(number("download", "bytes"), 4 * MIB as u64);
    assert!(number("download", "carried_bytes") >= 4 * MIB as u64);
    assert_eq!(of("upload")["values"]["controller"], "lrc");
    assert_eq!(of("limited by")["values"]["of"], "upload");
    assert!(of("limited by")["values"]["limit"].is_string());
}

#[test]
fn a_key_that_is_not_known_is_shown_and_not_recorded() {
    let online = Online::new();
    let output = online.fulmar(BOB, ["doctor", &online.server.addr]).run().expect(6);
    assert_eq!(verdict(&output, "handshake"), "good");
    assert_eq!(verdict(&output, "server key"), "failed");
    assert!(output.stderr.starts_with("fulmar: doctor: "), "{output}");
    let output =
        output.complains(&online.server.fingerprint).complains("hint: compare it with `fulmar fingerprint`");
    assert_eq!(steps(&output).last().map(|(_, step)| step.as_str()), Some("server key"), "{output}");
    assert_absent(&online.state(BOB).join("known_hosts"));
    let changed = ["hosts", "trust", &online.server.addr, &format!("SHA256:{}", "A".repeat(43))];
    online.fulmar(BOB, changed).run().expect(0);
    let output = online.fulmar(BOB, ["doctor", &online.server.addr]).run().expect(6).complains("has changed");
    assert_eq!(verdict(&output, "server key"), "failed");
}

#[test]
fn a_stranger_is_told_so_and_its_invite_stays_unused() {
    let online = Online::new();
    let invite = online.invite(&[]);
    let output =
        online.fulmar(BOB, ["doctor", &invite]).run().expect(4).complains("does not know this client's key");
    assert_eq!(verdict(&output, "server key"), "good");
    assert_eq!(verdict(&output, "admission"), "failed");
    let token = invite.split(['.', '@']).nth(1).expect("a token");
    assert!(!output.out().contains(token) && !output.stderr.contains(token), "{output}");
    let output = output.complains("hint: the invite is still unused");
    assert_eq!(steps(&output).last().map(|(_, step)| step.as_str()), Some("admission"), "{output}");
    online.enrol(BOB, &invite);
    online.fulmar(BOB, ["doctor", &online.server.addr, "--seconds", "0"]).run().expect(0);
}

#[test]
fn who_may_not_write_measures_no_upload_and_is_told_what_to_ask_for() {
    let online = Online::new();
    online.enrol(BOB, &online.invite(&["--grants", "list"]));
    let output = online.fulmar(BOB, ["doctor", &online.server.addr]).args(BY_BYTES).run().expect(0);
    assert_eq!(verdict(&output, "upload"), "skipped");
    assert!(output.out().contains("hint: on the server: fulmar clients grant SHA256:"), "{output}");
    assert!(output.out().contains(" list,write\n"), "{output}");
    // The requests that tell the round trip are refused to somebody who may not even list, and tell it all the same.
    online.enrol("carol", &online.invite(&["--grants", "write"]));
    let output = online.fulmar("carol", ["doctor", &online.server.addr]).args(BY_BYTES).run().expect(0);
    assert_eq!(verdict(&output, "upload"), "good");
    let Online { server, lab } = online;
    server.stop().expect(0);
    let server = lab.serve(&["--read-only"]);
    lab.fulmar(ALICE, ["hosts", "trust", &server.addr, &server.fingerprint]).run().expect(0);
    let output = lab.fulmar(ALICE, ["doctor", &server.addr]).args(BY_BYTES).run().expect(0);
    assert_eq!(verdict(&output, "upload"), "skipped");
    assert!(output.out().contains("the server is read-only"), "{output}");
}

#[test]
fn where_nothing_answers_it_ends_at_that_step() {
    let lab = Lab::new();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let addr = silent.local_addr().expect("bound").to_string();
    let output = lab.fulmar(ALICE, ["--connect-timeout", "1s", "doctor", &addr]).run().expect(5);
    let told = steps(&output);
    let told: Vec<_> = told.iter().map(|(verdict, step)| (verdict.as_str(), step.as_str())).collect();
    assert_eq!(told, [("good", "name"), ("failed", "handshake")]);
    output.complains(&format!("fulmar: doctor: {addr}: no answer\nhint: "));
    let name = ["--connect-timeout", "1s", "doctor", "no-such-host.invalid"];
    let output = lab.fulmar(ALICE, name).run().expect(5);
    assert_eq!(verdict(&output, "name"), "failed");
}

#[test]
fn a_server_that_takes_no_more_connections_refuses_the_handshake() {
    let Online { server, lab } = Online::new();
    let addr = server.addr.clone();
    server.stop().expect(0);
    // A server that has had no connection yet: one that was closed a moment ago would still count.
    let server = lab.serve_on(&addr, &["--max-connections", "1"]);
    let mut shell = lab.fulmar(ALICE, ["shell", &server.addr]).spawn();
    shell.feed(b"pwd\n");
    shell.wait_for(0, "/\n");
    let output = lab.fulmar(ALICE, ["doctor", &server.addr]).run().expect(5);
    assert_eq!(verdict(&output, "handshake"), "failed");
    output.complains("the server refuses connections");
    shell.finish().expect(0);
}

#[test]
fn a_file_that_is_not_there_fails_after_everything_else() {
    let online = Online::new();
    let args = ["--json", "doctor", &online.server.addr, "--file", "gone.bin"];
    let output = online.fulmar(ALICE, args).args(BY_BYTES).run().expect(3);
    let objects = output.objects();
    let of = |step: &str| objects.iter().find(|object| object["step"] == step).expect(step);
    assert_eq!((&of("upload")["result"], &of("download")["result"]), (&"good".into(), &"failed".into()));
    let error = objects.last().expect("an error");
    assert_eq!(
        (&error["type"], &error["object"], &error["code"]),
        (&"error".into(), &"gone.bin".into(), &3.into())
    );
}

#[test]
fn in_the_shell_it_is_about_the_server_of_the_connection() {
    let online = Online::new();
    write(&online.share("in/a.bin"), bytes(5102, MIB));
    let script = "cd in\ndoctor --seconds 0\ndoctor --file a.bin --seconds 3600 --limit 1MB\npwd\n";
    let output = online.batch(script).expect(0);
    assert!(output.out().contains(&format!("{} (IPv4)", online.server.addr)), "{output}");
    assert!(output.out().contains("skipped  upload       not measured\n"), "{output}");
    assert!(output.out().contains("good     download "), "{output}");
    assert!(output.out().ends_with("/in\n"), "the connection of the shell is as it was: {output}");
}

#[test]
fn a_measurement_that_is_interrupted_is_taken_back() {
    let online = Online::new();
    let args = ["doctor", &online.server.addr, "--seconds", "3600", "--limit", "2GiB"];
    let doctor = online.fulmar(ALICE, args).spawn();
    // A range of it is there, so that there is something to be taken back.
    let seen = online.server.process.stderr.wait_for(0, "  1.05 MB  ok");
    assert!(seen.is_some(), "an upload has begun");
    doctor.signal(Signal::INT);
    doctor.wait().expect(130).complains("cancelled");
    let lab = online.stop();
    assert_names(&lab.share("."), &[".fulmar"]);
    assert_eq!(staged(&lab.share(".")), Vec::<String>::new());
}

#[test]
fn a_full_disk_of_the_server_is_a_failure_of_the_upload() {
    let lab = Lab::new();
    let path = |name: &str| lab.path(name).to_string_lossy().into_owned();
    let script = "mount -t tmpfs -o size=6m none \"$1\" || exit 77; shift; exec \"$0\" \"$@\"";
    let serve = lab.serve_command("127.0.0.1:0");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, BINARY, &path("share")]);
    command.args(serve.command.get_args()).env_clear().current_dir(lab.path("local"));
    command.envs(serve.command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let process = Invocation::new(command).spawn();
    let Some(end) = process.stdout.wait_for(0, "\n") else {
        println!("skipped: no tmpfs can be mounted here: {}", process.wait());
        return;
    };
    let line: Value = serde_json::from_slice(&process.stdout.bytes()[..end]).expect("an object");
    lab.enrol(ALICE, line["invite"].as_str().expect("an invite"));
    let addr = line["addr"].as_str().expect("an address");
    let output = lab.fulmar(ALICE, ["doctor", addr]).args(BY_BYTES).run().expect(1);
    assert_eq!(verdict(&output, "upload"), "failed");
    output.complains("the server's disk is full").complains(&format!("fulmar -s {addr} size /"));
    process.signal(Signal::TERM);
    process.wait().expect(0);
}
