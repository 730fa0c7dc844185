//! Which grants each command needs.

use fulmar_proto::{grants::Grants, request::Request, upload::OnExists};

/// The grants that `request` needs. The match has no catch-all arm on purpose: a new command cannot be forgotten here.
///
/// Replacing what is stored destroys it, so it needs `delete` as well as `write`, and so does renaming, which takes a
/// name away. Whoever may only write can add and never lose anything of others'.
#[must_use]
pub fn needed(request: &Request) -> Grants {
    match request {
        Request::List { .. } | Request::Stat { .. } | Request::Measure { .. } => Grants::LIST,
        Request::Hash { .. } | Request::Open { .. } | Request::Read { .. } => Grants::READ,
        Request::MakeDirectory { .. } => Grants::WRITE,
        Request::Remove { .. } => Grants::DELETE,
        Request::Rename { .. } => Grants::WRITE.with(Grants::DELETE),
        Request::Begin { upload, .. } | Request::Put { upload } => match upload.on_exists {
            OnExists::Overwrite => Grants::WRITE.with(Grants::DELETE),
            OnExists::Fail | OnExists::Skip | OnExists::Rename => Grants::WRITE,
        },
        Request::Write { .. } | Request::Commit { .. } | Request::Abandon { .. } => Grants::WRITE,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use fulmar_proto::{
        codec::Growing,
        digest::Digest,
        path::{DirPath, RelPath},
        range::Range,
        upload::{BeginUpload, Destination},
        version::{SourceToken, UploadId, Version},
    };

    use super::*;

    fn upload(on_exists: OnExists) -> BeginUpload {
        BeginUpload {
            destination: Destination { path: DirPath::root(), must_be_directory: false },
            source_name: None,
            size: Some(1),
            modified: None,
            mode: None,
            source_token: SourceToken([0; 32]),
            on_exists,
        }
    }

    /// One request of every kind, in the order of their discriminants, with what it needs.
    pub(crate) fn every_request() -> Vec<(Request, Grants)> {
        let path: RelPath = "a".parse().expect("a path");
        let directory = DirPath::root();
        let range = Range::new(0, 1).expect("a range");
        let (upload_id, generation) = (UploadId([0; 16]), 1);
        let change = Grants::WRITE.with(Grants::DELETE);
        vec![
            (Request::List { directory: directory.clone(), cursor: None, details: false }, Grants::LIST),
            (Request::Stat { path: directory.clone() }, Grants::LIST),
            (Request::Measure { path: directory.clone() }, Grants::LIST),
            (Request::Hash { path: path.clone(), reread: false }, Grants::READ),
            (Request::MakeDirectory { path: path.clone(), parents: false }, Grants::WRITE),
            (Request::Remove { path: path.clone(), recursive: false }, Grants::DELETE),
            (
                Request::Rename {
                    from: path.clone(),
                    to: Destination { path: directory, must_be_directory: false },
                    on_exists: OnExists::Fail,
                },
                change,
            ),
            (Request::Open { path: path.clone(), first_bytes: 0 }, Grants::READ),
            (Request::Read { path, version: Version([0; 32]), range }, Grants::READ),
            (Request::Begin { upload: upload(OnExists::Fail), first: None }, Grants::WRITE),
            (Request::Write { upload_id, generation, range }, Grants::WRITE),
            (Request::Commit { upload_id, generation, size: 1, root: Digest::EMPTY }, Grants::WRITE),
            (Request::Abandon { upload_id, generation }, Grants::WRITE),
            (Request::Put { upload: upload(OnExists::Fail) }, Grants::WRITE),
            (Request::Put { upload: upload(OnExists::Overwrite) }, change),
            (Request::Begin { upload: upload(OnExists::Overwrite), first: None }, change),
        ]
    }

    #[test]
    fn every_command_against_every_set_of_grants() {
        let requests = every_request();
        let mut verbs: Vec<_> = requests.iter().map(|(request, _)| request.verb()).collect();
        verbs.sort_unstable();
        verbs.dedup();
        assert_eq!(verbs.len(), Request::VARIANTS as usize, "a command is missing from the table");
        for (request, expected) in &requests {
            assert_eq!(needed(request), *expected, "{}", request.verb());
            for bits in 0..=Grants::ALL.0 {
                let held = Grants(bits);
                let missing = expected.without(held) != Grants::NONE;
                assert_eq!(held.allow(needed(request)), !missing, "{} with {held}", request.verb());
            }
        }
    }
}
