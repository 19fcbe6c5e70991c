//! The OTLP client and the query client against TLS servers of every kind.

pub(crate) mod authority;
mod faults;
mod files;
pub(crate) mod server;
