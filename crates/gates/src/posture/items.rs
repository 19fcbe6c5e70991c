//! Facts as items: each has a strength by which it is compared, and a rule if it is wrong as such.

use super::Policy;
use super::facts::{
    Access, AdminKind, Certificate, ClientCertificate, Cors, EndpointFacts, Fact, Family, Role, TlsFacts,
    Transport, Trust, Version,
};
use super::rules::{
    ADMIN_OPEN, BROKEN_SUITE, CORS_OPEN, EXPIRED, EXPIRES_SOON, NO_AUTHENTICATION, NO_CLIENT_CERTIFICATE,
    NOT_VERIFIED, OLD_SUITE, OLD_TLS, OTHER_TENANT_TAKEN, PLAIN_TEXT, PLAIN_TEXT_BESIDE_TLS,
    STRANGE_CERTIFICATE, UNTRUSTED, WEAK_KEY, WEAK_SIGNATURE, WEAK_SUITE, WRONG_NAME, WRONG_TOKEN_TAKEN,
};
use crate::rule::{Rule, Severity};

/// One thing about an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// By which it is found on the other side: `oldest version`.
    pub(super) key: String,
    /// The more the better; `None`: not to be compared.
    pub(super) strength: Option<u32>,
    /// What is so: `accepts TLS 1.0`.
    pub(super) seen: String,
    /// What is wrong with it, whatever the other side does.
    pub(super) wrong: Option<Wrong>,
    /// The rule that says what is wrong, if it is only the comparison that says so.
    pub(super) weaker: Option<&'static Rule>,
}

/// A rule that an item breaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong {
    pub(super) rule: &'static Rule,
    pub(super) severity: Severity,
}

impl Wrong {
    fn of(rule: &'static Rule) -> Option<Wrong> {
        Some(Wrong { rule, severity: rule.severity })
    }

    /// On loopback nobody else is there to profit from it.
    fn unless_loopback(rule: &'static Rule, endpoint: &EndpointFacts) -> Option<Wrong> {
        let severity = if endpoint.loopback { Severity::Note } else { rule.severity };
        Some(Wrong { rule, severity })
    }
}

/// What is known of an endpoint, and what is not: `(item, why)`.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) known: Vec<Item>,
    pub(super) unknown: Vec<(String, String)>,
}

/// The items of one endpoint, as judged at `now`, in seconds since 1970.
pub(super) fn items(endpoint: &EndpointFacts, policy: &Policy, now: i64) -> Items {
    let mut items = Items::default();
    if !endpoint.shares {
        items.transport(endpoint, policy);
    }
    if let Some(tls) = &endpoint.tls {
        items.tls(endpoint, tls, policy);
        if let Some(certificate) = items.fact("certificate", &tls.certificate) {
            items.certificate(certificate, policy, now);
        }
    }
    items.access(endpoint, policy);
    items.cors(endpoint);
    items
}

impl Items {
    fn fact<'a, T>(&mut self, what: &str, fact: &'a Fact<T>) -> Option<&'a T> {
        if let Fact::Unknown(why) = fact {
            self.unknown.push((what.to_owned(), why.clone()));
        }
        fact.known()
    }

    fn put(&mut self, key: &str, strength: u32, seen: impl Into<String>, wrong: Option<Wrong>) {
        let weaker = wrong.map(|wrong| wrong.rule);
        self.known.push(Item {
            key: key.to_owned(),
            strength: Some(strength),
            seen: seen.into(),
            wrong,
            weaker,
        });
    }

    fn put_alone(&mut self, key: &str, seen: impl Into<String>, wrong: Option<Wrong>) {
        let seen = seen.into();
        self.known.push(Item { key: key.to_owned(), strength: None, seen, wrong, weaker: None });
    }

    /// Whatever is wrong only in comparison is said by this rule.
    fn weaker_is(&mut self, rule: &'static Rule) {
        if let Some(item) = self.known.last_mut() {
            item.weaker = Some(rule);
        }
    }

    fn transport(&mut self, endpoint: &EndpointFacts, policy: &Policy) {
        match self.fact("transport", &endpoint.transport) {
            Some(Transport::Plain) if endpoint.is_quiet() => {
                self.put("transport", 0, "speaks plain text", None);
                self.weaker_is(&PLAIN_TEXT);
            }
            Some(Transport::Plain) => {
                let wrong = if policy.plain_text {
                    Wrong::of(&PLAIN_TEXT).map(|wrong| Wrong { severity: Severity::Note, ..wrong })
                } else {
                    Wrong::unless_loopback(&PLAIN_TEXT, endpoint)
                };
                self.put("transport", 0, "speaks plain text", wrong);
            }
            Some(Transport::Tls) => self.put("transport", 1, "speaks TLS", None),
            Some(Transport::Closed) | None => {}
        }
        if endpoint.unverified {
            self.put_alone("verification", "its certificate is not verified", Wrong::of(&NOT_VERIFIED));
        }
    }

    fn tls(&mut self, endpoint: &EndpointFacts, tls: &TlsFacts, policy: &Policy) {
        match self.fact("plain text on the TLS port", &tls.plain_text) {
            Some(true) => self.put(
                "plain text on the TLS port",
                0,
                "accepts plain text too",
                Wrong::of(&PLAIN_TEXT_BESIDE_TLS),
            ),
            Some(false) => self.put("plain text on the TLS port", 1, "refuses plain text", None),
            None => {}
        }
        self.versions(tls, policy);
        for (family, fact) in &tls.suites {
            self.suite(*family, fact, policy);
        }
        if let Some(asked) = self.fact("client certificate", &tls.client_certificate) {
            let (strength, seen) = match asked {
                ClientCertificate::NotAsked => (0, "asks no client for a certificate"),
                ClientCertificate::Optional => (1, "asks for a client certificate, and serves without"),
                ClientCertificate::Required => (2, "demands a client certificate"),
            };
            let wrong = strength < 2 && policy.client_certificate && endpoint.role == Role::Otlp;
            let wrong = if wrong { Wrong::of(&NO_CLIENT_CERTIFICATE) } else { None };
            self.put("client certificate", strength, seen, wrong);
            self.weaker_is(&NO_CLIENT_CERTIFICATE);
        }
        let strange = tls.strange_certificate.as_ref();
        match strange.and_then(|fact| self.fact("strange client certificate", fact)) {
            Some(Access::Taken) => {
                // Where it goes without as well, the certificate only seems to mean something.
                let demanded = tls.client_certificate.known() != Some(&ClientCertificate::Optional);
                let asked = policy.client_certificate && endpoint.role == Role::Otlp;
                let severity = if demanded || asked { STRANGE_CERTIFICATE.severity } else { Severity::Note };
                let wrong = Some(Wrong { rule: &STRANGE_CERTIFICATE, severity });
                self.put(
                    "strange client certificate",
                    0,
                    "takes a client certificate that nobody vouches for",
                    wrong,
                );
            }
            Some(Access::Refused) => {
                self.put(
                    "strange client certificate",
                    1,
                    "refuses a client certificate that nobody vouches for",
                    None,
                );
            }
            None => {}
        }
    }

    fn versions(&mut self, tls: &TlsFacts, policy: &Policy) {
        let mut accepted = Vec::new();
        let mut all_known = true;
        for (version, fact) in &tls.versions {
            match self.fact(version.name(), fact) {
                Some(true) => accepted.push(*version),
                Some(false) => {}
                None => all_known = false,
            }
        }
        let (Some(oldest), Some(newest)) = (accepted.first(), accepted.last()) else { return };
        let old: Vec<&str> = accepted.iter().filter(|v| **v < policy.tls_min).map(|v| v.name()).collect();
        if !old.is_empty() {
            let seen = format!("accepts {}", old.join(", "));
            self.put("oldest version", *oldest as u32, seen, Wrong::of(&OLD_TLS));
        } else if all_known {
            self.put(
                "oldest version",
                *oldest as u32,
                format!("accepts nothing below {}", oldest.name()),
                None,
            );
        }
        if all_known || *newest == Version::Tls13 {
            self.put("newest version", *newest as u32, format!("speaks up to {}", newest.name()), None);
        }
    }

    fn suite(&mut self, family: Family, fact: &Fact<bool>, policy: &Policy) {
        let key = format!("suites: {}", family.name());
        if family == Family::Aead {
            // That it takes the good ones too is said by the versions that it speaks.
            return;
        }
        match self.fact(&key, fact) {
            Some(true) => {
                let rule = match family {
                    Family::Null | Family::Export | Family::Anonymous => &BROKEN_SUITE,
                    _ if policy.suites_refused.contains(&family) => &WEAK_SUITE,
                    _ => &OLD_SUITE,
                };
                let refused = policy.suites_refused.contains(&family);
                let severity = if refused { rule.severity } else { Severity::Note };
                let seen = format!("accepts {} suites", family.name());
                self.put(&key, 0, seen, Some(Wrong { rule, severity }));
            }
            Some(false) => self.put(&key, 1, format!("refuses {} suites", family.name()), None),
            None => {}
        }
    }

    fn certificate(&mut self, certificate: &Certificate, policy: &Policy, now: i64) {
        match &certificate.trust {
            Trust::Trusted => self.put("trust", 1, "its certificate is trusted", None),
            Trust::Untrusted(why) => {
                let own = if certificate.self_signed { "it has signed itself; " } else { "" };
                self.put(
                    "trust",
                    0,
                    format!("its certificate is not trusted: {own}{why}"),
                    Wrong::of(&UNTRUSTED),
                );
            }
        }
        let names = certificate.names.join(", ");
        if certificate.names_host {
            self.put("name", 1, format!("its certificate is for {names}"), None);
        } else {
            let names = if names.is_empty() { "no name at all" } else { &names };
            self.put("name", 0, format!("its certificate is for {names}"), Wrong::of(&WRONG_NAME));
        }
        self.validity(certificate, policy, now);
        let key = &certificate.key;
        let weak = match key.algorithm.as_str() {
            "RSA" => key.bits < policy.rsa_bits_min,
            _ => key.bits < 224,
        };
        // Keys of two kinds are not compared: what the policy allows may be exchanged for another that it allows.
        let wrong = if weak { Wrong::of(&WEAK_KEY) } else { None };
        let seen = format!("its key is {} {}", key.algorithm, key.bits);
        self.put(&format!("key ({})", key.algorithm), key.bits, seen, wrong);
        let wrong = if certificate.signature_weak { Wrong::of(&WEAK_SIGNATURE) } else { None };
        let seen = format!("its certificate is signed with {}", certificate.signature);
        self.put("signature", u32::from(!certificate.signature_weak), seen, wrong);
    }

    fn validity(&mut self, certificate: &Certificate, policy: &Policy, now: i64) {
        const DAY: i64 = 24 * 3600;
        let left = certificate.not_after.saturating_sub(now);
        let (seen, rule) = if now < certificate.not_before {
            let days = certificate.not_before.saturating_sub(now) / DAY;
            (format!("its certificate begins in {days} days"), Some(&EXPIRED))
        } else if left < 0 {
            (format!("its certificate ended {} days ago", -(left / DAY)), Some(&EXPIRED))
        } else {
            let soon = left < policy.valid_secs_min;
            (format!("its certificate ends in {} days", left / DAY), soon.then_some(&EXPIRES_SOON))
        };
        // All that is valid for long enough is alike.
        let strength = rule.map_or(2, |rule| u32::from(std::ptr::eq(rule, &EXPIRES_SOON)));
        self.put("validity", strength, seen, rule.and_then(Wrong::of));
    }

    fn access(&mut self, endpoint: &EndpointFacts, policy: &Policy) {
        let Some(access) = &endpoint.access else { return };
        let by_certificate = endpoint.tls.as_ref().is_some_and(TlsFacts::admits_by_certificate);
        if let Role::Admin(kind) = endpoint.role {
            let closed = endpoint.transport.known() == Some(&Transport::Closed);
            return self.admin(endpoint, kind, &access.anonymous, closed || by_certificate);
        }
        match self.fact("authentication", &access.anonymous) {
            Some(Access::Taken) if !by_certificate => {
                let wrong = Wrong::unless_loopback(&NO_AUTHENTICATION, endpoint);
                let wrong = if policy.authentication { wrong } else { None };
                self.put("authentication", 0, "serves requests without credentials", wrong);
                self.weaker_is(&NO_AUTHENTICATION);
            }
            Some(_) => self.put("authentication", 1, "refuses requests without credentials", None),
            None => {}
        }
        let wrong_token = access.wrong_token.as_ref().and_then(|fact| self.fact("wrong token", fact));
        match (access.anonymous.known(), wrong_token) {
            (Some(Access::Refused), Some(Access::Taken)) => {
                self.put("wrong token", 0, "serves requests with any token", Wrong::of(&WRONG_TOKEN_TAKEN));
            }
            (Some(Access::Refused), Some(Access::Refused)) => {
                self.put("wrong token", 1, "refuses a wrong token", None);
            }
            _ => {}
        }
        match access.other_tenant.as_ref().and_then(|fact| self.fact("other tenant", fact)) {
            Some(Access::Taken) => {
                let wrong = Wrong::unless_loopback(&OTHER_TENANT_TAKEN, endpoint);
                self.put("other tenant", 0, "serves requests in another tenant's name", wrong);
            }
            Some(Access::Refused) => self.put("other tenant", 1, "refuses another tenant's name", None),
            None => {}
        }
    }

    fn admin(&mut self, endpoint: &EndpointFacts, kind: AdminKind, fact: &Fact<Access>, closed: bool) {
        let key = "openness";
        if closed {
            return self.put(key, 1, "is closed", None);
        }
        match self.fact(key, fact) {
            Some(Access::Taken) => {
                let severity = match kind {
                    _ if endpoint.loopback => Severity::Note,
                    AdminKind::Health => Severity::Note,
                    AdminKind::Metrics => Severity::Medium,
                    AdminKind::Admin | AdminKind::Pprof | AdminKind::Zpages => ADMIN_OPEN.severity,
                };
                let wrong = Some(Wrong { rule: &ADMIN_OPEN, severity });
                self.put(key, 0, "is open to anybody".to_owned(), wrong);
            }
            Some(Access::Refused) => self.put(key, 1, "asks who is there", None),
            None => {}
        }
    }

    fn cors(&mut self, endpoint: &EndpointFacts) {
        let Some(cors) = endpoint.cors.as_ref().and_then(|fact| self.fact("CORS", fact)) else { return };
        let wrong = Wrong::unless_loopback(&CORS_OPEN, endpoint);
        match cors {
            Cors::Closed => self.put("CORS", 2, "lets no strange web page read its answers", None),
            Cors::Any { credentials } | Cors::Reflected { credentials } => {
                let with = if *credentials { ", with the reader's credentials" } else { "" };
                let seen = format!("lets every web page read its answers{with}");
                self.put("CORS", u32::from(!credentials), seen, wrong);
            }
        }
    }
}

impl EndpointFacts {
    /// Plain text there is of no interest as such: health and metrics on loopback, or interfaces that `openness` judges.
    fn is_quiet(&self) -> bool {
        matches!(self.role, Role::Admin(_))
    }
}
