//! Fingerprints: how a public key is named.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD};
use serde::{Deserialize, Serialize};

/// What the text form begins with.
const PREFIX: &str = "SHA256:";

/// The SHA-256 digest of a public key's `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7) in DER.
///
/// Servers and clients are named by it alike; the certificate around the key does not matter. The text form is
/// `SHA256:` and 43 characters of unpadded base64 (RFC 4648, section 4), as `ssh-keygen -l` prints it.
/// A fingerprint is public: comparing two of them need not take constant time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

/// Why a text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// The text does not begin with `SHA256:`.
    #[error("a fingerprint begins with SHA256:")]
    Prefix,
    /// Too few or too many characters.
    #[error("a fingerprint is 43 characters after SHA256: (52 in an invite)")]
    Length,
    /// A character outside the encoding's alphabet, or stray bits in the last one.
    #[error("a fingerprint holds a character that does not belong there")]
    Encoding,
}

impl Fingerprint {
    /// The form for URLs: 52 characters of lower-case unpadded base32 (RFC 4648, section 6).
    pub fn to_base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0).to_ascii_lowercase()
    }

    /// Reads the form for URLs, in either case, because what handles a URL's authority may change its case.
    ///
    /// # Errors
    /// [`FingerprintError::Length`] or [`FingerprintError::Encoding`].
    pub fn from_base32(text: &str) -> Result<Self, FingerprintError> {
        // The length comes first: nothing is copied or decoded of a text of another length.
        if text.len() != 52 {
            return Err(FingerprintError::Length);
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes());
        Self::from_decoded(bytes.ok())
    }

    fn from_decoded(bytes: Option<Vec<u8>>) -> Result<Self, FingerprintError> {
        let bytes = bytes.ok_or(FingerprintError::Encoding)?;
        bytes.try_into().map(Self).map_err(|_| FingerprintError::Length)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PREFIX).ok_or(FingerprintError::Prefix)?;
        if encoded.len() != 43 {
            return Err(FingerprintError::Length);
        }
        Self::from_decoded(BASE64_NOPAD.decode(encoded.as_bytes()).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_form_is_that_of_ssh_keygen() {
        let zero = Fingerprint([0; 32]);
        assert_eq!(zero.to_string(), format!("SHA256:{}", "A".repeat(43)));
        assert_eq!(zero.to_base32(), "a".repeat(52));
        let ones = Fingerprint([0xff; 32]);
        assert_eq!(ones.to_string(), format!("SHA256:{}8", "/".repeat(42)));
        assert_eq!(ones.to_base32(), format!("{}q", "7".repeat(51)));
    }

    #[test]
    fn other_texts_are_refused() {
        let a43 = "A".repeat(43);
        let cases = [
            (String::new(), FingerprintError::Prefix),
            (a43.clone(), FingerprintError::Prefix),
            (format!("sha256:{a43}"), FingerprintError::Prefix),
            (format!("MD5:{a43}"), FingerprintError::Prefix),
            ("SHA256:".to_owned(), FingerprintError::Length),
            (format!("SHA256:{a43}A"), FingerprintError::Length),
            (format!("SHA256:{a43}="), FingerprintError::Length),
            (format!("SHA256:{}", "A".repeat(42)), FingerprintError::Length),
            (format!("SHA256:{}-", "A".repeat(42)), FingerprintError::Encoding),
            // The two lowest bits of the last character stand for nothing and must be clear.
            (format!("SHA256:{}B", "A".repeat(42)), FingerprintError::Encoding),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Fingerprint>(), Err(expected), "{text}");
        }
        assert_eq!(Fingerprint::from_base32(""), Err(FingerprintError::Length));
        assert_eq!(Fingerprint::from_base32(&"a".repeat(53)), Err(FingerprintError::Length));
        assert_eq!(Fingerprint::from_base32(&"1".repeat(52)), Err(FingerprintError::Encoding));
        assert_eq!(
            Fingerprint::from_base32(&format!("{}b", "a".repeat(51))),
            Err(FingerprintError::Encoding)
        );
    }

    proptest! {
        #[test]
        fn all_forms_come_back(bytes: [u8; 32]) {
            let fingerprint = Fingerprint(bytes);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
            let base32 = fingerprint.to_base32();
            prop_assert_eq!(Fingerprint::from_base32(&base32), Ok(fingerprint));
            prop_assert_eq!(Fingerprint::from_base32(&base32.to_ascii_uppercase()), Ok(fingerprint));
            let encoded = postcard::to_allocvec(&fingerprint).expect("encodes");
            prop_assert_eq!(&encoded[..], &bytes[..]);
            prop_assert_eq!(postcard::from_bytes::<Fingerprint>(&encoded).expect("decodes"), fingerprint);
        }

        #[test]
        fn arbitrary_text_has_at_most_one_reading(text in "(SHA256:)?[ -~é]{0,60}") {
            if let Ok(fingerprint) = text.parse::<Fingerprint>() {
                prop_assert_eq!(fingerprint.to_string(), text.clone());
            }
            if let Ok(fingerprint) = Fingerprint::from_base32(&text) {
                prop_assert_eq!(fingerprint.to_base32(), text.to_ascii_lowercase());
            }
        }
    }
}
