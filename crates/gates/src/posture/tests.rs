use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::report::{Report, Verdict};
use crate::rule::Severity;

mod beside;
mod declared;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 3600;

fn certificate() -> Certificate {
    Certificate {
        subject: "CN=green".into(),
        issuer: "CN=ca".into(),
        names: vec!["green".into()],
        names_host: true,
        not_before: NOW - DAY,
        not_after: NOW + 90 * DAY,
        key: Key { algorithm: "EC".into(), bits: 256 },
        signature: "ecdsa-with-SHA256".into(),
        signature_weak: false,
        self_signed: false,
        trust: Trust::Trusted,
        chain: 2,
    }
}

fn tls() -> TlsFacts {
    let versions = Version::ALL.map(|version| (version, Fact::Known(version >= Version::Tls12)));
    let suites = Family::ALL.map(|family| (family, Fact::Known(family == Family::Aead)));
    TlsFacts {
        plain_text: Fact::Known(false),
        versions: BTreeMap::from(versions),
        suites: BTreeMap::from(suites),
        certificate: Fact::Known(certificate()),
        client_certificate: Fact::Known(ClientCertificate::Required),
        strange_certificate: Some(Fact::Known(Access::Refused)),
    }
}

fn endpoint(name: &str, role: Role) -> EndpointFacts {
    EndpointFacts {
        name: name.into(),
        role,
        protocol: if role == Role::Otlp { "grpc" } else { "http" }.into(),
        url: format!("https://green:1/{name}"),
        shares: false,
        loopback: false,
        transport: Fact::Known(Transport::Tls),
        tls: Some(tls()),
        access: Some(AccessFacts {
            anonymous: Fact::Known(Access::Refused),
            wrong_token: Some(Fact::Known(Access::Refused)),
            other_tenant: Some(Fact::Known(Access::Refused)),
        }),
        cors: Some(Fact::Known(Cors::Closed)),
        unverified: false,
    }
}

/// Closed in every respect.
fn closed(environment: &str) -> Facts {
    let pprof = endpoint("pprof", Role::Admin(AdminKind::Pprof));
    let pprof = EndpointFacts { transport: Fact::Known(Transport::Closed), tls: None, ..pprof };
    let endpoints = vec![endpoint("otlp", Role::Otlp), endpoint("query", Role::Query), pprof];
    Facts { environment: environment.into(), endpoints, unplaced: Vec::new() }
}

/// Open in every respect, in plain text.
fn plain(environment: &str, loopback: bool) -> Facts {
    let mut facts = closed(environment);
    for endpoint in &mut facts.endpoints {
        endpoint.loopback = loopback;
        endpoint.transport = Fact::Known(Transport::Plain);
        endpoint.tls = None;
        let anonymous = Fact::Known(Access::Taken);
        endpoint.access = Some(AccessFacts { anonymous, wrong_token: None, other_tenant: None });
    }
    facts
}

fn judged(subject: &Facts, reference: Option<&Facts>) -> Report {
    let policy = Policy::default();
    judge(&Input { subject, reference, before: None, policy: &policy, now: NOW })
}

/// The rules that keep it from passing, each once.
fn held(report: &Report) -> Vec<&'static str> {
    let mut held: Vec<_> =
        report.findings.iter().filter(|f| f.fails() || f.is_unknown()).map(|f| f.rule).collect();
    held.sort_unstable();
    held.dedup();
    held
}

/// What a change of the OTLP endpoint, the first, is held against: by itself, and beside a closed reference.
#[track_caller]
fn check(change: impl Fn(&mut EndpointFacts), alone: &[&str], beside: &[&str]) {
    let mut green = closed("green");
    change(&mut green.endpoints[0]);
    assert_eq!(held(&judged(&green, None)), alone, "alone");
    assert_eq!(held(&judged(&green, Some(&closed("blue")))), beside, "beside");
    // And what both do alike is no difference.
    let mut blue = closed("blue");
    change(&mut blue.endpoints[0]);
    assert_eq!(held(&judged(&green, Some(&blue))), alone, "alike");
    // What green does better than blue never holds it up, unless blue is not known.
    let unknown = alone.iter().any(|rule| matches!(*rule, "undetermined" | "unreachable"));
    if !unknown {
        assert_eq!(held(&judged(&closed("green"), Some(&blue))), Vec::<&str>::new(), "better");
    }
}

fn with_tls(change: impl Fn(&mut TlsFacts)) -> impl Fn(&mut EndpointFacts) {
    move |endpoint| change(endpoint.tls.as_mut().unwrap())
}

fn with_certificate(change: impl Fn(&mut Certificate)) -> impl Fn(&mut EndpointFacts) {
    with_tls(move |tls| {
        let mut changed = certificate();
        change(&mut changed);
        tls.certificate = Fact::Known(changed);
    })
}

fn with_access(change: impl Fn(&mut AccessFacts)) -> impl Fn(&mut EndpointFacts) {
    move |endpoint| {
        endpoint.tls.as_mut().unwrap().client_certificate = Fact::Known(ClientCertificate::NotAsked);
        change(endpoint.access.as_mut().unwrap());
    }
}

#[test]
fn what_is_closed_passes() {
    let report = judged(&closed("green"), Some(&closed("blue")));
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Pass, 0));
    check(|_| {}, &[], &[]);
}

#[test]
fn every_way_to_be_open_has_its_rule() {
    let version = |version, taken| with_tls(move |tls| _ = tls.versions.insert(version, Fact::Known(taken)));
    let suite = |family| with_tls(move |tls| _ = tls.suites.insert(family, Fact::Known(true)));
    for old in [Version::Ssl30, Version::Tls10, Version::Tls11] {
        check(version(old, true), &["old_tls"], &["old_tls"]);
    }
    check(version(Version::Tls13, false), &[], &["weaker"]);
    for broken in [Family::Null, Family::Export, Family::Anonymous] {
        check(suite(broken), &["broken_suite"], &["broken_suite"]);
    }
    for weak in [Family::Rc4, Family::Des, Family::StaticRsa] {
        check(suite(weak), &["weak_suite"], &["weak_suite"]);
    }
    check(suite(Family::CbcSha1), &[], &["old_suite"]);
    check(
        with_tls(|tls| tls.plain_text = Fact::Known(true)),
        &["plain_text_beside_tls"],
        &["plain_text_beside_tls"],
    );
    let asked = |asked| with_tls(move |tls| tls.client_certificate = Fact::Known(asked));
    check(asked(ClientCertificate::Optional), &[], &["no_client_certificate"]);
    check(asked(ClientCertificate::NotAsked), &[], &["no_client_certificate"]);
    check(|e| e.unverified = true, &["not_verified"], &["not_verified"]);
    check(|e| e.cors = Some(Fact::Known(Cors::Any { credentials: false })), &["cors_open"], &["cors_open"]);
    check(
        |e| e.cors = Some(Fact::Known(Cors::Reflected { credentials: true })),
        &["cors_open"],
        &["cors_open"],
    );
}

#[test]
fn certificates() {
    let untrusted = |c: &mut Certificate| c.trust = Trust::Untrusted("unknown CA".into());
    check(with_certificate(untrusted), &["untrusted"], &["untrusted"]);
    check(with_certificate(|c| c.names_host = false), &["wrong_name"], &["wrong_name"]);
    check(with_certificate(|c| c.not_after = NOW - 1), &["expired"], &["expired"]);
    check(with_certificate(|c| c.not_before = NOW + DAY), &["expired"], &["expired"]);
    check(with_certificate(|c| c.not_after = NOW + 14 * DAY - 1), &["expires_soon"], &["expires_soon"]);
    check(with_certificate(|c| c.not_after = NOW + 14 * DAY), &[], &[]);
    check(with_certificate(|c| c.signature_weak = true), &["weak_signature"], &["weak_signature"]);
    let key = |algorithm: &'static str, bits| {
        with_certificate(move |c| c.key = Key { algorithm: algorithm.into(), bits })
    };
    check(key("RSA", 1024), &["weak_key"], &["weak_key"]);
    check(key("RSA", 2048), &[], &[]);
    check(key("EC", 224), &[], &["weaker"]);
    check(key("RSA", 4096), &[], &[]);
    check(key("EC", 192), &["weak_key"], &["weak_key"]);
    check(key("Ed25519", 256), &[], &[]);
}

#[test]
fn who_is_let_in() {
    let taken = Fact::Known(Access::Taken);
    let (anonymous, wrong, tenant) = (taken.clone(), taken.clone(), taken);
    check(
        with_access(move |access| access.anonymous = anonymous.clone()),
        &["no_authentication"],
        &["no_authentication", "no_client_certificate"],
    );
    check(
        with_access(move |access| access.wrong_token = Some(wrong.clone())),
        &["wrong_token_taken"],
        &["no_client_certificate", "wrong_token_taken"],
    );
    check(
        with_access(move |access| access.other_tenant = Some(tenant.clone())),
        &["other_tenant_taken"],
        &["no_client_certificate", "other_tenant_taken"],
    );
    // Whoever must show a certificate has shown who he is.
    check(|e| e.access.as_mut().unwrap().anonymous = Fact::Known(Access::Taken), &[], &[]);
}

// Scenario: something could not be determined.
// Guarantee: it never passes, and nobody can accept it.
#[test]
fn what_is_not_known_does_not_pass() {
    fn unknown<T>() -> Fact<T> {
        Fact::Unknown("no answer within 3s".into())
    }
    check(|e| e.transport = unknown(), &["unreachable"], &["unreachable"]);
    check(|e| e.transport = Fact::Known(Transport::Closed), &["unreachable"], &["unreachable"]);
    check(with_tls(|tls| tls.plain_text = unknown()), &["undetermined"], &["undetermined"]);
    check(with_tls(|tls| tls.certificate = unknown()), &["undetermined"], &["undetermined"]);
    check(with_tls(|tls| tls.client_certificate = unknown()), &["undetermined"], &["undetermined"]);
    check(
        with_tls(|tls| _ = tls.versions.insert(Version::Tls10, unknown())),
        &["undetermined"],
        &["undetermined"],
    );
    check(
        with_tls(|tls| _ = tls.suites.insert(Family::Rc4, unknown())),
        &["undetermined"],
        &["undetermined"],
    );
    check(
        with_access(|access| access.anonymous = unknown()),
        &["undetermined"],
        &["no_client_certificate", "undetermined"],
    );
    check(|e| e.cors = Some(unknown()), &["undetermined"], &["undetermined"]);
    let nothing = Facts { environment: "green".into(), ..Facts::default() };
    assert_eq!(judged(&nothing, None).verdict(), Verdict::NoVerdict);
    let mut down = closed("green");
    down.endpoints[0].transport = unknown();
    assert!(judged(&down, None).unreachable && !judged(&closed("green"), None).unreachable);
    assert!(judged(&closed("green"), Some(&down)).unreachable);
}

#[test]
fn plain_text_is_a_note_on_loopback_and_a_finding_elsewhere() {
    let here = judged(&plain("green", true), Some(&plain("blue", true)));
    assert_eq!((here.verdict(), held(&here)), (Verdict::Pass, vec![]));
    assert!(here.findings.iter().all(|finding| finding.severity == Severity::Note));
    assert!(here.findings.iter().any(|finding| finding.rule == "plain_text"));
    let there = judged(&plain("green", false), Some(&plain("blue", false)));
    assert_eq!(held(&there), ["admin_open", "no_authentication", "plain_text"]);
    // Blue does better: then loopback is no excuse.
    let beside = judged(&plain("green", true), Some(&closed("blue")));
    assert_eq!(held(&beside), ["admin_open", "no_authentication", "plain_text"]);
    // What blue does wrong is worth a note, and holds up nobody.
    let better = judged(&closed("green"), Some(&plain("blue", false)));
    assert_eq!(better.verdict(), Verdict::Pass);
    assert!(better.findings.iter().any(|finding| finding.rule == "plain_text"));
}

#[test]
fn policy_is_obeyed() {
    let strict = Policy { tls_min: Version::Tls13, client_certificate: true, ..Policy::default() };
    let mut green = closed("green");
    green.endpoints[0].tls.as_mut().unwrap().client_certificate = Fact::Known(ClientCertificate::Optional);
    let with =
        |facts, policy| judge(&Input { subject: facts, reference: None, before: None, policy, now: NOW });
    assert_eq!(held(&with(&green, &strict)), ["no_client_certificate", "old_tls"]);
    let lax = Policy { plain_text: true, authentication: false, ..Policy::default() };
    let open = plain("green", false);
    assert_eq!(held(&with(&open, &lax)), ["admin_open"]);
    let cbc = Policy { suites_refused: vec![Family::CbcSha1], ..Policy::default() };
    let mut green = closed("green");
    let suites = &mut green.endpoints[0].tls.as_mut().unwrap().suites;
    suites.extend([(Family::CbcSha1, Fact::Known(true)), (Family::StaticRsa, Fact::Known(true))]);
    assert_eq!(held(&with(&green, &cbc)), ["weak_suite"]);
}

// Scenario: an environment is looked at again, and something is weaker than before; what it is may still be allowed.
// Guarantee: it is told, with what there was before; and a certificate that was renewed, or grows older, is nothing.
#[test]
fn what_got_weaker_since_the_last_look_is_told() {
    let (before, policy) = (closed("green"), Policy::default());
    let since = |now: &Facts, then: &Facts| {
        judge(&Input { subject: now, reference: None, before: Some(then), policy: &policy, now: NOW })
    };
    let mut after = closed("green");
    let tls = after.endpoints[0].tls.as_mut().unwrap();
    tls.client_certificate = Fact::Known(ClientCertificate::Optional);
    let mut renewed = certificate();
    renewed.not_after += 30 * DAY;
    tls.certificate = Fact::Known(renewed);
    let report = since(&after, &before);
    assert_eq!(held(&report), ["regressed"]);
    let finding = report.first().unwrap();
    assert_eq!(finding.expected.as_deref(), Some("demands a client certificate"));
    assert_eq!(finding.place.component.as_deref(), Some("otlp: client certificate"));
    assert_eq!(held(&since(&before, &after)), Vec::<&str>::new(), "stronger is fine");
    assert_eq!(held(&since(&before, &before)), Vec::<&str>::new());
}

#[test]
fn an_interface_that_only_one_side_has() {
    let mut green = closed("green");
    let mut zpages = endpoint("zpages", Role::Admin(AdminKind::Zpages));
    zpages.loopback = true;
    zpages.tls = None;
    zpages.transport = Fact::Known(Transport::Plain);
    zpages.access.as_mut().unwrap().anonymous = Fact::Known(Access::Taken);
    green.endpoints.push(zpages);
    assert_eq!(held(&judged(&green, None)), Vec::<&str>::new(), "on loopback a note");
    let report = judged(&green, Some(&closed("blue")));
    assert_eq!(held(&report), ["admin_open"]);
    assert!(report.first().unwrap().detail.contains("blue has no such interface"));
}

#[test]
fn facts_come_back_from_the_evidence() {
    let report = judged(&closed("green"), Some(&plain("blue", true)));
    let evidence: serde_json::Value = serde_json::from_slice(&report.evidence()).unwrap();
    let subject: Facts = serde_json::from_value(evidence["facts"]["subject"].clone()).unwrap();
    assert_eq!(subject, closed("green"));
    let reference: Facts = serde_json::from_value(evidence["facts"]["reference"].clone()).unwrap();
    assert_eq!(reference, plain("blue", true));
}

#[test]
fn a_report_reads_well() {
    let mut green = closed("green");
    let otlp = &mut green.endpoints[0];
    let tls = otlp.tls.as_mut().unwrap();
    tls.versions.insert(Version::Tls10, Fact::Known(true));
    tls.client_certificate = Fact::Known(ClientCertificate::NotAsked);
    tls.suites.insert(Family::Des, Fact::Unknown("no answer within 3s".into()));
    green.endpoints[1].access.as_mut().unwrap().anonymous = Fact::Known(Access::Taken);
    green.endpoints[1].tls.as_mut().unwrap().client_certificate = Fact::Known(ClientCertificate::NotAsked);
    insta::assert_snapshot!(crate::render::text(&judged(&green, Some(&closed("blue")))));
}

// Scenario: a server asks for a client certificate, and takes one that its holder has made himself; it goes without one, or not.
// Guarantee: where it does not go without, the door only looks locked; and whoever is let in so is let in like anybody.
#[test]
fn a_certificate_that_nobody_vouches_for() {
    fn strange(asked: ClientCertificate) -> impl Fn(&mut EndpointFacts) {
        with_tls(move |tls| {
            tls.client_certificate = Fact::Known(asked);
            tls.strange_certificate = Some(Fact::Known(Access::Taken));
        })
    }
    check(strange(ClientCertificate::Required), &["strange_certificate"], &["strange_certificate"]);
    let beside = ["no_client_certificate", "strange_certificate"];
    check(strange(ClientCertificate::Optional), &[], &beside);
    let open = |endpoint: &mut EndpointFacts| {
        strange(ClientCertificate::Required)(endpoint);
        endpoint.access.as_mut().unwrap().anonymous = Fact::Known(Access::Taken);
    };
    let both = ["no_authentication", "strange_certificate"];
    check(open, &both, &both);
    let unknown = with_tls(|tls| tls.strange_certificate = Some(Fact::Unknown("it hung up".into())));
    check(unknown, &["undetermined"], &["undetermined"]);
    let policy = Policy { client_certificate: true, ..Policy::default() };
    let mut green = closed("green");
    strange(ClientCertificate::Optional)(&mut green.endpoints[0]);
    let report = judge(&Input { subject: &green, reference: None, before: None, policy: &policy, now: NOW });
    assert_eq!(held(&report), beside);
    // An interface for those who run it is no more closed than that.
    let mut green = closed("green");
    let mut pprof = endpoint("pprof", Role::Admin(AdminKind::Pprof));
    pprof.access.as_mut().unwrap().anonymous = Fact::Known(Access::Taken);
    strange(ClientCertificate::Required)(&mut pprof);
    green.endpoints[2] = pprof;
    assert_eq!(held(&judged(&green, None)), ["admin_open", "strange_certificate"]);
}

#[test]
fn facts_of_an_earlier_crossfade_are_read() {
    let mut facts = closed("green");
    facts.endpoints.iter_mut().filter_map(|e| e.tls.as_mut()).for_each(|tls| tls.strange_certificate = None);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(!text.contains("strange") && !text.contains("unplaced"), "{text}");
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
}

// Scenario: a configuration opens an interface at a port that it does not tell.
// Guarantee: that is no interface that is closed.
#[test]
fn an_interface_without_a_known_place_is_no_pass() {
    let mut green = closed("green");
    green
        .unplaced
        .push(Unplaced { kind: AdminKind::Pprof, path: "collector:extensions.pprof.endpoint".into() });
    let report = judged(&green, Some(&closed("blue")));
    assert_eq!((held(&report), report.verdict()), (vec!["undetermined"], Verdict::NoVerdict));
    assert!(report.first().unwrap().detail.contains("collector:extensions.pprof.endpoint"));
    assert_eq!(judged(&closed("green"), Some(&green)).verdict(), Verdict::NoVerdict);
}

fn any_fact<T: std::fmt::Debug + Clone + 'static>(
    known: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Fact<T>> {
    prop_oneof![4 => known.prop_map(Fact::Known), 1 => Just(Fact::Unknown("why".into()))].boxed()
}

fn any_tls() -> impl Strategy<Value = TlsFacts> {
    let asked = prop_oneof![
        Just(ClientCertificate::NotAsked),
        Just(ClientCertificate::Optional),
        Just(ClientCertificate::Required)
    ];
    let taken = || any_fact(any::<bool>());
    (taken(), prop::array::uniform5(taken()), prop::array::uniform8(taken()), any_fact(asked)).prop_map(
        |(plain_text, versions, suites, client_certificate)| TlsFacts {
            plain_text,
            versions: Version::ALL.into_iter().zip(versions).collect(),
            suites: Family::ALL.into_iter().zip(suites).collect(),
            client_certificate,
            ..tls()
        },
    )
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let access = || any_fact(prop_oneof![Just(Access::Taken), Just(Access::Refused)]);
    let transport =
        any_fact(prop_oneof![Just(Transport::Tls), Just(Transport::Plain), Just(Transport::Closed)]);
    let one = (transport, any_tls(), access(), access(), any::<bool>()).prop_map(
        |(transport, tls, anonymous, wrong, loopback)| EndpointFacts {
            tls: (transport == Fact::Known(Transport::Tls)).then_some(tls),
            transport,
            loopback,
            access: Some(AccessFacts { anonymous, wrong_token: Some(wrong), other_tenant: None }),
            ..endpoint("otlp", Role::Otlp)
        },
    );
    one.prop_map(|one| Facts { environment: "green".into(), endpoints: vec![one], ..Facts::default() })
}

proptest! {
    /// Beside another environment, or an earlier look, nothing is ever held against it less.
    #[test]
    fn comparing_only_adds(subject in any_facts(), reference in any_facts()) {
        let policy = Policy::default();
        let alone = judge(&Input { subject: &subject, reference: None, before: None, policy: &policy, now: NOW });
        let beside = judge(&Input { subject: &subject, reference: Some(&reference), before: Some(&reference), policy: &policy, now: NOW });
        let (alone, beside) = (held(&alone), held(&beside));
        prop_assert!(alone.iter().all(|rule| beside.contains(rule)), "{alone:?} {beside:?}");
    }

    /// Whatever is like the other is not weaker than it.
    #[test]
    fn nothing_is_weaker_than_itself(facts in any_facts()) {
        let policy = Policy::default();
        let alone = judge(&Input { subject: &facts, reference: None, before: None, policy: &policy, now: NOW });
        let beside = judge(&Input { subject: &facts, reference: Some(&facts), before: Some(&facts), policy: &policy, now: NOW });
        prop_assert_eq!(held(&alone), held(&beside));
    }

    /// Something unknown is never a pass.
    #[test]
    fn unknown_never_passes(facts in any_facts()) {
        let text = serde_json::to_string(&facts).unwrap();
        let report = judged(&facts, None);
        // What makes no difference where something else is known is not looked at.
        let matters = facts.endpoints.iter().any(|e| {
            matches!(e.transport, Fact::Unknown(_))
                || e.tls.as_ref().is_some_and(|tls| {
                    tls.versions.values().chain([&tls.plain_text]).any(|fact| fact.known().is_none())
                })
        });
        prop_assert!(!matters || report.verdict() != Verdict::Pass, "{}", text);
    }
}
