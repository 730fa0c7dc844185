//! Who is admitted with which grants.

use fulmar_proto::{
    codec::{self, DecodeError},
    error::{ErrorCode, Failure},
    grants::Grants,
    hello::{EXTENSION_INVITE, Hello},
    invite::InviteProof,
};

use crate::trust::{Client, Redeemed};

/// What a Hello asks for before anything is looked up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The proof of an invite, when there is one.
    pub(crate) invite: Option<InviteProof>,
}

/// Reads the claim of a Hello.
///
/// # Errors
/// [`DecodeError`] when the invite's extension is malformed.
pub(crate) fn claim(hello: &Hello) -> Result<Claim, DecodeError> {
    let invite = hello.extensions.get(EXTENSION_INVITE).map(codec::decode_frame).transpose()?;
    Ok(Claim { invite })
}

/// Whether an invite has to be redeemed at all: a client that is enrolled already comes in without, so that an invite
/// can stand in a script and be used again by whom it enrolled.
pub(crate) fn must_redeem(claim: &Claim, enrolled: Option<&Client>) -> Option<InviteProof> {
    if enrolled.is_some() { None } else { claim.invite }
}

/// Decides: the enrolled client's grants, else what the invite gave, else what anonymous clients may do.
///
/// # Errors
/// `INVITE_INVALID` when a bad invite was shown, `UNKNOWN_CLIENT` when strangers may do nothing.
pub(crate) fn decide(
    enrolled: Option<&Client>,
    redeemed: Option<&Redeemed>,
    anonymous: Grants,
) -> Result<Grants, Failure> {
    match (enrolled, redeemed) {
        (Some(client), _) => Ok(client.grants),
        (None, Some(Redeemed::Enrolled(grants))) => Ok(*grants),
        // Somebody who shows a bad invite expects to be enrolled; being let in as a stranger would hide the mistake.
        (None, Some(Redeemed::Invalid)) => Err(Failure::new(ErrorCode::INVITE_INVALID)),
        (None, None) if anonymous != Grants::NONE => Ok(anonymous),
        (None, None) => Err(Failure::new(ErrorCode::UNKNOWN_CLIENT)),
    }
}

#[cfg(test)]
mod tests {
    use fulmar_proto::fingerprint::Fingerprint;

    use super::*;

    fn enrolled() -> Client {
        let fingerprint = Fingerprint([1; 32]);
        Client { fingerprint, grants: Grants::LIST, name: String::new(), enrolled: None }
    }

    #[test]
    fn every_combination_of_key_invite_and_anonymity() {
        let known = enrolled();
        let good = Redeemed::Enrolled(Grants::ALL);
        let bad = Redeemed::Invalid;
        let code = |result: Result<Grants, Failure>| result.map_err(|failure| failure.code);
        for anonymous in [Grants::NONE, Grants::READ] {
            for invite in [None, Some(&good), Some(&bad)] {
                assert_eq!(code(decide(Some(&known), invite, anonymous)), Ok(Grants::LIST));
            }
            assert_eq!(code(decide(None, Some(&good), anonymous)), Ok(Grants::ALL));
            assert_eq!(code(decide(None, Some(&bad), anonymous)), Err(ErrorCode::INVITE_INVALID));
        }
        assert_eq!(code(decide(None, None, Grants::NONE)), Err(ErrorCode::UNKNOWN_CLIENT));
        assert_eq!(code(decide(None, None, Grants::READ)), Ok(Grants::READ));
    }
}
