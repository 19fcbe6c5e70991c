//! Clients of the environments: OTLP export, Jaeger query.
