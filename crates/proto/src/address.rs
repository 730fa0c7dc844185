//! Addresses as people write them: `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT`.

use crate::DEFAULT_PORT;

/// A host (name, IPv4 or IPv6 address without brackets) and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no host.
    #[error("the host is missing")]
    NoHost,
    /// The host holds characters that no host name has, or is longer than 255 bytes.
    #[error("that is not a host name or an IP address")]
    BadHost,
    /// The port is not a number in 1..=65535.
    #[error("the port must be a number from 1 to 65535")]
    BadPort,
    /// An IPv6 address stands without brackets.
    #[error("an IPv6 address needs brackets: [2001:db8::1]:4433")]
    NeedsBrackets,
}

impl HostPort {
    /// A host and a port in 1..=65535. The host is kept in lower case.
    ///
    /// # Errors
    /// [`AddressError`] when the host cannot be one, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
        let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        // An interface's scope may follow an IPv6 address: fe80::1%eth0.
        let is_scoped = host.split_once('%').is_some_and(|(address, zone)| {
            address.parse::<std::net::Ipv6Addr>().is_ok()
                && !zone.is_empty()
                && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        });
        if host.len() > 255 || !(is_v6 || is_name || is_scoped) {
            return Err(AddressError::BadHost);
        }
        if port == 0 {
            return Err(AddressError::BadPort);
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1..=65535.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl std::str::FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or(AddressError::BadHost)?;
            if !host.contains(':') {
                return Err(AddressError::BadHost);
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(AddressError::BadPort),
            }
        } else {
            match text.split_once(':') {
                Some((_, port)) if port.contains(':') => return Err(AddressError::NeedsBrackets),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| AddressError::BadPort)?
            }
            Some(_) => return Err(AddressError::BadPort),
            None => DEFAULT_PORT,
        };
        Self::new(host, port)
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shapes_people_write() {
        let cases = [
            ("lab", "lab:4433"),
            ("Lab.Example:99", "lab.example:99"),
            ("192.0.2.7", "192.0.2.7:4433"),
            ("[2001:DB8::1]", "[2001:db8::1]:4433"),
            ("[::1]:1", "[::1]:1"),
            ("[fe80::1%eth0]:7", "[fe80::1%eth0]:7"),
            ("localhost:65535", "localhost:65535"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<HostPort>().map(|a| a.to_string()).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        use AddressError::{BadHost, BadPort, NeedsBrackets, NoHost};
        let cases = [
            ("", NoHost),
            (":4433", NoHost),
            ("host:", BadPort),
            ("host:0", BadPort),
            ("host:65536", BadPort),
            ("host:+1", BadPort),
            ("::1", NeedsBrackets),
            ("2001:db8::1:4433", NeedsBrackets),
            ("[::1", BadHost),
            ("[::1]4433", BadPort),
            ("[host]:1", BadHost),
            ("a b", BadHost),
            ("ho\u{1b}st", BadHost),
            ("host/path", BadHost),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<HostPort>(), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_survives_its_text(text in "\\[?[a-z0-9.:%_-]{0,20}\\]?(:[0-9]{0,6})?") {
            if let Ok(address) = text.parse::<HostPort>() {
                prop_assert_eq!(address.to_string().parse::<HostPort>(), Ok(address));
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<HostPort>();
        }
    }
}
