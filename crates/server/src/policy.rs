//! What holds for every client, whatever its grants.

use fulmar_proto::{
    error::{ErrorCode, Failure},
    grants::Grants,
    hello::Policies,
    path::{RelPath, same_extension},
    request::Request,
    upload::OnExists,
};

use crate::grants::needed;

fn overwrites(request: &Request) -> bool {
    match request {
        Request::Begin { upload, .. } | Request::Put { upload } => upload.on_exists == OnExists::Overwrite,
        Request::Rename { on_exists, .. } => *on_exists == OnExists::Overwrite,
        _ => false,
    }
}

/// Checks what can be told from the request alone: grants first, then the policies.
///
/// # Errors
/// `READ_ONLY`, `NOT_GRANTED` or `POLICY`.
pub fn check_request(request: &Request, grants: Grants, policies: Policies) -> Result<(), Failure> {
    let needed = needed(request);
    let changes = Grants(needed.0 & Grants::WRITE.with(Grants::DELETE).0) != Grants::NONE;
    if changes && policies.has(Policies::READ_ONLY) {
        return Err(Failure::new(ErrorCode::READ_ONLY));
    }
    if !grants.allow(needed) {
        let missing = needed.without(grants);
        return Err(Failure::new(ErrorCode::NOT_GRANTED).saying(&missing.to_string()));
    }
    if overwrites(request) && policies.has(Policies::NO_OVERWRITE) {
        return Err(Failure::new(ErrorCode::POLICY).saying("nothing may be overwritten here"));
    }
    Ok(())
}

/// Checks that a file called `from` may be called `to`.
///
/// # Errors
/// `POLICY` when extensions must be kept and these differ.
pub fn check_extension(from: &str, to: &RelPath, policies: Policies) -> Result<(), Failure> {
    if policies.has(Policies::KEEP_EXTENSION) && !same_extension(from, to.name()) {
        return Err(Failure::new(ErrorCode::POLICY)
            .about(to.clone())
            .saying("the extension must be kept here"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::tests::every_request;

    #[test]
    fn read_only_refuses_exactly_what_changes_something() {
        let reading = ["list", "stat", "measure", "hash", "open", "read"];
        for (request, _) in every_request() {
            let result = check_request(&request, Grants::ALL, Policies::READ_ONLY);
            let refused = matches!(result, Err(Failure { code: ErrorCode::READ_ONLY, .. }));
            assert_eq!(refused, !reading.contains(&request.verb()), "{}", request.verb());
        }
    }

    #[test]
    fn a_missing_grant_is_named() {
        for (request, needed) in every_request() {
            assert!(check_request(&request, Grants::ALL, Policies::default()).is_ok());
            let failure = check_request(&request, Grants::NONE, Policies::default()).expect_err("no grants");
            assert_eq!(failure.code, ErrorCode::NOT_GRANTED);
            assert_eq!(failure.detail.as_str(), needed.to_string());
        }
    }

    #[test]
    fn no_overwrite_refuses_only_overwriting() {
        for (request, _) in every_request() {
            let result = check_request(&request, Grants::ALL, Policies::NO_OVERWRITE);
            assert_eq!(result.is_err(), overwrites(&request), "{}", request.verb());
        }
    }

    #[test]
    fn extensions_are_kept_only_where_that_is_demanded() {
        let path = |text: &str| text.parse::<RelPath>().expect("a path");
        let keep = Policies::KEEP_EXTENSION;
        assert!(check_extension("a.JPG", &path("d/b.jpg"), keep).is_ok());
        assert!(check_extension("a.jpg", &path("d/b.png"), keep).is_err());
        assert!(check_extension("a", &path("a.txt"), keep).is_err());
        assert!(check_extension("a.jpg", &path("d/b.png"), Policies::default()).is_ok());
    }
}
