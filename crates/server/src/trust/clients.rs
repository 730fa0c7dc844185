//! `authorized_clients`: one line per key.
//!
//! ```text
//! SHA256:AbC… grants=list,read,write,delete name="field laptop" added=2026-11-20T10:00:00Z
//! ```

use std::{collections::BTreeMap, path::Path};

use fulmar_proto::{fingerprint::Fingerprint, grants::Grants, time::Timestamp};

use super::TrustError;

/// One enrolled client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its key.
    pub fingerprint: Fingerprint,
    /// What it may do.
    pub grants: Grants,
    /// What it is called, for people.
    pub name: String,
    /// Since when, to the second, if the file says so.
    pub enrolled: Option<Timestamp>,
}

/// All enrolled clients.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Clients(BTreeMap<Fingerprint, Client>);

impl Clients {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, TrustError> {
        let mut clients = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let error = |reason| TrustError::Line { path: path.to_owned(), line: index + 1, reason };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let client = parse_line(line).map_err(error)?;
            if clients.insert(client.fingerprint, client).is_some() {
                return Err(error("this key has a line already"));
            }
        }
        Ok(Self(clients))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn find(&self, fingerprint: &Fingerprint) -> Option<&Client> {
        self.0.get(fingerprint)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.0.values()
    }
}

/// Puts the line of `client` into the text of the file, in place of the one that its key has, and leaves all other
/// lines, comments among them, as they are.
pub(super) fn set(text: &mut String, client: &Client) {
    let mut line = Some(line_of(client));
    let replaced = text.lines().map(|old| match is_of(old, &client.fingerprint) {
        true => line.take().unwrap_or_default(),
        false => old.to_owned(),
    });
    let mut lines: Vec<String> = replaced.collect();
    lines.extend(line);
    *text = joined(&lines);
}

/// Takes the line of a key out of the text of the file.
pub(super) fn remove(text: &mut String, fingerprint: &Fingerprint) {
    let lines: Vec<&str> = text.lines().filter(|line| !is_of(line, fingerprint)).collect();
    *text = joined(&lines);
}

fn joined(lines: &[impl AsRef<str>]) -> String {
    lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect()
}

fn is_of(line: &str, fingerprint: &Fingerprint) -> bool {
    line.split_whitespace().next().is_some_and(|key| key.parse() == Ok(*fingerprint))
}

fn line_of(client: &Client) -> String {
    let Client { fingerprint, grants, name, enrolled } = client;
    let added = enrolled.and_then(|time| jiff::Timestamp::from_second(time.secs()).ok());
    let added = added.map_or_else(String::new, |time| format!(" added={time}"));
    format!("{fingerprint} grants={grants} name={}{added}", quote(name))
}

/// A name in double quotes, free of anything that could end the quotes or the line.
fn quote(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control() && *c != '"' && *c != '\\').collect();
    format!("\"{plain}\"")
}

fn parse_line(line: &str) -> Result<Client, &'static str> {
    let (key, mut rest) = line.split_once(char::is_whitespace).ok_or("grants=… is missing")?;
    let fingerprint = key.parse().map_err(|_| "it must begin with a fingerprint, SHA256:…")?;
    let (mut grants, mut name, mut enrolled) = (None, None, None);
    while !rest.trim_start().is_empty() {
        let (field, value, after) = next_field(rest.trim_start())?;
        rest = after;
        let again = match field {
            "grants" => grants.replace(value.parse::<Grants>().map_err(|_| "unknown grants")?).is_some(),
            "name" => name.replace(value.to_owned()).is_some(),
            // It is there for people and decides nothing, so a date in another form is none.
            "added" => {
                enrolled = parse_time(value);
                false
            }
            // What is not understood might have been meant to restrict, so it cannot be passed over.
            _ => return Err("unknown field"),
        };
        if again {
            return Err("a field is there twice");
        }
    }
    let grants = grants.ok_or("grants=… is missing")?;
    Ok(Client { fingerprint, grants, name: name.unwrap_or_default(), enrolled })
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Timestamp::new(time.as_second(), 0).ok()
}

/// Splits `field=value rest` or `field="value" rest`.
fn next_field(text: &str) -> Result<(&str, &str, &str), &'static str> {
    let (field, value) = text.split_once('=').ok_or("a field looks like name=value")?;
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, rest) = quoted.split_once('"').ok_or("a quote is left open")?;
        if !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            return Err("something follows a closing quote");
        }
        return Ok((field, value, rest));
    }
    let end = value.find(char::is_whitespace).unwrap_or(value.len());
    Ok((field, &value[..end], &value[end..]))
}
