//! What clients asked for and what they were told, held against what is stored and what they read.
//!
//! Each name is a register. A change (an upload, a removal, a move) begins, and is then acknowledged, refused, or nobody
//! ever learns what became of it. What a name may hold follows:
//!
//! * An acknowledged change counts from then on: what others were acknowledged before it began is over. Of changes that
//!   overlapped, any may have come last.
//! * A change whose end nobody knows may have happened, at any time since it began. One that must not replace anything
//!   may have happened only if the name may have been free.
//! * A name holds, as a whole, something that was offered for it. No mixtures, no beginnings.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_proto::{digest::Digest, path::RelPath};

/// What a name holds: a file with this digest, or nothing.
pub(super) type Content = Option<Digest>;

/// What a change makes of a name.
#[derive(Clone, Debug)]
struct Effect {
    /// One of these.
    contents: BTreeSet<Content>,
    /// Or whatever this name holds when it is moved here.
    moved_from: Option<RelPath>,
    replaces: bool,
}

/// What is known about one name.
#[derive(Debug, Default)]
struct Name {
    /// What was acknowledged and is not over, and when that was.
    settled: Vec<(u64, Content)>,
    /// When the changes began that nobody has heard the end of.
    open: BTreeSet<u64>,
    /// All that was ever begun, by when.
    begun: BTreeMap<u64, Effect>,
    /// The same in words, for whoever has to find out why a run failed.
    history: Vec<String>,
}

/// A change that has begun.
#[derive(Clone, Debug)]
pub(super) struct Change {
    path: RelPath,
    began: u64,
}

/// A look at a name that has begun.
#[derive(Debug)]
pub(super) struct Look {
    path: RelPath,
    began: u64,
    possible: BTreeSet<Content>,
}

/// What is known about all names.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    names: BTreeMap<RelPath, Name>,
    /// Counts events.
    now: u64,
}

impl Ledger {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// A change begins, to one of `contents`.
    pub(super) fn begin(&mut self, path: &RelPath, contents: BTreeSet<Content>, replaces: bool) -> Change {
        self.begin_effect(path, Effect { contents, moved_from: None, replaces })
    }

    /// A move begins: what `from` holds by then goes to `to`.
    pub(super) fn begin_move(&mut self, from: &RelPath, to: &RelPath, replaces: bool) -> [Change; 2] {
        let contents = self.possible(from).into_iter().filter(Option::is_some).collect();
        let effect = Effect { contents, moved_from: Some(from.clone()), replaces };
        [self.begin_effect(to, effect), self.begin(from, BTreeSet::from([None]), true)]
    }

    fn begin_effect(&mut self, path: &RelPath, effect: Effect) -> Change {
        let began = self.tick();
        let name = self.names.entry(path.clone()).or_default();
        name.history.push(format!("{began}: begins {effect:?}"));
        name.begun.insert(began, effect);
        name.open.insert(began);
        Change { path: path.clone(), began }
    }

    /// The server has said that it is done.
    pub(super) fn acknowledge(&mut self, change: &Change) {
        let (now, contents) = (self.tick(), self.outcomes(&change.path, change.began));
        let name = self.names.entry(change.path.clone()).or_default();
        name.history.push(format!("{now}: acknowledged is {}", change.began));
        name.open.remove(&change.began);
        name.settled.retain(|(ended, _)| *ended > change.began);
        name.settled.extend(contents.into_iter().map(|content| (now, content)));
    }

    /// It certainly was not done.
    pub(super) fn refuse(&mut self, change: &Change) {
        if let Some(name) = self.names.get_mut(&change.path) {
            name.history.push(format!("refused is {}", change.began));
            name.open.remove(&change.began);
        }
    }

    /// What the change of a name that began then may have made of it by now.
    fn outcomes(&self, path: &RelPath, began: u64) -> BTreeSet<Content> {
        let effect = self.names.get(path).and_then(|name| name.begun.get(&began));
        let Some(effect) = effect else { return BTreeSet::new() };
        let mut outcomes = effect.contents.clone();
        if let Some(from) = &effect.moved_from {
            outcomes.extend(self.since(from, began).into_iter().filter(Option::is_some));
        }
        outcomes
    }

    /// What a name may have come to hold since then, also by way of other names.
    fn since(&self, path: &RelPath, since: u64) -> BTreeSet<Content> {
        let (mut contents, mut seen) = (BTreeSet::new(), BTreeMap::<&RelPath, u64>::new());
        let mut wanted = vec![(path, since)];
        while let Some((path, since)) = wanted.pop() {
            let Some(name) = self.names.get(path) else { continue };
            // What was looked at from an earlier time on has been looked at.
            if seen.get(path).is_some_and(|from| *from <= since) {
                continue;
            }
            seen.insert(path, since);
            for (began, effect) in name.begun.range(since + 1..) {
                contents.extend(effect.contents.iter().copied());
                wanted.extend(effect.moved_from.iter().map(|from| (from, *began)));
            }
        }
        contents
    }

    /// What a name may hold now.
    pub(super) fn possible(&self, path: &RelPath) -> BTreeSet<Content> {
        let Some(name) = self.names.get(path) else { return BTreeSet::from([None]) };
        let mut possible: BTreeSet<_> = name.settled.iter().map(|(_, content)| *content).collect();
        if name.settled.is_empty() {
            possible.insert(None);
        }
        let replaces = |began: &&u64| name.begun.get(began).is_some_and(|effect| effect.replaces);
        let (replacing, adding): (Vec<u64>, Vec<u64>) = name.open.iter().partition(replaces);
        possible.extend(replacing.into_iter().flat_map(|began| self.outcomes(path, began)));
        if possible.contains(&None) {
            possible.extend(adding.into_iter().flat_map(|began| self.outcomes(path, began)));
        }
        possible
    }

    /// Somebody begins to read a name.
    pub(super) fn look(&mut self, path: &RelPath) -> Look {
        Look { path: path.clone(), began: self.tick(), possible: self.possible(path) }
    }

    /// Whether a name can have held what was read, at any time since.
    pub(super) fn saw(&self, look: &Look, content: Content) -> Result<(), String> {
        let mut allowed = look.possible.clone();
        allowed.extend(self.since(&look.path, look.began));
        self.hold(&look.path, "was read as", content, &allowed)
    }

    /// Whether what is stored can have come from what happened.
    pub(super) fn check(&self, found: &BTreeMap<RelPath, Digest>) -> Result<(), String> {
        let mut paths = self.names.keys().chain(found.keys());
        paths.try_for_each(|path| self.hold(path, "holds", found.get(path).copied(), &self.possible(path)))
    }

    fn hold(
        &self,
        path: &RelPath,
        holds: &str,
        content: Content,
        allowed: &BTreeSet<Content>,
    ) -> Result<(), String> {
        if allowed.contains(&content) {
            return Ok(());
        }
        let history = self.names.get(path).map(|name| name.history.join("\n  ")).unwrap_or_default();
        Err(format!("{path:?} {holds} {content:?}, but can only be one of {allowed:?}\n  {history}"))
    }
}

#[test]
fn a_ledger_finds_what_is_wrong() {
    let path: RelPath = "a".parse().expect("a path");
    let [old, new, other] = [b"old", b"new", b"xxx"].map(|bytes| Some(Digest::of(bytes)));
    let holding = |content: Content| content.into_iter().map(|digest| (path.clone(), digest)).collect();
    let allowed = |ledger: &Ledger| {
        [None, old, new, other].map(|content| u8::from(ledger.check(&holding(content)).is_ok()))
    };
    let mut ledger = Ledger::default();
    let begin =
        |ledger: &mut Ledger, content, replaces| ledger.begin(&path, BTreeSet::from([content]), replaces);
    // Not acknowledged: it may be there, whole, or not.
    let first = begin(&mut ledger, old, false);
    assert_eq!(allowed(&ledger), [1, 1, 0, 0]);
    ledger.acknowledge(&first);
    assert_eq!(allowed(&ledger), [0, 1, 0, 0]);
    // What must not replace anything cannot have happened now.
    let adding = begin(&mut ledger, other, false);
    assert_eq!(allowed(&ledger), [0, 1, 0, 0]);
    // Of two that overlap either may have come last, and what was there before is over.
    let (second, removal) = (begin(&mut ledger, new, true), begin(&mut ledger, None, true));
    assert_eq!(allowed(&ledger), [1, 1, 1, 1]);
    ledger.refuse(&adding);
    assert_eq!(allowed(&ledger), [1, 1, 1, 0]);
    let look = ledger.look(&path);
    ledger.acknowledge(&second);
    ledger.acknowledge(&removal);
    assert_eq!(allowed(&ledger), [1, 0, 1, 0]);
    // Whoever began to read before that may have read the old one, and one that comes meanwhile.
    let third = begin(&mut ledger, other, true);
    assert_eq!([None, old, new, other].map(|content| ledger.saw(&look, content).is_ok()), [true; 4]);
    ledger.acknowledge(&third);
    assert_eq!(allowed(&ledger), [0, 0, 0, 1]);
    let look = ledger.look(&path);
    assert!(ledger.saw(&look, old).is_err_and(|text| text.contains("was read as")));
    // What is moved is what is there by then.
    let to: RelPath = "b".parse().expect("a path");
    let moves = ledger.begin_move(&path, &to, true);
    let overtaking = begin(&mut ledger, old, true);
    for change in moves.iter().chain([&overtaking]) {
        ledger.acknowledge(change);
    }
    assert_eq!(ledger.possible(&to), BTreeSet::from([old, other]));
    assert_eq!(ledger.possible(&path), BTreeSet::from([None, old]));
}
