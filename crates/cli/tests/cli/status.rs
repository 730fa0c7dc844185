//! `status`, with and without a connection.

use crate::harness::{
    ALICE, Lab, Online,
    data::{MIB, bytes, write},
};

/// The value behind a key of the table.
#[track_caller]
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key).filter(|rest| rest.starts_with("  ")));
    line.unwrap_or_else(|| panic!("no {key}: {text}")).trim()
}

#[test]
fn without_a_connection_it_says_what_connme_would_do() {
    let lab = Lab::new();
    let own = lab.fulmar(ALICE, ["fingerprint", "--client"]).run().expect(0).out().trim().to_owned();
    let output = lab.fulmar(ALICE, ["shell"]).stdin("status\nlpwd\n").run().expect(0);
    assert_eq!(value(output.out(), "connection"), "none");
    assert_eq!(value(output.out(), "connme"), "would connect to localhost:4433");
    assert_eq!(value(output.out(), "own key"), own);
    assert_eq!(output.stderr, "");
    let object = lab.fulmar(ALICE, ["--json", "status"]).run().expect(0).one_object();
    assert_eq!((&object["type"], &object["connected"]), (&"status".into(), &false.into()));
    assert_eq!((&object["connme"], &object["client"]), (&"localhost:4433".into(), &own.into()));
    let named = lab.fulmar(ALICE, ["shell"]).env("FULMAR_SERVER", "lab:7").stdin("status\n").run().expect(0);
    assert_eq!(value(named.out(), "connme"), "would connect to lab:7");
    // On the command line a server that is named is connected to.
    lab.fulmar(ALICE, ["--connect-timeout", "1s", "-s", "127.0.0.1:9", "status"]).run().expect(5);
}

#[test]
fn a_connection_is_described() {
    let online = Online::with(&["--read-only", "--keep-extension"]);
    let addr = &online.server.addr;
    online.fulmar(ALICE, ["hosts", "add", "lab", addr]).run().expect(0);
    let output = online.ok(["status"]);
    let text = output.out();
    assert_eq!(value(text, "connection"), addr);
    assert_eq!(value(text, "name"), "lab");
    assert_eq!(value(text, "address"), addr);
    assert_eq!(value(text, "key"), online.server.fingerprint);
    assert!(value(text, "known since").starts_with("20"), "{text}");
    assert_eq!(value(text, "protocol"), "fulmar/1, minor version 0");
    assert_eq!(value(text, "encryption"), "TLS 1.3");
    assert_eq!(value(text, "grants"), "list,read,write,delete");
    assert_eq!(value(text, "policies"), "read-only, keep-extension");
    assert_eq!(value(text, "directory"), "/");
    assert_eq!(value(text, "local directory"), online.path("local").to_string_lossy());
    assert!(value(text, "path MTU").ends_with(" bytes"), "{text}");
    assert!(value(text, "packets").contains(" sent, "), "{text}");
    assert!(value(text, "best round trip").ends_with(" ms"), "{text}");
    assert_eq!(value(text, "controller"), "lrc");
    assert_eq!(value(text, "rate cap"), "none");
    assert!(value(text, "socket buffers").contains(" to receive, "), "{text}");
}

#[test]
fn what_the_transport_counts_grows_with_what_is_sent() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(2101, MIB));
    online.ok(["mkdir", "in"]);
    let script = "status\ncd in\nupload a.bin\nstatus\nbyebye\nstatus\n";
    let output = online.command(ALICE, ["--json", "shell"]).stdin(script).run().expect(0);
    let objects = output.objects();
    let statuses: Vec<_> = objects.iter().filter(|object| object["type"] == "status").collect();
    let [before, after, closed] = statuses.as_slice() else { panic!("{output}") };
    let number = |object: &serde_json::Value, key: &str| {
        object[key].as_u64().unwrap_or_else(|| panic!("{key}: {object}"))
    };
    for key in ["rtt_ns", "congestion_window_bytes", "connected_ns", "received_bytes"] {
        assert!(number(before, key) > 0, "{key}: {before}");
    }
    for key in ["min_rtt_ns", "receive_buffer_bytes", "send_buffer_bytes"] {
        assert!(number(before, key) > 0, "{key}: {before}");
    }
    // Where the system counts them at all.
    assert!(before["dropped_datagrams"].is_null() || number(before, "dropped_datagrams") == 0, "{before}");
    for key in ["rate_bytes_per_s", "queue_ns"] {
        assert!(after[key].is_u64(), "{key}: {after}");
    }
    assert!(after["loss_floor"].is_f64() && after["phase"].is_string(), "{after}");
    assert_eq!(
        (&after["controller"], &after["max_rate_bytes_per_s"]),
        (&"lrc".into(), &serde_json::Value::Null)
    );
    assert!((1200..=65527).contains(&number(before, "path_mtu_bytes")), "{before}");
    assert!(number(after, "sent_bytes") >= number(before, "sent_bytes") + MIB as u64, "{before} {after}");
    assert!(number(after, "sent_packets") > number(before, "sent_packets"));
    assert!(number(after, "lost_packets") <= number(after, "sent_packets"));
    assert_eq!((&before["remote_dir"], &after["remote_dir"]), (&"/".into(), &"/in".into()));
    assert_eq!((&before["connected"], &before["policies"]), (&true.into(), &serde_json::json!([])));
    assert!(before["name"].is_null() && before["known_since"].is_string(), "{before}");
    assert_eq!((&closed["connected"], &closed["addr"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(closed["connme"], online.server.addr);
}

#[test]
fn a_lost_connection_is_no_failure_of_the_question() {
    let Online { server, lab } = Online::new();
    let addr = server.addr.clone();
    let mut shell = lab.fulmar(ALICE, ["-s", &addr, "shell"]).spawn();
    shell.feed(b"pwd\n");
    shell.wait_for(0, "/\n");
    server.stop().expect(0);
    shell.feed(b"-ls\nstatus\n");
    let output = shell.finish().expect(0);
    assert_eq!(value(output.out(), "connection"), "none");
    assert_eq!(value(output.out(), "connme"), format!("would connect to {addr}"));
}
