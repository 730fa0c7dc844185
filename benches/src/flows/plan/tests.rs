//! Plans: what they become, and what is refused.

use fulmar_netsim::{Loss, Queue, Way};
use proptest::prelude::*;

use super::*;

/// A plan with a set `one` and what follows.
fn plan(rest: &str) -> Result<Plan, String> {
    let text = format!("name = 'test'\nsets.one = [{{ controller = 'cubic' }}]\n{rest}");
    Plan::parse(&text).map_err(|error| error.to_string())
}

fn refused(rest: &str) -> String {
    plan(rest).expect_err("no plan")
}

#[test]
fn the_built_in_plans_are_sound_and_say_what_they_are_for() {
    let all = builtin().expect("sound");
    assert_eq!(all.len(), 4);
    for (name, description) in all {
        assert_eq!(load(name).expect("sound").name, name);
        assert!(!description.is_empty());
    }
}

#[test]
fn a_matrix_is_crossed_and_without_loss_there_is_no_place_of_it() {
    let plan = plan(
        "[[matrix]]\nrates_mbit_per_s = [1, 2.5]\nrtts_ms = [10]\nlosses = [0, 0.07]\nplaces = ['after', 'before']\n\
         buffers_bdp = [1, 2]\nsets = ['one']",
    );
    let cases = plan.expect("a plan").cases;
    assert_eq!(cases.len(), 2 * (2 + 2 * 2));
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names[..3], ["1M 10ms 0% 1bdp one", "1M 10ms 0% 2bdp one", "1M 10ms 7% 1bdp one"]);
    assert_eq!(names[11], "2.5M 10ms 7% before 2bdp one");
    let last = &cases[11].scenario.profile.up;
    assert_eq!((last.rate_mbit_per_s, last.delay_ms, last.queue), (Some(2.5), 5.0, Queue::Bdp(2.0)));
    assert_eq!((last.loss_before_queue, last.loss_after_queue), (Some(Loss::Bernoulli(0.07)), None));
    assert_eq!(cases[11].measured, Duration::from_secs(10)..Duration::from_secs(30));
}

#[test]
fn a_quick_look_is_at_the_cases_that_are_named_for_it() {
    let text = "name = 'test'\n[[sets.one]]\ncontroller = 'cubic'\n\
                [[matrix]]\nrates_mbit_per_s = [1, 4]\nrtts_ms = [10, 20]\nsets = ['one']";
    let quick = |words: &str| Plan::parse(&format!("quick = {words}\n{text}"));
    let mut plan = quick("['1M', '4M 10ms']").expect("a plan");
    plan.keep_quick();
    let names: Vec<&str> = plan.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["1M 10ms 0% one", "1M 20ms 0% one", "4M 10ms 0% one"]);
    let mut silent = quick("[]").expect("a plan");
    silent.keep_quick();
    assert_eq!(silent.cases.len(), 4, "without a word there is no shorter look");
    assert!(quick("['9M']").expect_err("no such case").to_string().contains("\"9M\", which no case"));
}

#[test]
fn flows_have_what_their_set_says_and_names_of_their_own() {
    let text = "name = 'test'
         transport.packet_threshold = 100
         [[sets.x]]
         controller = 'cubic'
         start_s = 1.5
         own_rtt_ms = 80
         [[sets.x]]
         controller = 'bbr'
         amount_bytes = 7
         way = 'down'
         [[sets.x]]
         controller = 'cubic'
         transport = { max_mtu_bytes = 1300 }
         own_return = { delay_ms = 3 }
         [[scenario]]
         name = 'a'
         set = 'x'
         profile = 'wan'
         timing = { duration_s = 4, warm_up_s = 1, measured_to_s = 3, reached_from_s = 2, timers_ms = 1, arrivals_ms = 0.5 }";
    let case = Plan::parse(text).expect("a plan").cases.remove(0);
    let flows = &case.scenario.flows;
    let names: Vec<&str> = flows.iter().map(|flow| flow.name.as_str()).collect();
    assert_eq!(names, ["cubic-1", "bbr", "cubic-2"]);
    assert_eq!(
        (flows[0].start, flows[0].far_delay),
        (Duration::from_millis(1500), Duration::from_millis(40))
    );
    assert_eq!((flows[1].amount_bytes, flows[1].way), (Some(7), Way::Down));
    assert_eq!(
        (flows[0].sender.transport.packet_threshold, flows[0].receiver.transport.max_mtu_bytes),
        (100, 1452)
    );
    assert_eq!(
        (flows[2].sender.transport.packet_threshold, flows[2].receiver.transport.max_mtu_bytes),
        (3, 1300)
    );
    assert!(flows[2].own_return.is_some());
    assert_eq!(case.measured, Duration::from_secs(1)..Duration::from_secs(3));
    assert_eq!(case.reached_from, Some(Duration::from_secs(2)));
    let granularity = case.scenario.granularity;
    assert_eq!(
        (granularity.timers, granularity.arrivals),
        (Duration::from_millis(1), Duration::from_micros(500))
    );
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    let matrix = "[[matrix]]\nrates_mbit_per_s = [1]\nrtts_ms = [10]\nsets = ['one']\n";
    let scenario = "[[scenario]]\nname = 'a'\nset = 'one'\n";
    let late = "sets.late = [{ controller = 'cubic', start_s = 30 }]\n".to_owned() + scenario;
    let late = late.replace("'one'", "'late'\nprofile = 'wan'");
    let with = |rest: &str| refused(&format!("{matrix}{rest}"));
    let single = |rest: &str| refused(&format!("{scenario}{rest}"));
    for (error, begin) in [
        (refused(""), "a plan needs a [[matrix]] or a [[scenario]]"),
        (refused("[[matrix]"), "line 3: "),
        (refused("x = 1"), "line 3: unknown field `x`"),
        (refused(&format!("seeds = 0\n{matrix}")), "seeds is out of range: 1 to 10,000"),
        (
            refused(&format!("transport.packet_threshold = 1\n{matrix}")),
            "1M 10ms 0% one: packet_threshold is out",
        ),
        (refused(&format!("{matrix}{matrix}")), "two cases are called 1M 10ms 0% one"),
        (refused(&matrix.replace("[10]", "[-1]")), "1M -1ms 0% one: the link: "),
        (refused(&matrix.replace("'one'", "'two'")), "there is no set \"two\""),
        (with("rate = 3"), "line 7: unknown field `rate`"),
        (with("losses = [1.5]"), "1M 10ms 150% one: the link: "),
        (with("losses = [nan]"), "1M 10ms NaN% one: the link: "),
        (with("losses = [-0.1]"), "1M 10ms -10% one: the link: "),
        (with("timing = { duration_s = inf }"), "duration_s is out of range: 0.001 to 1800"),
        (with("timing = { duration_s = 5 }"), "warm_up_s is out of range: 0 to 5"),
        (with("timing = { duration_s = 5, warm_up_s = 5 }"), "1M 10ms 0% one: nothing is measured"),
        (with("timing = { timers_ms = -1 }"), "timers_ms is out of range"),
        (with("timing = { seconds = 5 }"), "line 7: unknown field `seconds`"),
        (with("[[expect]]\nof = 'x'\nbounds.share = {}"), "an expectation is of \"x\", which no case"),
        (
            with("[[expect]]\nflow = 'bbr'\nbounds.share = {}"),
            "an expectation is of the flow \"bbr\", which not",
        ),
        (with("[[expect]]\nflow = 'cubic'\nbounds.jain = {}"), "jain is not a figure of a single flow"),
        (
            refused(&format!(
                "sets.known = [{{ controller = 'lrc', memory = {{ rate_mbit_per_s = 1, rtt_ms = -1 }} }}]\n{matrix}"
            )
            .replace("'one'", "'known'")),
            "memory.rtt_ms is out of range",
        ),
        (with("[[expect]]\nbounds.speed = {}"), "line 8: unknown variant `speed`"),
        (with("[[expect]]\nbounds.share = { most = 1 }"), "line 8: unknown field `most`"),
        (single(""), "a: a scenario has a profile, or `both`, or `up` and `down`"),
        (single("profile = 'b'"), "a: there is no profile \"b\""),
        (refused(&late), "a: the flow cubic starts after the end"),
        (single("both = {}"), "a: the link has no rate on the way of the data (up)"),
        (single("up = { rate_mbit_per_s = 1 }\ndown = { speed = 1 }"), "line 7: unknown field `speed`"),
        (single("profile = \"\\u001b[1m\""), "a: there is no profile \"\\\\u{1b}[1m\""),
    ] {
        assert!(error.starts_with(begin), "{error:?} instead of {begin:?}");
        assert!(!error.contains(['\n', '\u{1b}']), "{error:?}");
    }
    let strange = refused("[[scenario]]\nname = \"\\u001b[1m\"\nset = 'one'\nprofile = 'wan'");
    assert!(strange.ends_with("is no name: 1 to 80 letters, digits, spaces and .,+-_%@()/:"), "{strange}");
}

#[test]
fn the_plan_that_the_documents_show_is_one() {
    let text = include_str!("../../../../docs/TESTING.md");
    let blocks = text.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
    let shown: Vec<&str> = blocks.filter(|block| block.contains("[[matrix]]")).collect();
    assert_eq!(shown.len(), 1);
    let plan = Plan::parse(shown[0]).expect("a plan");
    assert_eq!((plan.cases.len(), plan.expectations.len()), (2 * 2 * (1 + 2) * 2 + 1, 1));
}

#[test]
fn too_many_cases_are_refused_before_they_are_made() {
    let many = (1..=100).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let matrix = format!(
        "[[matrix]]\nrates_mbit_per_s = [{many}]\nrtts_ms = [{many}]\nbuffers_bdp = [{many}]\nlosses = [{many}]\nsets = ['one']"
    );
    assert_eq!(refused(&matrix), "the matrix has too many cases");
}

#[test]
fn a_plan_that_is_not_there_is_told_with_what_there_is() {
    let error = load("nowhere").expect_err("no plan").to_string();
    assert_eq!(error, "there is no plan nowhere; try: fulmar-bench flows --list");
    assert!(
        load("/nonexistent/plan.toml")
            .expect_err("no file")
            .to_string()
            .starts_with("cannot read /nonexistent")
    );
}

/// Text that is nearly a plan: pieces of plans with strange values.
fn nearly() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("[1]".to_owned()),
        Just("['one']".to_owned()),
        Just("{}".to_owned()),
        Just("nan".to_owned()),
        Just("[-inf, 1e308]".to_owned()),
        Just("[{ controller = 'bbr', start_s = -1 }]".to_owned()),
        Just("{ duration_s = 1e300 }".to_owned()),
        Just("9223372036854775807".to_owned()),
        "[a-z0-9'\"\\[\\]{}=., -]{0,12}",
    ];
    let key = prop::sample::select(vec![
        "[[matrix]]\nsets = ['one']\nrtts_ms = [10]\nrates_mbit_per_s",
        "losses",
        "buffers_bdp",
        "timing",
        "sets.one",
        "sets.two",
        "seeds",
        "transport",
        "[[scenario]]\nset = 'one'\nname = 'a'\nboth",
        "[[expect]]\nbounds",
    ]);
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    prop::collection::vec(line, 0..6).prop_map(|lines| format!("name = 'x'\n{}", lines.concat()))
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text: String) {
        let _ = Plan::parse(&text);
    }

    #[test]
    fn no_text_that_is_nearly_a_plan_is_too_strange_and_every_error_is_one_line(text in nearly()) {
        if let Err(error) = Plan::parse(&text) {
            let error = error.to_string();
            prop_assert!(!error.contains('\n') && !error.is_empty(), "{error:?}");
        }
    }
}
