//! Where within a text something stands that may be a secret: found by its form, or by what stands before it.
//!
//! The forms of tokens are those that their issuers document. A text that was shown before holds markers: nothing is found in them,
//! so that showing it again changes nothing.

use std::ops::Range;

use super::keys::{NOT_AFTER, is_secret_key, is_secret_name, names_secret};
use super::{end_of_authority, marker_at, without_references};

mod statements;

/// Those of them that hosts and packages begin with, too: their tokens are long, and no domain's first part.
const WORDS: [&str; 5] = ["sk-", "dapi", "pypi-", "npm_", "xapp-"];

type Ranges = Vec<Range<usize>>;

/// Tokens by the letters that they begin with; a digit has to follow, and at least 12 letters in all.
const PREFIXES: [&str; 58] = [
    // AWS: long-lived and temporary access keys, bearer tokens, context.
    "AKIA",
    "ASIA",
    "ABIA",
    "ACCA",
    // GitHub, GitLab.
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "glptt-",
    "glft-",
    "glcbt-",
    "glsoat-",
    "glagent-",
    // Grafana, Honeycomb, New Relic, Dynatrace, Sentry.
    "glc_",
    "glsa_",
    "hcaik_",
    "hcbik_",
    "hcalk_",
    "NRAK-",
    "NRII-",
    "dt0c01.",
    "dt0s01.",
    "sntrys_",
    "sntryu_",
    // Slack.
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xoxs-",
    "xoxe-",
    "xoxe.",
    "xapp-",
    // Google, Stripe, OpenAI.
    "AIza",
    "ya29.",
    "GOCSPX-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "sk-",
    // Vault, Terraform, Databricks, DigitalOcean.
    "hvs.",
    "hvb.",
    "hvr.",
    "dapi",
    "dop_v1_",
    "doo_v1_",
    // Registries.
    "npm_",
    "pypi-",
    "dckr_pat_",
    "rubygems_",
    // Others.
    "SG.",
    "AGE-SECRET-KEY-1",
];

/// What a token has beside letters and digits.
const TOKEN: &[u8] = b"_-.+=";

/// Beginnings of base64: of `{"`, as JSON Web Tokens have it, and of `-----BEGIN `. A `/` is one of base64's letters.
const ENCODED: [&str; 2] = ["eyJ", "LS0tLS1CRUdJTi"];

/// Schemes of the `Authorization` header (RFC 7235) whose credentials are one text.
const SCHEMES: [&str; 6] = ["bearer", "basic", "token", "apikey", "splunk", "negotiate"];

/// Names of parameters in a URL's query that are secrets there: `sig` of Azure, `key` of Google, `code` of a function.
const QUERY: [&str; 5] = ["key", "code", "p", "pw", "access"];

/// Path segments that are followed by a token: `/hooks/<token>`.
const HOOKS: [&str; 4] = ["hook", "hooks", "webhook", "webhooks"];

/// What in a text may be a secret, from left to right; no two touch.
pub(super) fn found(text: &str) -> Ranges {
    let mut all = Ranges::new();
    userinfo(text, &mut all);
    tokens(text, &mut all);
    schemes(text, &mut all);
    assigned(text, &mut all);
    said(text, &mut all);
    flagged(text, &mut all);
    defaulted(text, &mut all);
    segments(text, &mut all);
    statements::literals(text, &mut all);
    let markers: Ranges = text.match_indices('<').filter_map(|(at, _)| marker_at(text, at)).collect();
    let is_marker = |one: &Range<usize>| markers.iter().any(|m| m.start <= one.start && one.end <= m.end);
    // A mask such as `***` is none, and neither is a reference.
    let tells = |one: &Range<usize>| {
        let rest = without_references(&text[one.clone()]);
        rest.chars().any(char::is_alphanumeric)
    };
    all.retain(|one| !is_marker(one) && tells(one));
    // What is cut by one of them takes it with it.
    let cut: Ranges = markers.into_iter().filter(|m| all.iter().any(|one| overlap(m, one))).collect();
    all.extend(cut);
    merged(all)
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

fn merged(mut all: Ranges) -> Ranges {
    all.sort_by_key(|one| (one.start, one.end));
    let mut out = Ranges::new();
    for one in all {
        match out.last_mut().filter(|last| one.start <= last.end) {
            Some(last) => last.end = last.end.max(one.end),
            None => out.push(one),
        }
    }
    out
}

/// `http://user:password@host`: the user as well; `user:password@host` without a scheme.
fn userinfo(text: &str, all: &mut Ranges) {
    let mut at = 0;
    while let Some(found) = text[at..].find("://") {
        let start = at + found + 3;
        at = start + end_of_authority(&text[start..]);
        all.extend(text[start..at].rfind('@').map(|user| start..start + user));
    }
    if at == 0 && !text.contains(char::is_whitespace) {
        let user = text.rfind('@').filter(|user| text[..*user].contains(':'));
        all.extend(user.map(|user| 0..user));
    }
}

/// Words that have the form of a token, wherever they stand.
fn tokens(text: &str, all: &mut Ranges) {
    let bytes = text.as_bytes();
    let begins = |at: usize| at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    for (at, _) in text.char_indices().filter(|(at, _)| begins(*at)) {
        let rest = &text[at..];
        let run = |more: &[u8]| {
            let is_in = |b: &u8| b.is_ascii_alphanumeric() || TOKEN.contains(b) || more.contains(b);
            rest.bytes().take_while(is_in).count()
        };
        let length = if ENCODED.iter().any(|p| rest.starts_with(p)) {
            let length = run(b"/");
            Some(length).filter(|length| *length >= 16 || rest[..*length].contains('.'))
        } else {
            let prefix = PREFIXES.iter().find(|p| rest.starts_with(**p));
            prefix.map(|p| (p, run(b""))).and_then(|(p, length)| {
                let body = &rest[p.len()..length];
                let is_word = WORDS.contains(p);
                let is_name = is_word && body.trim_end_matches('.').contains('.');
                let is_long = body.len() >= if is_word { 20 } else { 12 };
                (is_long && !is_name && body.bytes().any(|b| b.is_ascii_digit())).then_some(length)
            })
        };
        all.extend(length.map(|length| at..at + length));
    }
}

/// What follows `Bearer ` and its like, up to the end of the quotes or of the word.
fn schemes(text: &str, all: &mut Ranges) {
    let lower = text.to_ascii_lowercase();
    for scheme in SCHEMES {
        for (at, _) in lower.match_indices(scheme) {
            let before = text[..at].chars().next_back();
            let after = at + scheme.len();
            let gap = text[after..].len() - text[after..].trim_start_matches([' ', '\t']).len();
            if gap == 0 || before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
                continue;
            }
            let start = after + gap;
            let rest = &text[start..];
            let end = match before {
                None => rest.trim_end().len(),
                Some(quote @ ('"' | '\'')) => rest.find(quote).unwrap_or(rest.len()),
                Some(_) => end_of_word(text, start) - start,
            };
            let word = rest[..end].split(' ').next().unwrap_or_default();
            let word = word.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != '=');
            let plain = NOT_AFTER.iter().any(|w| word.eq_ignore_ascii_case(w));
            // A scheme's name is an English word, too: a credential has a digit or is long.
            let strong = word.len() >= 12 || word.bytes().any(|b| b.is_ascii_digit());
            if !plain && (strong || matches!(scheme, "bearer" | "basic")) {
                all.push(start..start + end);
            }
        }
    }
}

/// `?api_key=abc&x=1`, `password=abc host=db`, `--token=abc`, `password = 'a b'`: the values behind secret names.
fn assigned(text: &str, all: &mut Ranges) {
    for (at, _) in text.match_indices('=') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let spaced = before.ends_with(' ');
        // A comparison: those of OTTL are looked at as such.
        if before.ends_with(['=', '!', '<', '>']) || (spaced && after.starts_with(['=', '~', '>'])) {
            continue;
        }
        let named = before.trim_end_matches([' ', '\t', '"', '\'', '\\', ']']);
        let name = name_before(named);
        let in_query = named[..named.len() - name.len()].ends_with(['?', '&', ';']);
        let known =
            is_secret_name(name) || (in_query && QUERY.iter().any(|word| name.eq_ignore_ascii_case(word)));
        if known {
            let gap = if spaced { after.len() - after.trim_start_matches(' ').len() } else { 0 };
            all.push(value_at(text, at + 1 + gap, &['?', '&', ';', ',']));
        }
    }
}

/// `Authorization: abc` up to the end of the line, `"password": "abc"` up to that of the value.
fn said(text: &str, all: &mut Ranges) {
    for (at, _) in text.match_indices(':') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let quoted = before.ends_with(['"', '\'']);
        if !quoted && !after.starts_with([' ', '\t', '\n']) {
            continue;
        }
        if is_secret_name(name_before(before.trim_end_matches(['"', '\'', '\\']))) {
            let start = at + 1 + (after.len() - after.trim_start().len());
            let breaks: &[char] = if quoted { &[',', '}', '\n'] } else { &['\n'] };
            all.push(value_until(text, start, breaks));
        }
    }
}

/// `--password abc`, `-u user:abc`: the word after.
fn flagged(text: &str, all: &mut Ranges) {
    if !text.contains('-') {
        return;
    }
    let around: &[char] = &['"', '\'', ',', '[', ']', '(', ')'];
    let mut flag = None;
    let mut at = 0;
    for part in text.split_inclusive(char::is_whitespace) {
        let (start, word) = (at, part.trim_end());
        at += part.len();
        if word.is_empty() {
            continue;
        }
        let bare = word.trim_matches(around);
        if let Some(flag) = flag.take().filter(|_| !is_flag(bare))
            && (is_secret_flag(flag) || (is_user_flag(flag) && tells_password(bare)))
        {
            let quote = word.chars().find(|c| !matches!(c, '[' | '(')).filter(|c| matches!(c, '"' | '\''));
            let from = start + (word.len() - word.trim_start_matches(around).len());
            let end =
                quote.and_then(|quote| text[from..].find(quote)).map_or(from + bare.len(), |q| from + q);
            all.push(from..end);
        }
        if let Some(given) = bare.strip_prefix("-p").filter(|given| is_given(given)) {
            let from = start + (word.len() - word.trim_start_matches(around).len()) + 2;
            all.push(from..from + given.len());
        }
        flag = Some(bare).filter(|bare| is_flag(bare) && !bare.contains('='));
    }
}

/// `-x`, `--name`, `--name=value`. A password may begin with `-`, too, but hardly goes on like a word.
pub(super) fn is_flag(word: &str) -> bool {
    let bare = word.trim_start_matches('-');
    let name = bare.split('=').next().unwrap_or_default();
    let is_word = |b: u8| b.is_ascii_lowercase() || b"-_.".contains(&b);
    word.starts_with('-') && (name.len() == 1 || (!name.is_empty() && name.bytes().all(is_word)))
}

/// Whether what follows `-p` at once is a password, as `mysql` takes it, and no port, no path and no word.
fn is_given(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|b| is(&b));
    text.len() >= 6
        && !text.contains(['=', '/', '.'])
        && has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase))
}

/// Whether the argument after this one is a secret.
pub(super) fn is_secret_flag(word: &str) -> bool {
    word.starts_with('-') && !word.contains(['=', ' ']) && is_secret_name(word.trim_start_matches('-'))
}

fn is_user_flag(word: &str) -> bool {
    matches!(word, "-u" | "-U" | "--user" | "--proxy-user")
}

/// `name:password`, and not two numbers, which are a user and a group.
fn tells_password(word: &str) -> bool {
    word.split_once(':').is_some_and(|(_, pass)| !pass.bytes().all(|b| b.is_ascii_digit()))
}

/// `${env:DB_PASSWORD:-hunter2}`: the default behind a secret name.
fn defaulted(text: &str, all: &mut Ranges) {
    let mut after = 0;
    for (at, _) in text.match_indices("${").filter(|(at, _)| text[*at..].contains(":-")) {
        let inside = &text[at + 2..];
        let Some((name, rest)) = inside.split_once(":-").filter(|(name, _)| !name.contains('}')) else {
            continue;
        };
        let own = name.rsplit(':').next().unwrap_or(name);
        if at >= after && (is_secret_key(own) || names_secret(own)) {
            let start = at + 2 + name.len() + 2;
            after = start + rest.rfind('}').unwrap_or(rest.len());
            all.push(start..after);
        }
    }
}

/// Segments of a path, of a URL or alone, that are tokens.
fn segments(text: &str, all: &mut Ranges) {
    let urls = text.match_indices("://").map(|(at, _)| {
        let start = at + 3;
        let path = start + end_of_authority(&text[start..]);
        (path, text[start..path].rsplit('@').next().is_some_and(|host| host.starts_with("hooks.")))
    });
    let alone = text.starts_with('/').then_some((0, false));
    for (start, hooked) in urls.chain(alone) {
        let stop = |c: char| c.is_whitespace() || matches!(c, '?' | '#' | '"' | '\'' | '<');
        let end = text[start..].find(stop).map_or(text.len(), |end| start + end);
        let (mut at, mut hooked) = (start, hooked);
        for segment in text[start..end].split('/') {
            let digit = segment.bytes().any(|b| b.is_ascii_digit());
            let follows = hooked && (segment.len() >= 12 || (segment.len() >= 8 && digit));
            if follows || is_random(segment) {
                all.push(at..at + segment.len());
            }
            hooked = hooked || HOOKS.iter().any(|word| segment.eq_ignore_ascii_case(word));
            at += segment.len() + 1;
        }
    }
}

/// Whether a path's segment is made by chance: long, of letters and digits that hardly repeat. A UUID names something: a tenant,
/// a pod.
fn is_random(segment: &str) -> bool {
    let is_uuid = segment.len() == 36
        && segment.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    let known = |b: u8| b.is_ascii_alphanumeric() || b"_-.=+%:~".contains(&b);
    if is_uuid || segment.len() < 20 || !segment.bytes().all(known) {
        return false;
    }
    // Names are words with marks between them; what is made by chance has digits within.
    let is_mixed = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        part.len() >= 10 && digits > 0 && digits < part.len()
    };
    segment.split(['-', '_', '.', '%', ':']).any(is_mixed) && entropy(segment) >= 3.0
}

/// Bits a letter (Shannon 1948).
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|b| counts[usize::from(b)] += 1);
    #[allow(clippy::cast_precision_loss, reason = "texts are short")]
    let all = text.len() as f64;
    let share = |count: u32| f64::from(count) / all;
    counts.into_iter().filter(|count| *count > 0).map(|count| -share(count) * share(count).log2()).sum()
}

/// The name that a text ends with.
fn name_before(text: &str) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let start =
        text.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(text.len(), |(at, _)| at);
    &text[start..]
}

/// A value that begins at `start`: within its quotes, or up to a space or break.
fn value_at(text: &str, start: usize, breaks: &[char]) -> Range<usize> {
    let spaces: Vec<char> = breaks.iter().copied().chain([' ', '\t', '\n', '\r']).collect();
    value_until(text, start, &spaces)
}

fn value_until(text: &str, start: usize, breaks: &[char]) -> Range<usize> {
    let rest = &text[start..];
    let opened = rest.len() - rest.trim_start_matches('\\').len();
    if let Some(quote) = rest[opened..].chars().next().filter(|c| matches!(c, '"' | '\'')) {
        // It may hold such quotes: only the last one surely is no part of it.
        let from = start + opened + 1;
        let end = text[from..].rfind(quote).map_or(text.len(), |end| from + end);
        return from..end;
    }
    // What stands within quotes ends with them.
    let open = ['"', '\''].into_iter().find(|quote| text[..start].matches(*quote).count() % 2 == 1);
    let mut from = 0;
    while rest[from..].starts_with("${") {
        from += rest[from..].find('}').map_or(rest.len() - from, |end| end + 1);
    }
    let end = rest[from..].find(|c: char| breaks.contains(&c) || Some(c) == open);
    start..end.map_or(text.len(), |end| start + from + end)
}

/// Where a word ends: at a space, or at quotes.
fn end_of_word(text: &str, start: usize) -> usize {
    let stop = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | ')');
    text[start..].find(stop).map_or(text.len(), |end| start + end)
}
