//! What is written down about a lab, for later commands.
//!
//! Whoever has a lab keeps the file locked for as long as it lives. A file that can be locked by somebody else was left
//! behind by one that was killed; so nothing here depends on process numbers, which are used again.

use std::{
    env,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use fulmar_netsim::tun::{Access, Lab, Namespace, Side};
use serde::{Deserialize, Serialize};

/// The lab that is up, as opposed to those of `lab run`.
pub(super) const UP: &str = "up";

/// What others need to know of a lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// In the environment of everything that runs inside, and of nothing else.
    pub(super) id: String,
    /// Who holds it.
    pub(super) pid: u32,
    /// Whether that is in a user namespace of its own.
    pub(super) user_namespace: bool,
    /// The numbers of its descriptors of the client's and the server's namespace.
    descriptors: [i32; 2],
}

impl State {
    /// Of a lab of this process.
    pub(super) fn of(lab: &Lab, access: Access) -> Result<Self> {
        Self::of_namespaces(|side| lab.namespace(side), access)
    }

    /// Of namespaces of this process that are joined in another way.
    pub(super) fn of_namespaces<'a>(
        namespace: impl Fn(Side) -> &'a Namespace,
        access: Access,
    ) -> Result<Self> {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        Ok(Self {
            id: format!("{:032x}", u128::from_ne_bytes(random)),
            pid: std::process::id(),
            user_namespace: access == Access::UserNamespace,
            descriptors: Side::BOTH.map(|side| namespace(side).descriptor()),
        })
    }

    /// What leads to one end's namespace.
    pub(super) fn namespace(&self, side: Side) -> PathBuf {
        let [client, server] = self.descriptors;
        let descriptor = match side {
            Side::Client => client,
            Side::Server => server,
        };
        PathBuf::from(format!("/proc/{}/fd/{descriptor}", self.pid))
    }
}

/// A folder that is this user's alone.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// A file that says that there is a lab. It goes when this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    file: File,
    path: PathBuf,
    kept: bool,
}

/// What a file says.
#[derive(Debug)]
pub(super) enum Found {
    /// There is none.
    Nothing,
    /// A lab that somebody has; none when it is only being made.
    Held(Option<State>),
    /// What was left by somebody who was killed, and the right to remove it.
    Abandoned(Option<State>, Claim),
}

impl Folder {
    /// `$XDG_RUNTIME_DIR/fulmar-lab`, or `/tmp/fulmar-lab-UID`. To be called before any user namespace.
    pub(super) fn open() -> Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let path = match env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => Path::new(&dir).join("fulmar-lab"),
            None => PathBuf::from(format!("/tmp/fulmar-lab-{uid}")),
        };
        Self::at(path, uid)
    }

    fn at(path: PathBuf, uid: u32) -> Result<Self> {
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        if let Err(error) = made
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error).with_context(|| format!("cannot make {}", path.display()));
        }
        // Somebody else may have put something there before, in /tmp.
        let meta =
            fs::symlink_metadata(&path).with_context(|| format!("cannot look at {}", path.display()))?;
        if !meta.is_dir() || meta.uid() != uid || meta.mode() & 0o077 != 0 {
            bail!("{} is not a folder of this user's alone", path.display());
        }
        Ok(Self(path))
    }

    /// Where the lab that is up can be asked.
    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("up.sock")
    }

    /// What the lab that is up has to say of itself.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("up.log")
    }

    /// The names of all files that are there.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).with_context(|| format!("cannot read {}", self.0.display()))? {
            let name = entry?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What a file says.
    pub(super) fn find(&self, name: &str) -> Result<Found> {
        let path = self.path(name);
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        let locked = file.try_lock();
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
        let state = serde_json::from_str(&text).ok();
        match locked {
            Ok(()) if !is_still(&file, &path) => self.find(name),
            Ok(()) => Ok(Found::Abandoned(state, Claim { file, path, kept: false })),
            Err(TryLockError::WouldBlock) => Ok(Found::Held(state)),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Claims a name; none when somebody has it.
    pub(super) fn claim(&self, name: &str) -> Result<Option<Claim>> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).with_context(|| format!("cannot make {}", path.display()))?;
        match file.try_lock() {
            Ok(()) if is_still(&file, &path) => Ok(Some(Claim { file, path, kept: false })),
            // Removed by its last owner meanwhile.
            Ok(()) => self.claim(name),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Removes what holds nothing: a log in which nothing was said, and the folder when that was all.
    pub(super) fn tidy(&self) {
        if fs::metadata(self.log()).is_ok_and(|meta| meta.len() == 0) {
            let _ = fs::remove_file(self.log());
        }
        // Refused when there is anything in it.
        let _ = fs::remove_dir(&self.0);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }
}

impl Claim {
    /// Writes down what others need to know.
    pub(super) fn publish(&mut self, state: &State) -> Result<()> {
        let text = serde_json::to_string(state)?;
        self.file.set_permissions(Permissions::from_mode(0o600))?;
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Claim {
    /// Whether it is the one for a name.
    pub(super) fn is_for(&self, name: &str) -> bool {
        self.path.file_stem().is_some_and(|stem| stem == name)
    }

    /// Lets go of it without removing the file.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // What cannot be removed is taken for left behind, and is removed by the next `lab down`.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a path still leads to an open file.
fn is_still(file: &File, path: &Path) -> bool {
    let same =
        |(open, named): (fs::Metadata, fs::Metadata)| (open.dev(), open.ino()) == (named.dev(), named.ino());
    file.metadata().and_then(|open| Ok((open, fs::symlink_metadata(path)?))).is_ok_and(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().expect("a folder");
        let uid = rustix::process::geteuid().as_raw();
        let folder = Folder::at(dir.path().join("lab"), uid).expect("made");
        (dir, folder)
    }

    fn state() -> State {
        State { id: "1f".to_owned(), pid: 7, user_namespace: false, descriptors: [3, 4] }
    }

    #[test]
    fn a_claimed_name_is_held_until_the_claim_goes() {
        let (_dir, folder) = folder();
        assert!(matches!(folder.find(UP).expect("read"), Found::Nothing));
        let mut claim = folder.claim(UP).expect("made").expect("free");
        assert!(matches!(folder.find(UP).expect("read"), Found::Held(None)), "being made");
        claim.publish(&state()).expect("written");
        let Found::Held(Some(found)) = folder.find(UP).expect("read") else { panic!("not held") };
        assert_eq!(found.namespace(Side::Server), Path::new("/proc/7/fd/4"));
        assert_eq!(found.namespace(Side::Client), Path::new("/proc/7/fd/3"));
        assert!(folder.claim(UP).expect("tried").is_none());
        assert_eq!(folder.names().expect("read"), [UP]);
        drop(claim);
        assert!(matches!(folder.find(UP).expect("read"), Found::Nothing));
        assert!(folder.names().expect("read").is_empty());
    }

    #[test]
    fn what_was_left_behind_is_told_from_what_is_held() {
        let (dir, folder) = folder();
        let text = serde_json::to_string(&state()).expect("text");
        fs::write(dir.path().join("lab/run-9.json"), text).expect("written");
        let Found::Abandoned(Some(left), claim) = folder.find("run-9").expect("read") else {
            panic!("not left")
        };
        assert_eq!(left.id, "1f");
        assert!(matches!(folder.find("run-9").expect("read"), Found::Held(_)), "only one cleans up");
        drop(claim);
        assert!(matches!(folder.find("run-9").expect("read"), Found::Nothing));
    }

    #[test]
    fn only_what_holds_nothing_is_tidied_away() {
        let (_dir, folder) = folder();
        fs::write(folder.log(), "it failed").expect("written");
        folder.tidy();
        assert!(folder.log().exists());
        fs::write(folder.log(), "").expect("written");
        let claim = folder.claim(UP).expect("made").expect("free");
        folder.tidy();
        assert!(!folder.log().exists() && folder.0.exists(), "somebody has a lab");
        drop(claim);
        folder.tidy();
        assert!(!folder.0.exists());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let uid = rustix::process::geteuid().as_raw();
        let (open, link) = (dir.path().join("open"), dir.path().join("link"));
        fs::create_dir(&open).expect("made");
        fs::set_permissions(&open, Permissions::from_mode(0o770)).expect("set");
        assert!(Folder::at(open.clone(), uid).is_err());
        fs::set_permissions(&open, Permissions::from_mode(0o700)).expect("set");
        assert!(Folder::at(open.clone(), uid).is_ok());
        assert!(Folder::at(open.clone(), uid + 1).is_err(), "somebody else's");
        std::os::unix::fs::symlink(&open, &link).expect("made");
        assert!(Folder::at(link, uid).is_err());
    }
}
