//! How both sides are to send: `--rate` and `--congestion`.

use std::{ffi::OsStr, num::NonZeroU64};

use clap::ValueEnum;
use fulmar_transport::{Algorithm, Sending};

use crate::{
    args::Global,
    output::{Failure, units},
};

/// The environment variable that names the congestion controller.
const CONGESTION_VARIABLE: &str = "FULMAR_CONGESTION";

/// A congestion controller, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Congestion {
    /// fulmar's own, which tells random loss from congestion.
    Lrc,
    /// What most TCP senders use.
    Cubic,
    /// The one of RFC 9002.
    #[value(name = "newreno")]
    NewReno,
    /// Fills the queue, whatever is lost.
    Bbr,
}

impl From<Congestion> for Algorithm {
    fn from(congestion: Congestion) -> Self {
        match congestion {
            Congestion::Lrc => Self::Lrc,
            Congestion::Cubic => Self::Cubic,
            Congestion::NewReno => Self::NewReno,
            Congestion::Bbr => Self::Bbr,
        }
    }
}

/// Reads the argument of `--rate`.
pub(crate) fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let bytes = units::parse_bytes(text).map_err(|error| error.to_string())?;
    NonZeroU64::new(bytes).ok_or_else(|| "nothing would be sent".to_owned())
}

/// What the command line says, and where it says nothing the environment.
pub(crate) fn wanted(global: &Global) -> Result<Sending, Failure> {
    let congestion = match global.congestion {
        Some(congestion) => Some(congestion),
        None => of_environment(std::env::var_os(CONGESTION_VARIABLE).as_deref())?,
    };
    Ok(Sending {
        algorithm: congestion.map(Algorithm::from).unwrap_or_default(),
        max_rate_bytes_per_s: global.rate,
    })
}

fn of_environment(value: Option<&OsStr>) -> Result<Option<Congestion>, Failure> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let known = value.to_str().and_then(|text| Congestion::from_str(text, true).ok());
    match known {
        Some(congestion) => Ok(Some(congestion)),
        None => Err(Failure::usage("is no congestion controller; there are lrc, cubic, newreno and bbr")
            .about(format!("{CONGESTION_VARIABLE}={}", value.to_string_lossy()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_controller_or_nothing() {
        let of = |text: &str| of_environment(Some(OsStr::new(text)));
        assert_eq!(of_environment(None), Ok(None));
        assert_eq!(of(""), Ok(None));
        assert_eq!(of("newreno"), Ok(Some(Congestion::NewReno)));
        assert_eq!(of("BBR"), Ok(Some(Congestion::Bbr)));
        assert!(of("vegas").is_err_and(|failure| failure.code == crate::exit_code::ExitCode::Usage));
    }

    #[test]
    fn a_rate_is_more_than_nothing() {
        assert_eq!(parse_rate("1MB"), Ok(NonZeroU64::new(1_000_000).expect("more than nothing")));
        for text in ["0", "fast", ""] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
