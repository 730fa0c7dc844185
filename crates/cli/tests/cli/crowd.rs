//! Many clients at once.

use std::{fs, thread};

use crate::harness::{
    ALICE, Online,
    data::{MIB, assert_absent, assert_holds, b3sum, bytes, read, write},
};

#[test]
fn s13_ten_clients_at_once_get_nothing_mixed_up() {
    let online = Online::new();
    let common = bytes(1300, 2 * MIB + 77);
    write(&online.share("common.bin"), &common);
    thread::scope(|scope| {
        for number in 0..10_u64 {
            let online = &online;
            let common = &common;
            scope.spawn(move || one_of_ten(online, number, common));
        }
    });
    let listed = online.ok(["ls"]);
    let expected: String = (0..10).map(|number| format!("dir{number}/\n")).collect();
    assert_eq!(listed.out(), format!("common.bin\n{expected}"));
}

/// A session with every verb, in a directory of its own and with bytes of its own.
fn one_of_ten(online: &Online, number: u64, common: &[u8]) {
    let who = format!("client{number}");
    online.enrol(&who, &online.invite(&[]));
    let (small, large) = (bytes(1310 + number, 900), bytes(1330 + number, 4 * MIB + 5));
    fs::create_dir(online.local(&who)).expect("made");
    write(&online.local(&who).join("small"), &small);
    write(&online.local(&who).join("large"), &large);
    let script = format!(
        "lcd {who}\nmkdir dir{number}\ncd dir{number}\nupload small\nupload large\nls\nhash large\n\
         size small large\ndownload large back\nmv small moved\ndownload /common.bin\nstat moved\n\
         verify back large\nrm large\nls\n"
    );
    let output = online.command(&who, ["-q", "shell"]).stdin(script).run().expect(0);
    let text = output.out();
    assert!(text.contains("large\nsmall\n"), "{output}");
    assert!(text.contains(&format!("{}  large", b3sum(&large))), "{output}");
    assert!(text.contains("0.00 MB (900 bytes)  small\n4.19 MB (4194309 bytes)  large\n"), "{output}");
    assert!(text.ends_with("\nmoved\n"), "{output}");
    assert_holds(&online.local(&who).join("back"), &large);
    assert_holds(&online.local(&who).join("common.bin"), common);
    assert_holds(&online.share(&format!("dir{number}/moved")), &small);
    assert_absent(&online.share(&format!("dir{number}/large")));
}

#[test]
fn s13_of_two_uploads_to_one_name_exactly_one_wins() {
    let online = Online::new();
    online.enrol("bob", &online.invite(&[]));
    for round in 0..3 {
        let name = format!("wanted {round}.bin");
        let contents = [bytes(1350 + round, 3 * MIB), bytes(1360 + round, 3 * MIB)];
        // Both have sent a part, which the server has acknowledged, before either may end.
        let mut uploads = [ALICE, "bob"].map(|who| {
            let args = ["--progress", "json", "--json", "upload", "-", &name];
            online.command(who, args).spawn()
        });
        for (upload, content) in uploads.iter_mut().zip(&contents) {
            upload.feed(&content[..MIB]);
            upload.wait_for(0, "\"progress\"");
        }
        assert_absent(&online.share(&name));
        let [alice, bob] = uploads;
        let outputs = thread::scope(|scope| {
            let finish = |mut upload: crate::harness::Process, content: &[u8]| {
                upload.feed(&content[MIB..]);
                upload.finish()
            };
            let (first, second) = (&contents[0], &contents[1]);
            let alice = scope.spawn(move || finish(alice, first));
            let bob = scope.spawn(move || finish(bob, second));
            [alice, bob].map(|thread| thread.join().expect("it ends"))
        });
        check_one_winner(&online, &name, &outputs, &contents);
    }
}

#[track_caller]
fn check_one_winner(
    online: &Online,
    name: &str,
    outputs: &[crate::harness::Output; 2],
    contents: &[Vec<u8>; 2],
) {
    let mut codes: Vec<_> = outputs.iter().map(|output| output.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(8)], "{}\n{}", outputs[0], outputs[1]);
    let winner = usize::from(outputs[0].code != Some(0));
    assert!(outputs[1 - winner].stderr.contains("exists already"), "{}", outputs[1 - winner]);
    assert!(read(&online.share(name)) == contents[winner], "the bytes are the winner's");
}

#[test]
fn s13_of_ten_small_uploads_to_one_name_exactly_one_wins() {
    let online = Online::new();
    for number in 0..10_u64 {
        write(&online.local(&format!("{number}.txt")), format!("from {number}"));
    }
    let outputs = thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|number| {
                let online = &online;
                scope.spawn(move || online.run(["upload", &format!("{number}.txt"), "wanted.txt"]))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect::<Vec<_>>()
    });
    let winners: Vec<_> = (0..10).filter(|number| outputs[*number].code == Some(0)).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    for (number, output) in outputs.into_iter().enumerate() {
        if number != winners[0] {
            output.expect(8).complains("exists already");
        }
    }
    assert_holds(&online.share("wanted.txt"), format!("from {}", winners[0]).as_bytes());
}
