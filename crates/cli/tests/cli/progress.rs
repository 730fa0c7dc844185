//! Bars on a terminal: never wider than it, and gone in the end.

use crate::harness::{
    ALICE, Online, Relay, Terminal, Way,
    data::{MIB, bytes, write},
    screen::Screen,
    terminal::CTRL_C,
};

/// What passes before the relay goes dark.
const SOME: usize = 3 * MIB;
const LONG: &str = "a rather long name with many words, as people give them, and 日本語 in it.tar.gz";

/// An upload in a terminal of so many columns that has stopped on its way, with its bars on the terminal for certain.
fn stalled(online: &Online, relay: &Relay, args: &[&str], columns: u16) -> Terminal {
    relay.go_dark_after(Way::Up, SOME);
    let addr = relay.addr.to_string();
    let terminal = online.terminal_with(ALICE, &[&["-s", &addr], args].concat(), &[], (24, columns));
    relay.wait_until_dark();
    terminal.shows(" %");
    terminal
}

#[test]
fn a_bar_fits_its_terminal_and_is_gone_in_the_end() {
    let online = Online::new();
    write(&online.local(LONG), bytes(2_301, 9 * MIB));
    for columns in [20, 40, 80, 100] {
        let relay = online.relay();
        let terminal = stalled(&online, &relay, &["upload", "-f", LONG], columns);
        relay.clear();
        terminal.shows("verified");
        let (output, text) = terminal.wait_for_all();
        output.expect(0);
        let screen = Screen::of(&text, columns.into());
        // The last line may be longer than the terminal is wide; what is drawn over and over must not be.
        assert!(screen.wrapped.iter().all(|line| !line.contains(" %")), "{columns}: {screen:?}");
        let shown = screen.shown().concat();
        assert!(shown.starts_with("a rather long") && shown.ends_with("verified"), "{columns}: {shown:?}");
        assert!(!shown.contains(" %"), "the bar is gone: {shown:?}");
    }
}

#[test]
fn a_bar_has_name_amount_rate_and_time_as_far_as_they_fit() {
    let online = Online::new();
    write(&online.local("movie.mkv"), bytes(2_302, 9 * MIB));
    for (columns, there, not_there) in [
        (100, &["movie.mkv", "[", " %", " / 9437 kB", "MB/s", " left"][..], &[][..]),
        (40, &["movie.mkv", " %", "MB/s", " left"], &["[", " / 9437 kB"]),
    ] {
        let relay = online.relay();
        let terminal = stalled(&online, &relay, &["upload", "-f", "movie.mkv"], columns);
        // The whole of the first drawing is there once the second begins.
        terminal.shows("\r");
        let shown = Screen::of(&terminal.text(), columns.into()).shown().concat();
        for part in there {
            assert!(terminal.text().contains(part), "{columns}: {part}: {shown:?}");
        }
        for part in not_there {
            assert!(!shown.contains(part), "{columns}: {part}: {shown:?}");
        }
        terminal.type_text(CTRL_C);
        let (output, text) = terminal.wait_for_all();
        output.expect(130);
        let shown = Screen::of(&text, columns.into()).shown();
        assert_eq!(shown.last().map(String::as_str), Some("fulmar: upload: cancelled"), "{shown:?}");
        assert!(!shown.concat().contains(" %"), "{shown:?}");
    }
}

#[test]
fn several_files_have_a_line_for_all_above_their_own() {
    let online = Online::new();
    for number in 0..6 {
        write(&online.local(&format!("{number}.bin")), bytes(2_310 + number, 4 * MIB));
    }
    for columns in [40, 100] {
        let relay = online.relay();
        let terminal = stalled(&online, &relay, &["upload", "-f", "*.bin"], columns);
        terminal.shows("of 6 files");
        relay.clear();
        terminal.shows("6 files, 25.17 MB in ");
        let (output, text) = terminal.wait_for_all();
        output.expect(0);
        assert!(text.contains("0 of 6 files"), "{text:?}");
        let screen = Screen::of(&text, columns.into());
        assert!(screen.wrapped.iter().all(|line| !line.contains(" %")), "{columns}: {screen:?}");
        let shown = screen.shown();
        assert!(!shown.concat().contains(" of 6 files"), "the bars are gone: {shown:?}");
        // Nothing of what was printed meanwhile has been drawn over.
        for number in 0..6 {
            assert_eq!(
                shown.concat().matches(&format!("{number}.bin -> {number}.bin  4.19 MB in ")).count(),
                1,
                "{shown:?}"
            );
        }
        assert_eq!(shown.concat().matches("verified").count(), 6, "{shown:?}");
    }
}

#[test]
fn failures_do_not_garble_the_bars() {
    let online = Online::new();
    for number in 0..3 {
        write(&online.local(&format!("{number}.bin")), bytes(2_320 + number, 4 * MIB));
    }
    write(&online.local("taken.bin"), bytes(2_325, 4 * MIB));
    write(&online.share("taken.bin"), "old");
    let relay = online.relay();
    let terminal =
        stalled(&online, &relay, &["upload", "taken.bin", "*.bin", "--on-exists", "fail", "--to", "."], 100);
    relay.clear();
    terminal.shows("failed (listed above)");
    let (output, text) = terminal.wait_for_all();
    output.expect(8);
    let shown = Screen::of(&text, 100).shown();
    let failed =
        shown.iter().filter(|line| line.starts_with("fulmar: upload: taken.bin: exists already")).count();
    assert_eq!(failed, 1, "{shown:#?}");
    assert_eq!(shown.iter().filter(|line| line.contains(" -> ")).count(), 3, "{shown:#?}");
}

#[test]
fn without_a_utf_8_locale_a_bar_is_ascii() {
    let online = Online::new();
    write(&online.local("a.bin"), bytes(2_330, 9 * MIB));
    let relay = online.relay();
    relay.go_dark_after(Way::Up, SOME);
    let args = ["-s", &relay.addr.to_string(), "upload", "a.bin"];
    let terminal = online.terminal_with(ALICE, &args, &[("LC_ALL", "C")], (24, 100));
    relay.wait_until_dark();
    terminal.shows("---]");
    relay.clear();
    let (output, text) = terminal.wait_for_all();
    output.expect(0);
    assert!(text.is_ascii(), "{text:?}");
}

#[test]
fn hashing_shows_a_bar_too() {
    let online = Online::new();
    let relay = online.relay();
    write(&online.local("a.bin"), bytes(2_340, 20 * MIB));
    online.ok(["upload", "a.bin"]);
    let shell = online.terminal_with(ALICE, &["-s", &relay.addr.to_string(), "shell"], &[], (24, 100));
    shell.shows(":/> ");
    // The answer is held back: the local half is done meanwhile.
    relay.go_dark_after(Way::Down, 1);
    shell.enter("verify a.bin a.bin");
    shell.shows(" %");
    relay.clear();
    shell.shows("identical");
    shell.shows(":/> ");
    shell.enter("quit");
    shell.wait().expect(0);
}

#[test]
fn standard_output_is_the_file_in_every_form_of_progress() {
    let online = Online::new();
    let content = bytes(2_350, 4 * MIB);
    write(&online.share("a.bin"), &content);
    for mode in ["auto", "bar", "plain", "json", "none"] {
        for options in [&[][..], &["--json"], &["-q"]] {
            let args = [&["--progress", mode], options, &["download", "a.bin", "-"]].concat();
            let output = online.ok(args);
            assert!(output.stdout == content, "{mode} {options:?}: {} bytes", output.stdout.len());
            let told = output.stderr.contains(r#""type":"progress""#);
            assert_eq!(told, mode == "json", "{mode} {options:?}: {}", output.stderr);
        }
    }
    let failed = online.fails(3, ["--json", "--progress", "json", "download", "gone.bin", "-"]);
    failed.complains(r#""type":"error""#);
}
