//! Beside another environment: certificates, which endpoint is held against which, and pages that come with a store.

use super::*;

// Scenario: two certificates that the policy allows, with keys of two lengths; or one that lapses soon, or has lapsed, and one that does not.
// Guarantee: green's shorter key is a finding, and a longer one, or one of another kind, is none; what lapses is told beside what
// does not, and grows no worse for being looked at later.
#[test]
fn a_certificate_is_no_weaker_than_blues() {
    let with = |name: &str, change: &dyn Fn(&mut Certificate)| {
        let mut facts = closed(name);
        let mut changed = certificate();
        change(&mut changed);
        facts.endpoints[0].tls.as_mut().unwrap().certificate = Fact::Known(changed);
        facts
    };
    for (green, blue, rules) in [
        (("RSA", 3072), ("RSA", 4096), &["weaker"][..]),
        (("RSA", 4096), ("RSA", 3072), &[]),
        (("EC", 256), ("EC", 384), &["weaker"]),
        (("EC", 384), ("EC", 256), &[]),
        (("EC", 256), ("RSA", 4096), &[]),
        (("RSA", 1024), ("RSA", 2048), &["weak_key"]),
    ] {
        let key = |(algorithm, bits): (&'static str, u32)| {
            move |c: &mut Certificate| c.key = Key { algorithm: algorithm.into(), bits }
        };
        let report = judged(&with("green", &key(green)), Some(&with("blue", &key(blue))));
        assert_eq!(held(&report), rules, "{green:?} {blue:?}");
        if let Some(finding) = report.first() {
            let expected = format!("as blue: its key is {} {}", blue.0, blue.1);
            assert_eq!(finding.expected.as_deref(), Some(expected.as_str()));
        }
    }
    let ends = |days: i64| move |c: &mut Certificate| c.not_after = NOW + days * DAY;
    for (days, rule) in [(3, "expires_soon"), (-3, "expired")] {
        let report = judged(&with("green", &ends(days)), Some(&with("blue", &ends(300))));
        assert_eq!(held(&report), [rule]);
        let expected = report.first().unwrap().expected.as_deref();
        assert_eq!(expected, Some("as blue: its certificate ends in 300 days"));
        let policy = Policy::default();
        let (subject, later) = (with("green", &ends(days)), NOW + DAY);
        let input =
            Input { subject: &subject, reference: None, before: Some(&subject), policy: &policy, now: later };
        assert_eq!(held(&judge(&input)), [rule], "it was no better when it was looked at before");
    }
    assert_eq!(held(&judged(&with("green", &ends(20)), Some(&with("blue", &ends(300))))), Vec::<&str>::new());
}

// Scenario: green's main receiver speaks HTTP, and blue's gRPC, each with the other as a further one; green names its zpages in another order than blue.
// Then green has a receiver more.
// Guarantee: each is held against that which is the same, not against that of the same name or number.
#[test]
fn endpoints_are_matched_by_what_they_are() {
    let asks = |mut endpoint: EndpointFacts, protocol: &str, url: &str, asked| {
        endpoint.tls.as_mut().unwrap().client_certificate = Fact::Known(asked);
        EndpointFacts { protocol: protocol.into(), url: url.into(), ..endpoint }
    };
    use ClientCertificate::{NotAsked, Required};
    let otlp = |name: &str| endpoint(name, Role::Otlp);
    let query =
        |host: &str| EndpointFacts { url: format!("https://{host}:16686"), ..endpoint("query", Role::Query) };
    let facts = |name: &str, endpoints| Facts { environment: name.into(), endpoints, unplaced: Vec::new() };
    let blue = |http| {
        facts(
            "blue",
            vec![
                asks(otlp("otlp"), "grpc", "https://b:4317", NotAsked),
                asks(otlp("otlp http"), "http", "https://b:4318/v1/traces", http),
            ],
        )
    };
    let green = facts(
        "green",
        vec![
            asks(otlp("otlp"), "http", "https://g:4318/v1/traces", NotAsked),
            asks(otlp("otlp grpc"), "grpc", "https://g:4317", Required),
        ],
    );
    assert_eq!(held(&judged(&green, Some(&blue(NotAsked)))), Vec::<&str>::new());
    let report = judged(&green, Some(&blue(Required)));
    assert_eq!(held(&report), ["no_client_certificate"]);
    assert_eq!(report.first().unwrap().place.url.as_deref(), Some("https://g:4318/v1/traces"));
    // The further one is a way in that blue does not have: it is no wider than blue's.
    let one = facts("blue", vec![asks(otlp("otlp"), "grpc", "https://b:4317", Required)]);
    assert_eq!(held(&judged(&green, Some(&one))), ["no_client_certificate"]);

    let zpages = |name: &str, url: &str, access| {
        let mut zpages = endpoint(name, Role::Admin(AdminKind::Zpages));
        zpages.access.as_mut().unwrap().anonymous = Fact::Known(access);
        let tls = zpages.tls.as_mut().unwrap();
        (tls.client_certificate, tls.strange_certificate) = (Fact::Known(NotAsked), None);
        EndpointFacts { loopback: true, url: url.into(), ..zpages }
    };
    let blue = facts(
        "blue",
        vec![
            asks(otlp("otlp"), "grpc", "https://b-in:4317", Required),
            query("b-out"),
            zpages("zpages", "https://b-in:55679", Access::Taken),
            zpages("zpages#2", "https://b-out:55679", Access::Refused),
        ],
    );
    let green = |outer| {
        facts(
            "green",
            vec![
                query("g-out"),
                asks(otlp("otlp"), "grpc", "https://g-in:4317", Required),
                zpages("zpages", "https://g-out:55679", outer),
                zpages("zpages#2", "https://g-in:55679", Access::Taken),
            ],
        )
    };
    assert_eq!(held(&judged(&green(Access::Refused), Some(&blue))), Vec::<&str>::new());
    let report = judged(&green(Access::Taken), Some(&blue));
    assert_eq!(held(&report), ["admin_open"]);
    assert_eq!(report.first().unwrap().place.url.as_deref(), Some("https://g-out:55679"));
}

// Scenario: a store's own pages, at the port of its queries, are open on a machine of their own, or on loopback; the other environment's store has
// none. Then that port does not answer.
// Guarantee: open pages are findings, and notes on loopback, where they come with the store; the port itself says once that it does not answer.
#[test]
fn a_stores_own_pages() {
    let with = |loopback: bool, transport: Fact<Transport>| {
        let mut facts = closed("green");
        let mut page = endpoint("tempo config", Role::Admin(AdminKind::Admin));
        (page.loopback, page.shares, page.tls, page.transport) = (loopback, true, None, transport);
        page.access.as_mut().unwrap().anonymous = Fact::Known(Access::Taken);
        facts.endpoints.push(page);
        facts
    };
    let plain = Fact::Known(Transport::Plain);
    let report = judged(&with(false, plain.clone()), Some(&closed("blue")));
    assert_eq!(held(&report), ["admin_open"]);
    assert_eq!(report.first().unwrap().place.component.as_deref(), Some("tempo config: openness"));
    let report = judged(&with(true, plain), Some(&closed("blue")));
    assert_eq!((held(&report).len(), report.findings.len()), (0, 1));
    let mut silent = with(false, Fact::Unknown("no answer within 3s".into()));
    silent.endpoints[3].access = None;
    assert_eq!(judged(&silent, None).verdict(), Verdict::Pass);
}

// Scenario: what was looked at before was written by a version that did not say which protocol an endpoint speaks.
// Guarantee: each still finds its counterpart, and what has grown weaker is a finding.
#[test]
fn facts_of_an_earlier_version_are_still_a_measure() {
    let facts = |protocol: &str, asked| {
        let mut facts = closed("green");
        for endpoint in facts.endpoints.iter_mut().filter(|endpoint| endpoint.role != Role::Otlp) {
            endpoint.protocol = protocol.into();
            if let Some(tls) = endpoint.tls.as_mut() {
                tls.client_certificate = Fact::Known(asked);
            }
        }
        facts
    };
    let subject = facts("http", ClientCertificate::NotAsked);
    let policy = Policy::default();
    let found = |protocol: &str| {
        let before = facts(protocol, ClientCertificate::Required);
        let input =
            Input { subject: &subject, reference: None, before: Some(&before), policy: &policy, now: NOW };
        held(&judge(&input)).len()
    };
    assert!(found("http") > 0);
    assert_eq!(found(""), found("http"));
    assert_eq!(found("grpc"), 0);
}
