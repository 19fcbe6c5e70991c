mod silence;
mod together;

use std::collections::BTreeMap;

use super::*;
use crate::inventory::{Caller, Seen, Service, TapCounts};
use crate::model::TraceId;
use crate::{Verdict, explain};

const MINUTE: u64 = 60_000_000_000;
const NOON: u64 = 30_000_000 * MINUTE;
const WINDOW: Window = Window { from: NOON, until: NOON + 60 * MINUTE };
const BEFORE: Window = Window { from: NOON - 120 * MINUTE, until: NOON };

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn binomial(&mut self, n: u32, p: f64) -> u32 {
        (0..n).map(|_| u32::from(self.unit() < p)).sum()
    }
}

fn seen(traces: u32, last: u64) -> Seen {
    let example = (traces > 0).then_some(TraceId([7; 16]));
    Seen { traces, first: last.saturating_sub(30 * MINUTE), last, example, mark: 0 }
}

/// A service as a test says it: traces, then what is in how many of them.
fn service(traces: u32, last: u64, operations: &[(&str, u32)], callers: &[(&str, u32)]) -> Service {
    let map = |pairs: &[(&str, u32)]| {
        pairs.iter().map(|(name, with)| ((*name).to_owned(), seen(*with, last))).collect::<BTreeMap<_, _>>()
    };
    let caller = |(name, with): &(&str, u32)| {
        let via = [("POST /checkout".to_owned(), *with)].into();
        ((*name).to_owned(), Caller { seen: seen(*with, last), via })
    };
    let minutes = (0..30).map(|minute| (last / MINUTE - minute, traces / 30)).collect();
    Service {
        seen: seen(traces, last),
        estimated: traces.into(),
        operations: map(operations),
        kinds: map(&[("SERVER", traces)]),
        keys: map(&[("http.route", traces)]),
        callers: callers.iter().map(caller).collect(),
        minutes,
        ..Service::default()
    }
}

fn inventory(services: impl IntoIterator<Item = (&'static str, Service)>) -> Inventory {
    let services: BTreeMap<String, Service> = services
        .into_iter()
        .filter(|(_, s)| s.seen.traces > 0)
        .map(|(name, s)| (name.to_owned(), s))
        .collect();
    let traces = services.values().map(|service| service.seen.traces).sum();
    Inventory { traces, services, ..Inventory::new() }
}

/// A shop and its payment service, as both environments should record them.
fn shop(last: u64) -> Inventory {
    inventory([
        ("shop", service(200, last, &[("POST /checkout", 120), ("GET /", 80)], &[])),
        ("payment", service(120, last, &[("Charge", 118), ("Refund", 2)], &[("shop", 120)])),
    ])
}

fn side(name: &str, inventory: Inventory) -> Side {
    let recorded = Ok(Recorded { inventory, ..Recorded::default() });
    Side { name: name.to_owned(), url: format!("http://{name}-query:16686"), recorded }
}

fn past(inventory: Inventory) -> Option<Past> {
    Some(Past { window: BEFORE, recorded: Ok(Recorded { inventory, ..Recorded::default() }) })
}

fn inputs(blue: Inventory, green: Inventory) -> Inputs {
    Inputs {
        blue: side("blue", blue),
        green: side("green", green),
        before: None,
        sent: Ok(Vec::new()),
        window: WINDOW,
        share: 1.0,
        no_share: None,
    }
}

#[test]
fn one_is_not_told_as_many() {
    let alone = || inventory([("shop", service(1, at_noon(), &[("GET /", 1)], &[]))]);
    let report = judged(&inputs(alone(), alone()));
    assert!(report.summary.ends_with(", 1 service in blue and 1 in green, 1 and 1 trace looked at"));
}

/// Scenario: no share of the traffic is the candidate's in the window, or what its share is cannot be found out.
/// Guarantee: that is what is said, and not that an environment cannot be read; who was not reached counts as out of reach.
#[test]
fn why_there_is_no_share_is_said() {
    let judged =
        |no_share| judged(&Inputs { share: 0.0, no_share, ..inputs(shop(at_noon()), Inventory::new()) });
    let told = |report: &Report| -> Vec<(&str, String)> {
        report.findings.iter().filter(|f| f.is_unknown()).map(|f| (f.id, f.detail.clone())).collect()
    };
    let none = judged(None);
    assert_eq!(
        told(&none),
        [("CF-COVERAGE-012", "green receives no traffic yet, so there is nothing to compare".to_owned())]
    );
    let idle = judged(Some(NoShare::Idle("green serves alone".into())));
    assert_eq!(told(&idle), [("CF-COVERAGE-012", "green serves alone".to_owned())]);
    for answered in [true, false] {
        let unknown = judged(Some(NoShare::Unknown(Trouble { what: "gone".into(), answered })));
        assert_eq!(
            (told(&unknown), unknown.unreachable),
            (vec![("CF-COVERAGE-017", "gone".to_owned())], !answered)
        );
    }
}

fn tap(inventory: Inventory) -> Sent {
    let tap = TapCounts { enabled: true, one_in: 1, ..TapCounts::default() };
    let (since, now) = (BEFORE.from - MINUTE, WINDOW.until);
    let (gateway, boot) = ("gw".into(), "b".into());
    Sent { schema_version: 1, gateway, boot, since, now, tap, passed: BTreeMap::new(), inventory }
}

fn at_noon() -> u64 {
    NOON + 59 * MINUTE
}

fn ids(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.id).collect()
}

fn judged(inputs: &Inputs) -> Report {
    judge(inputs, &Limits::default())
}

fn text(report: &Report) -> String {
    report.findings.iter().map(|f| format!("{} {} {:?} {:?}\n", f.id, f.detail, f.expected, f.seen)).collect()
}

#[test]
fn two_that_record_the_same_pass() {
    let report = judged(&inputs(shop(at_noon()), shop(at_noon())));
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Pass, vec![]), "{}", text(&report));
    assert_eq!(report.facts["services"].as_array().unwrap().len(), 2);
}

#[test]
fn a_service_that_green_does_not_record_is_named_once() {
    let mut green = shop(at_noon());
    green.services.remove("payment");
    let mut inputs = inputs(shop(at_noon()), green);
    inputs.sent = Ok(vec![tap(shop(at_noon()))]);
    let report = judged(&inputs);
    assert_eq!(
        (ids(&report), report.verdict()),
        (vec!["CF-COVERAGE-001"], Verdict::Fail),
        "{}",
        text(&report)
    );
    let finding = &report.findings[0];
    assert!(finding.detail.contains("`payment`") && finding.detail.contains("green is blind to it"));
    assert!(finding.detail.contains("would have been read as less traffic: `Charge`"), "{}", finding.detail);
    assert_eq!(finding.place.trace_id, Some(TraceId([7; 16]).to_string()));
    assert!(finding.seen.as_ref().unwrap().contains("2027-"), "dated: {:?}", finding.seen);
}

// Scenario: the service that green does not record failed now and then, and was slow.
// Guarantee: the finding says what of that is not seen in green, and that this is no improvement; the table has both sides.
#[test]
fn figures_that_look_better_without_a_service_are_named() {
    let mut blue = shop(at_noon());
    let payment = blue.services.get_mut("payment").unwrap();
    payment.failed = seen(9, at_noon());
    for nth in 0..120_u64 {
        payment.took.record(if nth < 110 { 40_000_000 } else { 2_000_000_000 });
    }
    let mut green = shop(at_noon());
    green.services.remove("payment");
    let report = judged(&inputs(blue, green));
    let detail = &report.findings[0].detail;
    let words = "9 of its 120 traces failed, and its requests took up to 2.1 s (p99): without it error rates and latencies look \
                 better, because they are not recorded and not because they are";
    assert!(detail.contains(words), "{detail}");
    let row = &report.facts["services"][0];
    assert_eq!(
        (&row["service"], &row["blue"]["failed"], &row["green"]),
        (&"payment".into(), &9.into(), &().into())
    );
    assert!((2_000..2_400).contains(&row["blue"]["p99_ms"].as_u64().unwrap()), "{row}");
}

// Scenario: green's payment service speaks another propagation format, so that its spans begin traces of their own.
// Guarantee: one finding names both ends of the boundary, and what a degradation would have been read as.
#[test]
fn a_broken_boundary_is_one_finding_that_names_it() {
    let mut green = shop(at_noon());
    let payment = green.services.get_mut("payment").unwrap();
    payment.callers.clear();
    payment.roots = seen(119, at_noon());
    let report = judged(&inputs(shop(at_noon()), green));
    assert_eq!(ids(&report), ["CF-COVERAGE-006"], "{}", text(&report));
    let finding = &report.findings[0];
    assert!(
        finding
            .detail
            .starts_with("traces break between `shop` and `payment`: `payment` begins traces of its own")
    );
    assert!(
        finding.detail.contains("have been read as one of `POST /checkout` of `shop`"),
        "{}",
        finding.detail
    );
    assert_eq!(finding.expected.as_deref(), Some("the calls in 120 of 120 traces (100.0 %)"));
}

#[test]
fn a_boundary_that_breaks_for_some_instances_is_found_too() {
    let mut green = shop(at_noon());
    let payment = green.services.get_mut("payment").unwrap();
    payment.callers.get_mut("shop").unwrap().seen.traces = 40;
    payment.orphans = seen(80, at_noon());
    let report = judged(&inputs(shop(at_noon()), green));
    assert_eq!(ids(&report), ["CF-COVERAGE-006"], "{}", text(&report));
    assert!(report.findings[0].detail.contains("have parents that are not there in 80 of 120 traces"));
}

#[test]
fn operations_keys_and_kinds_are_grouped_by_service() {
    let mut blue = shop(at_noon());
    let payment = blue.services.get_mut("payment").unwrap();
    for number in 0..25 {
        payment.keys.insert(format!("payment.field.{number:02}"), seen(100, at_noon()));
    }
    payment.kinds.insert("CLIENT".into(), seen(90, at_noon()));
    let mut green = shop(at_noon());
    green.services.get_mut("shop").unwrap().operations.remove("GET /");
    green.services.get_mut("shop").unwrap().operations.insert("GET".into(), seen(80, at_noon()));
    let report = judged(&inputs(blue, green));
    let expected = ["CF-COVERAGE-002", "CF-COVERAGE-004", "CF-COVERAGE-005", "CF-COVERAGE-010"];
    assert_eq!(ids(&report), expected, "{}", text(&report));
    assert!(report.findings[1].detail.starts_with("25 attribute keys of `payment`"));
    assert!(report.findings[1].detail.ends_with("and 15 more"));
    assert!(report.findings[3].detail.contains("green records what blue does not, or far less: `GET`"));
}

#[test]
fn what_is_rare_cries_no_wolf_and_is_listed() {
    let mut green = shop(at_noon());
    green.services.get_mut("payment").unwrap().operations.remove("Refund");
    let mut blue = shop(at_noon());
    blue.services.insert("nightly".into(), service(1, at_noon(), &[("run", 1)], &[]));
    let report = judged(&inputs(blue, green));
    assert_eq!(
        (report.verdict(), ids(&report)),
        (Verdict::Pass, vec!["CF-COVERAGE-011"]),
        "{}",
        text(&report)
    );
    let listed = report.facts["too_rare"].to_string();
    assert!(listed.contains("payment: Refund") && listed.contains("service nightly"), "{listed}");
}

#[test]
fn the_share_of_green_decides_what_its_absence_says() {
    let only_shop = || inventory([("shop", service(40, at_noon(), &[("GET /", 40)], &[]))]);
    for (share, id) in [
        (1.0, "CF-COVERAGE-001"),
        (0.5, "CF-COVERAGE-001"),
        (0.1, "CF-COVERAGE-012"),
        (0.0, "CF-COVERAGE-012"),
    ] {
        let inputs = Inputs { share, ..inputs(only_shop(), Inventory::new()) };
        let report = judged(&inputs);
        assert!(ids(&report).contains(&id), "{share}: {}", text(&report));
        assert_eq!(report.verdict() == Verdict::Fail, id == "CF-COVERAGE-001", "{share}");
    }
    let report = judged(&inputs(Inventory::new(), Inventory::new()));
    assert_eq!(report.verdict(), Verdict::NoVerdict, "nothing seen is nothing known");
}

// Scenario: green has 1 % of the traffic, and nothing of payment. 240 of blue's traces of it were looked at, of 100,000 or of 250.
// Guarantee: what green must have by blue's real rate fails, what may be chance is listed, and what nobody counted is no verdict.
#[test]
fn at_a_small_share_the_number_of_traces_decides_and_not_that_of_those_looked_at() {
    let at = |volume: Option<Volume>, cut_short: bool| {
        let mut blue = shop(at_noon());
        blue.services.insert("payment".into(), service(240, at_noon(), &[("Charge", 240)], &[("shop", 240)]));
        blue.services.get_mut("payment").unwrap().cut_short = cut_short;
        let mut inputs = Inputs {
            share: 0.01,
            ..inputs(
                blue,
                inventory([("shop", service(9, at_noon(), &[("POST /checkout", 5), ("GET /", 4)], &[]))]),
            )
        };
        let volumes = &mut inputs.blue.recorded.as_mut().unwrap().volumes;
        volumes.extend(volume.map(|volume| ("payment".to_owned(), volume)));
        judged(&inputs)
    };
    let many = at(Some(Volume { about: 100_000, at_least: 25_000 }), true);
    assert_eq!(many.verdict(), Verdict::Fail, "{}", text(&many));
    assert_eq!(
        (many.findings[0].id, many.findings[0].place.component.as_deref()),
        ("CF-COVERAGE-001", Some("payment"))
    );
    assert_eq!(many.findings[0].expected.as_deref(), Some("about 1000 traces in green, by its share"));
    for uncounted in [None, Some(Volume { about: 100_000, at_least: 240 })] {
        let report = at(uncounted, true);
        assert_eq!(
            (report.verdict(), report.findings[0].id),
            (Verdict::NoVerdict, "CF-COVERAGE-016"),
            "{}",
            text(&report)
        );
    }
    for rare in [(Some(Volume { about: 250, at_least: 240 }), true), (None, false)] {
        let report = at(rare.0, rare.1);
        assert_eq!(
            (report.verdict(), ids(&report)),
            (Verdict::Pass, vec!["CF-COVERAGE-011"]),
            "{}",
            text(&report)
        );
    }
}

#[test]
fn what_cannot_be_asked_is_no_verdict() {
    let trouble = |answered| Trouble { what: "http://green-query:16686 hangs".into(), answered };
    for answered in [false, true] {
        let mut inputs = inputs(shop(at_noon()), shop(at_noon()));
        inputs.green.recorded = Err(trouble(answered));
        let report = judged(&inputs);
        assert_eq!((ids(&report), report.unreachable), (vec!["CF-COVERAGE-013"], !answered));
        assert_eq!(report.verdict(), Verdict::NoVerdict);
    }
    // A past that nobody has read is none in which all was well.
    for answered in [false, true] {
        let unread = Some(Past { window: BEFORE, recorded: Err(trouble(answered)) });
        let report = judged(&Inputs { before: unread, ..inputs(shop(at_noon()), shop(at_noon())) });
        assert_eq!((ids(&report), report.unreachable), (vec!["CF-COVERAGE-013"], !answered));
        assert_eq!(report.verdict(), Verdict::NoVerdict);
        let mut half = past(shop(NOON - MINUTE)).unwrap();
        half.recorded.as_mut().unwrap().troubles = vec![trouble(answered)];
        let report = judged(&Inputs { before: Some(half), ..inputs(shop(at_noon()), shop(at_noon())) });
        assert_eq!((ids(&report), report.verdict()), (vec!["CF-COVERAGE-013"], Verdict::NoVerdict));
    }
    let mut half = inputs(shop(at_noon()), shop(at_noon()));
    half.green.recorded.as_mut().unwrap().troubles = vec![trouble(true), trouble(true)];
    half.blue.recorded.as_mut().unwrap().services_left_out = 3;
    let report = judged(&half);
    assert_eq!(
        (ids(&report), report.verdict()),
        (vec!["CF-COVERAGE-014", "CF-COVERAGE-013"], Verdict::NoVerdict)
    );
    assert!(report.findings[1].detail.ends_with("(and 1 more)"));
    // What could not be read of green is not said to be missing there.
    let mut broken = inputs(shop(at_noon()), shop(at_noon()));
    let green = broken.green.recorded.as_mut().unwrap();
    green.inventory.services.remove("payment");
    (green.troubles, green.unread) = (vec![trouble(true)], ["payment".to_owned()].into());
    let report = judged(&broken);
    assert_eq!((ids(&report), report.verdict()), (vec!["CF-COVERAGE-013"], Verdict::NoVerdict));
}

/// One environment's sample of services whose parts have these probabilities; the first `rate` of each is its traffic.
fn sample(rng: &mut Rng, world: &[(f64, Vec<f64>)], share: f64) -> Inventory {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let services = world.iter().zip(NAMES).map(|((rate, parts), name)| {
        let traces = rng.binomial(150, rate * share);
        let mut service = service(traces, at_noon(), &[], &[]);
        for (number, probability) in parts.iter().enumerate() {
            let with = rng.binomial(traces, *probability);
            if with == 0 {
                continue;
            }
            let part = seen(with, at_noon());
            match number % 4 {
                0 => drop(service.operations.insert(format!("o{number}"), part)),
                1 => drop(service.keys.insert(format!("k{number}"), part)),
                2 => drop(
                    service
                        .callers
                        .insert(NAMES[number / 2].into(), Caller { seen: part, via: BTreeMap::new() }),
                ),
                _ if number == 3 => service.roots = part,
                _ if number == 7 => service.orphans = part,
                _ => drop(service.kinds.insert("CLIENT".into(), part)),
            }
        }
        (name, service)
    });
    inventory(services)
}

/// Services and parts from frequent to very rare.
fn world(rng: &mut Rng) -> Vec<(f64, Vec<f64>)> {
    let mut part = || 10_f64.powf(-3.0 * rng.unit());
    (0..8).map(|_| (part(), (0..12).map(|_| part()).collect())).collect()
}

// Guarantee: of 1,000 pairs of environments that record the same, whatever they record and whatever green's share, at most
// alpha, ten, hold a finding.
#[test]
fn false_alarms_are_no_more_than_the_rule_says() {
    let mut alarms = 0;
    for seed in 0..1_000 {
        let rng = &mut Rng(seed);
        let world = world(rng);
        let share = [1.0, 0.5, 0.1, 0.01][rng.below(4) as usize];
        let (blue, green) = (sample(rng, &world, 1.0), sample(rng, &world, share));
        let before = past(sample(rng, &world, 1.0));
        let report = judged(&Inputs { share, before, ..inputs(blue, green) });
        alarms += u32::from(report.verdict() == Verdict::Fail);
    }
    assert!(alarms <= 10, "{alarms} of 1,000");
}

// Guarantee: something frequent that one of two such environments loses is found, by its rule, every time.
#[test]
fn planted_blind_spots_are_found() {
    for seed in 0..200 {
        let rng = &mut Rng(seed);
        let mut world = world(rng);
        world[0] = (0.6, vec![0.5, 0.5, 0.5, 0.01]);
        let blue = sample(rng, &world, 1.0);
        let mut green = sample(rng, &world, 0.5);
        let part = green.services.get_mut("a").unwrap();
        let rule = match seed % 4 {
            0 => {
                part.operations.clear();
                "CF-COVERAGE-002"
            }
            1 => {
                part.keys.remove("k1");
                "CF-COVERAGE-004"
            }
            2 => {
                part.callers.clear();
                "CF-COVERAGE-003"
            }
            _ => {
                green.services.remove("a");
                "CF-COVERAGE-001"
            }
        };
        let report = judged(&Inputs { share: 0.5, ..inputs(blue, green) });
        assert!(ids(&report).contains(&rule), "{seed}: {rule} is not in {}", text(&report));
    }
}

#[test]
fn findings_are_bounded_and_every_rule_is_explained() {
    let mut blue = shop(at_noon());
    for number in 0..300 {
        blue.services.insert(format!("s{number}"), service(100, at_noon(), &[("o", 100)], &[("shop", 100)]));
    }
    let report = judged(&inputs(blue, shop(at_noon())));
    assert!(report.findings.len() <= 301 && report.evidence().len() < 1 << 20, "{}", report.evidence().len());
    assert!(RULES.iter().all(|rule| explain(rule.id).is_some()));
}

#[test]
fn patterns_match_as_people_expect() {
    for (pattern, text, fits) in [
        ("shop", "shop", true),
        ("shop", "shop2", false),
        ("shop*", "shop2", true),
        ("*-canary", "shop-canary", true),
        ("*mock*", "the-mock-1", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "aXcYb", false),
        ("*", "", true),
        ("", "x", false),
        ("ab*ba", "aba", false),
    ] {
        assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
    }
}
