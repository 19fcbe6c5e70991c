//! What happens when something is broken that cannot be: the process stops.
//!
//! A gateway whose accounts are wrong must not go on to say so politely at every request: what it reports is evidence. A
//! panic would be caught with the one task that it ends, and leave a poisoned lock behind; so this is an abort, and whoever
//! runs the gateway starts it again, with a ledger whose gap is declared.

/// Stops the process.
pub(crate) fn broken(what: &str) -> ! {
    tracing::error!(what, "an invariant is broken: the gateway stops");
    eprintln!("crossfade: an invariant is broken, and the gateway stops: {what}");
    std::process::abort()
}
