//! Values as text, with everything left out that may be a secret.
//!
//! A value is taken for a secret if its key says so (`password`, `token`, `api_key`, `headers`, `hmac_key`, …), or its text
//! does (a PEM block, `Bearer …`, a JSON Web Token, credentials in a URL). It is better to hide too much: the keyed
//! digest still tells whether two values are equal. A reference such as `${env:TOKEN}` is not the secret itself and stays.

use std::cell::Cell;

use crossfade_yaml::{Node, Value};

use super::ids::Section;
use super::path::{Path, Segment};

/// A keyed digest (HMAC-SHA-256, say), with the key bound by the caller. Keyed, because a bare digest of a short password can be guessed.
pub type KeyedDigest<'a> = &'a dyn Fn(&[u8]) -> [u8; 32];

/// Words that make a key a secret's, compared without `-`, `_` and case.
const SECRET_WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "keypem",
    "accesskey",
    "sharedkey",
    "authorization",
    "cookie",
    "credential",
    "connectionstring",
    "dsn",
    "signature",
];

/// Keys that are secrets as they stand.
const SECRET_KEYS: [&str; 5] = ["inline", "pass", "pwd", "psk", "pat"];

/// Keys that end in `key` and name something; any other is a secret (`api_key`, `hmac_key`, `license_key`).
const NAMING_KEYS: [&str; 12] = [
    "key",
    "routing_key",
    "partition_key",
    "attribute_key",
    "group_by_key",
    "metadata_key",
    "label_key",
    "tag_key",
    "from_key",
    "to_key",
    "hash_key",
    "sort_key",
];

/// Endings that make such a key harmless: it says where the secret is, or how it is called.
const HARMLESS_ENDINGS: [&str; 12] = [
    "file",
    "path",
    "url",
    "uri",
    "endpoint",
    "name",
    "header",
    "enabled",
    "interval",
    "timeout",
    "lifetime",
    "propagation",
];

/// Keys that end in `headers` and hold names of headers, not their values.
const NAMES_OF_HEADERS: [&str; 6] = [
    "allowed_headers",
    "exposed_headers",
    "forward_headers",
    "include_headers",
    "log_request_headers",
    "trace_request_headers",
];

/// Headers that carry no credential.
const HARMLESS_HEADERS: [&str; 5] = ["accept", "content-type", "host", "user-agent", "x-scope-orgid"];

/// Keys that name something within a list of headers.
const HEADER_NAMES: [&str; 5] = ["key", "name", "header", "action", "from_context"];

/// Writes values as YAML on one line.
#[derive(Clone, Copy)]
pub(crate) struct Redactor<'a> {
    pub(crate) digest: KeyedDigest<'a>,
}

impl Redactor<'_> {
    /// The value at `path` as text.
    pub(crate) fn show(&self, path: &Path, node: &Node) -> String {
        self.value(path, node, false)
    }

    fn value(&self, path: &Path, node: &Node, nested: bool) -> String {
        if is_withheld(node) {
            return quote(WITHHELD, nested);
        }
        let hidden = is_hidden(path);
        // What a secret variable is part of is hidden whole, whatever it looks like now.
        if let (true, Some(text)) = (node.is_secret(), node.scalar_text()) {
            return self.redacted(&text);
        }
        match &node.value {
            Value::List(items) => {
                let items: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(i, n)| self.value(&path.with(item(i, n)), n, true))
                    .collect();
                format!("[{}]", items.join(", "))
            }
            Value::Map(map) => {
                let entries: Vec<_> = map
                    .iter()
                    .map(|(k, v)| {
                        format!("{}: {}", self.plain(&k.name, true), self.value(&path.key(&k.name), v, true))
                    })
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            Value::Null => "null".to_owned(),
            Value::Bool(b) => b.to_string(),
            Value::String(text) if hidden => self.hide_unless_reference(text, nested),
            Value::String(text) => self.plain(text, nested),
            Value::Int(_) | Value::Float(_) => {
                let text = node.scalar_text().unwrap_or_default();
                if hidden { self.redacted(&text) } else { text }
            }
        }
    }

    /// `<redacted sha256:9c1e03ab>`.
    fn redacted(&self, text: &str) -> String {
        if is_marker(text) {
            return text.to_owned();
        }
        let digest = (self.digest)(text.as_bytes());
        let hex: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
        format!("<redacted sha256:{hex}>")
    }

    fn hide_unless_reference(&self, text: &str, nested: bool) -> String {
        let rest = without_references(text);
        let rest = rest.trim();
        let harmless =
            rest.is_empty() || ["Bearer", "Basic", "Token"].iter().any(|w| rest.eq_ignore_ascii_case(w));
        if harmless && !text.is_empty() { quote(text, nested) } else { self.redacted(text) }
    }

    /// A text that is not hidden for its place; parts of it may be for their form.
    pub(crate) fn plain(&self, text: &str, nested: bool) -> String {
        if looks_secret(text) {
            return self.hide_unless_reference(text, nested);
        }
        let text = self.hide_userinfo(&self.hide_defaults(text));
        quote(&self.hide_assignments(&text), nested)
    }

    /// `${env:DB_PASSWORD:-hunter2}`: the default behind a secret name.
    fn hide_defaults(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, tail) = rest.split_at(at + 2);
            out.push_str(before);
            rest = tail;
            let secret = tail.split_once(":-").filter(|(name, _)| !name.contains('}') && is_secret_key(name));
            if let Some((name, tail)) = secret {
                let end = tail.rfind('}').unwrap_or(tail.len());
                out.push_str(&format!("{name}:-{}", self.redacted(&tail[..end])));
                rest = &tail[end..];
            }
        }
        out + rest
    }

    /// `http://user:password@host` -> `http://<redacted…>@host`; likewise `user:password@host` without a scheme.
    fn hide_userinfo(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("://") {
            let (scheme, tail) = rest.split_at(at + 3);
            let (authority, tail) = tail.split_at(end_of_authority(tail));
            out.push_str(scheme);
            match authority.rsplit_once('@') {
                Some((user, host)) => out.push_str(&format!("{}@{host}", self.redacted(user))),
                None => out.push_str(authority),
            }
            rest = tail;
        }
        if out.is_empty()
            && !rest.contains(char::is_whitespace)
            && let Some((user, host)) = rest.rsplit_once('@').filter(|(user, _)| user.contains(':'))
        {
            return format!("{}@{host}", self.redacted(user));
        }
        out + rest
    }

    /// `?api_key=abc&x=1`, `password=abc host=db`, `--token=abc`: the values behind secret names.
    fn hide_assignments(&self, text: &str) -> String {
        if !text.contains('=') {
            return text.to_owned();
        }
        let is_break = |c: char| c.is_whitespace() || matches!(c, '?' | '&' | ';' | ',');
        let mut out = String::new();
        for part in text.split_inclusive(is_break) {
            let (body, tail) = match part.chars().last().filter(|c| is_break(*c)) {
                Some(c) => part.split_at(part.len() - c.len_utf8()),
                None => (part, ""),
            };
            match body.split_once('=').filter(|(name, value)| is_secret_key(name) && !value.is_empty()) {
                // A marker has a space in it.
                Some((_, "<redacted")) => out.push_str(part),
                // A quoted value may hold breaks: then nothing of the text is certain.
                Some((_, value)) if value.starts_with(['\'', '"']) => return self.redacted(text),
                Some((name, value)) => out.push_str(&format!("{name}={}{tail}", self.redacted(value))),
                None => out.push_str(part),
            }
        }
        out
    }
}

/// Whether a value declared for `path`, as a report writes paths, holds something that a report would hide. A digest that
/// stands for a secret is none, and neither is a reference to one.
pub fn shows_secret(path: &str, value: &Node) -> bool {
    let hides = Cell::new(false);
    let digest = |_: &[u8]| {
        hides.set(true);
        [0; 32]
    };
    Redactor { digest: &digest }.show(&place_of(path), value);
    hides.get()
}

/// The path below the component, or below `service`: component names are no keys (`extensions.bearertokenauth.scheme`).
fn place_of(declared: &str) -> Path {
    let path = match declared.split_once(':') {
        Some((document, path)) if !document.contains(['.', '[']) => path,
        _ => declared,
    };
    let path = Path::read(path.trim());
    let above = match path.keys().first() {
        Some(first) if Section::ALL.iter().any(|section| section.key() == *first) => 2,
        Some(&"service") => 1,
        _ => 0,
    };
    path.below(above)
}

/// How an item of a list is addressed: by what names it, else by its index.
pub(crate) fn item(index: usize, node: &Node) -> Segment {
    name_of(node).map_or(Segment::Index(index), |name| Segment::Item(name.to_owned()))
}

/// What names an item of a list of maps.
pub(crate) fn name_of(node: &Node) -> Option<&str> {
    let named = ["name", "key", "job_name"].iter().find_map(|k| node.get(k));
    // Names are part of paths, which are shown.
    named.filter(|name| !name.is_secret()).and_then(Node::as_str).filter(|name| !looks_secret(name))
}

/// Whether values at `path` are hidden for their place.
pub(crate) fn is_hidden(path: &Path) -> bool {
    let segments = path.segments();
    let last = path.last_key();
    // Datadog's `api: {key: …}`.
    if matches!(path.keys().as_slice(), [.., "api", "key"]) {
        return true;
    }
    let mut below_headers = false;
    for (i, segment) in segments.iter().enumerate() {
        match segment {
            Segment::Key(key) if holds_headers(key) => below_headers = true,
            Segment::Key(key) if below_headers && i + 1 == segments.len() => {
                let key = key.to_lowercase();
                return !HARMLESS_HEADERS.contains(&key.as_str()) && !HEADER_NAMES.contains(&key.as_str());
            }
            Segment::Key(key) if is_secret_key(key) => return true,
            // `actions: [{key: api_token, value: …}]`
            Segment::Item(name) if is_secret_key(name) && last == "value" => return true,
            // An item that nothing names, or several do: whose value it is, the path does not tell.
            Segment::Index(_) if last == "value" => return true,
            _ => {}
        }
    }
    below_headers
}

/// Whether a value is what stands for any secret in a reported configuration: `[REDACTED]`, which YAML may take for a list.
pub(crate) fn is_withheld(node: &Node) -> bool {
    match &node.value {
        Value::String(text) => text == WITHHELD,
        Value::List(items) => matches!(items.as_slice(), [only] if only.as_str() == Some("REDACTED")),
        _ => false,
    }
}

/// Whether there is such a value in any of these.
pub(crate) fn holds_withheld(items: &[Node]) -> bool {
    items.iter().any(|item| {
        is_withheld(item)
            || item.as_list().is_some_and(holds_withheld)
            || item
                .as_map()
                .is_some_and(|map| map.iter().any(|(_, value)| holds_withheld(std::slice::from_ref(value))))
    })
}

/// What the Collector prints in place of a secret.
const WITHHELD: &str = "[REDACTED]";

/// Whether a key holds headers with their values: `headers`, `custom_headers`.
pub(crate) fn holds_headers(key: &str) -> bool {
    key.ends_with("headers") && !NAMES_OF_HEADERS.contains(&key)
}

/// Whether a key says that its value is a secret.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let lower = key.trim_start_matches('-').to_lowercase().replace('-', "_");
    let plain = lower.replace('_', "");
    let worded = SECRET_WORDS.iter().any(|w| plain.contains(w));
    let keyed = plain.ends_with("key") && !NAMING_KEYS.contains(&lower.as_str());
    SECRET_KEYS.contains(&lower.as_str())
        || ((worded || keyed) && !HARMLESS_ENDINGS.iter().any(|e| plain.ends_with(e)))
}

/// Whether a variable or a file of this name holds a secret: `DB_PASSWORD`, `/run/secrets/otlp`.
pub fn names_secret(name: &str) -> bool {
    name.split(['/', '\\', ' ']).any(|part| {
        let part = part.split_once('.').map_or(part, |(stem, _)| stem);
        let lower = part.to_lowercase();
        let worded = ["secret", "auth", "private"]
            .iter()
            .any(|w| lower.split(['_', '-']).any(|p| p == *w || p == format!("{w}s")));
        worded || is_secret_key(part)
    })
}

/// Whether a text is a secret by its form.
fn looks_secret(text: &str) -> bool {
    let lower = text.trim_start().to_lowercase();
    let jwt = text.starts_with("eyJ") && text.matches('.').count() == 2 && !text.contains(' ');
    let prefixed =
        ["AKIA", "ASIA", "ghp_", "gho_", "github_pat_", "glpat-", "glc_", "glsa_", "xoxb-", "xoxp-", "sk-"]
            .iter()
            .any(|p| text.starts_with(p) && text.len() >= p.len() + 12 && !text.contains(' '));
    let json =
        lower.starts_with('{') && SECRET_WORDS.iter().any(|w| lower.replace(['_', '-'], "").contains(w));
    lower.starts_with("bearer ")
        || lower.starts_with("basic ")
        || (lower.contains("-----begin") && lower.contains("key"))
        || jwt
        || prefixed
        || json
}

/// Where a URL's authority ends, which `text` begins with. A password may hold a `,` or `'` (RFC 3986, section 3.2.1), and what
/// people write for one may hold anything: where what comes before the first delimiter is no host, it ends at the last `@`.
fn end_of_authority(text: &str) -> usize {
    let url = text.find(|c: char| c == '"' || c.is_whitespace()).unwrap_or(text.len());
    // The next one in a list of URLs.
    let next = text[..url].match_indices(',').map(|(at, _)| at).find(|at| {
        let scheme = text[at + 1..url].split_once("://");
        scheme.is_some_and(|(scheme, _)| {
            scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        })
    });
    let url = &text[..next.unwrap_or(url)];
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (authority, rest) = url.split_at(end);
    let no_host =
        authority.rsplit_once(':').is_some_and(|(_, port)| !port.bytes().all(|b| b.is_ascii_digit()));
    match rest.rfind('@').filter(|_| no_host && !authority.contains(['@', '[', '$'])) {
        Some(at) => {
            let host = &rest[at + 1..];
            end + at + 1 + host.find(['/', '?', '#']).unwrap_or(host.len())
        }
        None => end,
    }
}

/// The text with every `${…}` taken out that has no default.
fn without_references(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        match tail.find('}') {
            Some(end) if !tail[..end].contains(":-") => rest = &tail[end + 1..],
            _ => return out + tail,
        }
    }
    out + rest
}

/// Text as YAML: bare where that reads back as the same string - alone or, if `nested`, within a list - quoted otherwise.
fn quote(text: &str, nested: bool) -> String {
    let simple = !text.is_empty()
        && text.len() <= 200
        && text.chars().all(|c| c.is_alphanumeric() || BARE.contains(c));
    let bare = simple
        && if nested {
            crossfade_yaml::parse(&format!("[{text}]"), "")
                .is_ok_and(|n| n.as_list().is_some_and(|l| l.len() == 1 && l[0].as_str() == Some(text)))
        } else {
            crossfade_yaml::parse(&format!("k: {text}"), "")
                .is_ok_and(|n| n.at(&["k"]).and_then(Node::as_str) == Some(text))
        };
    if bare { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// What a bare text may hold beside letters and digits.
const BARE: &str = "._-/:${}@<>= ()*+%";

/// Whether a text is what [`Redactor`] writes in place of a secret: a declaration repeats it.
fn is_marker(text: &str) -> bool {
    let hex = text.strip_prefix("<redacted sha256:").and_then(|t| t.strip_suffix('>'));
    hex.is_some_and(|h| h.len() == 8 && h.bytes().all(|b| b.is_ascii_hexdigit()))
}
