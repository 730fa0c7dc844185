//! The lab with the real program, where the machine allows it: as root, or in a user namespace with /dev/net/tun.
//!
//! Where it does not, each test says so by its name. Nothing here depends on how fast the machine is: a packet may be as
//! late as it likes, but never early.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::Value;

/// No lab is possible here.
const UNAVAILABLE: i32 = 77;

/// The lab itself failed.
const FAILED: i32 = 125;

/// Of the two below, inside of a lab.
const PORT: u16 = 4000;

/// A folder for one test's labs, and the program that uses it.
struct Scene(tempfile::TempDir);

impl Scene {
    /// None when no lab is possible here, which is said then.
    fn new(test: &str) -> Option<Self> {
        let scene = Self(tempfile::tempdir().expect("a folder"));
        let output = scene.finish(scene.lab(&["run", "--counters", "/dev/null", "--", "true"]));
        if output.status.code() == Some(UNAVAILABLE) {
            let why = text(&output.stderr);
            // Written past the capture of the test harness, for scripts/test.
            let _ = writeln!(io::stderr(), "skipped: {test}: {}", why.trim());
            return None;
        }
        assert!(output.status.success(), "{output:?}");
        Some(scene)
    }

    fn lab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
        command.env("XDG_RUNTIME_DIR", self.0.path()).arg("lab").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn finish(&self, mut command: Command) -> Output {
        let child = command.spawn().expect("started");
        within_bounds(move || child.wait_with_output().expect("waited for"))
    }

    /// Runs it and returns what it says on standard output, if it succeeds.
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.finish(self.lab(arguments));
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    }

    fn code(&self, arguments: &[&str]) -> Option<i32> {
        self.finish(self.lab(arguments)).status.code()
    }

    /// What is written down about labs.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join("fulmar-lab")).into_iter().flatten();
        let names = entries.map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".json") || name.ends_with(".sock")).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // A test that failed may have left something.
        let _ = self.lab(&["down"]).output();
    }
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test has not failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The watchdog: what takes that long never ends.
fn within_bounds<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(120)).expect("it hangs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts something that says a line when it is inside, and returns the line.
fn started(mut command: Command) -> (Running, String, BufReader<std::process::ChildStdout>) {
    let mut child = Running(command.stderr(Stdio::null()).spawn().expect("started"));
    let mut stdout = BufReader::new(child.0.stdout.take().expect("piped"));
    let (line, stdout) = within_bounds(move || {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("read");
        (line, stdout)
    });
    (child, line.trim().to_owned(), stdout)
}

fn signal(number: u32, signal: Signal) {
    let number = Pid::from_raw(i32::try_from(number).expect("a number")).expect("a process");
    kill_process(number, signal).expect("signalled");
}

/// Whether nobody has the output of a process any more, nor any process that it has started.
fn is_silent_for_ever(mut stdout: BufReader<std::process::ChildStdout>) -> bool {
    within_bounds(move || stdout.read_to_end(&mut Vec::new()).is_ok())
}

#[test]
fn packets_are_lost_as_set_and_none_is_early() {
    let Some(scene) = Scene::new("packets_are_lost_as_set_and_none_is_early") else { return };
    let file = scene.0.path().join("check.json");
    let link = ["check", "--rate-mbit", "100", "--rtt-ms", "20", "--loss", "0.05", "--congestion", "cubic"];
    let amounts =
        ["--echoes", "20", "--packets", "4000", "--seconds", "1", "--json", file.to_str().expect("text")];
    let table = scene.succeed(&[&link[..], &amounts[..]].concat());
    assert!(table.contains("| loss up (4000 packets) | 5.000 % |"), "{table}");

    let found: Value = serde_json::from_str(&fs::read_to_string(file).expect("written")).expect("JSON");
    let round_trips = &found["round_trips"];
    assert_eq!(round_trips["too_early"], 0, "{round_trips}");
    assert!(round_trips["min_ms"].as_f64() >= Some(20.0), "{round_trips}");
    assert!(round_trips["answered"].as_u64() > Some(0), "{round_trips}");
    for (losses, receiver) in found["losses"].as_array().expect("two").iter().zip(["server", "client"]) {
        // A busy machine's sockets may overflow; that is told, and not the link's doing.
        let overflowed = found["report"][receiver]["udp_receive_overflows"].as_u64().expect("counted");
        let lost = losses["sent"].as_u64().expect("counted") - losses["arrived"].as_u64().expect("counted");
        // 200 are expected of 4,000; six standard deviations are 83.
        assert!((117 + overflowed..=283 + overflowed).contains(&lost), "{losses}");
        assert_eq!(losses["queue_full"], 0, "{losses}");
    }
    assert_eq!(found["flow"]["congestion"], "cubic");
    assert_eq!(
        found["report"]["emulator"]["uncut_packets"], 0,
        "TCP's large buffers are cut before the link"
    );
    assert!(found["flow"]["goodput_mbit_per_s"].as_f64() > Some(0.0), "{}", found["flow"]);
    for way in ["up", "down"] {
        let carried = &found["report"][way];
        let lost = carried["lost_after_queue_packets"].as_u64().expect("counted");
        let rest = ["delivered_packets", "lost_queue_full_packets"]
            .map(|key| carried[key].as_u64().expect("counted"));
        assert_eq!(carried["offered_packets"].as_u64(), Some(lost + rest[0] + rest[1]), "{carried}");
        assert!(lost > 0, "{carried}");
    }
}

/// Not a test by itself: the server of the next one.
#[test]
#[ignore = "runs inside of a lab"]
fn plays_the_server() {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).expect("free");
    let (mut stream, from) = listener.accept().expect("a client");
    assert_eq!(
        from.ip(),
        env::var("FULMAR_LAB_CLIENT").expect("told").parse::<IpAddr>().expect("an address")
    );
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("read");
    stream.write_all(&received).expect("written");
}

/// Not a test by itself: the client of the next one.
#[test]
#[ignore = "runs inside of a lab"]
fn plays_the_client() {
    let server: IpAddr = env::var("FULMAR_LAB_SERVER").expect("told").parse().expect("an address");
    let mut stream = TcpStream::connect((server, PORT)).expect("connected");
    let sent: Vec<u8> = (0..300_000u32).map(|number| number as u8).collect();
    stream.write_all(&sent).expect("written");
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("read");
    assert!(received == sent, "{} bytes came back", received.len());
}

#[test]
fn a_command_talks_to_a_server_that_was_waited_for() {
    let Some(scene) = Scene::new("a_command_talks_to_a_server_that_was_waited_for") else { return };
    let file = scene.0.path().join("counters.json");
    let this = env::current_exe().expect("this test");
    let this = this.to_str().expect("text");
    let server = format!("'{this}' --ignored --exact plays_the_server");
    let run = ["run", "--profile", "lossy-1", "--rtt-ms", "10", "--counters", file.to_str().expect("text")];
    let command = ["--server", &server, "--", this, "--ignored", "--exact", "plays_the_client"];
    scene.succeed(&[&run[..], &command[..]].concat());
    let counters: Value = serde_json::from_str(&fs::read_to_string(file).expect("written")).expect("JSON");
    assert_eq!(counters["profile"], "lossy-1, 10 ms");
    for way in ["up", "down"] {
        assert!(counters[way]["arrived_bytes"].as_u64() > Some(300_000), "{counters}");
    }
    assert!(scene.files().is_empty());
}

#[test]
fn exit_codes_are_passed_on_and_told_from_the_labs_own() {
    let Some(scene) = Scene::new("exit_codes_are_passed_on_and_told_from_the_labs_own") else { return };
    let run = |rest: &[&str]| scene.code(&[&["run", "--counters", "/dev/null"], rest].concat());
    assert_eq!(run(&["--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(run(&["--", "sh", "-c", "kill -KILL $$"]), Some(128 + 9));
    assert_eq!(run(&["--", "/does/not/exist"]), Some(127));
    assert_eq!(run(&["--", "/"]), Some(126));
    assert_eq!(run(&["--profile", "no-such", "--", "true"]), Some(FAILED));
    assert_eq!(run(&["--server", "false", "--", "true"]), Some(FAILED), "it ends before it is ready");
    assert_eq!(run(&["--server", "sleep 600", "--ready-timeout-s", "0", "--", "true"]), Some(FAILED));
    let ready =
        ["--server", "sh -c 'echo now 1>&2; sleep 600'", "--ready", "now", "--", "sh", "-c", "exit 3"];
    assert_eq!(run(&ready), Some(3));
    assert_eq!(scene.code(&["status"]), Some(FAILED), "none is up");
    assert_eq!(scene.code(&["exec", "--", "true"]), Some(FAILED), "none is up");
    assert!(scene.files().is_empty());
}

#[test]
fn nothing_can_be_reached_from_inside() {
    let Some(scene) = Scene::new("nothing_can_be_reached_from_inside") else { return };
    // A port of this machine that is open, on an address that is not the lab's.
    let outside = TcpListener::bind(("127.0.0.1", 0)).expect("free");
    let port = outside.local_addr().expect("bound").port();
    let devices =
        scene.succeed(&["run", "--counters", "/dev/null", "--", "cat", "/proc/net/dev", "/proc/net/route"]);
    let names: Vec<&str> = devices.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    assert_eq!(names, ["lo", "fulmar0"], "{devices}");
    assert!(!devices.contains("\t00000000\t00000000\t"), "no route leads elsewhere: {devices}");
    // The loopback device inside is another one.
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    assert_ne!(scene.code(&["run", "--counters", "/dev/null", "--", "bash", "-c", &connect]), Some(0));
    outside.set_nonblocking(true).expect("set");
    assert_eq!(outside.accept().expect_err("nobody").kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_signal_ends_everything_inside() {
    let Some(scene) = Scene::new("a_signal_ends_everything_inside") else { return };
    // A server and a command that both leave somebody behind in the background.
    let command = ["--", "sh", "-c", "sleep 600 & echo inside; sleep 600"];
    let server = ["run", "--server", "sh -c 'sleep 600 & echo now; sleep 600'", "--ready", "now"];
    let (mut lab, line, stdout) = started(scene.lab(&[&server[..], &command[..]].concat()));
    assert_eq!(line, "inside");
    assert_eq!(scene.files().len(), 1);
    signal(lab.0.id(), Signal::TERM);
    assert_eq!(lab.0.wait().expect("waited for").code(), Some(128 + 15));
    assert!(is_silent_for_ever(stdout));
    assert!(scene.files().is_empty());
}

#[test]
fn a_killed_run_takes_its_command_along_and_down_does_the_rest() {
    let Some(scene) = Scene::new("a_killed_run_takes_its_command_along_and_down_does_the_rest") else {
        return;
    };
    // The grandchild survives the kill; only `down` knows it.
    let command = ["run", "--", "sh", "-c", "sleep 600 & echo $$; sleep 600"];
    let (mut lab, line, stdout) = started(scene.lab(&command));
    let shell = Pid::from_raw(line.parse().expect("a number")).expect("a process");
    let shell = pidfd_open(shell, PidfdFlags::empty()).expect("it runs");
    signal(lab.0.id(), Signal::KILL);
    lab.0.wait().expect("waited for");
    let ended = within_bounds(move || poll(&mut [PollFd::new(&shell, PollFlags::IN)], None));
    assert_eq!(ended.expect("waited for"), 1);
    assert_eq!(scene.files().len(), 1, "it could not clean up");
    scene.succeed(&["down"]);
    assert!(is_silent_for_ever(stdout));
    assert!(scene.files().is_empty());
}

#[test]
fn a_lab_stays_up_until_it_is_taken_down() {
    let Some(scene) = Scene::new("a_lab_stays_up_until_it_is_taken_down") else { return };
    scene.succeed(&["up", "--profile", "lossy-10", "--seed", "3"]);
    assert_eq!(scene.code(&["up"]), Some(FAILED), "there is one");
    assert_eq!(scene.code(&["exec", "--", "sh", "-c", "exit 4"]), Some(4));
    let address = "test $(cat /proc/net/fib_trie | grep -c {server}) -gt 0 && echo $FULMAR_LAB_SERVER";
    assert_eq!(scene.succeed(&["exec", "--side", "server", "--", "sh", "-c", address]), "10.77.0.2\n");
    let status: Value = serde_json::from_str(&scene.succeed(&["status"])).expect("JSON");
    assert_eq!((&status["profile"], &status["seed"]), (&"lossy-10".into(), &3.into()));
    let (mut inside, line, stdout) =
        started(scene.lab(&["exec", "--", "sh", "-c", "echo inside; exec sleep 600"]));
    assert_eq!(line, "inside");
    let last: Value = serde_json::from_str(&scene.succeed(&["down"])).expect("JSON");
    assert_eq!(last["profile"], "lossy-10");
    assert!(!inside.0.wait().expect("waited for").success(), "it was ended");
    assert!(is_silent_for_ever(stdout));
    assert_eq!(fs::read_dir(scene.0.path()).expect("there").count(), 0, "nothing at all is left");
    scene.succeed(&["down"]);
}

#[test]
fn down_cleans_up_after_a_lab_that_was_killed() {
    let Some(scene) = Scene::new("down_cleans_up_after_a_lab_that_was_killed") else { return };
    scene.succeed(&["up"]);
    let state = fs::read_to_string(scene.0.path().join("fulmar-lab/up.json")).expect("written");
    let state: Value = serde_json::from_str(&state).expect("JSON");
    let (mut inside, line, stdout) =
        started(scene.lab(&["exec", "--", "sh", "-c", "echo inside; exec sleep 600"]));
    assert_eq!(line, "inside");
    signal(u32::try_from(state["pid"].as_u64().expect("a number")).expect("a number"), Signal::KILL);
    // Nobody waits for the process in the background; that it holds the lab no longer shows in the state.
    while scene.code(&["status"]) != Some(FAILED) {}
    assert!(!scene.files().is_empty(), "it could not clean up");
    assert_eq!(scene.code(&["exec", "--", "true"]), Some(FAILED));
    scene.succeed(&["down"]);
    assert!(!inside.0.wait().expect("waited for").success(), "it was ended");
    assert!(is_silent_for_ever(stdout));
    assert!(scene.files().is_empty());
    scene.succeed(&["up"]);
    scene.succeed(&["down"]);
}

#[test]
fn without_the_rights_of_root_a_user_namespace_does() {
    let name = "without_the_rights_of_root_a_user_namespace_does";
    let Some(scene) = Scene::new(name) else { return };
    let as_nobody_special = |arguments: &[&str]| {
        let lab = scene.lab(arguments);
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set=-all,+setfcap", "--inh-caps=-all", "--"])
            .arg(lab.get_program())
            .args(lab.get_args());
        command.env("XDG_RUNTIME_DIR", scene.0.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    if Path::new("/proc/self/status").exists() && Command::new("setpriv").arg("--version").output().is_err() {
        let _ = writeln!(io::stderr(), "skipped: {name}: there is no setpriv");
        return;
    }
    let run = scene.finish(as_nobody_special(&[
        "run",
        "--counters",
        "/dev/null",
        "--",
        "sh",
        "-c",
        "id -u; exit 5",
    ]));
    if run.status.code() == Some(UNAVAILABLE) {
        let _ = writeln!(io::stderr(), "skipped: {name}: {}", text(&run.stderr).trim());
        return;
    }
    assert_eq!((run.status.code(), text(&run.stdout)), (Some(5), "0\n".to_owned()), "{}", text(&run.stderr));
    assert!(scene.finish(as_nobody_special(&["up"])).status.success());
    let exec = scene.finish(as_nobody_special(&["exec", "--", "cat", "/proc/self/uid_map"]));
    assert_eq!(text(&exec.stdout).split_whitespace().next_back(), Some("1"), "{exec:?}");
    assert!(scene.finish(as_nobody_special(&["down"])).status.success());
    assert!(scene.files().is_empty());
}
