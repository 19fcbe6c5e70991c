//! Which endpoints of two environments are the same.

use super::facts::{EndpointFacts, Role};

/// For each of `ours` that of `theirs` which is the same: of its role, spoken to alike. Of several, the one at the same address, or
/// else beside the same endpoint, at the same port, of the same name; how many there are, and in which order, makes no
/// difference. A way in for spans that the others do not have is held against the one that they have.
pub(super) fn counterparts<'a>(
    ours: &[EndpointFacts],
    theirs: &'a [EndpointFacts],
) -> Vec<Option<&'a EndpointFacts>> {
    let mut pairs: Vec<(u8, usize, usize)> = Vec::new();
    for (own, endpoint) in ours.iter().enumerate() {
        for (at, other) in theirs.iter().enumerate().filter(|(_, other)| is_like(endpoint, other)) {
            pairs.push((likeness((ours, endpoint), (theirs, other)), own, at));
        }
    }
    pairs.sort_by_key(|(likeness, own, at)| (std::cmp::Reverse(*likeness), *own, *at));
    let mut found = vec![None; ours.len()];
    let mut taken = vec![false; theirs.len()];
    for (_, own, at) in pairs {
        if found[own].is_none() && !taken[at] {
            (found[own], taken[at]) = (Some(&theirs[at]), true);
        }
    }
    for (found, endpoint) in found.iter_mut().zip(ours) {
        if endpoint.role == Role::Otlp {
            *found = found.or_else(|| theirs.iter().find(|other| other.role == Role::Otlp));
        }
    }
    found
}

/// Facts of an earlier version do not say what is spoken.
fn is_like(one: &EndpointFacts, other: &EndpointFacts) -> bool {
    let is_unsaid = one.protocol.is_empty() || other.protocol.is_empty();
    one.role == other.role && (is_unsaid || one.protocol == other.protocol)
}

fn likeness(
    (ours, one): (&[EndpointFacts], &EndpointFacts),
    (theirs, other): (&[EndpointFacts], &EndpointFacts),
) -> u8 {
    let (here, there) = (beside(ours, one), beside(theirs, other));
    let is_same = [
        one.url == other.url,
        here.is_some() && here == there,
        port(one) == port(other),
        one.name == other.name,
    ];
    is_same.into_iter().fold(0, |sum, is| 2 * sum + u8::from(is))
}

/// What else is on its machine: where spans come in, or where they are read.
fn beside(all: &[EndpointFacts], endpoint: &EndpointFacts) -> Option<Role> {
    let roles = [Role::Otlp, Role::Query].into_iter();
    roles
        .into_iter()
        .find(|role| all.iter().any(|other| other.role == *role && host(other) == host(endpoint)))
}

fn authority(endpoint: &EndpointFacts) -> &str {
    let rest = endpoint.url.split_once("://").map_or(endpoint.url.as_str(), |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// `h:1` apart; an IPv6 address ends with its bracket.
fn split(endpoint: &EndpointFacts) -> (&str, &str) {
    let authority = authority(endpoint);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    }
}

fn host(endpoint: &EndpointFacts) -> &str {
    split(endpoint).0
}

fn port(endpoint: &EndpointFacts) -> &str {
    split(endpoint).1
}
