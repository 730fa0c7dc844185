//! Between columns and the types that they stand for. What does not fit a type shows a damaged database.

use fulmar_proto::{
    digest::Digest,
    fingerprint::Fingerprint,
    path::RelPath,
    time::Timestamp,
    upload::{Mode, OnExists},
    version::{FileId, SourceToken, UploadId, Version},
};
use rusqlite::{Row, types::FromSql};

use crate::catalog::CatalogError;

/// Reads a row's columns from left to right.
pub(super) struct Columns<'a, 'stmt> {
    row: &'a Row<'stmt>,
    next: usize,
}

impl<'a, 'stmt> Columns<'a, 'stmt> {
    pub(super) fn new(row: &'a Row<'stmt>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn take<T: FromSql>(&mut self) -> Result<T, CatalogError> {
        let column = self.next;
        self.next += 1;
        self.row.get(column).map_err(|_| CatalogError::Damaged)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], CatalogError> {
        self.take()
    }

    /// A length in bytes; lengths of files stay below 2^63.
    pub(super) fn length(&mut self) -> Result<u64, CatalogError> {
        u64::try_from(self.take::<i64>()?).map_err(|_| CatalogError::Damaged)
    }

    pub(super) fn length_if_any(&mut self) -> Result<Option<u64>, CatalogError> {
        let length = self.take::<Option<i64>>()?;
        length.map(|length| u64::try_from(length).map_err(|_| CatalogError::Damaged)).transpose()
    }

    /// Any 64 bits: an inode or device number.
    pub(super) fn bits(&mut self) -> Result<u64, CatalogError> {
        Ok(self.take::<i64>()?.cast_unsigned())
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, CatalogError> {
        self.time_if_any()?.ok_or(CatalogError::Damaged)
    }

    pub(super) fn time_if_any(&mut self) -> Result<Option<Timestamp>, CatalogError> {
        match (self.take()?, self.take()?) {
            (Some(secs), Some(nanos)) => {
                Timestamp::new(secs, nanos).map(Some).map_err(|_| CatalogError::Damaged)
            }
            (None, None) => Ok(None),
            _ => Err(CatalogError::Damaged),
        }
    }

    pub(super) fn path(&mut self) -> Result<RelPath, CatalogError> {
        RelPath::parse(&self.take::<String>()?).map_err(|_| CatalogError::Damaged)
    }

    pub(super) fn mode_if_any(&mut self) -> Result<Option<Mode>, CatalogError> {
        let bits = self.take::<Option<u16>>()?;
        bits.map(|bits| Mode::try_from(bits).map_err(|_| CatalogError::Damaged)).transpose()
    }

    pub(super) fn on_exists(&mut self) -> Result<OnExists, CatalogError> {
        match self.take::<u8>()? {
            0 => Ok(OnExists::Fail),
            1 => Ok(OnExists::Overwrite),
            2 => Ok(OnExists::Skip),
            3 => Ok(OnExists::Rename),
            _ => Err(CatalogError::Damaged),
        }
    }

    pub(super) fn digest_if_any(&mut self) -> Result<Option<Digest>, CatalogError> {
        Ok(self.take::<Option<[u8; 32]>>()?.map(Digest))
    }

    pub(super) fn file_id(&mut self) -> Result<FileId, CatalogError> {
        self.bytes().map(FileId)
    }

    pub(super) fn version(&mut self) -> Result<Version, CatalogError> {
        self.bytes().map(Version)
    }

    pub(super) fn upload_id(&mut self) -> Result<UploadId, CatalogError> {
        self.bytes().map(UploadId)
    }

    pub(super) fn source(&mut self) -> Result<SourceToken, CatalogError> {
        self.bytes().map(SourceToken)
    }

    pub(super) fn client(&mut self) -> Result<Fingerprint, CatalogError> {
        self.bytes().map(Fingerprint)
    }

    pub(super) fn client_if_any(&mut self) -> Result<Option<Fingerprint>, CatalogError> {
        Ok(self.take::<Option<[u8; 32]>>()?.map(Fingerprint))
    }
}

/// The number that stands for a policy.
pub(super) fn on_exists_number(on_exists: OnExists) -> u8 {
    match on_exists {
        OnExists::Fail => 0,
        OnExists::Overwrite => 1,
        OnExists::Skip => 2,
        OnExists::Rename => 3,
    }
}

/// A length as the database keeps it.
pub(super) fn length(len: u64) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
