//! Numbered names, for what must not replace what is there.

use fulmar_proto::path::RelPath;

use crate::StoreError;

/// So many names are tried. Each costs a look, so there has to be an end.
const MAX_NUMBER: u32 = 9_999;

/// `name (1).ext`, `name (2).ext` and so on.
pub(crate) fn candidates(path: &RelPath) -> impl Iterator<Item = Result<RelPath, StoreError>> {
    (1..=MAX_NUMBER).map(|number| path.with_suffix_number(number).map_err(|_| StoreError::NameTooLong))
}
