//! Who sends: services, each with one SDK on every simulated host.

use super::business::Business;
use crate::environment::SpanDigest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// Simulated hosts; every service runs on each.
pub(crate) const HOSTS: usize = 4;

/// How an SDK exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC, not compressed.
    Grpc,
    /// OTLP/HTTP with protobuf bodies, gzip.
    HttpProtobufGzip,
}

/// One SDK: a service on a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Sdk {
    /// `service.name`.
    pub service: &'static str,
    /// `host.name`.
    pub host: String,
    /// How it exports.
    pub protocol: Protocol,
    /// What its host's clock shows less what is true, in nanoseconds; the same for every SDK of a host.
    pub clock_error_nanos: i64,
    pub(crate) resource: Resource,
    pub(crate) scope: InstrumentationScope,
    pub(crate) digest: SpanDigest,
}

/// Every SDK: the one of service `s` on host `h` is at `s * HOSTS + h`. Half of the hosts export by each protocol.
/// A pure function of its arguments.
pub(crate) fn fleet(business: Business, seed: u64, clock_error_max: Duration) -> Vec<Sdk> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bound = i64::try_from(clock_error_max.as_nanos()).unwrap_or(i64::MAX);
    let errors: Vec<i64> = (0..HOSTS).map(|_| rng.random_range(-bound..=bound)).collect();
    let sdks = business.services().into_iter().flat_map(|service| {
        errors.iter().enumerate().map(move |(host, error)| sdk(business, service, host, *error))
    });
    sdks.collect()
}

fn sdk(business: Business, service: &'static str, host: usize, clock_error_nanos: i64) -> Sdk {
    let protocol = if host.is_multiple_of(2) { Protocol::Grpc } else { Protocol::HttpProtobufGzip };
    let name = format!("node-{host}");
    let resource = Resource {
        attributes: vec![
            attribute("service.name", Value::StringValue(service.into())),
            attribute("service.namespace", Value::StringValue(business.namespace().into())),
            attribute("service.version", Value::StringValue("2.7.1".into())),
            attribute("service.instance.id", Value::StringValue(format!("{service}-{host}"))),
            attribute("host.name", Value::StringValue(name.clone())),
            attribute("telemetry.sdk.language", Value::StringValue("rust".into())),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: format!("{}/{service}", business.namespace()),
        version: "1.4.0".into(),
        ..InstrumentationScope::default()
    };
    let digest = SpanDigest::of_resource(Some(&resource), "").of_scope(Some(&scope), "");
    Sdk { service, host: name, protocol, clock_error_nanos, resource, scope, digest }
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_differ_by_host_and_stay_within_their_bound() {
        let bound = Duration::from_millis(20);
        let fleet = super::fleet(Business::Shop, 42, bound);
        assert_eq!(fleet.len(), 6 * HOSTS);
        for (index, sdk) in fleet.iter().enumerate() {
            assert!(sdk.clock_error_nanos.unsigned_abs() <= 20_000_000);
            assert_eq!(
                sdk.clock_error_nanos,
                fleet[index % HOSTS].clock_error_nanos,
                "one clock for each host"
            );
        }
        assert_ne!(fleet[0].clock_error_nanos, fleet[1].clock_error_nanos);
        assert_eq!(fleet, super::fleet(Business::Shop, 42, bound));
        assert_ne!(fleet, super::fleet(Business::Shop, 43, bound));
    }
}
