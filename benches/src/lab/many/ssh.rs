//! sshd, and rsync and scp over it, with keys of their own: nothing of the user's or the system's is read or written but the programs.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use fulmar_netsim::tun::{Access, Side};
use fulmar_proto::text::Escaped;

use super::{
    plan::{Task, Who},
    programs::text,
};

/// Where sshd listens, in a namespace of its own.
const PORT: u16 = 2222;

/// What the tree is called at the server.
const TARGET: &str = "arrived";

/// Where servers' programs are besides `PATH`.
const MORE_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The programs, and the folder with their keys.
#[derive(Debug)]
pub(super) struct Ssh {
    sshd: PathBuf,
    rsync: PathBuf,
    scp: PathBuf,
    ssh: PathBuf,
    folder: PathBuf,
}

impl Ssh {
    /// Finds the programs and makes the keys. The error says what is missing.
    pub(super) fn prepare(folder: &Path, access: Access) -> Result<Self> {
        ensure!(access == Access::Granted, "sshd needs the rights of root, not those of a user namespace");
        let [sshd, rsync, scp, ssh, keygen] =
            found(["sshd", "rsync", "scp", "ssh", "ssh-keygen"], &folders())?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let this = Self { sshd, rsync, scp, ssh, folder: folder.to_owned() };
        for key in ["host", "client"] {
            let mut command = Command::new(&keygen);
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(this.folder.join(key));
            said(&mut command).context("cannot make a key for ssh")?;
        }
        fs::copy(this.folder.join("client.pub"), this.folder.join("authorized"))?;
        let host = fs::read_to_string(this.folder.join("host.pub"))?;
        fs::write(this.folder.join("known"), format!("[{}]:{PORT} {host}", Side::Server.address()))?;
        fs::write(this.folder.join("config"), configuration(text(&this.folder)?))?;
        // It says, for example, that its own folder under /run is missing where it has never been started as a service.
        let mut command = Command::new(&this.sshd);
        said(command.arg("-t").arg("-f").arg(this.folder.join("config")))
            .context("sshd cannot be started")?;
        Ok(this)
    }

    /// The server.
    pub(super) fn server(&self) -> Result<Vec<String>> {
        Ok([text(&self.sshd)?, "-D", "-e", "-f", text(&self.folder.join("config"))?]
            .map(str::to_owned)
            .to_vec())
    }

    /// The client that does a task.
    pub(super) fn client(&self, task: Task, source: &Path, dir: &Path) -> Result<Vec<String>> {
        let options = self.options()?;
        let target = format!("{}:{}", Side::Server.address(), text(&Self::target(dir))?);
        let (source, port) = (text(source)?, PORT.to_string());
        match task.who {
            Who::Rsync => {
                let shell = [vec![text(&self.ssh)?.to_owned(), "-p".to_owned(), port], options].concat();
                // With the slash it is what is in the tree that goes into the target.
                let words = [
                    text(&self.rsync)?,
                    "-a",
                    "-e",
                    &shell_words::join(shell),
                    &format!("{source}/"),
                    &target,
                ];
                Ok(words.map(str::to_owned).to_vec())
            }
            Who::Scp => {
                let words = [text(&self.scp)?, "-q", "-r", "-P", &port].map(str::to_owned).to_vec();
                Ok([words, options, vec![source.to_owned(), target]].concat())
            }
            Who::Fulmar | Who::FulmarOneFile => bail!("fulmar needs no ssh"),
        }
    }

    /// Where in the folder it arrives.
    pub(super) fn target(dir: &Path) -> PathBuf {
        dir.join(TARGET)
    }

    /// What keeps the user's settings, keys and agent out.
    fn options(&self) -> Result<Vec<String>> {
        let known = format!("UserKnownHostsFile={}", text(&self.folder.join("known"))?);
        let settings = [
            known.as_str(),
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "ControlPath=none",
        ];
        let settings = settings.into_iter().flat_map(|setting| ["-o", setting]).map(str::to_owned);
        let key = self.folder.join("client");
        Ok(["-F", "none", "-i", text(&key)?].map(str::to_owned).into_iter().chain(settings).collect())
    }
}

/// The folders in which programs are looked for.
fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(MORE_FOLDERS.map(PathBuf::from)).collect()
}

/// The paths of programs. sshd must be called by its whole path.
fn found<const N: usize>(names: [&str; N], folders: &[PathBuf]) -> Result<[PathBuf; N]> {
    let find = |name: &str| {
        let paths = folders.iter().filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
        paths.into_iter().find(|path| path.is_file())
    };
    let missing: Vec<&str> = names.into_iter().filter(|name| find(name).is_none()).collect();
    ensure!(
        missing.is_empty(),
        "there is no {} (Debian and Ubuntu: apt-get install openssh-server rsync)",
        missing.join(" and no ")
    );
    Ok(names.map(|name| find(name).unwrap_or_default()))
}

/// What sshd is told.
fn configuration(folder: &str) -> String {
    let address = Side::Server.address();
    format!(
        "ListenAddress {address}\nPort {PORT}\nHostKey \"{folder}/host\"\nAuthorizedKeysFile \"{folder}/authorized\"\nPidFile none\n\
         StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nUseDNS no\nPrintMotd no\nPrintLastLog no\nPermitUserRC no\n\
         AllowTcpForwarding no\nX11Forwarding no\nLogLevel ERROR\nSubsystem sftp internal-sftp\n"
    )
}

/// Runs a command. The error is the last that it said.
fn said(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().next_back().unwrap_or("it says nothing");
    if output.status.success() { Ok(()) } else { bail!("{}", Escaped(last)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_to_install() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("scp"), "").expect("written");
        let folders = [PathBuf::from("relative"), dir.path().to_owned()];
        let error = found(["sshd", "scp", "rsync"], &folders).expect_err("missing").to_string();
        assert!(
            error.starts_with("there is no sshd and no rsync (") && error.contains("apt-get install"),
            "{error}"
        );
        assert_eq!(found(["scp"], &folders).expect("there"), [dir.path().join("scp")]);
    }

    #[test]
    fn without_the_rights_of_root_there_is_no_sshd() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = Ssh::prepare(dir.path(), Access::UserNamespace).expect_err("refused").to_string();
        assert!(error.contains("rights of root"), "{error}");
    }

    #[test]
    fn nothing_of_the_users_is_used() {
        let program = PathBuf::from("/bin/program");
        let ssh = Ssh {
            sshd: program.clone(),
            rsync: program.clone(),
            scp: program.clone(),
            ssh: program,
            folder: PathBuf::from("/tmp/a b"),
        };
        for who in [Who::Rsync, Who::Scp] {
            let task = Task { who, count: 9 };
            let words = ssh.client(task, Path::new("/from"), Path::new("/to")).expect("words").join(" ");
            for setting in
                ["-F none", "/tmp/a b/client", "UserKnownHostsFile=/tmp/a b/known", "IdentityAgent=none"]
            {
                assert!(words.contains(setting), "{words}");
            }
            assert!(words.ends_with(" 10.77.0.2:/to/arrived"), "{words}");
        }
        assert!(configuration("/tmp/a b").contains("HostKey \"/tmp/a b/host\"\n"));
        assert!(
            ssh.client(Task { who: Who::Fulmar, count: 9 }, Path::new("/from"), Path::new("/to")).is_err()
        );
    }
}
