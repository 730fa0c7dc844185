use proptest::prelude::*;

use super::*;

const PIN: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn parse(text: &str) -> Result<Config, Failure> {
    Config::parse("config.toml".into(), text)
}

fn server(text: &str) -> ServerName {
    text.parse().expect("a server")
}

fn name(text: &str) -> HostName {
    text.parse().expect("a name")
}

fn sample() -> String {
    format!(
        "[defaults]\nserver = \"lab\"\nprogress = \"plain\"\nconnect_timeout = \"5s\"\n\n\
         [hosts.Lab]\nendpoint = \"lab.example:99\"\nfingerprint = \"{PIN}\"\nstart_dir = \"/incoming\"\n\n\
         [hosts.\"192.0.2.7\"]\nendpoint = \"[2001:db8::1]\"\n"
    )
}

#[test]
fn a_name_of_the_file_wins_over_a_host_and_its_case_does_not_matter() {
    let config = parse(&sample()).expect("valid");
    assert_eq!(config.defaults.progress, Some(ProgressMode::Plain));
    assert_eq!(config.defaults.connect_timeout, Some(Duration::from_secs(5)));
    assert_eq!(config.host_names().collect::<Vec<_>>(), ["192.0.2.7", "Lab"]);
    let target = config.resolve(&server("LAB"));
    assert_eq!(target.endpoint.address().to_string(), "lab.example:99");
    assert_eq!(target.pin, Some(Fingerprint([0; 32])));
    assert_eq!(target.start_dir.map(|dir| dir.as_str().to_owned()).as_deref(), Some("incoming"));
    assert_eq!(config.resolve(&server("192.0.2.7")).endpoint.address().to_string(), "[2001:db8::1]:4433");
    // With a port it is the host of that name.
    let target = config.resolve(&server("lab:4433"));
    assert_eq!(target, Target::from(server("lab:4433").endpoint));
    let host = config.host(&name("lab")).expect("there");
    assert!(config.is_default(host));
}

#[test]
fn nothing_is_a_valid_file() {
    for text in ["", "# nothing\n", "[defaults]\n", "[hosts]\n"] {
        let config = parse(text).expect(text);
        assert_eq!((config.defaults, config.hosts), (Defaults::default(), vec![]), "{text}");
    }
}

#[test]
fn a_wrong_file_is_told_with_the_place() {
    let secret = format!("{}a", "c".repeat(25));
    let token = format!("fulmar://{}.{secret}@lab", "a".repeat(52));
    let shown = format!("fulmar://{}...@lab", "a".repeat(52));
    let misplaced_message =
        format!("line 2, column 7: invalid type: string \"{shown}\", expected a table with endpoint in it");
    let as_key_message = format!("line 2, column 1: unknown field `{shown}`");
    let invite = format!("[hosts.lab]\nendpoint = \"{token}\"\n");
    let default = format!("[defaults]\nserver = \"{token}\"\n");
    let misplaced = format!("[hosts]\nlab = \"{token}\"\n");
    let as_key = format!("[defaults]\n\"{token}\" = 1\n");
    let two_pins = format!(
        "[hosts.a]\nendpoint = \"fulmar://{}@a\"\nfingerprint = \"SHA256:{}8\"\n",
        "a".repeat(52),
        "/".repeat(42)
    );
    let cases = [
        ("colour = \"blue\"\n", "line 1, column 1: unknown field `colour`"),
        ("[defaults]\nserver = 7\n", "line 2, column 10: "),
        ("[defaults]\n\nserver = \"a b\"\n", "line 3, column 10: that is not a host name"),
        ("[defaults]\nprogress = \"loud\"\n", "line 2, column 12: one of auto, bar, plain, json, none"),
        ("[defaults]\nconnect_timeout = \"soon\"\n", "line 2, column 19: "),
        ("[hosts.lab]\nfingerprint = \"x\"\n", "line 2, column 15: a fingerprint begins with SHA256:"),
        ("[hosts.lab]\n", "line 1, column 1: missing field `endpoint`"),
        ("[hosts.lab]\nendpoint = \"lab:0\"\n", "line 2, column 12: the port must be a number"),
        ("[hosts.lab]\nendpoint = \"lab\"\nport = 1\n", "line 3, column 1: unknown field `port`"),
        ("[hosts.lab]\nendpoint = \"lab\"\nstart_dir = \"../x\"\n", "line 3, column 13: that is outside"),
        ("[hosts.\"a b\"]\nendpoint = \"lab\"\n", "line 1, column 8: a server's name is made of"),
        ("[hosts.a]\nendpoint = \"a\"\n[hosts.A]\nendpoint = \"b\"\n", "there is a second server named a"),
        ("[hosts.lab\n", "line 1, column 11: "),
        (&invite, "line 2, column 12: an invite's secret does not belong in the file"),
        (&default, "line 2, column 10: an invite's secret does not belong in the file"),
        (&misplaced, &misplaced_message),
        (&as_key, &as_key_message),
        (&two_pins, "hosts.a: the endpoint pins another key than fingerprint"),
    ];
    for (text, message) in cases {
        let failure = parse(text).expect_err(text);
        println!("{}", failure.message);
        assert!(failure.message.contains(message), "{text}: {}", failure.message);
        assert_eq!((failure.code, failure.object.as_deref()), (ExitCode::Usage, Some("config.toml")));
        assert!(!failure.lines("ls", None).contains('\n'), "{text}");
        assert!(!failure.message.contains(&secret), "the secret is repeated: {}", failure.message);
    }
}

/// A folder with a file of this content, and the configuration in it.
fn folder(text: &str) -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("config.toml");
    if !text.is_empty() {
        std::fs::write(&path, text).expect("written");
    }
    let config = Config::parse(path, text).expect("valid");
    (dir, config)
}

fn content(dir: &tempfile::TempDir) -> String {
    std::fs::read_to_string(dir.path().join("config.toml")).expect("there")
}

fn host(name: &str, address: &str) -> Host {
    Host {
        name: name.parse().expect("a name"),
        address: address.parse().expect("an address"),
        fingerprint: None,
        start_dir: None,
    }
}

#[test]
fn a_server_is_added_to_a_new_file_that_nobody_else_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, mut config) = folder("");
    config.add(&host("lab", "lab.example"), true, false).expect("added");
    assert_eq!(
        content(&dir),
        "[hosts.lab]\nendpoint = \"lab.example:4433\"\n\n[defaults]\nserver = \"lab\"\n"
    );
    let metadata = std::fs::metadata(dir.path().join("config.toml")).expect("there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(config.is_default(&config.hosts()[0]));
}

#[test]
fn comments_and_order_outlive_every_change() {
    let before = "# mine\n[hosts.b] # second\nendpoint = \"b:1\" # old\nfingerprint = \"PIN\"\n\n# first\n[hosts.a]\nendpoint = \"a:1\"\n";
    let (dir, mut config) = folder(&before.replace("PIN", PIN));
    let refused = config.add(&host("B", "b:2"), false, false).expect_err("it is there");
    assert_eq!(refused.code, ExitCode::Exists);
    assert_eq!(content(&dir), before.replace("PIN", PIN));
    config.add(&host("B", "b:2"), false, true).expect("replaced");
    // A pin that was not named again belongs to the server that was replaced.
    let replaced = before.replace("b:1", "b:2").replace("fingerprint = \"PIN\"\n", "");
    assert_eq!(content(&dir), replaced);
    config
        .add(
            &Host { start_dir: Some(DirPath::parse("in").expect("a path")), ..host("c.d", "[::1]:7") },
            false,
            false,
        )
        .expect("added");
    assert_eq!(
        content(&dir),
        format!("{replaced}\n[hosts.\"c.d\"]\nendpoint = \"[::1]:7\"\nstart_dir = \"/in\"\n")
    );
    config.remove(&name("C.D")).expect("removed");
    assert_eq!(content(&dir), replaced);
    assert_eq!(config.remove(&name("c.d")).expect_err("gone").code, ExitCode::NotFound);
}

#[test]
fn inline_tables_can_be_changed_too() {
    let (dir, mut config) = folder("hosts = { a = { endpoint = \"a\" } }\n");
    config.add(&host("b", "b"), true, false).expect("added");
    let again = Config::parse("config.toml".into(), &content(&dir)).expect("valid");
    assert_eq!(again.host_names().collect::<Vec<_>>(), ["a", "b"]);
    assert!(again.is_default(&again.hosts()[1]));
}

#[test]
fn a_removed_server_is_no_default_any_more() {
    let (dir, mut config) = folder(&sample());
    let (host, was_default) = config.remove(&name("lab")).expect("removed");
    assert!(was_default && host.name.as_str() == "Lab");
    assert_eq!(config.defaults.server, None);
    assert!(!content(&dir).contains("lab"), "{}", content(&dir));
}

#[test]
fn what_others_have_written_meanwhile_stays_and_a_damaged_file_is_left_alone() {
    let (dir, mut config) = folder("");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "[hosts.other]\nendpoint = \"other\"\n").expect("written");
    config.add(&host("lab", "lab"), false, false).expect("added");
    assert_eq!(config.host_names().collect::<Vec<_>>(), ["lab", "other"]);
    std::fs::write(&path, "[hosts\n").expect("written");
    assert_eq!(config.add(&host("x", "x"), false, false).expect_err("damaged").code, ExitCode::Usage);
    assert_eq!(content(&dir), "[hosts\n");
}

#[test]
fn of_several_who_add_at_once_nobody_loses_anything() {
    let (dir, config) = folder("");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let mut config = config.clone();
            scope.spawn(move || config.add(&host(&format!("h{n}"), "h"), false, false).expect("added"));
        }
    });
    let config = Config::parse("config.toml".into(), &content(&dir)).expect("valid");
    assert_eq!(config.hosts().len(), 8);
}

proptest! {
    #[test]
    fn no_text_panics_and_every_complaint_is_one_line(text in "[ -~\\n\u{1b}é\"=\\[\\]]{0,200}") {
        if let Err(failure) = parse(&text) {
            prop_assert!(!failure.message.chars().any(char::is_control), "{:?}", failure.message);
        }
    }

    #[test]
    fn whatever_is_added_is_read_again(name in "[A-Za-z0-9][A-Za-z0-9._-]{0,20}", port in 1u16.., key: Option<[u8; 32]>, dir in "[a-z #'\"é]{1,10}") {
        let (_dir, mut config) = folder("");
        let start_dir = DirPath::parse(&dir).ok();
        let added = Host { fingerprint: key.map(Fingerprint), start_dir, ..host(&name, &format!("h:{port}")) };
        config.add(&added, false, false).expect("added");
        prop_assert_eq!(config.hosts(), [added]);
    }
}
