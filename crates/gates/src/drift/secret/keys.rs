//! Which keys say that their values are secrets.

use crate::drift::path::{Path, Segment};

/// Words that make a key a secret's, compared without `-`, `_` and case.
pub(super) const SECRET_WORDS: [&str; 14] = [
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
const SECRET_KEYS: [&str; 8] = ["inline", "pass", "pwd", "psk", "pat", "passcode", "otp", "salt"];

/// Last words of keys that are secrets: `db_pass`, `user_pin`.
const SECRET_ENDINGS: [&str; 7] = ["pass", "pwd", "psk", "pw", "passcode", "pin", "jwt"];

/// Keys whose own values are secrets, though what stands below them is none: `community` of SNMP, `sig` of Azure.
const SECRET_LEAVES: [&str; 7] = ["pin", "jwt", "sig", "sas", "session", "community", "seed"];

/// What follows `bearer` or `basic` where they are words.
pub(super) const NOT_AFTER: [&str; 9] =
    ["auth", "authentication", "authorization", "token", "tokens", "scheme", "credentials", "and", "or"];

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

/// Whether values at `path` are hidden for their place.
pub(crate) fn is_hidden(path: &Path) -> bool {
    let segments = path.segments();
    let last = path.last_key();
    // Datadog's `api: {key: …}`, Prometheus' `params: {key: […]}`, the webhook's `required_header: {key: …, value: …}`.
    match path.keys().as_slice() {
        [.., "api" | "params", "key"] => return true,
        [.., above, "value" | "values"] if above.ends_with("header") => return true,
        [.., last] if is_leaf(last) => return true,
        _ => {}
    }
    let is_value = matches!(last, "value" | "values" | "default" | "default_value");
    let mut below_headers = false;
    for (i, segment) in segments.iter().enumerate() {
        match segment {
            Segment::Key(key) if holds_headers(key) => below_headers = true,
            Segment::Key(key) if below_headers && i + 1 == segments.len() => {
                let key = key.to_lowercase();
                let in_item = i > 0 && !matches!(segments[i - 1], Segment::Key(_));
                let harmless = HARMLESS_HEADERS.contains(&key.as_str());
                return !(harmless || (in_item && HEADER_NAMES.contains(&key.as_str())));
            }
            Segment::Key(key) if is_secret_key(key) => return true,
            // `actions: [{key: api_token, value: …}]`
            Segment::Item(name) if is_value && is_secret_name(name) => return true,
            // An item that nothing names, or several do: whose value it is, the path does not tell.
            Segment::Index(_) if last == "value" => return true,
            _ => {}
        }
    }
    below_headers
}

/// Whether a plain value at `path` is hidden, where a block is not: `auth: abc`.
pub(super) fn is_hidden_leaf(path: &Path) -> bool {
    is_hidden(path) || says_auth(path.last_key())
}

fn is_leaf(key: &str) -> bool {
    SECRET_LEAVES.iter().any(|leaf| key.eq_ignore_ascii_case(leaf))
}

/// `auth`, `proxy_auth`, `X-Auth`.
fn says_auth(key: &str) -> bool {
    key.to_ascii_lowercase().rsplit(['_', '-']).next() == Some("auth")
}

/// Whether what is given to this name in a text is a secret: `http.request.header.authorization`.
pub(super) fn is_secret_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    is_secret_key(name) || is_leaf(last) || says_auth(last)
}

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
    let ends = lower.rsplit('_').next().is_some_and(|last| SECRET_ENDINGS.contains(&last));
    SECRET_KEYS.contains(&lower.as_str())
        || ends
        || ((worded || keyed) && !HARMLESS_ENDINGS.iter().any(|e| plain.ends_with(e)))
}

/// Whether a variable or a file of this name holds a secret: `DB_PASSWORD`, `/run/secrets/otlp`.
pub fn names_secret(name: &str) -> bool {
    name.split(['/', '\\', ' ']).any(|part| {
        let part = part.split_once('.').map_or(part, |(stem, _)| stem);
        let lower = part.to_lowercase();
        let worded = ["secret", "auth", "private", "jwt", "sas", "community"]
            .iter()
            .any(|w| lower.split(['_', '-']).any(|p| p == *w || p == format!("{w}s")));
        worded || is_secret_key(part)
    })
}
