//! The audit log on disk: sequencer, signer, storage, evidence, verification.
