//! Changing the configuration file without touching what its owner has written around it.

use std::path::Path;

use fulmar_transport::private_file;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value, value};

use super::{Config, Host, file};
use crate::{output::Failure, server_name::HostName, state_dir};

/// Runs `change` on the file under its lock and writes it back, atomically, only if it can be read again. Returns what it says
/// then.
pub(super) fn change(
    path: &Path,
    change: impl FnOnce(&mut DocumentMut, &Config) -> Result<(), Failure>,
) -> Result<Config, Failure> {
    // A link stays one: what it leads to is replaced.
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = private_file::lock(&real).map_err(|error| state_dir::file_failure(&error))?;
    let text = file::read(&real)?.unwrap_or_default();
    let before = Config::parse(path.to_owned(), &text)?;
    let mut document: DocumentMut = text.parse().map_err(|_| file::failure(path, "cannot be edited"))?;
    change(&mut document, &before)?;
    let text = document.to_string();
    let after = Config::parse(path.to_owned(), &text)?;
    if text.len() as u64 > file::MAX_FILE_BYTES {
        return Err(file::failure(path, format!("would be longer than {} bytes", file::MAX_FILE_BYTES)));
    }
    private_file::write_private(&real, text.as_bytes()).map_err(|error| state_dir::file_failure(&error))?;
    Ok(after)
}

/// Writes a server's table, in place of one of the same name.
pub(super) fn put(document: &mut DocumentMut, host: &Host) {
    let Some(hosts) = table(document.as_table_mut(), "hosts", true) else { return };
    let key = key_of(hosts, &host.name).unwrap_or_else(|| host.name.as_str().to_owned());
    let Some(entry) = table(hosts, &key, false) else { return };
    set(entry, "endpoint", Some(host.address.to_string()));
    set(entry, "fingerprint", host.fingerprint.map(|fingerprint| fingerprint.to_string()));
    set(entry, "start_dir", host.start_dir.as_ref().map(|dir| format!("/{}", dir.as_str())));
}

/// Makes a server the default one.
pub(super) fn put_default(document: &mut DocumentMut, name: &HostName) {
    if let Some(defaults) = table(document.as_table_mut(), "defaults", false) {
        set(defaults, "server", Some(name.as_str().to_owned()));
    }
}

/// Takes a server's table out, and its name out of the defaults where it stands there.
pub(super) fn remove(document: &mut DocumentMut, name: &HostName, is_default: bool) {
    if let Some(hosts) = table(document.as_table_mut(), "hosts", true)
        && let Some(key) = key_of(hosts, name)
    {
        hosts.remove(&key);
    }
    if is_default && let Some(defaults) = table(document.as_table_mut(), "defaults", false) {
        defaults.remove("server");
    }
}

/// The table of this key, made when there is none. One that is `implicit` has no line of its own.
fn table<'a>(parent: &'a mut dyn TableLike, key: &str, implicit: bool) -> Option<&'a mut dyn TableLike> {
    if !parent.contains_key(key) {
        let mut made = Table::new();
        made.set_implicit(implicit);
        parent.insert(key, Item::Table(made));
    }
    parent.get_mut(key)?.as_table_like_mut()
}

/// The key of a name as the file spells it.
fn key_of(hosts: &dyn TableLike, name: &HostName) -> Option<String> {
    let key = hosts.iter().map(|(key, _)| key).find(|key| key.eq_ignore_ascii_case(name.as_str()));
    key.map(ToOwned::to_owned)
}

/// Sets or removes a value; the comment behind it stays.
fn set(table: &mut dyn TableLike, key: &str, text: Option<String>) {
    let Some(text) = text else {
        table.remove(key);
        return;
    };
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = Value::from(text);
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(key, value(text));
        }
    }
}
