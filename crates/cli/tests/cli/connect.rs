//! Connecting, being connected, and taking leave.

use crate::harness::{ALICE, Lab, Online};

#[test]
fn s01_a_piped_shell_connects_says_so_and_connects_again_after_byebye() {
    let online = Online::new();
    let addr = &online.server.addr;
    let script =
        format!("connme {addr}\nCONNME\nls\nbyebye\nconnme {addr}\nconnme {addr}\nbyebye\nbyebye\nls\n");
    let output = online.fulmar(ALICE, ["shell"]).stdin(script).run().expect(0);
    let expected = format!(
        "connected to {addr}\nalready connected to {addr}\n(empty)\nconnection closed\n\
         connected to {addr}\nalready connected to {addr}\nconnection closed\n"
    );
    // The third byebye leaves: the ls behind it is not run.
    assert_eq!(output.out(), expected);
    assert_eq!(output.stderr, "");
}

#[test]
fn s01_another_endpoint_is_refused_while_connected() {
    let online = Online::new();
    let addr = &online.server.addr;
    let script = format!("connme {addr}\n-connme 127.0.0.1:9\npwd\nconnme 127.0.0.1:9\n");
    let output = online.fulmar(ALICE, ["shell"]).stdin(script).run().expect(2);
    assert_eq!(output.out(), format!("connected to {addr}\n/\n"));
    output.complains(&format!("already connected to {addr}")).complains("hint: byebye");
}

#[test]
fn s01_every_remote_verb_reminds_of_connme() {
    let lab = Lab::new();
    std::fs::write(lab.local("here.txt"), "x").expect("written");
    let verbs = [
        "ls",
        "ls -l dir",
        "dir",
        "size a",
        "du a",
        "rm a",
        "del a",
        "upload here.txt",
        "put here.txt",
        "download a",
        "get a",
        "stat a",
        "mkdir d",
        "mv a b",
        "verify here.txt a",
        "hash a",
        "cd d",
        "pwd",
    ];
    for verb in verbs {
        let output = lab.fulmar(ALICE, ["shell"]).stdin(format!("{verb}\nlpwd\n")).run().expect(5);
        assert_eq!(output.out(), "", "{verb}: the batch goes on behind a failure");
        output.complains("not connected; use connme");
    }
    // One of the command line without a server is in the same place.
    lab.fulmar(ALICE, ["ls"]).run().expect(5).complains("not connected; use connme");
}

#[test]
fn s01_the_prompt_shows_the_state() {
    let online = Online::new();
    let addr = online.server.addr.clone();
    online.ok(["mkdir", "docs"]);
    let shell = online.terminal(ALICE, &[]);
    shell.shows("fulmar> ");
    shell.enter("ls");
    shell.shows("not connected; use connme");
    shell.shows("fulmar> ");
    shell.enter(&format!("connme {addr}"));
    shell.shows(&format!("connected to {addr}"));
    shell.shows("fulmar 127.0.0.1:/> ");
    shell.enter("cd docs");
    shell.shows("fulmar 127.0.0.1:/docs> ");
    shell.enter("connme");
    shell.shows(&format!("already connected to {addr}"));
    shell.shows("fulmar 127.0.0.1:/docs> ");
    shell.enter("byebye");
    shell.shows("connection closed");
    shell.shows("fulmar> ");
    // The last server is the default now.
    shell.enter("connme");
    shell.shows(&format!("connected to {addr}"));
    shell.shows("fulmar 127.0.0.1:/> ");
    shell.enter("byebye");
    shell.shows("connection closed");
    shell.shows("fulmar> ");
    shell.enter("byebye");
    shell.wait().expect(0);
}

#[test]
fn s01_shell_with_an_endpoint_begins_connected() {
    let online = Online::new();
    let addr = online.server.addr.clone();
    let shell = online.terminal(ALICE, &["shell", &addr]);
    shell.shows("fulmar 127.0.0.1:/> ");
    // Quit leaves at once, also while connected.
    shell.enter("quit");
    shell.wait().expect(0);
    let output = online.fulmar(ALICE, ["shell", &addr]).stdin("connme\n").run().expect(0);
    assert_eq!(output.out(), format!("already connected to {addr}\n"));
}

#[test]
fn s01_connme_takes_the_environments_server_first() {
    let online = Online::new();
    let addr = &online.server.addr;
    let shell = online.fulmar(ALICE, ["shell"]).env("FULMAR_SERVER", addr).stdin("connme\n").run();
    assert_eq!(shell.expect(0).out(), format!("connected to {addr}\n"));
    let one_shot = online.fulmar(ALICE, ["ls"]).env("FULMAR_SERVER", addr).run();
    assert_eq!(one_shot.expect(0).out(), "(empty)\n");
}

#[test]
fn s01_the_connection_closes_with_the_server_and_the_shell_stays() {
    let Online { server, lab } = Online::new();
    let addr = server.addr.clone();
    let mut shell = lab.fulmar(ALICE, ["shell", &addr]).spawn();
    shell.feed(b"pwd\n");
    let end = shell.wait_for(0, "/\n");
    server.stop().expect(0);
    let server = lab.serve_on(&addr, &[]);
    // The first verb afterwards finds the connection gone; the shell lives and connects again.
    shell.feed(b"-ls\nconnme\nls\n");
    shell.wait_for(end, &format!("connected to {addr}\n(empty)\n"));
    shell.finish().expect(0);
    server.stop().expect(0);
}

#[test]
fn the_state_folder_is_the_users_own_by_default() {
    let online = Online::new();
    let invite = online.invite(&[]);
    let mut invocation = online.fulmar("nobody", ["-s", &invite, "connme"]);
    invocation.command.env_remove("FULMAR_STATE");
    invocation.run().expect(0);
    assert!(online.path("home/state/fulmar/client.key").is_file());
    assert!(!online.state("nobody").exists());
}

#[test]
fn a_pipe_connects_to_the_servers_of_the_environment_and_the_file_once_it_needs_one() {
    let online = Online::new();
    let addr = &online.server.addr;
    let pipe = |args: &[&str], server: &str, script: &str| {
        online.fulmar(ALICE, args).env("FULMAR_SERVER", server).stdin(script).run()
    };
    for args in [&[][..], &["shell"]] {
        let output = pipe(args, addr, "ls\nmkdir d\nls\nrm -r d\n").expect(0);
        assert!(output.out().starts_with("(empty)\n") && output.stderr.is_empty(), "{output}");
        // Nothing is dialled before: a script may name another server, or none at all.
        let output = pipe(args, "127.0.0.1:9", &format!("lpwd\nconnme {addr}\nls\n")).expect(0);
        assert!(output.out().ends_with(&format!("connected to {addr}\n(empty)\n")), "{output}");
        pipe(args, "127.0.0.1:9", "lpwd\n").expect(0);
        // Who has left is not connected again behind the script's back.
        pipe(args, addr, "ls\nbyebye\nls\n").expect(5).complains("not connected; use connme");
    }
    online.fulmar(ALICE, ["hosts", "add", "lab", addr, "--start-dir", "/", "--default"]).run().expect(0);
    online.fulmar(ALICE, [""; 0]).stdin("ls\n").run().expect(0).says("(empty)");
}

#[test]
fn a_connection_is_none_to_the_same_address_with_another_key() {
    let online = Online::new();
    let addr = &online.server.addr;
    let other = format!("fulmar://{}@{addr}", "a".repeat(52));
    let script = format!("connme {addr}\n-connme {addr}\nconnme {other}\n");
    let output = online.fulmar(ALICE, ["shell"]).stdin(script).run().expect(6);
    assert_eq!(output.out(), format!("connected to {addr}\nalready connected to {addr}\n"));
    output.complains("demanded key SHA256:AAAA").complains("hint: byebye");
}
