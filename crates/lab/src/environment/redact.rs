//! Masks what looks sensitive in every text of a request, wherever the text stands.
//!
//! What looks sensitive: runs of 13 to 19 digits (spaces and hyphens between them allowed) that satisfy Luhn's check, mail
//! addresses, tokens (`Bearer …`, JSON Web Tokens, long keys with a known prefix), patient numbers (`MRN…`) and national numbers
//! (`123-45-6789`).

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;

const MASK: &str = "****";
/// Beginnings of tokens; what follows them up to a blank is one.
const TOKENS: [&str; 6] = ["eyJ", "ghp_", "sk_live_", "sk_test_", "AKIA", "xoxb-"];

/// Masks a request.
pub(crate) fn request(request: &mut ExportTraceServiceRequest) {
    for resource in &mut request.resource_spans {
        if let Some(resource) = &mut resource.resource {
            attributes(&mut resource.attributes);
        }
        for spans in &mut resource.scope_spans {
            if let Some(InstrumentationScope { name, version, attributes: own, .. }) = &mut spans.scope {
                [name, version].into_iter().for_each(text);
                attributes(own);
            }
            spans.spans.iter_mut().for_each(span);
        }
    }
}

fn span(span: &mut Span) {
    text(&mut span.name);
    text(&mut span.trace_state);
    attributes(&mut span.attributes);
    for event in &mut span.events {
        text(&mut event.name);
        attributes(&mut event.attributes);
    }
    for link in &mut span.links {
        text(&mut link.trace_state);
        attributes(&mut link.attributes);
    }
    if let Some(status) = &mut span.status {
        text(&mut status.message);
    }
}

fn attributes(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        text(&mut attribute.key);
        if let Some(own) = &mut attribute.value {
            value(own);
        }
    }
}

fn value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::StringValue(own)) => text(own),
        Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(self::value),
        Some(Value::KvlistValue(map)) => attributes(&mut map.values),
        Some(Value::BytesValue(bytes)) => {
            if let Ok(mut own) = String::from_utf8(bytes.clone()) {
                text(&mut own);
                *bytes = own.into_bytes();
            }
        }
        _ => {}
    }
}

fn text(text: &mut String) {
    if let Some(masked) = masked(text) {
        *text = masked;
    }
}

/// The text without what looks sensitive; `None` if nothing does.
fn masked(text: &str) -> Option<String> {
    let mut spans = numbers(text);
    spans.extend(words(text));
    if spans.is_empty() {
        return None;
    }
    spans.sort_unstable();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (from, until) in spans {
        if from >= at {
            out.push_str(&text[at..from]);
            out.push_str(MASK);
        }
        at = at.max(until);
    }
    out.push_str(&text[at..]);
    Some(out)
}

/// Runs of digits, hyphens and spaces that hold a card's or a national number.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let mut end = at;
        let mut next = at;
        while next < bytes.len() && (bytes[next].is_ascii_digit() || b" -".contains(&bytes[next])) {
            next += 1;
            if bytes[next - 1].is_ascii_digit() {
                end = next;
            }
        }
        let run = &text[at..end];
        if is_card(run) || is_national(run) {
            found.push((at, end));
        }
        at = end;
    }
    found
}

fn is_card(run: &str) -> bool {
    let digits: Vec<u32> = run.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) => doubled / 10 + doubled % 10,
        })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

fn is_national(run: &str) -> bool {
    let parts: Vec<usize> = run.split('-').map(str::len).collect();
    parts == [3, 2, 4]
}

/// Mail addresses, tokens, patient numbers.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let ends = |c: char| c.is_whitespace() || "\"'<>(),;{}[]=&?|".contains(c);
    let mut at = 0;
    let mut bearer = false;
    for word in text.split_inclusive(ends) {
        let bare = word.trim_end_matches(ends);
        let is_mail = bare.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        let is_token = bearer || TOKENS.iter().any(|token| bare.contains(token));
        let is_patient =
            bare.split_once("MRN").is_some_and(|(_, rest)| rest.chars().any(|c| c.is_ascii_digit()));
        if !bare.is_empty() {
            if is_mail || is_token || is_patient {
                found.push((at, at + bare.len()));
            }
            bearer = bare.eq_ignore_ascii_case("bearer");
        }
        at += word.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn what_looks_sensitive_is_masked() {
        for (text, expected) in [
            ("card 4111 1111 1111 1111 ok", "card **** ok"),
            ("card 4111111111111112", ""),
            ("4111111111111111", "****"),
            ("a=jane.doe@example.org;b", "a=****;b"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ****"),
            ("eyJhbGciOiJIUzI1NiJ9.e30.x", "****"),
            ("ssn 078-05-1120.", "ssn ****."),
            ("patient MRN-00012345", "patient ****"),
            ("GET /products/42", ""),
            ("2026-11-21", ""),
            ("", ""),
        ] {
            assert_eq!(masked(text).unwrap_or_default(), expected, "{text}");
        }
    }
}
