//! Secrets in what was typed: which lines must be kept nowhere, and what of a text may be shown.

use std::ops::Range;

/// What every invite begins with, in any case.
const INVITE: &str = "fulmar://";
/// How many characters a fingerprint has in an invite.
const FINGERPRINT_CHARS: usize = 52;
/// What does not hide an invite from the shell that reads it.
const QUOTES: [char; 3] = ['\'', '"', '\\'];
/// How the help names the parts of an invite.
const PLACEHOLDER: &str = "FINGERPRINT.TOKEN";

/// Whether a line may hold an invite, whose token lets whoever has it enrol a key. Rather too often than too rarely:
/// quotes and backslashes anywhere in it do not hide it, nor does a scheme that was forgotten or mistyped.
pub(crate) fn may_hold_secret(line: &str) -> bool {
    let bare: String = line.chars().filter(|c| !QUOTES.contains(c)).collect();
    let bare = bare.to_ascii_lowercase();
    bare.contains(INVITE) || has_token(&bare)
}

/// Whether there is a fingerprint with a token behind it.
fn has_token(text: &str) -> bool {
    text.match_indices('.').any(|(at, _)| {
        let before = text[..at].chars().rev().take_while(is_base32).count();
        before >= FINGERPRINT_CHARS && text[at + 1..].chars().next().is_some_and(|c| is_base32(&c))
    })
}

/// A text that quotes what was typed, without the secrets of invites: `fulmar://FINGERPRINT...@HOST`.
pub(crate) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(secret) = first_secret(rest) {
        shown.push_str(&rest[..secret.start]);
        shown.push_str("...");
        rest = &rest[secret.end..];
    }
    shown.push_str(rest);
    shown
}

/// Where the first secret of a text is. Whatever stands in the place of one is taken for it, damaged or not.
fn first_secret(text: &str) -> Option<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let behind_scheme = lower.match_indices(INVITE).find_map(|(at, _)| in_invite(text, at + INVITE.len()));
    let behind_fingerprint = lower.match_indices('.').find(|(at, _)| {
        let is_bare = |c: &char| !QUOTES.contains(c);
        let before = lower[..*at].chars().rev().filter(is_bare).take_while(is_base32).count();
        before >= FINGERPRINT_CHARS && lower[at + 1..].chars().find(is_bare).is_some_and(|c| is_base32(&c))
    });
    let behind_fingerprint = behind_fingerprint.map(|(at, _)| at..end_of_secret(text, at));
    [behind_scheme, behind_fingerprint].into_iter().flatten().min_by_key(|secret| secret.start)
}

/// The part of an invite that is not shown; `from` is behind the scheme.
fn in_invite(text: &str, from: usize) -> Option<Range<usize>> {
    let end = end_of_secret(text, from);
    let user = &text[from..end];
    if user.is_empty() || user == PLACEHOLDER {
        return None;
    }
    let fingerprint = user.chars().take_while(|c| is_base32(&c.to_ascii_lowercase())).count();
    match fingerprint == FINGERPRINT_CHARS {
        true if user.len() == FINGERPRINT_CHARS => None,
        true => Some(from + FINGERPRINT_CHARS..end),
        // Who knows where the fingerprint ends and the secret begins.
        false => Some(from..end),
    }
}

/// Where a secret that begins at `from` has ended for certain.
fn end_of_secret(text: &str, from: usize) -> usize {
    let end = text[from..].find(|c: char| c == '@' || c.is_whitespace()).map_or(text.len(), |end| from + end);
    // What stands around a word in a message is none of it.
    from + text[from..end].trim_end_matches(['"', '`', '\'', ',']).len()
}

fn is_base32(c: &char) -> bool {
    matches!(c, 'a'..='z' | '2'..='7')
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulmar_client::Endpoint;
    use fulmar_proto::{fingerprint::Fingerprint, invite::InviteToken};
    use proptest::prelude::*;

    fn invite() -> String {
        let fingerprint = Fingerprint([7; 32]).to_base32();
        let token = InviteToken::from_random([9; 16]).to_base32();
        format!("fulmar://{fingerprint}.{token}@lab.example:4433")
    }

    #[test]
    fn ordinary_lines_are_no_secrets() {
        for line in
            ["", "ls -l", "connme lab.example:4433", "upload 'a b.txt' in/", "get a.b.c x.tar.gz", "# fulmar"]
        {
            assert!(!may_hold_secret(line), "{line}");
        }
    }

    #[test]
    fn an_invite_is_found_however_it_is_written() {
        let invite = invite();
        let behind_scheme = invite.trim_start_matches("fulmar://").to_owned();
        let lines = [
            format!("connme {invite}"),
            format!("CONNME {}", invite.to_uppercase()),
            format!("connme '{invite}'"),
            format!("connme \"{invite}"),
            format!("connme ful''mar://{behind_scheme}"),
            format!("connme ful\\mar:\\/\\/{behind_scheme}"),
            format!("connme fulmar:/'/'{behind_scheme}"),
            format!("connme {behind_scheme}"),
            format!("connme fulmr://{behind_scheme}"),
            "connme fulmar://".to_owned(),
        ];
        for line in lines {
            assert!(may_hold_secret(&line), "{line}");
        }
    }

    #[test]
    fn an_invite_is_shown_without_its_secret() {
        let invite = invite();
        let fingerprint = Fingerprint([7; 32]).to_base32();
        let shown = format!("fulmar://{fingerprint}...@lab.example:4433");
        let cases = [
            (invite.clone(), shown.clone()),
            (format!("bad '{invite}' and {invite}"), format!("bad '{shown}' and {shown}")),
            (invite.trim_start_matches("fulmar://").to_owned(), shown["fulmar://".len()..].to_owned()),
            (invite.replace('.', ":").replace(":example", ".example"), shown.clone()),
            // Nobody can tell which part of these is secret.
            (invite.replacen('.', "", 1), "fulmar://...@lab.example:4433".to_owned()),
            ("fulmar://abcdef@lab".to_owned(), "fulmar://...@lab".to_owned()),
            ("unknown field `fulmar://abc`, so".to_owned(), "unknown field `fulmar://...`, so".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(masked(&text), expected, "{text}");
        }
        let pin = format!("fulmar://{fingerprint}@lab");
        let usage = "an invite looks like fulmar://FINGERPRINT.TOKEN@HOST:PORT";
        for text in ["", "a.txt: no such file", "fulmar://", usage, &pin] {
            assert_eq!(masked(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_secret_is_shown_and_no_text_panics(
            before in "[ -~é\u{1b}]{0,20}", after in "[ -~é]{0,20}", upper in any::<bool>(),
        ) {
            let token = InviteToken::from_random([9; 16]).to_base32();
            let (invite, token) =
                if upper { (invite().to_uppercase(), token.to_uppercase()) } else { (invite(), token) };
            let shown = masked(&format!("{before}{invite}{after}"));
            prop_assert!(!shown.contains(&token), "{}", shown);
        }

        #[test]
        fn whatever_is_split_into_an_invite_is_a_secret(
            marks in proptest::collection::vec((0..140_usize, proptest::sample::select(vec!["''", "\"\"", "\\"])), 0..6),
            upper in any::<bool>(),
        ) {
            let mut word = if upper { invite().to_uppercase() } else { invite() };
            for (at, mark) in marks {
                word.insert_str(at.min(word.len()), mark);
            }
            let line = format!("connme {word}");
            // Whenever the line leads to an invite, it must be found; the marks cannot hide it.
            let leads_to_invite = shell_words::split(&line)
                .is_ok_and(|words| words.iter().any(|word| matches!(word.parse(), Ok(Endpoint::Invite(_)))));
            prop_assert!(!leads_to_invite || may_hold_secret(&line), "{}", line);
        }
    }
}
