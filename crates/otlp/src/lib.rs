//! Borrowed views over OTLP trace requests: scan, split, merge.
