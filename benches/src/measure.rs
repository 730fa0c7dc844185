//! What is measured of processes, and what is made of many measurements.

pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod stats;
