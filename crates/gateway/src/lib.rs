//! The data plane: receivers, router, deliveries, ledger, breaker.
