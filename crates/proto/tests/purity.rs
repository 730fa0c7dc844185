//! The protocol does no IO, reads no clock, starts no thread and knows no runtime, and depends on nothing that does.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Paths that no source file of the crate may name, and what lies below them.
const FORBIDDEN_PATHS: &[&str] = &[
    "tokio",
    "quinn",
    "quinn_proto",
    "rustls",
    "socket2",
    "rustix",
    "libc",
    "mio",
    "async_std",
    "smol",
    "getrandom",
    "rand",
    "std::fs",
    "std::io",
    "std::thread",
    "std::process",
    "std::env",
    "std::os",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::*",
    "std::time::*",
    "std::net::*",
];

/// Names that no source file may use, however they got there.
const FORBIDDEN_NAMES: &[&str] = &[
    "Instant",
    "SystemTime",
    "UNIX_EPOCH",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
];

/// What the crate may depend on when it is not being tested.
const ALLOWED_DEPENDENCIES: &[&str] = &["blake3", "data-encoding", "postcard", "serde", "thiserror"];

/// The words and punctuation of a source text that matter for paths; comments and strings are left out.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            string_len(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            tokens.push(rest[..len].to_owned());
            len
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if "{},;*".contains(first) {
                tokens.push(first.to_string());
            }
            // A quote as a character would otherwise open a string.
            if rest.starts_with("'\"'") || rest.starts_with("b'\"'") { 3 } else { first.len_utf8() }
        };
        rest = &rest[len..];
    }
    tokens
}

/// The length of the string that `rest` begins with, its quotes included.
fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Every path in a source text, those in nested imports written out.
fn paths(source: &str) -> BTreeSet<String> {
    let tokens = tokens(source);
    let mut found = BTreeSet::new();
    // What stands before each open brace: a path when the brace belongs to an import, else nothing.
    let mut groups: Vec<String> = Vec::new();
    let mut path = String::new();
    for token in &tokens {
        match token.as_str() {
            "::" => path.push_str("::"),
            "{" => {
                let prefix = if path.ends_with("::") { std::mem::take(&mut path) } else { String::new() };
                let outer = if prefix.is_empty() { "" } else { groups.last().map_or("", String::as_str) };
                groups.push(format!("{outer}{prefix}"));
                path.clear();
            }
            "}" => {
                path.clear();
                groups.pop();
            }
            "*" if path.ends_with("::") => add(&mut found, &groups, &mut path, "*"),
            "," | ";" | "*" => path.clear(),
            word if path.ends_with("::") => add(&mut found, &groups, &mut path, word),
            word => {
                path.clear();
                add(&mut found, &groups, &mut path, word);
            }
        }
    }
    found
}

fn add(found: &mut BTreeSet<String>, groups: &[String], path: &mut String, word: &str) {
    path.push_str(word);
    let outer = groups.last().map_or("", String::as_str);
    found.insert(format!("{outer}{path}").trim_start_matches("::").to_owned());
}

/// The paths of a source text that do not belong here.
fn offences(source: &str) -> Vec<String> {
    let is_forbidden = |path: &String| {
        let path = path.strip_prefix("core::").map_or_else(|| path.clone(), |rest| format!("std::{rest}"));
        let below = |forbidden: &&str| path == **forbidden || path.starts_with(&format!("{forbidden}::"));
        FORBIDDEN_PATHS.iter().any(below) || path.split("::").any(|name| FORBIDDEN_NAMES.contains(&name))
    };
    paths(source).into_iter().filter(is_forbidden).collect()
}

/// The names of a manifest's dependencies but those for tests, in whichever way they are written.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']').replace(['"', '\'', ' '], "");
            let (table, name) = match header.rsplit_once("dependencies.") {
                Some((table, name)) => (format!("{table}dependencies"), Some(name.to_owned())),
                None => (header, None),
            };
            let counts = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
            inside = counts && name.is_none();
            found.extend(name.filter(|_| counts));
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.insert(name.trim_matches(['"', '\'']).to_owned());
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the crate's sources are readable") {
        let path = entry.expect("the crate's sources are readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn crate_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_source_file_names_what_has_side_effects() {
    let mut files = Vec::new();
    sources(&crate_folder().join("src"), &mut files);
    assert!(files.len() > 20, "only {} source files were found", files.len());
    for file in files {
        let source = fs::read_to_string(&file).expect("the crate's sources are text");
        let offences = offences(&source);
        assert!(offences.is_empty(), "{} uses {offences:?}", file.display());
    }
}

#[test]
fn the_dependencies_are_the_allowed_ones() {
    let manifest = fs::read_to_string(crate_folder().join("Cargo.toml")).expect("the manifest is text");
    let found = dependencies(&manifest);
    assert!(found.contains("serde"), "the manifest was not understood: {found:?}");
    for name in found {
        assert!(ALLOWED_DEPENDENCIES.contains(&name.as_str()), "{name} is not allowed here");
    }
}

#[test]
fn the_scanner_finds_what_it_looks_for() {
    let bad = [
        ("use tokio::time;", "tokio::time"),
        ("use std::{fmt, fs};", "std::fs"),
        ("use std::{\n    net::{IpAddr, TcpStream},\n    thread,\n};", "std::net::TcpStream"),
        ("use std::{\n    net::{IpAddr, TcpStream},\n    thread,\n};", "std::thread"),
        ("fn f() { let t = std::time::Instant::now(); }", "std::time::Instant::now"),
        ("use std::time; fn f() -> u64 { time::SystemTime::now() }", "time::SystemTime::now"),
        ("use core::time::*;", "core::time::*"),
        ("use std::time::{Duration, Instant as Clock};", "std::time::Instant"),
        ("fn f(s: &mut quinn::SendStream) {}", "quinn::SendStream"),
        ("let quote = '\"'; std::fs::read(path)", "std::fs::read"),
        ("let text = \"a \\\" b\"; ::std::thread::spawn(f)", "std::thread::spawn"),
        ("mod a { use std::{io}; }", "std::io"),
    ];
    for (source, expected) in bad {
        assert!(offences(source).contains(&expected.to_owned()), "{source}: {:?}", offences(source));
    }
}

#[test]
fn the_scanner_leaves_innocent_code_alone() {
    let good = [
        "use std::{fmt, str::FromStr, time::Duration};",
        "let v6: std::net::Ipv6Addr = text.parse()?;",
        "// std::fs is for others\n/* tokio */ let s = \"use tokio::net; std::fs\";",
        "struct Tokio; fn instant() {}",
        "use crate::{fs::Name, time::Timestamp};",
    ];
    for source in good {
        assert_eq!(offences(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn every_way_to_write_a_dependency_is_read() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\n# a comment\na.workspace = true\nb = \"1\"\n\"c\" = { version = \"1\" }\n\
        [dependencies.d]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n[build-dependencies]\nf = \"1\"\n\
        [dev-dependencies]\ng = \"1\"\n[dev-dependencies.h]\nversion = \"1\"\n[features]\ni = []\n";
    let expected = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
    assert_eq!(dependencies(manifest), BTreeSet::from(expected));
}
