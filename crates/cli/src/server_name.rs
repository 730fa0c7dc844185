//! What a person names a server by: an address, an invite, or a name of the configuration file.

use std::str::FromStr;

use fulmar_client::{Endpoint, EndpointError};

/// A name that the configuration file gives to a server. Its case does not matter. Every such name could be a host's too.
#[derive(Clone, Debug, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HostName(String);

/// The longest name, in bytes: enough for a host's whole name (RFC 1035 section 2.3.4).
const MAX_NAME_BYTES: usize = 255;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadHostName;

impl std::fmt::Display for BadHostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a server's name is made of letters, digits, '-', '_' and '.', and begins with a letter or a digit")
    }
}

impl std::error::Error for BadHostName {}

impl HostName {
    /// The name as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for HostName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for HostName {
    type Err = BadHostName;

    fn from_str(text: &str) -> Result<Self, BadHostName> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && text.len() <= MAX_NAME_BYTES && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadHostName)
        }
    }
}

impl TryFrom<String> for HostName {
    type Error = BadHostName;

    fn try_from(text: String) -> Result<Self, BadHostName> {
        text.parse()
    }
}

/// A server as a person names it: what it is by itself, and the name that it may be in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerName {
    /// What it means where no file knows it.
    pub(crate) endpoint: Endpoint,
    /// The text, if it can be a name.
    pub(crate) name: Option<HostName>,
}

impl FromStr for ServerName {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Ok(Self { endpoint: text.parse()?, name: text.parse().ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_a_port_or_brackets_is_no_name() {
        for (text, is_name) in
            [("lab", true), ("LAB_2.b-c", true), ("192.0.2.7", true), ("lab:4433", false), ("[::1]", false)]
        {
            let server: ServerName = text.parse().expect(text);
            assert_eq!(server.name.is_some(), is_name, "{text}");
        }
        for text in ["", "-lab", ".", "a/b", "a b", "ä", "a:1"] {
            assert_eq!(text.parse::<HostName>(), Err(BadHostName), "{text:?}");
        }
        assert!("fulmar://x@lab".parse::<ServerName>().is_err());
    }

    proptest! {
        #[test]
        fn every_name_could_be_a_host(text in "[A-Za-z0-9][A-Za-z0-9._-]{0,254}") {
            let server: ServerName = text.parse().expect("a host");
            prop_assert_eq!(server.name.as_ref().map(HostName::as_str), Some(text.as_str()));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (text.parse::<HostName>(), text.parse::<ServerName>());
        }
    }
}
