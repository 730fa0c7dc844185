//! The command line of the table.

use std::path::PathBuf;

use clap::Args;

use super::plan::Entrant;
use crate::{
    contest::{Direction, Size},
    lab::measuring::Measuring,
};

/// Six links, from next to no loss to what is beyond TCP CUBIC.
const LINKS: &str = "wan,lossy-1,lossy-5,lossy-10,intercontinental,satellite";

#[derive(Args, Debug)]
pub(in crate::lab) struct TableArgs {
    /// The links: named profiles, or files that hold one
    #[arg(long, value_name = "NAMES|FILES", value_delimiter = ',', default_value = LINKS)]
    pub(super) links: Vec<String>,
    /// Only these contenders
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        value_enum,
        default_value = "tcp-cubic,tcp-bbr,tls-bbr,fulmar"
    )]
    pub(super) contenders: Vec<Entrant>,
    /// Only these ways
    #[arg(long, value_name = "WAYS", value_delimiter = ',', value_enum, default_value = "upload,download")]
    pub(super) directions: Vec<Direction>,
    /// The length of every file, with KiB, MiB or GiB [default: the largest power of two that the link could carry in 8 s;
    /// with --quick in 2 s]
    #[arg(long, value_name = "SIZE")]
    pub(super) size: Option<Size>,
    /// A transfer that is not finished after this is stopped, and what has arrived counts [default: 30; with --quick 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) limit_s: Option<u64>,
    /// A look rather than a measurement
    #[arg(long)]
    pub(super) quick: bool,
    #[command(flatten)]
    pub(super) measuring: Measuring,
    /// Write the conditions and then every transfer to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Draw what each contender made of each link to FILE
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
}
