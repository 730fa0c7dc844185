//! The verbs: one definition for the command line, the shell and batches.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use fulmar_client::Endpoint;
use fulmar_proto::upload::OnExists;

/// A command of the shell, of a batch, or of the command line.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// Connect to a server; when already connected, say to which.
    #[command(visible_aliases = ["open", "connect"])]
    Connme {
        /// The server [default: FULMAR_SERVER, the last one used, localhost].
        endpoint: Option<Endpoint>,
    },
    /// List a directory.
    #[command(visible_alias = "dir")]
    Ls(LsArgs),
    /// Tell the size of files, and of directories with all that is in them.
    #[command(visible_alias = "du")]
    Size {
        /// What to measure.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<String>,
    },
    /// Remove files.
    #[command(visible_alias = "del")]
    Rm(RmArgs),
    /// Send files to the server.
    #[command(visible_aliases = ["put", "mput"])]
    Upload(TransferArgs),
    /// Fetch files from the server.
    #[command(visible_aliases = ["get", "mget"])]
    Download(TransferArgs),
    /// Describe one file or directory.
    Stat {
        /// What to describe.
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Make a directory.
    Mkdir {
        /// Make missing directories above it too, and accept one that exists.
        #[arg(short, long)]
        parents: bool,
        /// The directory.
        #[arg(value_name = "DIR")]
        path: String,
    },
    /// Rename a file or a directory, or move it into an existing directory.
    Mv(MvArgs),
    /// Compare a local file and a remote one by their BLAKE3 digests.
    Verify {
        /// The local file.
        #[arg(value_name = "LOCAL")]
        local: PathBuf,
        /// The remote file.
        #[arg(value_name = "REMOTE")]
        remote: String,
    },
    /// Print a remote file's BLAKE3 digest.
    Hash {
        /// The file.
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Change the remote directory (shell and batch).
    Cd {
        /// The directory [default: the root].
        #[arg(value_name = "DIR")]
        path: Option<String>,
    },
    /// Print the remote directory (shell and batch).
    Pwd,
    /// List a local directory.
    Lls(LlsArgs),
    /// Change the local directory (shell and batch).
    Lcd {
        /// The directory [default: your home directory].
        #[arg(value_name = "DIR")]
        path: Option<PathBuf>,
    },
    /// Print the local directory.
    Lpwd,
    /// Print help, on one command when it is named.
    #[command(visible_alias = "?")]
    Help {
        /// The command.
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
    /// Close the connection and stay in the shell; when not connected, leave the shell.
    #[command(visible_alias = "bye")]
    Byebye,
    /// Leave the shell.
    #[command(visible_alias = "exit")]
    Quit,
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
    /// The directory [default: the current one].
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
    /// What to remove.
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
    /// What to do when a target exists.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    on_exists: Existing,
}

impl ExistingArgs {
    /// What both options together come to.
    pub(crate) fn on_exists(self) -> OnExists {
        match self.on_exists {
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
    /// `-` is standard input or output.
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
