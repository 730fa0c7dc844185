//! `--rate` and `--congestion`.

use crate::harness::{ALICE, Online};

#[test]
fn transfers_go_by_any_controller_and_within_a_rate() {
    let online = Online::new();
    let bytes = vec![7; 300_000];
    std::fs::write(online.lab.local("file"), &bytes).expect("written");
    for controller in ["lrc", "cubic", "newreno", "bbr"] {
        let to = format!("by-{controller}");
        online.ok(["--congestion", controller, "--rate", "20MB", "upload", "file", &to]);
        assert_eq!(std::fs::read(online.lab.share(&to)).expect("stored"), bytes);
    }
}

#[test]
fn what_is_no_controller_or_no_rate_is_a_mistake() {
    let online = Online::new();
    for args in [["--congestion", "vegas", "ls"], ["--rate", "0", "ls"], ["--rate", "fast", "ls"]] {
        online.command(ALICE, args).run().expect(2);
    }
    let wrong = online.command(ALICE, ["ls"]).env("FULMAR_CONGESTION", "vegas").run().expect(2);
    wrong.complains("FULMAR_CONGESTION=vegas: is no congestion controller");
    online.command(ALICE, ["ls"]).env("FULMAR_CONGESTION", "").run().expect(0);
    online.command(ALICE, ["ls"]).env("FULMAR_CONGESTION", "cubic").run().expect(0);
}
