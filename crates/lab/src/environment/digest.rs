//! A fingerprint of a span with everything it came under, to see whether it is stored as it was sent.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// XXH3-64 over the span's protobuf, seeded by its scope's, seeded by its resource's (schema URLs included). Two
/// fingerprints are compared only between encodings made by prost, which are canonical for what it decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanDigest(pub u64);

impl SpanDigest {
    /// Of a resource alone: what its scopes build on.
    pub(crate) fn of_resource(resource: Option<&Resource>, schema_url: &str) -> SpanDigest {
        SpanDigest(0).then(&resource.map(Message::encode_to_vec).unwrap_or_default(), schema_url)
    }

    /// Of a scope below this resource: what its spans build on.
    pub(crate) fn of_scope(self, scope: Option<&InstrumentationScope>, schema_url: &str) -> SpanDigest {
        self.then(&scope.map(Message::encode_to_vec).unwrap_or_default(), schema_url)
    }

    /// Of a span below this scope.
    pub(crate) fn of_span(self, span: &Span) -> SpanDigest {
        self.of_encoded_span(&span.encode_to_vec())
    }

    /// Of a span below this scope, encoded by prost.
    pub(crate) fn of_encoded_span(self, span: &[u8]) -> SpanDigest {
        SpanDigest(xxh3_64_with_seed(span, self.0))
    }

    fn then(self, message: &[u8], schema_url: &str) -> SpanDigest {
        SpanDigest(xxh3_64_with_seed(schema_url.as_bytes(), xxh3_64_with_seed(message, self.0)))
    }
}
