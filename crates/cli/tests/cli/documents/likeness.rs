//! Whether an output is the documented one, but for what differs from run to run.

use std::sync::LazyLock;

use regex::Regex;

/// What differs, and what it is compared as.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let forms = [
        (r"fulmar://[a-z0-9.…]+@", "fulmar://INVITE@"),
        // The usual port may be left out where an address is typed.
        (r"192\.0\.2\.7:4433", "192.0.2.7"),
        (r"SHA256:[A-Za-z0-9+/…]+", "SHA256:KEY"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"\d{4}-\d\d-\d\d", "DATE"),
        (r"\b[0-9a-f]{16,64}\b", "HEX"),
        (r#""(elapsed_ns|rtt_ns)":\d+"#, r#""$1":N"#),
        (r"[<\d.]+ [kMG]?B/s", "RATE"),
        // Columns are as wide as what varies in them.
        (r" {2,}", "  "),
        (r"(<|\b)\d+(\.\d+)? (µs|ms|s)\b", "SPAN"),
    ];
    forms.map(|(form, word)| (Regex::new(form).expect("a pattern"), word)).into()
});

/// A line alone that stands for any number of lines.
const ANY_LINES: &str = "…";

/// Whether `got` is what is documented.
pub(super) fn are_alike(documented: &[String], got: &str) -> bool {
    let got: Vec<&str> = got.lines().map(str::trim_end).collect();
    let documented: Vec<&str> = documented.iter().map(String::as_str).collect();
    are_lines(&in_one_order(&documented), &in_one_order(&got))
}

/// Files of one command end in any order: their lines are compared in that of their names.
fn in_one_order<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut lines = lines.to_vec();
    lines.chunk_by_mut(|a, b| [a, b].iter().all(|line| line.contains(" -> "))).for_each(<[_]>::sort_unstable);
    lines
}

fn are_lines(documented: &[&str], got: &[&str]) -> bool {
    match documented.split_first() {
        None => got.is_empty(),
        Some((&ANY_LINES, rest)) => (0..=got.len()).any(|skipped| are_lines(rest, &got[skipped..])),
        Some((first, rest)) => {
            got.split_first().is_some_and(|(line, more)| is_line(first, line) && are_lines(rest, more))
        }
    }
}

fn is_line(documented: &str, got: &str) -> bool {
    let (documented, got) = (by_form(documented.trim_end()), by_form(got));
    let pattern: Vec<_> = documented.split('…').map(regex::escape).collect();
    let pattern = format!("^{}$", pattern.join(".*"));
    Regex::new(&pattern).expect("it is escaped").is_match(&got)
}

fn by_form(line: &str) -> String {
    VARYING.iter().fold(line.to_owned(), |line, (form, word)| form.replace_all(&line, *word).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_does_not_matter_and_all_else_does() {
        let line = "a -> b  12.58 MB in 1.3 s (9.7 MB/s)  blake3 5e0cc7f83cb4e8d7  verified";
        assert!(is_line(line, "a -> b  12.58 MB in 64 ms (188.1 MB/s)  blake3 0000000000000000  verified"));
        assert!(!is_line(line, "a -> b  12.59 MB in 64 ms (188.1 MB/s)  blake3 0000000000000000  verified"));
        assert!(!is_line(line, "a -> b  12.58 MB in 1.3 s (9.7 MB/s)  blake3 5e0cc7f83cb4e8d7"));
        assert!(is_line("fulmar://gtb….onda…@h:1", "fulmar://abc.def@h:1"));
        assert!(is_line("rtt  …", "rtt  3 of 4"));
    }

    #[test]
    fn files_end_in_any_order() {
        let lines = ["x", "b -> b", "a -> a", "2 files", "c -> c"];
        assert_eq!(in_one_order(&lines), ["x", "a -> a", "b -> b", "2 files", "c -> c"]);
    }

    #[test]
    fn dots_alone_stand_for_lines() {
        let documented = ["a", "…", "b"];
        assert!(are_lines(&documented, &["a", "b"]));
        assert!(are_lines(&documented, &["a", "x", "y", "b"]));
        assert!(!are_lines(&documented, &["a", "x"]));
    }
}
