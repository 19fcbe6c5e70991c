//! The OTLP client and the query client against TLS servers of every kind.

mod authority;
mod faults;
mod files;
mod server;
