//! The house in one place: crates and their tiers, the arrows allowed beside "down", what tier 0 may not touch, and every
//! exception with its reason. A rule that needs a table reads it here; changing the house starts with a line here.

/// The tiers, from the base up. An arrow points from a higher tier to a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    Pure,
    Adapter,
    Edge,
    Proving,
    Root,
}

impl Tier {
    /// The number by which ARCHITECTURE.md calls it.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }
}

/// Every folder below `crates/` and its tier.
pub(crate) const CRATES: &[(&str, Tier)] = &[
    ("otlp", Tier::Pure),
    ("routing", Tier::Pure),
    ("rollout", Tier::Pure),
    ("gates", Tier::Pure),
    ("stats", Tier::Pure),
    ("tlog", Tier::Pure),
    ("yaml", Tier::Pure),
    ("audit", Tier::Adapter),
    ("backends", Tier::Adapter),
    ("gateway", Tier::Edge),
    ("control", Tier::Edge),
    ("lab", Tier::Proving),
    ("cli", Tier::Root),
    ("xtask", Tier::Root),
];

/// Arrows within a tier. Acyclic, and few: each one makes two crates harder to change apart.
pub(crate) const ARROWS: &[(&str, &str)] = &[
    ("rollout", "routing"),
    ("rollout", "stats"),
    ("rollout", "yaml"),
    ("gates", "stats"),
    ("gates", "yaml"),
];

/// The one crate that tests of a lower tier may use, since simulators live there and nowhere else. Tier 0 may not: what is
/// pure is tested without sockets.
pub(crate) const SIMULATORS: &str = "lab";

/// The crates that make a program.
pub(crate) const PROGRAMS: &[&str] = &["cli", "xtask"];

/// The crate that `cargo test` and `cargo run` without `-p` leave out.
pub(crate) const CHORES: &str = "xtask";

/// What a pure source may not name: a path (with all below it) and what to do instead. A module above it may not be imported.
pub(crate) const DENIED_PATHS: &[(&str, &str)] = &[
    ("std::fs", "take bytes; an adapter of tier 1 reads the file"),
    ("std::path", "take a name as text; `Path` reaches the file system by its methods"),
    ("std::net", "take bytes; sockets live in tier 1 and above"),
    ("std::os", "nothing here may depend on the operating system"),
    ("std::env", "take it as an argument; the binary reads the environment"),
    ("std::process", "return an error; only the binary ends the process"),
    ("std::thread", "stay sequential; threads are started in tier 1 and above"),
    ("std::io::stdin", "take bytes"),
    ("std::io::stdout", "return text; the binary prints it"),
    ("std::io::stderr", "return text; the binary prints it"),
    ("std::io::pipe", "take bytes; what the operating system hands out belongs to tier 1 and above"),
    ("std::backtrace", "return an error that says where; a backtrace asks the environment, and reads files"),
    ("std::time::SystemTime", "time is an argument: take a `UnixNanos`"),
    ("std::time::UNIX_EPOCH", "time is an argument: take a `UnixNanos`"),
    ("std::time::Instant", "time is an argument: take a `UnixNanos`"),
    ("std::collections::HashMap", "its order differs from run to run; use a BTreeMap"),
    ("std::collections::HashSet", "its order differs from run to run; use a BTreeSet"),
    ("std::collections::hash_map", "its order differs from run to run; use a BTreeMap"),
    ("std::collections::hash_set", "its order differs from run to run; use a BTreeSet"),
    ("std::hash::RandomState", "seeded from the system; use XXH3 with a seed"),
    ("std::hash::DefaultHasher", "not stable across versions; use XXH3 with a seed"),
    ("tokio", "a pure crate has no runtime"),
    ("hyper", "a pure crate has no network"),
    ("rand", "its unseeded generators are one call away; take the random bytes, or a seed, as an argument"),
    ("getrandom", "randomness is an argument: take a seed"),
    ("aws_lc_rs", "much of it draws randomness from the system; list what is pure in PURE_PARTS"),
    ("jiff", "time is an argument, and so is the time zone"),
];

/// Parts of denied paths that are data only, or functions of their arguments.
pub(crate) const PURE_PARTS: &[&str] = &[
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
    "std::net::AddrParseError",
    "aws_lc_rs::digest",
    "aws_lc_rs::signature::ED25519",
    "aws_lc_rs::signature::Ed25519KeyPair",
    "aws_lc_rs::signature::KeyPair",
    "aws_lc_rs::signature::UnparsedPublicKey",
];

/// Words that the sources of one crate may not have in a path, and why: functions of a type among [`PURE_PARTS`], which
/// could be called by any name that the type is given.
pub(crate) const DENIED_WORDS: &[(&str, &str, &str)] = &[
    ("tlog", "generate", "a key pair draws randomness from the system there: take a seed"),
    ("tlog", "generate_pkcs8", "a key pair draws randomness from the system there: take a seed"),
    ("tlog", "generate_pkcs8v1", "a key pair draws randomness from the system there: take a seed"),
];

/// Macros that a pure source may not call.
pub(crate) const DENIED_MACROS: &[(&str, &str)] = &[
    ("print", "return text; the binary prints it"),
    ("println", "return text; the binary prints it"),
    ("eprint", "return text; the binary prints it"),
    ("eprintln", "return text; the binary prints it"),
    ("dbg", "remove it"),
    ("include", "name the file in a `mod`, so that it is checked too"),
    ("env", "the environment of a build must not shape what is built"),
    ("option_env", "the environment of a build must not shape what is built"),
];

/// Exceptions from [`DENIED_PATHS`]: crate, path, reason.
pub(crate) const PATH_EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Packages that are never pure, and why. (A package that is not named here nor in [`PURE_PACKAGES`] is refused as unknown.)
pub(crate) const DENIED_PACKAGES: &[(&str, &str)] = &[
    ("tokio", "a runtime"),
    ("async-std", "a runtime"),
    ("smol", "a runtime"),
    ("rayon", "threads"),
    ("mio", "sockets"),
    ("socket2", "sockets"),
    ("hyper", "sockets"),
    ("hyper-util", "sockets"),
    ("axum", "sockets"),
    ("rustix", "the operating system"),
    ("nix", "the operating system"),
    ("libc", "the operating system"),
    ("rand", "generators seeded by the system are one call away"),
    ("getrandom", "randomness of the system"),
    ("fastrand", "randomness of the system"),
    ("tempfile", "files"),
    ("memmap2", "files"),
    ("chrono", "reads the clock"),
    ("time", "reads the clock"),
    ("jiff", "reads the clock and the time zone"),
    ("uuid", "randomness of the system"),
    ("tracing", "a global that anyone may set"),
    ("log", "a global that anyone may set"),
    ("aws-lc-rs", "native code that draws randomness from the system"),
    ("aws-lc-sys", "native code that draws randomness from the system"),
    ("ring", "a second provider of signatures"),
    ("openssl", "a second provider of signatures"),
];

/// Exceptions from [`DENIED_PACKAGES`]: crate, package, reason.
pub(crate) const PACKAGE_EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "tlog",
        "aws-lc-rs",
        "the provider of SHA-256 and Ed25519, FIPS-validated; all else of it is denied by path, drawing a key by word",
    ),
    ("tlog", "aws-lc-sys", "the native half of aws-lc-rs"),
];

/// Foreign packages that a pure crate may depend on, and what each is there for.
pub(crate) const PURE_PACKAGES: &[(&str, &str)] = &[
    ("serde", "types to and from data"),
    ("serde_core", "serde's traits"),
    ("serde_json", "JSON"),
    ("itoa", "serde_json's integers"),
    ("ryu", "serde_json's floats"),
    ("zmij", "serde_json's floats"),
    ("memchr", "searching bytes"),
    ("thiserror", "errors"),
    ("schemars", "the editor's schema from the same types"),
    ("dyn-clone", "schemars's own"),
    ("ref-cast", "schemars's own"),
    ("xxhash-rust", "the routing hash"),
    ("hdrhistogram", "latencies of a load, with a known error"),
    ("byteorder", "hdrhistogram's own"),
    ("statrs", "distributions"),
    ("approx", "statrs's comparisons"),
    ("num-traits", "statrs's numbers"),
    ("libm", "num-traits's functions"),
    ("base64", "text form of hashes and signatures"),
    ("zeroize", "wipes keys from memory"),
    ("strsim", "did you mean"),
    ("saphyr-parser", "the YAML parser: events with positions, no input or output of its own"),
    ("arraydeque", "the YAML parser's own"),
    ("regorus", "Rego; without its features it knows no clock, no network, no randomness, and reads no file"),
    ("anyhow", "regorus's errors"),
    ("lazy_static", "regorus's tables of builtins"),
    ("num-bigint", "Rego's numbers"),
    ("num-integer", "num-bigint's own"),
    ("spin", "regorus's lock: it has no thread of its own"),
    ("lock_api", "spin's own"),
    ("scopeguard", "lock_api's own"),
    ("vstd", "regorus's proofs: specifications that vanish when it is compiled"),
    ("verus_builtin", "vstd's own"),
];

/// Files longer than the limit, and why.
pub(crate) const LONG_FILES: &[(&str, &str)] = &[
    ("Cargo.lock", "written by cargo"),
    ("docs/reference/findings.md", "written by `crossfade explain --all`"),
    ("crates/cli/tests/data/sarif/sarif-schema-2.1.0.json", "the standard's own"),
    (
        "crates/rollout/src/spec/snapshots/crossfade_rollout__spec__schema__tests__the_schema_knows_what_the_reader_knows.snap",
        "the schema of a rollout, written by insta",
    ),
];

/// Lines that a file of text may have.
pub(crate) const LONGEST_FILE: usize = 600;
