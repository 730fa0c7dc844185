use std::path::PathBuf;

use fulmar_proto::{
    digest::Digest,
    fingerprint::Fingerprint,
    path::RelPath,
    time::Timestamp,
    upload::{Mode, OnExists, Stored},
    version::{FileId, SourceToken, UploadId, Version},
};
use tempfile::TempDir;

use super::*;
use crate::{
    Catalog, NewUpload, SystemEntropy,
    catalog::{Intent, Published, Seen, Settlement, StagingFile, UploadRow, UploadState},
};

fn file() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().canonicalize().unwrap().join("catalog.sqlite");
    (dir, file)
}

fn open(file: &Path) -> Result<SqliteCatalog, CatalogError> {
    SqliteCatalog::open(file, Arc::new(SystemEntropy))
}

fn row(id: u8, state: UploadState) -> UploadRow {
    let upload = NewUpload {
        client: Fingerprint([id; 32]),
        path: RelPath::parse("sub/datei ä.txt").unwrap(),
        size: Some(i64::MAX as u64),
        modified: Timestamp::new(-5, 999_999_999).ok(),
        mode: Some(Mode::masked(0o755)),
        source_token: SourceToken([id + 1; 32]),
        on_exists: OnExists::Rename,
        lasting: true,
    };
    let touched = Timestamp::new(i64::from(id), 0).unwrap();
    UploadRow { id: UploadId([id; 16]), upload, generation: u32::MAX, state, touched }
}

fn stored() -> Stored {
    Stored {
        path: RelPath::parse("sub/other").unwrap(),
        id: FileId([9; 8]),
        size: 0,
        root: Digest::EMPTY,
        already_there: true,
    }
}

fn all_states() -> Vec<UploadRow> {
    let staging = StagingFile { device: u64::MAX, inode: 1 << 63, modified: Timestamp::new(-1, 1).unwrap() };
    let mut plain = row(5, UploadState::Open(None));
    plain.upload = NewUpload { size: None, modified: None, mode: None, lasting: false, ..plain.upload };
    vec![
        row(1, UploadState::Open(None)),
        row(2, UploadState::Open(Some((7, Digest([3; 32]))))),
        row(3, UploadState::Committing(Intent { staging, stored: stored() })),
        row(4, UploadState::Stored(stored())),
        plain,
    ]
}

#[test]
fn the_ledger_keeps_every_state() {
    let (_dir, file) = file();
    let rows = all_states();
    open(&file).unwrap().put_uploads(&rows, Durability::Now).unwrap();
    let ledger = open(&file).unwrap();
    assert_eq!(ledger.uploads().unwrap(), rows);
    for row in &rows {
        assert_eq!(ledger.upload(row.id).unwrap().as_ref(), Some(row));
    }
    assert_eq!(ledger.upload(UploadId([99; 16])).unwrap(), None);
    ledger.delete_uploads(&[rows[0].id, rows[2].id]).unwrap();
    assert_eq!(ledger.uploads().unwrap().len(), 3);
}

#[test]
fn a_settlement_happens_as_a_whole() {
    let (_dir, file) = file();
    let ledger = open(&file).unwrap();
    let rows = all_states();
    ledger.put_uploads(&rows, Durability::Later).unwrap();
    let mut settlement = Settlement::default();
    settlement.stored(rows[2].clone(), stored(), Some(Version([8; 32])));
    settlement.stored(rows[4].clone(), stored(), None);
    ledger.settle(&settlement).unwrap();
    let seen = Seen { path: stored().path, version: Version([8; 32]), size: 0 };
    assert_eq!(ledger.digest(&seen).unwrap(), Some(Digest::EMPTY));
    assert_eq!(ledger.upload(rows[2].id).unwrap().unwrap().state, UploadState::Stored(stored()));
    assert_eq!(ledger.upload(rows[4].id).unwrap(), None, "of an upload that is not lasting nothing is kept");
}

#[test]
fn a_failed_transaction_changes_nothing() {
    let (_dir, file) = file();
    let ledger = open(&file).unwrap();
    let failed: Result<(), _> = ledger.transaction(Durability::Now, |transaction| {
        transaction.execute(
            "INSERT INTO files (path, id, size, media_type, version) VALUES ('a', x'00', 0, '', x'00')",
            [],
        )?;
        Err(CatalogError::Damaged)
    });
    assert!(failed.is_err());
    assert_eq!(ledger.id(&RelPath::parse("a").unwrap()).unwrap(), None);
    ledger.put_uploads(&all_states(), Durability::Later).unwrap();
}

#[test]
fn the_database_can_be_read_by_people() {
    let (_dir, file) = file();
    let catalog = open(&file).unwrap();
    let path = RelPath::parse("sub/photo.JPG").unwrap();
    let seen = Seen { path, version: Version([1; 32]), size: 12_345 };
    let (id, root, client) = (FileId([7; 8]), Digest([6; 32]), Fingerprint([5; 32]));
    catalog.publish(&[Published { seen, id, root, client, at: Timestamp::EPOCH }]).unwrap();
    let connection = Connection::open(&file).unwrap();
    let read: (String, i64, String, String, String) = connection
        .query_row("SELECT path, size, extension, media_type, hex(blake3) FROM files", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .unwrap();
    let expected = ("sub/photo.JPG".into(), 12_345, "JPG".into(), "image/jpeg".into(), "06".repeat(32));
    assert_eq!(read, expected);
}

#[test]
fn the_settings_that_durability_rests_on_are_set() {
    let (_dir, file) = file();
    let catalog = open(&file).unwrap();
    let pragma = |name: &str| {
        let database = catalog.lock();
        let value =
            database.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        format!("{:?}", value.unwrap())
    };
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    catalog.put_uploads(&[], Durability::Later).unwrap();
    assert_eq!(pragma("synchronous"), "Integer(1)", "NORMAL: only checkpoints are");
    catalog.put_uploads(&[], Durability::Now).unwrap();
    assert_eq!(pragma("synchronous"), "Integer(2)", "FULL: the log is synced at each commit");
    catalog.put_uploads(&[], Durability::Later).unwrap();
    assert_eq!(pragma("synchronous"), "Integer(1)");
    assert_eq!(pragma("cache_size"), "Integer(-2048)");
}

#[test]
fn a_newer_schema_is_refused_with_its_number() {
    let (_dir, file) = file();
    drop(open(&file).unwrap());
    Connection::open(&file).unwrap().pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    match open(&file) {
        Err(CatalogError::Newer { found, known }) => {
            assert_eq!((found, known), (SCHEMA_VERSION + 1, SCHEMA_VERSION));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let (_dir, file) = file();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    assert!(matches!(open(&file), Err(CatalogError::Damaged)));
    std::fs::write(&file, [0x11; 5000]).unwrap();
    assert!(matches!(open(&file), Err(CatalogError::Damaged)));
    assert_eq!(std::fs::read(&file).unwrap(), [0x11; 5000]);
}

#[test]
fn a_row_that_makes_no_sense_is_damage_and_no_panic() {
    let (_dir, file) = file();
    let ledger = open(&file).unwrap();
    ledger.put_uploads(&all_states(), Durability::Later).unwrap();
    let changes = [
        "path = '../x'",
        "client = x'00'",
        "size = -1",
        "generation = -1",
        "modified_nanos = 1000000000",
        "modified_nanos = NULL",
        "mode = 4095",
        "on_exists = 9",
        "state = 7",
        "final_path = NULL, state = 2",
        "blake3 = x'0011', state = 0",
    ];
    for change in changes {
        let result: Result<Vec<UploadRow>, CatalogError> =
            ledger.transaction(Durability::Later, |transaction| {
                transaction.execute(&format!("UPDATE uploads SET {change} WHERE id = ?1"), [[1u8; 16]])?;
                let mut statement = transaction.prepare("SELECT count(*) FROM uploads")?;
                assert_eq!(statement.query_row([], |row| row.get::<_, u32>(0))?, 5);
                Ok(Vec::new())
            });
        result.unwrap();
        assert!(matches!(ledger.uploads(), Err(CatalogError::Damaged)), "{change}");
        ledger.put_uploads(&all_states(), Durability::Later).unwrap();
    }
    ledger.uploads().unwrap();
}

#[test]
fn foreign_text_is_only_ever_a_value() {
    let (_dir, file) = file();
    let catalog = open(&file).unwrap();
    for name in ["'; DROP TABLE files; --", "\" OR 1=1", "%", "_", "a'b", "?1"] {
        let seen = Seen { path: RelPath::parse(name).unwrap(), version: Version([1; 32]), size: 1 };
        catalog.learn(&seen, Digest::EMPTY).unwrap();
        assert_eq!(catalog.digest(&seen).unwrap(), Some(Digest::EMPTY), "{name}");
    }
    catalog.forget(&RelPath::parse("%").unwrap()).unwrap();
    assert!(catalog.id(&RelPath::parse("_").unwrap()).unwrap().is_some());
}
