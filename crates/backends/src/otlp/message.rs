//! One encoded `ExportTraceServiceRequest`, and how it is coded.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;

/// How the bytes of a message are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    /// The name in `grpc-encoding` and `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
        }
    }
}

/// What an environment wants its requests coded as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As the client sent it: what is passed on whole is passed on unopened.
    #[default]
    Preserve,
    Gzip,
    None,
}

impl Compression {
    /// The coding to send in, given the coding the request arrived in.
    pub fn target(self, arrived: Coding) -> Coding {
        match self {
            Compression::Preserve => arrived,
            Compression::Gzip => Coding::Gzip,
            Compression::None => Coding::Identity,
        }
    }
}

/// A request's bytes, without any framing. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub bytes: Bytes,
    pub coding: Coding,
}

impl Message {
    /// A message that is not compressed.
    pub fn identity(bytes: impl Into<Bytes>) -> Message {
        Message { bytes: bytes.into(), coding: Coding::Identity }
    }

    /// Compresses `plain` (level 1: speed matters more here than the last per cent).
    pub fn gzip(plain: &[u8]) -> Message {
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4 + 64), Level::new(1));
        encoder.write_all(plain).expect("a Vec takes every byte");
        let mut packed = encoder.finish().expect("a Vec takes every byte");
        if packed.capacity() / 2 > packed.len() {
            packed.shrink_to_fit(); // it may wait for long
        }
        Message { bytes: packed.into(), coding: Coding::Gzip }
    }

    /// `plain` in the coding asked for.
    pub fn coded(plain: impl Into<Bytes>, coding: Coding) -> Message {
        let plain = plain.into();
        match coding {
            Coding::Identity => Message::identity(plain),
            Coding::Gzip => Message::gzip(&plain),
        }
    }
}
