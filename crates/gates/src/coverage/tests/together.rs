//! Services that are missing together.

use super::*;
use crate::inventory::{Names, Sight};
use crate::model::{AttributeValue, Kind, Span, SpanId, StatusCode};

/// The services of each trace, so many times, as a sampled environment has them; each trace in a minute of its own hour.
fn of_traces(kinds: &[(Vec<String>, u32)]) -> Inventory {
    let mut inventory = Inventory::new();
    let mut number = 0_u128;
    for (services, times) in kinds {
        for _ in 0..*times {
            number += 1;
            let sights: Vec<Sight> = services.iter().map(|name| sight(name, number)).collect();
            // As the collector does it: once for each service, of whose sample the trace is.
            services.iter().for_each(|name| inventory.note(&sights, Some(name), 1));
        }
    }
    inventory
}

fn sight(service: &str, number: u128) -> Sight {
    let start = NOON + (number as u64 % 60) * MINUTE;
    let span = Span {
        trace_id: TraceId(number.to_be_bytes()),
        span_id: SpanId([1; 8]),
        parent: None,
        trace_state: String::new(),
        resource: [("service.name".to_owned(), AttributeValue::String(service.to_owned()))].into(),
        scope: String::new(),
        scope_version: String::new(),
        scope_attributes: BTreeMap::new(),
        flags: 0x101,
        name: "run".to_owned(),
        kind: Kind::Server,
        start,
        end: start + MINUTE,
        attributes: BTreeMap::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: StatusCode::Unset,
        status_message: String::new(),
    };
    Sight::of(&span, &mut Names::default())
}

fn each_alone(services: u32, times: u32) -> Vec<(Vec<String>, u32)> {
    (0..services).map(|number| (vec![format!("job-{number}")], times)).collect()
}

// Scenario: blue records twenty services, and green one of them; each of the others is too rare to be missed by itself.
// Guarantee: that green lacks all of them is a finding, and one that names them; with most of them, none.
#[test]
fn what_may_be_missing_one_by_one_is_not_all_together() {
    for (share, times, kept) in [(0.1, 60, 6), (1.0, 1, 1), (1.0, 3, 3)] {
        let blue = of_traces(&each_alone(20, times));
        let green = of_traces(&each_alone(1, kept));
        let report = judged(&Inputs { share, ..inputs(blue.clone(), green) });
        assert_eq!(report.verdict(), Verdict::Fail, "{share} {times}: {}", text(&report));
        assert_eq!(report.findings[0].id, "CF-COVERAGE-019", "{}", text(&report));
        assert!(report.findings[0].detail.starts_with("blue records 19 services"), "{}", text(&report));
        assert!(report.findings[0].detail.contains("`job-1`"), "{}", text(&report));
    }
    let blue = of_traces(&each_alone(20, 60));
    let most = of_traces(&each_alone(18, 6));
    let report = judged(&Inputs { share: 0.1, ..inputs(blue, most) });
    assert_eq!(
        (report.verdict(), ids(&report)),
        (Verdict::Pass, vec!["CF-COVERAGE-011"]),
        "{}",
        text(&report)
    );
}

// Scenario: one trace in the night that goes through thirty services; and hundreds of services with a trace each.
// Guarantee: that the one is not in green's tenth, or most of the many are not, is chance.
#[test]
fn what_is_really_rare_is_no_finding_together() {
    let job = |times| ((0..30).map(|number| format!("job-{number}")).collect::<Vec<_>>(), times);
    let shop = |times| (vec!["shop".to_owned()], times);
    for share in [1.0, 0.1] {
        let green = of_traces(&[shop((200.0 * share) as u32)]);
        let report = judged(&Inputs { share, ..inputs(of_traces(&[shop(200), job(1)]), green) });
        assert_eq!(
            (report.verdict(), ids(&report)),
            (Verdict::Pass, vec!["CF-COVERAGE-011"]),
            "{}",
            text(&report)
        );
    }
    let mut many = each_alone(300, 1);
    many.push(shop(200));
    let mut few = each_alone(27, 1);
    few.push(shop(20));
    let report = judged(&Inputs { share: 0.1, ..inputs(of_traces(&many), of_traces(&few)) });
    assert_eq!(
        (report.verdict(), ids(&report)),
        (Verdict::Pass, vec!["CF-COVERAGE-011"]),
        "{}",
        text(&report)
    );
}

// Guarantee: of 60 pairs of environments that record the same, in which rare services come alone and in company, at most alpha hold a
// finding; and the sum is right where it can be counted by hand.
#[test]
fn false_alarms_of_all_together_are_no_more_than_the_rule_says() {
    let mut alarms = 0;
    for seed in 0..60 {
        let rng = &mut Rng(seed);
        let share = [1.0, 0.5, 0.1][rng.below(3) as usize];
        let kinds: Vec<(Vec<String>, f64)> = (0..40)
            .map(|_| {
                let company = 1 + rng.below(5);
                let services = (0..company).map(|_| format!("s{}", rng.below(60))).collect::<BTreeSet<_>>();
                (services.into_iter().collect(), 10_f64.powf(-2.5 * rng.unit()))
            })
            .collect();
        let mut of = |share: f64| {
            let drawn =
                kinds.iter().map(|(services, rate)| (services.clone(), rng.binomial(30, rate * share)));
            of_traces(&drawn.collect::<Vec<_>>())
        };
        let (blue, green) = (of(1.0), of(share));
        let report = judged(&Inputs { share, ..inputs(blue, green) });
        alarms += u32::from(ids(&report).contains(&"CF-COVERAGE-019"));
    }
    assert!(alarms <= 1, "{alarms} of 60");
    let together = |kinds: &[(Vec<String>, u32)], missing: &[&str]| {
        let missing = missing.iter().copied().collect();
        crate::coverage::together::Together::of(&of_traces(kinds), &missing, &BTreeSet::new())
            .ln_chance(1.0)
            .exp()
    };
    let alone = each_alone(3, 1);
    for (missing, chance) in [(vec!["job-0"], 0.875), (vec!["job-0", "job-1"], 0.5), (vec![], 1.0)] {
        assert!((together(&alone, &missing) - chance).abs() < 1e-12, "{missing:?}");
    }
}

// Scenario: of the one service that both record, green has a single trace, and blue twenty. Guarantee: that compares nothing.
#[test]
fn a_single_shared_trace_is_not_enough() {
    let only = |traces| inventory([("shop", service(traces, at_noon(), &[("GET /", traces)], &[]))]);
    let report = judged(&inputs(only(20), only(1)));
    assert_eq!(
        (report.verdict(), ids(&report)),
        (Verdict::NoVerdict, vec!["CF-COVERAGE-012"]),
        "{}",
        text(&report)
    );
}
