//! How the site reaches its environments, as digests: a plan's gates have looked through these doors, and through no others.

use crossfade_backends::tls::{MinVersion, TlsSettings};
use crossfade_rollout::Digest;
use crossfade_routing::EnvironmentId;
use serde_json::{Value, json};

use super::drift::keyed_digest;
use crate::site::Environment;

/// What snapshots name these by, before the environment; no environment's name has a space.
pub(super) const SNAPSHOT: &str = "site ";

/// Digests by the names that snapshots give them. Keyed: headers hold tokens, and addresses may hold names of customers.
pub(super) fn digests(
    id: &EnvironmentId,
    environment: &Environment,
    key: &[u8],
) -> impl Iterator<Item = (String, Digest)> {
    let Environment { tls, headers, query, receivers, admin, endpoints, .. } = environment;
    let receivers: Vec<Value> =
        receivers.iter().map(|one| json!([one.endpoint, format!("{:?}", one.protocol)])).collect();
    let admin: Vec<Value> =
        admin.iter().map(|one| json!([one.endpoint, format!("{:?}", one.kind)])).collect();
    let said = [
        ("otlp headers", Some(json!(headers))),
        ("otlp tls", Some(told(tls))),
        ("query headers", query.as_ref().map(|query| json!(query.headers))),
        ("query tls", query.as_ref().map(|query| told(&query.tls))),
        ("receivers", Some(json!([receivers, admin, endpoints]))),
    ];
    said.into_iter().filter_map(move |(part, value)| {
        let digest = Digest::from_bytes(keyed_digest(key, value?.to_string().as_bytes()));
        Some((format!("{SNAPSHOT}{id} {part}"), digest))
    })
}

/// The settings; certificates are renewed while they stay where they are.
fn told(tls: &TlsSettings) -> Value {
    let TlsSettings { ca_file, cert_file, key_file, min_version, insecure_skip_verify, server_name_override } =
        tls;
    let least = match min_version {
        MinVersion::Tls12 => "1.2",
        MinVersion::Tls13 => "1.3",
    };
    json!([ca_file, cert_file, key_file, least, insecure_skip_verify, server_name_override])
}
