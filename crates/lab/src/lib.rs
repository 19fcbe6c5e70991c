//! The lab: simulated tracing environments with faults, traffic towards them, and the measurement of what became of it.
//!
//! Everything is real where it meets Crossfade: sockets, OTLP over gRPC and HTTP, Jaeger's query API, wall-clock times.
//! Everything is seeded where it need not be: traces and their arrivals, clock errors, which requests a fault hits. All
//! ports are loopback ports of the system's choosing, and everything ends when its handle is dropped.
//!
//! It is *not* a mock: nothing here knows what Crossfade decided. The measurement reads the stores alone, decodes with
//! prost and not with Crossfade's own scanner, and takes only the schedule from the log. It is not a Collector either:
//! it has no pipelines, no metrics and no logs.
//!
//! | module | holds |
//! |---|---|
//! | [`environment`] | OTLP receivers, a store, the query API, faults that are switched at run time |
//! | [`traffic`] | open-loop traces of a small shop, sent as a fleet of SDKs would, and the record of them |
//! | [`measure`] | torn, lost, straddling, owned, and the split by request to compare with: the summary of a story |
//! | [`scenario`] | the stories of the demo, as data |
//! | [`clock`] | the wall clock; nothing else here reads it |
//! | `wire` | gRPC framing, gzip and `google.rpc.Status`, shared by receivers and senders |

pub mod clock;
pub mod environment;
pub mod measure;
pub mod scenario;
#[cfg(test)]
mod testing;
pub mod traffic;
mod wire;
