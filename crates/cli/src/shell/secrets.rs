//! Which lines hold a secret and must be kept nowhere.

/// What every invite begins with, in any case.
const INVITE: &str = "fulmar://";
/// How many characters a fingerprint has in an invite.
const FINGERPRINT_CHARS: usize = 52;

/// Whether a line may hold an invite, whose token lets whoever has it enrol a key. Rather too often than too rarely:
/// quotes and backslashes anywhere in it do not hide it, nor does a scheme that was forgotten or mistyped.
pub(super) fn may_hold_secret(line: &str) -> bool {
    let bare: String = line.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
    let bare = bare.to_ascii_lowercase();
    bare.contains(INVITE) || has_token(&bare)
}

/// Whether there is a fingerprint with a token behind it.
fn has_token(text: &str) -> bool {
    let is_base32 = |c: &char| matches!(c, 'a'..='z' | '2'..='7');
    text.match_indices('.').any(|(at, _)| {
        let before = text[..at].chars().rev().take_while(is_base32).count();
        before >= FINGERPRINT_CHARS && text[at + 1..].chars().next().is_some_and(|c| is_base32(&c))
    })
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

    proptest! {
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
