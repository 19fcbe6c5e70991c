//! The history gate over sockets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crossfade_backends::history::{HistoryConfig, kept as kept_in, run};
use crossfade_backends::query::QueryKind;
use crossfade_backends::sample::Window;
use crossfade_gates::history::{Parts, Promise};
use crossfade_gates::report::{Report, Verdict};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::support::{Reply, serve};
use super::world::{
    BEGIN, DAY, HOUR, World, asking, client, in_front, jaeger, names, refusing, rules, whenever,
};

fn config() -> HistoryConfig {
    HistoryConfig {
        names: names(),
        ignore: Vec::new(),
        window: DAY,
        traces: 300,
        seed: 7,
        slices: 8,
        deadline: Duration::from_secs(60),
    }
}

async fn looked(count: u64, keep: &dyn Fn(usize, u64, &mut Span) -> bool) -> Report {
    let world = World::new(count, keep).await;
    let (blue, green) = world.queries();
    run(&blue, &green, &config(), &|_, _, _| {}).await
}

#[tokio::test]
async fn migrated_history_passes_and_is_searched_for() {
    let report = looked(64, &|_, _, _| true).await;
    assert_eq!((report.verdict(), rules(&report)), (Verdict::Pass, vec![]), "{report:?}");
    assert_eq!((&report.facts["compared"], &report.facts["whole_population"]), (&64.into(), &true.into()));
    let searches = report.facts["searches"].as_object().unwrap();
    assert!(searches.len() >= 3 && searches.keys().any(|by| by.starts_with("attribute `")), "{searches:?}");
    let hours = report.facts["hours_active_candidate_both"].as_array().unwrap();
    let found: u64 = hours.iter().map(|hour| hour[3].as_u64().unwrap()).sum();
    assert_eq!(found, 64);
}

/// Scenario: three hours of the day were left out of the migration.
/// Guarantee: a hole, as a time range within which they lie.
#[tokio::test]
async fn hours_that_were_left_out_are_a_hole() {
    let gone = BEGIN + 6 * HOUR..BEGIN + 9 * HOUR;
    let report = looked(100, &|_, began, _| !gone.contains(&began)).await;
    assert_eq!(report.verdict(), Verdict::Fail);
    assert_eq!(rules(&report), ["history_hole", "history_fewer_found"]);
    let range = report.findings[0].place.component.as_deref().unwrap();
    assert!(range.starts_with("2027-01-15T14:") && range.contains(" to 2027-01-15T1"), "{range}");
}

/// Scenario: two days of a store with more in an hour than a search gives; one hour was left out of the migration.
/// Guarantee: whatever traces are drawn, that hour is named, and no other.
#[tokio::test]
async fn one_hour_of_a_busy_store_is_a_hole() {
    let days = Window { from: BEGIN, until: BEGIN + 48 * HOUR };
    let gone = BEGIN + 30 * HOUR..BEGIN + 31 * HOUR;
    let world = World::of(days, 6_000, &|_, began, _| !gone.contains(&began)).await;
    let (blue, green) = world.queries();
    let config = HistoryConfig { window: days, traces: 60, deadline: Duration::from_secs(300), ..config() };
    let report = run(&blue, &green, &config, &|_, _, _| {}).await;
    let said = report.findings.iter().filter(|finding| finding.rule == "history_fewer_found");
    let seen: Vec<&str> = said.filter_map(|finding| finding.place.component.as_deref()).collect();
    assert_eq!(seen, ["2027-01-16T14:00:00Z to 2027-01-16T15:00:00Z"], "{report:?}");
    assert_eq!(report.facts["hours_uncounted"], serde_json::json!([]));
    assert_eq!(report.facts["hours_active_candidate_both"].as_array().unwrap().len(), 48);
}

/// Scenario: however short the time of a search, blue gives as many traces as were asked for.
/// Guarantee: nothing shows how many there are in any hour, and that is said; there is no verdict.
#[tokio::test]
async fn searches_that_are_always_full_count_nothing() {
    let world = World::new(400, &|_, _, _| true).await;
    let (_, green) = world.queries();
    let blue = jaeger(&whenever(world.blue.query_addr()).await);
    // Nothing it gives began where it was looked for, so the draw takes all the time it has.
    let config = HistoryConfig { deadline: Duration::from_secs(9), ..config() };
    let report = run(&blue, &green, &config, &|_, _, _| {}).await;
    let said = report.findings.iter().find(|finding| finding.rule == "history_hours_uncounted");
    let said = said.unwrap_or_else(|| panic!("{report:?}"));
    assert_eq!(said.detail, "24 of 24 hours were not counted: 2027-01-15T08:00:00Z to 2027-01-16T08:00:00Z");
    assert_eq!(report.verdict(), Verdict::NoVerdict);
}

/// Scenario: green refuses some searches in a row while hours are counted; and another green all of them.
/// Guarantee: what a burst hits is not counted, and all else is; a store that refuses all is not asked for everything.
#[tokio::test]
async fn a_burst_of_refusals_does_not_end_the_count() {
    let world = World::new(400, &|_, _, _| true).await;
    let (blue, _) = world.queries();
    // Such limits only counting has.
    let counting = "num_traces=250";
    let (address, seen) = refusing(counting, 40..64, world.green.query_addr()).await;
    let report = run(&blue, &jaeger(&address), &config(), &|_, _, _| {}).await;
    assert_eq!((report.verdict(), rules(&report)), (Verdict::Pass, vec![]), "{report:?}");
    assert_eq!(report.facts["hours_active_candidate_both"].as_array().unwrap().len(), 24);
    assert!(seen.load(Ordering::Relaxed) > 100);

    let (address, seen) = refusing(counting, 0..usize::MAX, world.green.query_addr()).await;
    let report = run(&blue, &jaeger(&address), &config(), &|_, _, _| {}).await;
    assert_eq!(report.verdict(), Verdict::NoVerdict, "{report:?}");
    // Twenty-four times, three attempts each, and what is under way then.
    assert!((72..=96).contains(&seen.load(Ordering::Relaxed)), "{seen:?}");
}

/// Scenario: blue never answers the draw's searches of one time, and all others.
/// Guarantee: what else there is is drawn and compared; that time is declared, and so is that not all was looked at.
#[tokio::test]
async fn one_time_that_cannot_be_searched_does_not_end_the_draw() {
    let world = World::new(400, &|_, _, _| true).await;
    let (_, green) = world.queries();
    let one = "start_time_max=2027-01-15T17:00:00.000000000Z&query.num_traces=200";
    let (address, seen) = refusing(one, 0..usize::MAX, world.blue.query_addr()).await;
    let config = HistoryConfig { slices: 24, ..config() };
    let report = run(&jaeger(&address), &green, &config, &|_, _, _| {}).await;
    assert_eq!((report.verdict(), rules(&report)), (Verdict::Pass, vec![]), "{report:?}");
    let draw = &report.facts["sample"]["draw"];
    assert_eq!(
        (&draw["unread"], &draw["unread_at"]),
        (&1.into(), &serde_json::json!([(BEGIN + 8 * HOUR).to_string()]))
    );
    assert!(draw["unread_why"].to_string().contains("503"), "{draw}");
    assert_eq!(report.facts["whole_population"], false);
    // Three attempts for each service.
    assert_eq!(seen.load(Ordering::Relaxed), 18);
}

/// Scenario: of eight times that are drawn from, blue never answers the searches of one; or it answers all but those for one service.
/// Guarantee: what was drawn shows nothing of the rest: no verdict, and it says what was not read, and why.
#[tokio::test]
async fn a_draw_of_which_too_much_is_unread_is_no_verdict() {
    let world = World::new(400, &|_, _, _| true).await;
    let (_, green) = world.queries();
    let promise =
        Promise { from: DAY.from, cut_over: DAY.until, until: DAY.until + 24 * HOUR, now: DAY.until + 1 };
    for (word, what) in [
        (
            "start_time_max=2027-01-15T17:00:00.000000000Z&query.num_traces=200",
            "6 of 48 searches for traces ",
        ),
        ("service_name=checkout&", "no search for traces of 1 of the services had an answer: `checkout`; "),
    ] {
        let (address, _) = refusing(word, 0..usize::MAX, world.blue.query_addr()).await;
        let blue = jaeger(&address);
        let kept = kept_in(&blue, &config(), (promise, None), &|_, _, _| {}).await;
        for report in [run(&blue, &green, &config(), &|_, _, _| {}).await, kept] {
            assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, false), "{report:?}");
            let said = report.findings.iter().find(|finding| finding.rule == "history_unread").unwrap();
            assert!(said.detail.starts_with(what) && said.detail.contains("503"), "{said:?}");
        }
    }
}

/// Scenario: the time is short, and whoever should answer hangs.
/// Guarantee: it is out of reach, and not that the time was up.
#[tokio::test]
async fn who_hangs_until_the_time_is_up_is_out_of_reach() {
    let world = World::new(10, &|_, _, _| true).await;
    let (blue, _) = world.queries();
    let config = HistoryConfig { deadline: Duration::from_secs(6), ..config() };
    let address = serve(|_| Reply::Hang).await;
    let hangs = jaeger(&address).at_most(Duration::from_secs(2));
    let began = std::time::Instant::now();
    let report = run(&blue, &hangs, &config, &|_, _, _| {}).await;
    assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true), "{report:?}");
    let report = kept_in(
        &hangs,
        &config,
        (Promise { from: DAY.from, cut_over: DAY.until, until: DAY.until + HOUR, now: DAY.until + 1 }, None),
        &|_, _, _| {},
    )
    .await;
    assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true), "{report:?}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn one_span_that_was_cut_off_is_told() {
    let report = looked(64, &|nth, _, span| nth != 5 || !span.parent_span_id.is_empty()).await;
    assert_eq!(report.verdict(), Verdict::Fail);
    assert!(rules(&report).contains(&"history_spans_lost"), "{report:?}");
}

/// Scenario: green has every trace, and its searches know nothing of the last hours.
/// Guarantee: that is told as an index that lags, not as lost traces.
#[tokio::test]
async fn an_index_that_lags_is_told_as_such() {
    let world = World::new(64, &|_, _, _| true).await;
    let (blue, _) = world.queries();
    let indexed = World::new(64, &|_, began, _| began < BEGIN + 20 * HOUR).await;
    let address = in_front(world.green.query_addr(), indexed.green.query_addr()).await;
    let report = run(&blue, &jaeger(&address), &config(), &|_, _, _| {}).await;
    assert_eq!(report.verdict(), Verdict::Fail);
    let found = rules(&report);
    assert!(found.contains(&"history_index_lags") && !found.contains(&"history_hole"), "{found:?}");
    assert!(!found.contains(&"history_trace_lost"), "{found:?}");
    let lags = report.findings.iter().find(|f| f.rule == "history_index_lags").unwrap();
    assert!(lags.detail.ends_with("to the end"), "{}", lags.detail);
}

#[tokio::test]
async fn environments_that_do_not_answer_are_no_verdict() {
    let world = World::new(80, &|_, _, _| true).await;
    let (blue, green) = world.queries();
    for reply in [Reply::Hang, Reply::Full(200, b"<html>".to_vec())] {
        let hangs = matches!(reply, Reply::Hang);
        let address = serve(move |_| reply.clone()).await;
        let bad = asking(QueryKind::Jaeger, &address, hangs);
        let report = run(&bad, &green, &config(), &|_, _, _| {}).await;
        assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true), "{report:?}");
        let report = run(&blue, &bad, &config(), &|_, _, _| {}).await;
        assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true), "{report:?}");
        let promise =
            Promise { from: DAY.from, cut_over: DAY.until, until: DAY.until + 24 * HOUR, now: DAY.until + 1 };
        let report = kept_in(&bad, &config(), (promise, None), &|_, _, _| {}).await;
        assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true), "{report:?}");
    }
}

/// Scenario: old traces stay in blue; later its retention deletes what came last.
/// Guarantee: as long as they are there the gate passes; then it fails, until the promise is over.
#[tokio::test]
async fn history_that_is_kept_is_looked_at_where_it_is() {
    let world = World::new(64, &|_, began, _| began < BEGIN + 12 * HOUR).await;
    let (blue, eaten) = world.queries();
    let promise = |days: u64| Promise {
        from: DAY.from,
        cut_over: DAY.until,
        until: DAY.until + days * 24 * HOUR,
        now: DAY.until + HOUR,
    };
    let first = kept_in(&blue, &config(), (promise(30), None), &|_, _, _| {}).await;
    assert_eq!(
        (first.verdict(), rules(&first)),
        (Verdict::Pass, vec!["history_kept_not_compared"]),
        "{first:?}"
    );
    let earlier = || Parts::read(&serde_json::json!({ "facts": first.facts }));
    let again = kept_in(&blue, &config(), (promise(30), earlier()), &|_, _, _| {}).await;
    assert_eq!((again.verdict(), rules(&again)), (Verdict::Pass, vec![]), "{again:?}");
    let report = kept_in(&eaten, &config(), (promise(30), earlier()), &|_, _, _| {}).await;
    let found: std::collections::BTreeSet<_> = rules(&report).into_iter().collect();
    assert_eq!(report.verdict(), Verdict::Fail);
    assert_eq!(found, ["history_kept_gone", "history_kept_too_short"].into(), "{report:?}");
    assert_eq!(kept_in(&eaten, &config(), (promise(0), None), &|_, _, _| {}).await.verdict(), Verdict::Pass);
}

/// Scenario: an earlier look read traces of a day from a Tempo, which lists services by time: none at all any more; or of then only; or of
/// now only.
/// Guarantee: where no search can be put nothing is claimed; a service of then is searched for; one of now, too, and what it finds counts.
#[tokio::test]
async fn a_tempo_that_has_been_idle_has_lost_nothing() {
    const DAY_SECS: u64 = 86_400;
    const FROM_SECS: u64 = 18_518 * DAY_SECS;
    let window = Window { from: FROM_SECS * 1_000_000_000, until: (FROM_SECS + DAY_SECS) * 1_000_000_000 };
    let until = window.until + 30 * 24 * HOUR;
    let promise = Promise { from: window.from, cut_over: window.until, until, now: window.until + 48 * HOUR };
    let found = serde_json::json!({ FROM_SECS.to_string(): 5 });
    let facts = serde_json::json!({ "facts": { "parts": { "secs": DAY_SECS, "found": found } } });
    for (then, now, verdict, is_gone) in [
        (false, false, Verdict::NoVerdict, false),
        (true, false, Verdict::Fail, false),
        (false, true, Verdict::Fail, true),
    ] {
        let address = serve(move |seen| {
            let start =
                seen.path.split_once("start=").and_then(|(_, rest)| rest.split('&').next()?.parse().ok());
            let is_then = start.is_some_and(|start: u64| start <= FROM_SECS + DAY_SECS);
            let body = match seen.path.as_str() {
                path if path.contains("/values") && is_then && then => {
                    r#"{"tagValues":[{"type":"string","value":"old"}],"metrics":{}}"#
                }
                path if path.contains("/values") && !is_then && now => {
                    r#"{"tagValues":[{"type":"string","value":"new"}],"metrics":{}}"#
                }
                path if path.contains("/values") => r#"{"tagValues":[],"metrics":{}}"#,
                path if path.contains("old") => r#"{"traces":[{"traceID":"1"}],"metrics":{}}"#,
                path if path.starts_with("/api/search") => r#"{"traces":[],"metrics":{}}"#,
                _ => return Reply::Full(404, Vec::new()),
            };
            Reply::Full(200, body.as_bytes().to_vec())
        })
        .await;
        let config = HistoryConfig { window, ..config() };
        let tempo = client(QueryKind::Tempo, &address);
        let report = kept_in(&tempo, &config, (promise, Parts::read(&facts)), &|_, _, _| {}).await;
        let said = rules(&report);
        assert_eq!(report.verdict(), verdict, "{report:?}");
        assert_eq!(said.contains(&"history_kept_gone"), is_gone, "{report:?}");
        assert_eq!(said.contains(&"history_kept_too_short"), is_gone, "{report:?}");
        assert_eq!(said.contains(&"history_not_kept"), then, "{report:?}");
        assert_eq!(said.contains(&"history_unread"), !then && !now, "{report:?}");
    }
}
