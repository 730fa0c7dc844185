//! fulmar-bench: measures fulmar against what people use otherwise, side by side on one machine.

mod args;
mod contest;
mod flows;
mod grid;
mod lab;
mod loopback;
mod measure;
mod report;
mod transfers;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Loopback(args) => loopback::run(&args),
        Command::Flows(args) => flows::run(&args),
        Command::Transfers(args) => transfers::run(&args),
        Command::Side(args) => contest::serve_side(&args),
        // A command's exit code is passed on.
        Command::Lab(args) => return lab::main(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fulmar-bench: {error:#}");
            if lab::is_unavailable(&error) { ExitCode::from(lab::UNAVAILABLE) } else { ExitCode::FAILURE }
        }
    }
}
