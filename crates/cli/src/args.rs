//! The command line: global options, and what the process is to do.

use std::{net::SocketAddr, num::NonZeroU64, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use fulmar_proto::{fingerprint::Fingerprint, grants::Grants};

use crate::{
    clients::ClientsCommand,
    output::{progress::ProgressMode, units},
    sending::{self, Congestion},
    server_name::ServerName,
    verb::Verb,
};

/// What `--help` and the manual page show at the end.
const SURROUNDINGS: &str = "Environment:
  FULMAR_SERVER  the server, as with -s
  FULMAR_STATE   the folder of keys and known servers, as with --state
  FULMAR_CONFIG  the configuration file [default:
                 fulmar/config.toml in your configuration folder]
  FULMAR_CONGESTION
                 how to share the path, as with --congestion

Exit codes:
  0 done, 1 other failure, 2 usage, 3 not found, 4 refused,
  5 no connection, 6 server not trusted, 7 several kinds of failure,
  8 target exists, 10 digest mismatch, 11 local disk, 12 protocol,
  130 SIGINT, 143 SIGTERM";

/// Encrypted file transfer over QUIC for networks that lose packets.
///
/// Without a command it is an interactive shell. Commands of the shell are commands of the command line too, there with
/// `-s ENDPOINT`.
#[derive(Debug, Parser)]
#[command(name = "fulmar", version, disable_help_subcommand = true, after_long_help = SURROUNDINGS)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    /// Run the commands in FILE (`-`: standard input), one per line, until the first failure. `-cmd` ignores one.
    #[arg(short = 'b', long = "batch", value_name = "FILE")]
    pub(crate) batch: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The server: an address, a name of the configuration file, or an invite.
    #[arg(
        short = 's',
        long = "server",
        value_name = "ENDPOINT",
        global = true,
        help = "The server: HOST[:PORT], [V6][:PORT], a name of the configuration file, or an invite fulmar://FINGERPRINT.TOKEN@HOST:PORT [env: FULMAR_SERVER]"
    )]
    pub(crate) server: Option<ServerName>,

    /// Where keys and known servers are kept [env: FULMAR_STATE] [default: the user's state directory].
    #[arg(long = "state", value_name = "DIR", global = true)]
    pub(crate) state: Option<PathBuf>,

    /// Print objects, one per line, instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// How to show progress [default: auto, unless the configuration file says otherwise].
    #[arg(long, value_name = "HOW", value_enum, global = true)]
    pub(crate) progress: Option<ProgressMode>,

    /// Print errors and data only.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Print more on standard error: which address answered, what crossed the network, why nothing did.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,

    /// Accept only a server with this key.
    #[arg(long, value_name = "SHA256:...", global = true)]
    pub(crate) fingerprint: Option<Fingerprint>,

    /// Accept the key of a server that is not known yet, and record it. A changed key is refused all the same.
    #[arg(long, conflicts_with = "fingerprint", global = true)]
    pub(crate) trust_new: bool,

    /// Answer yes to questions, except to the one about a server's key (see --trust-new).
    #[arg(short = 'y', long, global = true)]
    pub(crate) yes: bool,

    /// Give up connecting after this long [default: 10s, unless the configuration file says otherwise].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, global = true)]
    pub(crate) connect_timeout: Option<Duration>,

    /// Send no faster than this, in either direction: bytes per second, or 500kB, 2MiB.
    #[arg(long, value_name = "BYTES_PER_S", value_parser = sending::parse_rate, global = true)]
    pub(crate) rate: Option<NonZeroU64>,

    /// How to share the path with others, in either direction [env: FULMAR_CONGESTION] [default: lrc].
    #[arg(long, value_name = "HOW", value_enum, global = true)]
    pub(crate) congestion: Option<Congestion>,
}

/// What the process is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Open the interactive shell.
    Shell {
        /// The server to connect to first.
        endpoint: Option<ServerName>,
    },
    /// Serve a directory.
    Serve(ServeArgs),
    /// Show everything on this machine alone: serve, upload, ls, size, download, verify, rm.
    Demo,
    /// Make an invite for the server whose state is on this machine.
    Invite(InviteArgs),
    /// Print the fingerprint of this machine's server key.
    Fingerprint {
        /// Print that of the client key instead.
        #[arg(long)]
        client: bool,
    },
    /// List, add and revoke the clients of the server whose state is on this machine.
    ///
    /// A running server takes every change over within a second. Without a command it lists.
    #[command(disable_help_subcommand = true, after_help = crate::clients::EXAMPLES)]
    Clients {
        #[command(subcommand)]
        command: Option<ClientsCommand>,
    },
    /// Print a script that completes commands and options in your shell.
    ///
    /// Put it where your shell looks for such scripts, or read it at the shell's start.
    #[command(after_help = crate::generated::COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command.
    #[command(after_help = crate::generated::MAN_EXAMPLES)]
    Man {
        /// Write fulmar.1 and a page for each command into DIR, which is made when absent.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    #[command(flatten)]
    Verb(Verb),
}

/// Which strangers may do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Anonymous {
    /// Nothing: only enrolled clients are admitted.
    #[default]
    None,
    /// List and read.
    Read,
    /// List, read and store new files.
    Write,
}

impl Anonymous {
    /// The grants that a stranger has.
    pub(crate) fn grants(self) -> Grants {
        let read = Grants::LIST.with(Grants::READ);
        match self {
            Self::None => Grants::NONE,
            Self::Read => read,
            Self::Write => read.with(Grants::WRITE),
        }
    }
}

/// An address as `--public-addr` takes it: the port may be left to the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicAddress {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl std::str::FromStr for PublicAddress {
    type Err = fulmar_proto::address::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address: fulmar_proto::address::HostPort = text.parse()?;
        // Behind the brackets of an IPv6 address, or anywhere else, a port follows the last colon.
        let behind_host = text.rsplit_once(']').map_or(text, |(_, rest)| rest);
        let port = behind_host.contains(':').then(|| address.port());
        Ok(Self { host: address.host().to_owned(), port })
    }
}

/// How to serve.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The directory to serve; made when absent.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// Where to listen.
    #[arg(
        long,
        value_name = "ADDR:PORT",
        help = "Where to listen; port 0 takes any [default: [::]:4433, IPv4 alone when IPv6 is off]"
    )]
    pub(crate) listen: Option<SocketAddr>,

    /// The address that invites carry, where it is not the one listened on.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) public_addr: Option<PublicAddress>,

    /// Make an invite now, also when clients are enrolled already.
    #[arg(long)]
    pub(crate) invite: bool,

    /// Refuse everything that would change what is stored.
    #[arg(long)]
    pub(crate) read_only: bool,

    /// What clients that are not enrolled may do.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub(crate) anonymous: Anonymous,

    /// Refuse a new name with another extension, in uploads, renames and downloads.
    #[arg(long)]
    pub(crate) keep_extension: bool,

    /// Refuse to replace what is stored.
    #[arg(long)]
    pub(crate) no_overwrite: bool,

    /// Append a JSON line to FILE for each connection and command.
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,

    /// The most connections at once.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,

    /// The most memory for transfers, over all connections: a number of bytes, or 64MB, 1GiB.
    #[arg(long, value_name = "BYTES", default_value = "512MiB", value_parser = units::parse_bytes)]
    pub(crate) max_memory: u64,
}

/// How to make an invite.
#[derive(Args, Debug)]
pub(crate) struct InviteArgs {
    /// What the invited client may do: words out of list, read, write, delete, joined by commas; or all.
    #[arg(long, value_name = "GRANTS", default_value = "all")]
    pub(crate) grants: Grants,

    /// How long the invite can be used.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) expires: Duration,

    /// The address that the invite carries [default: the one that the server listened on last].
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) public_addr: Option<PublicAddress>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::HostsCommand;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let before = Cli::try_parse_from(["fulmar", "--json", "-s", "lab", "ls"]).expect("parses");
        let after = Cli::try_parse_from(["fulmar", "ls", "-s", "lab", "--json"]).expect("parses");
        for cli in [before, after] {
            assert!(cli.global.json);
            assert_eq!(cli.global.server, Some("lab".parse().expect("a server")));
            assert!(matches!(cli.command, Some(Command::Verb(Verb::Ls(_)))));
        }
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let cli = Cli::try_parse_from(["fulmar", "serve", "d"]).expect("parses");
        assert_eq!((cli.global.connect_timeout, cli.global.progress), (None, None));
        let Some(Command::Serve(serve)) = cli.command else { panic!("not serve") };
        assert_eq!(serve.listen, None);
        assert_eq!(serve.anonymous.grants(), Grants::NONE);
        assert!(!serve.invite && !serve.read_only && !serve.keep_extension && !serve.no_overwrite);
    }

    #[test]
    fn trust_new_and_a_pin_exclude_each_other() {
        let pin = format!("SHA256:{}", "A".repeat(43));
        let both = ["fulmar", "--trust-new", "--fingerprint", &pin, "ls"];
        assert!(Cli::try_parse_from(both).is_err());
    }

    #[test]
    fn a_pin_of_hosts_add_is_its_own_wherever_it_stands() {
        let pin = format!("SHA256:{}", "A".repeat(43));
        let cli = Cli::try_parse_from(["fulmar", "hosts", "add", "lab", "h", "--fingerprint", &pin]);
        let Some(Command::Verb(Verb::Hosts { command: Some(HostsCommand::Add(args)) })) =
            cli.expect("parses").command
        else {
            panic!("not hosts add")
        };
        assert_eq!(args.fingerprint, Some(Fingerprint([0; 32])));
    }

    #[test]
    fn a_public_address_may_leave_the_port_out() {
        let cases = [
            ("lab", "lab", None),
            ("lab:99", "lab", Some(99)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:99", "2001:db8::1", Some(99)),
        ];
        for (text, host, port) in cases {
            let parsed: PublicAddress = text.parse().expect("an address");
            assert_eq!(parsed, PublicAddress { host: host.to_owned(), port }, "{text}");
        }
        assert!("a b".parse::<PublicAddress>().is_err());
    }
}
