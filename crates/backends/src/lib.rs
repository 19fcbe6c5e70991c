//! Clients of the environments: OTLP export, Jaeger query.
//!
//! An environment is somebody else's program at the other end of a socket. This crate speaks its protocols, and turns
//! every way it can answer, or not answer, into a value. It is *not* a place for policy: nothing here retries, judges
//! or decides.
//!
//! | module | holds |
//! |---|---|
//! | [`otlp`] | the OTLP export client, gRPC and HTTP/protobuf: raw bytes in, one outcome out |
//! | `clock` | the one place where the wall clock is read |

mod clock;
pub mod otlp;
