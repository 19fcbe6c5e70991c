//! Values as text, with everything left out that may be a secret.
//!
//! A value is taken for a secret if its key says so (`password`, `token`, `api_key`, `headers`, `hmac_key`, …), or its text
//! does (a PEM block, `Bearer …`, a JSON Web Token, credentials in a URL). It is better to hide too much: the keyed
//! digest still tells whether two values are equal. Of a text that is a secret in part, that part is hidden. A reference such as `${env:TOKEN}` is not the secret itself and stays.

use std::cell::Cell;
use std::ops::Range;

use crossfade_yaml::{Node, Value};

pub use self::keys::names_secret;
use self::keys::{SECRET_WORDS, is_hidden_leaf};
pub(crate) use self::keys::{holds_headers, is_hidden};
use super::ids::Section;
use super::path::{Path, Segment};

mod keys;
mod within;

/// A keyed digest (HMAC-SHA-256, say), with the key bound by the caller. Keyed, because a bare digest of a short password can be guessed.
pub type KeyedDigest<'a> = &'a dyn Fn(&[u8]) -> [u8; 32];

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
        let hidden = is_hidden_leaf(path);
        // What a secret variable is part of is hidden whole, whatever it looks like now.
        if let (true, Some(text)) = (node.is_secret(), node.scalar_text()) {
            return self.redacted(&text);
        }
        match &node.value {
            Value::List(items) => {
                let is_given = |i: usize| {
                    let flag = i.checked_sub(1).and_then(|before| items[before].as_str());
                    flag.is_some_and(within::is_secret_flag)
                };
                let show = |(i, n): (usize, &Node)| match n.scalar_text().filter(|_| is_given(i)) {
                    Some(text) if !within::is_flag(&text) => self.hide_unless_reference(&text, true),
                    _ => self.value(&path.with(item(i, n)), n, true),
                };
                let items: Vec<_> = items.iter().enumerate().map(show).collect();
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
        quote(&self.shown(text), nested)
    }

    /// The text, with what may be a secret within it hidden.
    fn shown(&self, text: &str) -> String {
        let mut out = String::new();
        let mut done = 0;
        for hidden in within::found(text) {
            out.push_str(&text[done..hidden.start]);
            out.push_str(&self.redacted(&text[hidden.clone()]));
            done = hidden.end;
        }
        out + &text[done..]
    }

    /// A path, whose keys may be texts of any kind.
    pub(crate) fn path(&self, path: &Path) -> Path {
        path.keys_as(|key| match looks_secret(key) {
            true => self.redacted(key),
            false => self.shown(key),
        })
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
    named.filter(|name| !name.is_secret()).and_then(Node::as_str).filter(|name| !holds_secret(name))
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

/// Whether a text is, or holds, what may be a secret.
fn holds_secret(text: &str) -> bool {
    looks_secret(text) || !within::found(text).is_empty()
}

/// Longer texts are hidden whole: to look through them costs the square.
const TEXT_MAX: usize = 16 * 1024;

/// Whether a text is a secret as a whole, by its form.
fn looks_secret(text: &str) -> bool {
    let lower = text.trim_start().to_lowercase();
    let json =
        lower.starts_with('{') && SECRET_WORDS.iter().any(|w| lower.replace(['_', '-'], "").contains(w));
    text.len() > TEXT_MAX || json || (lower.contains("-----begin") && lower.contains("key"))
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

/// The text with every `${…}` taken out that has no default, and is no text or address itself.
fn without_references(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        match tail.find('}') {
            Some(end) if ![":-", "${yaml:", "://"].iter().any(|word| tail[..end].contains(word)) => {
                rest = &tail[end + 1..]
            }
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
    marker_at(text, 0) == Some(0..text.len())
}

/// The marker that begins here.
fn marker_at(text: &str, at: usize) -> Option<Range<usize>> {
    let hex = text[at..].strip_prefix("<redacted sha256:")?;
    let is_whole = hex.bytes().take(8).filter(u8::is_ascii_hexdigit).count() == 8;
    (is_whole && hex[8..].starts_with('>')).then(|| at..text.len() - hex.len() + 9)
}
