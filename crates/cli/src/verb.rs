//! The verbs: one definition for the command line, the shell and batches.

mod examples;

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use fulmar_proto::{fingerprint::Fingerprint, upload::OnExists};

use crate::{
    output::units,
    server_name::{HostName, ServerName},
};

/// A command of the shell, of a batch, or of the command line.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// Connect to a server; when already connected, say to which.
    ///
    /// The server is an address with or without a port (IPv6 in brackets), a name of the configuration file, or the
    /// invite that the server printed, which makes this machine known to it. A server whose key is not known yet is
    /// asked about.
    #[command(visible_aliases = ["open", "connect"], after_help = examples::CONNME)]
    Connme {
        /// The server [default: FULMAR_SERVER, the configuration file's, the last one used, localhost].
        endpoint: Option<ServerName>,
    },
    /// List a directory.
    ///
    /// Names that begin with a dot are left out unless asked for. A directory's name ends in a slash.
    #[command(visible_alias = "dir", after_help = examples::LS)]
    Ls(LsArgs),
    /// Tell the size of files, and of directories with all that is in them.
    ///
    /// MB are 10^6 bytes; the exact number of bytes stands behind.
    #[command(visible_alias = "du", after_help = examples::SIZE)]
    Size {
        /// What to measure. Patterns such as 'logs/*.gz' are expanded.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<String>,
    },
    /// Remove files.
    ///
    /// What was removed is gone for good: there is no bin. The answer names it.
    #[command(visible_alias = "del", after_help = examples::RM)]
    Rm(RmArgs),
    /// Send files to the server.
    ///
    /// A file appears under its name only when all of it has arrived, was verified and is on the server's disk. What exists
    /// there is replaced only if you say so.
    #[command(visible_aliases = ["put", "mput"], override_usage = "upload [OPTIONS] FILE... [DEST]", after_help = examples::UPLOAD)]
    Upload(TransferArgs),
    /// Fetch files from the server.
    ///
    /// A file appears under its name only when all of it has arrived, was verified and is on the local disk. What exists
    /// there is replaced only if you say so.
    #[command(visible_aliases = ["get", "mget"], override_usage = "download [OPTIONS] FILE... [DEST]", after_help = examples::DOWNLOAD)]
    Download(TransferArgs),
    /// Describe one file or directory.
    ///
    /// Its kind, size, time and permissions, and what the server's catalog knows of it: type, digest, who stored it.
    #[command(after_help = examples::STAT)]
    Stat {
        /// What to describe.
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Make a directory.
    ///
    /// Its parent has to exist, unless -p makes that too.
    #[command(after_help = examples::MKDIR)]
    Mkdir {
        /// Make missing directories above it too, and accept one that exists.
        #[arg(short, long)]
        parents: bool,
        /// The directory.
        #[arg(value_name = "DIR")]
        path: String,
    },
    /// Rename a file or a directory, or move it into an existing directory.
    ///
    /// It happens at once, on the server alone: no bytes are sent.
    #[command(after_help = examples::MV)]
    Mv(MvArgs),
    /// Compare a local file and a remote one by their BLAKE3 digests.
    ///
    /// Both sides read the whole file now. The exit code is 10 when they differ.
    #[command(after_help = examples::VERIFY)]
    Verify {
        /// The local file.
        #[arg(value_name = "LOCAL")]
        local: PathBuf,
        /// The remote file.
        #[arg(value_name = "REMOTE")]
        remote: String,
    },
    /// Print a remote file's BLAKE3 digest.
    ///
    /// It is what b3sum prints for the same bytes.
    #[command(after_help = examples::HASH)]
    Hash {
        /// The file.
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Change the remote directory (shell and batch).
    ///
    /// Remote paths that do not begin with a slash start there.
    #[command(after_help = examples::CD)]
    Cd {
        /// The directory [default: the root].
        #[arg(value_name = "DIR")]
        path: Option<String>,
    },
    /// Print the remote directory (shell and batch).
    ///
    /// The served directory is /.
    #[command(after_help = examples::PWD)]
    Pwd,
    /// List a local directory.
    ///
    /// Names that begin with a dot are left out unless asked for.
    #[command(after_help = examples::LLS)]
    Lls(LlsArgs),
    /// Change the local directory (shell and batch).
    ///
    /// Uploads are looked for there, and downloads go there.
    #[command(after_help = examples::LCD)]
    Lcd {
        /// The directory [default: your home directory].
        #[arg(value_name = "DIR")]
        path: Option<PathBuf>,
    },
    /// Print the local directory.
    ///
    /// Uploads are looked for there, and downloads go there.
    #[command(after_help = examples::LPWD)]
    Lpwd,
    /// Say what there is a connection to, and how it fares.
    ///
    /// The server, its key, what this client was granted at connecting, and what the transport has measured: round-trip
    /// time, congestion window, losses. Without a connection: what connme would connect to, and this client's own key.
    #[command(after_help = examples::STATUS)]
    Status,
    /// Find out what works between here and a server, and what limits transfers.
    ///
    /// It goes step by step: name, handshake, key, admission, round trip, packet size, socket. Then it sends random bytes for a
    /// while, takes them back, and says what kept it from being faster. Nothing is changed: an invite stays unused, and a key
    /// is recorded only where --trust-new, --fingerprint or an invite says so and the server lets this client in.
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// List, name, trust and forget servers.
    ///
    /// Names are kept in the configuration file (FULMAR_CONFIG, else fulmar/config.toml in your configuration folder), the
    /// keys of servers in known_hosts in the state folder. Without a command it lists both.
    #[command(disable_help_subcommand = true, after_help = examples::HOSTS)]
    Hosts {
        #[command(subcommand)]
        command: Option<HostsCommand>,
    },
    /// Print help, on one command when it is named.
    ///
    /// COMMAND --help prints the same.
    #[command(visible_alias = "?", after_help = examples::HELP)]
    Help {
        /// The command.
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
    /// Close the connection and stay in the shell; when not connected, leave the shell.
    ///
    /// Everything that was answered before is done; nothing is lost.
    #[command(visible_alias = "bye", after_help = examples::BYEBYE)]
    Byebye,
    /// Leave the shell.
    ///
    /// So does the end of the input (Ctrl-D). A connection is closed first.
    #[command(visible_alias = "exit", after_help = examples::QUIT)]
    Quit,
}

/// What to find out.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// The server [default: the one connected to, else the one that connme would connect to].
    pub(crate) endpoint: Option<ServerName>,
    /// How long each measurement takes; 0 leaves them out.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub(crate) seconds: u32,
    /// The most bytes of each measurement: a number, or 64MB, 1GiB.
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = units::parse_bytes)]
    pub(crate) limit: u64,
    /// Measure a download of this file too. What arrives is thrown away.
    #[arg(long, value_name = "REMOTE")]
    pub(crate) file: Option<String>,
}

/// What to do with named and known servers.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum HostsCommand {
    /// List servers with names and servers whose keys are known.
    List,
    /// Give a server a name.
    Add(AddHostArgs),
    /// Take a server's name away; its key stays known.
    Remove {
        /// The name.
        name: HostName,
    },
    /// Accept a server's key before the first connection.
    Trust {
        /// The server: an address or a name.
        endpoint: ServerName,
        /// The key, as `fulmar fingerprint` on the server prints it.
        #[arg(value_name = "SHA256:...")]
        key: Fingerprint,
    },
    /// Forget the keys of a server, so that a new one can be accepted.
    Forget {
        /// The server: an address or a name.
        endpoint: ServerName,
    },
}

/// A server that is to have a name.
#[derive(Args, Clone, Debug)]
pub(crate) struct AddHostArgs {
    /// Its name: letters, digits, '-', '_' and '.'.
    pub(crate) name: HostName,
    /// Its address, with a port unless that is 4433.
    pub(crate) endpoint: ServerName,
    /// The only key to accept from it.
    // The same identifier as the global option's: on the command line it takes that one's place here.
    #[arg(long, value_name = "SHA256:...")]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The first remote directory of shells and batches that connect to it by this name.
    #[arg(long, value_name = "DIR")]
    pub(crate) start_dir: Option<String>,
    /// Connect to it when no server is named.
    #[arg(long)]
    pub(crate) default: bool,
    /// Replace a server of this name.
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// What to list, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct LsArgs {
    /// A table of id, type, size, modification time (UTC) and name.
    #[arg(short)]
    pub(crate) long: bool,
    /// Names that begin with a dot too.
    #[arg(short)]
    pub(crate) all: bool,
    /// The directory, or a pattern such as 'logs/*.gz' [default: the current directory].
    #[arg(value_name = "DIR")]
    pub(crate) path: Option<String>,
}

/// What to list of the local side.
#[derive(Args, Clone, Debug)]
pub(crate) struct LlsArgs {
    /// A table of size, modification time (UTC) and name.
    #[arg(short)]
    pub(crate) long: bool,
    /// Names that begin with a dot too.
    #[arg(short)]
    pub(crate) all: bool,
    /// The directory [default: the current one].
    #[arg(value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
}

/// What to remove.
#[derive(Args, Clone, Debug)]
pub(crate) struct RmArgs {
    /// Remove directories with all that is in them.
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// What to remove. Patterns such as 'logs/*.gz' are expanded: everything that matches is removed and named,
    /// without a question; directories only with -r.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
}

/// What to rename.
#[derive(Args, Clone, Debug)]
pub(crate) struct MvArgs {
    #[command(flatten)]
    pub(crate) existing: ExistingArgs,
    /// The file or directory.
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// Its new name, or an existing directory.
    #[arg(value_name = "TO")]
    pub(crate) to: String,
}

/// What to do when a target exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Existing {
    /// Refuse; the same bytes are success all the same.
    #[default]
    Fail,
    /// Replace it.
    Overwrite,
    /// Leave it.
    Skip,
    /// Use `name (1).ext`.
    Rename,
}

/// The two ways to say it.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ExistingArgs {
    /// Replace targets that exist: the same as --on-exists overwrite.
    #[arg(short, long, conflicts_with = "on_exists")]
    force: bool,
    /// What to do when a target exists [default: fail].
    #[arg(long, value_name = "WHAT", value_enum)]
    on_exists: Option<Existing>,
}

impl ExistingArgs {
    /// What both options together come to.
    pub(crate) fn on_exists(self) -> OnExists {
        match self.on_exists.unwrap_or_default() {
            _ if self.force => OnExists::Overwrite,
            Existing::Fail => OnExists::Fail,
            Existing::Overwrite => OnExists::Overwrite,
            Existing::Skip => OnExists::Skip,
            Existing::Rename => OnExists::Rename,
        }
    }
}

/// What to transfer, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct TransferArgs {
    #[command(flatten)]
    pub(crate) existing: ExistingArgs,
    /// Directories with all that is in them. Links are left out and told.
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Leave out what matches, with -r; may be given several times. A pattern without a slash matches names at any depth,
    /// one with a slash paths from where each operand begins, one with a slash at its end directories alone.
    #[arg(long, value_name = "GLOB", requires = "recursive")]
    pub(crate) exclude: Vec<String>,
    /// Only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Keep the executable bit.
    #[arg(short = 'p', long = "executable")]
    pub(crate) executable: bool,
    /// Do not keep the modification time.
    #[arg(long = "no-mtime", action = ArgAction::SetFalse)]
    pub(crate) modified: bool,
    /// The existing directory that all files go into.
    #[arg(long = "to", value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// The files, then the target: a directory or, for one file, a new name [default: the current directory].
    /// `-` is standard input or output. Patterns such as '*.jpg' stand for the files that they match; then the target
    /// has to be a directory.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) operands: Vec<PathBuf>,
}

impl Verb {
    /// The verb's name in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Connme { .. } => "connme",
            Self::Ls(_) => "ls",
            Self::Size { .. } => "size",
            Self::Rm(_) => "rm",
            Self::Upload(_) => "upload",
            Self::Download(_) => "download",
            Self::Stat { .. } => "stat",
            Self::Mkdir { .. } => "mkdir",
            Self::Mv(_) => "mv",
            Self::Verify { .. } => "verify",
            Self::Hash { .. } => "hash",
            Self::Cd { .. } => "cd",
            Self::Pwd => "pwd",
            Self::Lls(_) => "lls",
            Self::Lcd { .. } => "lcd",
            Self::Lpwd => "lpwd",
            Self::Status => "status",
            Self::Doctor(_) => "doctor",
            Self::Hosts { .. } => "hosts",
            Self::Help { .. } => "help",
            Self::Byebye => "byebye",
            Self::Quit => "quit",
        }
    }

    /// Whether the verb means something only where several commands follow one another.
    pub(crate) fn needs_shell(&self) -> bool {
        matches!(self, Self::Cd { .. } | Self::Pwd | Self::Lcd { .. } | Self::Byebye | Self::Quit)
    }
}
