//! Clients of the environments: OTLP export, and queries to Jaeger and Tempo.
//!
//! An environment is somebody else's program at the other end of a socket. This crate speaks its protocols, and turns
//! every way it can answer, or not answer, into a value. It is *not* a place for policy: nothing here judges or decides, and
//! the OTLP client does not retry.
//!
//! | module | holds |
//! |---|---|
//! | [`otlp`] | the OTLP export client, gRPC and HTTP/protobuf: raw bytes in, one outcome out |
//! | [`load`] | made-up spans, offered on a schedule |
//! | [`coverage`] | what an environment records, in outline |
//! | [`query`] | reading traces back: one type over Jaeger and Tempo |
//! | [`document`] | one document by its URL |
//! | [`posture`] | what endpoints accept: TLS versions, suites, certificates, clients without credentials |
//! | [`probe`] | synthetic traces, written and read back |
//! | [`parity`] | the same traces, read from two environments |
//! | [`history`] | old traces: read, compared, searched for |
//! | [`sample`] | traces drawn at random from a time window |
//! | [`spread`] | how far the spans of an environment's traces lie apart |
//! | [`tls`] | TLS as a client: settings, files, what is wrong with a peer |
//! | `clock` | the one place where the wall clock is read |

mod clock;
pub mod coverage;
pub mod document;
pub mod history;
pub mod load;
pub mod otlp;
pub mod parity;
pub mod posture;
pub mod probe;
pub mod query;
pub mod sample;
pub mod spread;
pub mod tls;
