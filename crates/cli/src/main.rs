//! fulmar: encrypted file transfer over QUIC. The one binary: server, interactive shell, one-shot commands.

mod app;
mod args;
mod batch;
mod clients;
mod config;
mod demo;
mod exit_code;
mod generated;
mod glob;
mod help;
mod hints;
mod invite;
mod lines;
mod one_shot;
mod output;
mod remote_path;
mod runtime;
mod secrets;
mod sending;
mod serve;
mod server_name;
mod session;
mod shell;
mod signals;
mod state_dir;
mod trust;
mod verb;
mod verbs;
mod words;

fn main() -> std::process::ExitCode {
    app::run().number().into()
}
