//! Callers who give up waiting while a job is on its way.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use fulmar_disk::{Executor, Job, Offload};
use fulmar_proto::{
    digest::RangeDigest,
    range::{MIN_RANGE_BYTES, Range},
};
use fulmar_store::{LocalOptions, LocalStore, NewUpload, StoreError, Uploads};
use tempfile::TempDir;

use crate::support::{ALICE, commit, environment, exists, key, read, upload, write_all};

/// Runs a job when it is told to.
#[derive(Debug, Default)]
struct Manual(Mutex<Jobs>);

#[derive(Default)]
struct Jobs(VecDeque<Job>);

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} jobs", self.0.len())
    }
}

impl Executor for Manual {
    fn execute(&self, job: Job) {
        self.0.lock().unwrap().0.push_back(job);
    }
}

impl Manual {
    fn run_one(&self) -> bool {
        let job = self.0.lock().unwrap().0.pop_front();
        job.map(|job| job()).is_some()
    }

    /// Polls to the end, running a job whenever it has to wait for one.
    fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            assert!(self.run_one(), "it waits for something else than a job");
        }
    }

    /// Polls once, expects that it waits, and gives up.
    fn give_up<T>(future: impl Future<Output = T>) {
        let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "it did not wait");
    }
}

fn open(root: &TempDir) -> (Arc<LocalStore>, Arc<Manual>) {
    let manual = Arc::new(Manual::default());
    let (environment, _) = environment(Offload::new(Arc::clone(&manual) as Arc<dyn Executor>));
    (LocalStore::open(root.path(), LocalOptions::default(), environment).unwrap(), manual)
}

#[test]
fn a_range_is_given_back_when_the_job_that_writes_it_has_ended() {
    let root = TempDir::new().unwrap();
    let (store, manual) = open(&root);
    let key = key(ALICE, &manual.drive(store.begin(upload("file", None))).unwrap());
    let range = Range::new(0, MIN_RANGE_BYTES).unwrap();
    let mut writer = manual.drive(store.open_range(&key, range)).unwrap();
    Manual::give_up(writer.write(Bytes::from_static(b"old bytes")));
    let after = manual.drive(writer.write(Bytes::from_static(b"more")));
    assert!(matches!(after, Err(StoreError::Stopped)), "{after:?}");
    drop(writer);
}

#[test]
fn nobody_else_writes_a_range_while_a_job_does() {
    let root = TempDir::new().unwrap();
    let (store, manual) = open(&root);
    let key = key(ALICE, &manual.drive(store.begin(upload("file", None))).unwrap());
    let range = Range::new(0, MIN_RANGE_BYTES).unwrap();
    let mut writer = manual.drive(store.open_range(&key, range)).unwrap();
    Manual::give_up(writer.write(Bytes::from_static(b"old bytes")));
    drop(writer);
    // Opening a range needs no job, so the write is still on its way.
    let mut again = pin!(store.open_range(&key, range));
    match again.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(StoreError::RangeTaken)) => {}
        other => panic!("{other:?}"),
    }
    assert!(manual.run_one());
    drop(manual.drive(store.open_range(&key, range)).unwrap());
}

#[test]
fn a_taking_over_waits_for_the_jobs_of_the_old_generation() {
    let root = TempDir::new().unwrap();
    let (store, manual) = open(&root);
    let content = vec![5; MIN_RANGE_BYTES as usize];
    let wanted = upload("file", Some(content.len() as u64));
    let old = key(ALICE, &manual.drive(store.begin(wanted.clone())).unwrap());
    let range = Range::new(0, MIN_RANGE_BYTES).unwrap();
    let mut writer = manual.drive(store.open_range(&old, range)).unwrap();
    let mut late = manual.drive(store.open_range(&old, range)).map(drop);
    assert!(matches!(late, Err(StoreError::RangeTaken)));
    Manual::give_up(writer.write(Bytes::from(content.clone())));
    drop(writer);

    // The job of the old generation has not run: whether it runs before or after, none of its bytes come in later.
    let new = key(ALICE, &manual.drive(store.begin(wanted)).unwrap());
    assert!(!manual.run_one(), "all jobs have ended");
    late = manual.drive(store.open_range(&old, range)).map(drop);
    assert!(matches!(late, Err(StoreError::StaleGeneration)));
    manual.drive(write_all(&*store, &new, &content)).unwrap();
    manual.drive(store.commit(commit(new, &content))).unwrap();
    assert_eq!(manual.drive(read(&*store, "file")), content);
}

#[test]
fn a_commit_that_nobody_waits_for_comes_to_its_end_or_never_happened() {
    for lasting in [true, false] {
        // However many jobs have run when the caller gives up.
        for jobs in 0..4 {
            let root = TempDir::new().unwrap();
            let (store, manual) = open(&root);
            let wanted = NewUpload { lasting, ..upload("file", Some(4)) };
            let key = key(ALICE, &manual.drive(store.begin(wanted)).unwrap());
            manual.drive(write_all(&*store, &key, b"1234")).unwrap();
            {
                let mut commit = pin!(store.commit(commit(key, b"1234")));
                let mut ran = 0;
                while commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() && ran < jobs
                {
                    assert!(manual.run_one());
                    ran += 1;
                }
            }
            while manual.run_one() {}
            let is_there = manual.drive(exists(&*store, "file"));
            let again = manual.drive(store.commit(commit(key, b"1234")));
            if lasting {
                again.unwrap();
            } else {
                // It is gone with its stream: published, or removed.
                assert!(
                    is_there && again.is_ok() || matches!(again, Err(StoreError::UnknownUpload)),
                    "{again:?}"
                );
            }
            if manual.drive(exists(&*store, "file")) {
                assert_eq!(manual.drive(read(&*store, "file")), b"1234");
            }
        }
    }
}

#[test]
fn a_leader_who_gives_up_leaves_nobody_behind() {
    let root = TempDir::new().unwrap();
    let (store, manual) = open(&root);
    let ready = |to: &str| {
        let key = key(ALICE, &manual.drive(store.begin(upload(to, Some(4)))).unwrap());
        manual.drive(write_all(&*store, &key, b"1234")).unwrap();
        commit(key, b"1234")
    };
    let (first, second) = (ready("first"), ready("second"));
    let mut follower = Box::pin(store.commit(second));
    {
        let mut leader = Box::pin(store.commit(first));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(leader.as_mut().poll(context).is_pending());
        assert!(manual.run_one(), "prepared");
        assert!(leader.as_mut().poll(context).is_pending(), "it leads now; its job waits");
        assert!(follower.as_mut().poll(context).is_pending());
        assert!(manual.run_one(), "the leader's job");
        assert!(manual.run_one(), "the follower is prepared");
        // The leader's job has ended with its own commit; it is given up before it can look.
    }
    manual.drive(follower).unwrap();
    manual.drive(store.commit(first)).unwrap();
    assert_eq!(manual.drive(read(&*store, "first")), b"1234");
}

#[test]
fn a_range_is_finished_though_nobody_waits() {
    let root = TempDir::new().unwrap();
    let (store, manual) = open(&root);
    let key = key(ALICE, &manual.drive(store.begin(upload("file", Some(4)))).unwrap());
    let range = Range::new(0, 4).unwrap();
    let mut writer = manual.drive(store.open_range(&key, range)).unwrap();
    manual.drive(writer.write(Bytes::from_static(b"1234"))).unwrap();
    Manual::give_up(writer.finish(RangeDigest::of(range, b"1234").unwrap()));
    assert!(manual.run_one());
    manual.drive(store.commit(commit(key, b"1234"))).unwrap();
}
