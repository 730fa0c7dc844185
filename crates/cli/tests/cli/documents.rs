//! What README and the guide show is what happens: every ```console block of them is played, in the order of the
//! document, on two homes that were empty before, and the output is compared.
//!
//! Such a block has commands behind `$ ` (the client's machine) or `server$ ` (the server's), lines typed into the
//! interactive shell behind its prompt, and their output. What differs from run to run (addresses, keys, times, rates,
//! digests) is compared by its form; `…` stands for anything within a line, or, alone, for any number of lines.

mod likeness;
mod script;
mod stage;

use std::{fs, path::Path, time::Instant};

use self::{likeness::are_alike, script::Step, stage::Stage};
use crate::harness::process::WATCHDOG;

/// Plays all blocks of a document.
fn play(document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let steps = script::steps(&text);
    assert!(!steps.is_empty(), "{document} shows nothing");
    let mut stage = Stage::new();
    let mut notice_at_once = true;
    for step in &steps {
        let Step { place, command, typed, output } = step;
        let mut got = stage.run(*place, command, typed, output);
        let deadline = Instant::now() + WATCHDOG;
        while !notice_at_once && !are_alike(output, &got) && Instant::now() < deadline {
            got = stage.run(*place, command, typed, output);
        }
        let documented = output.join("\n");
        assert!(
            are_alike(output, &got),
            "{document}: line {place}: {command}\n--- documented\n{documented}\n--- got\n{got}\n---"
        );
        // A running server looks at its list of clients every second: what comes next may have to be tried again.
        notice_at_once = !(place.on_server && command.starts_with("fulmar clients "));
    }
}

#[test]
fn the_readme_shows_what_happens() {
    play("README.md");
}

#[test]
fn the_guide_shows_what_happens() {
    play("docs/GUIDE.md");
}
