//! Everything that is printed: data on standard output, all else on standard error.

pub(crate) mod failure;
pub(crate) mod hint;
pub(crate) mod objects;
mod printer;
pub(crate) mod progress;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod units;

pub(crate) use failure::Failure;
pub(crate) use printer::{Printer, PrinterOptions};
