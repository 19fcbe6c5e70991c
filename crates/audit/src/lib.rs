//! The audit log on disk: sequencer, signer, storage, evidence, verification.
mod commit;
mod emergency;
mod evidence;
mod layout;
mod log;
mod reader;
mod recovery;
mod snapshot;

pub mod canonical;
pub mod entry;
pub mod export;
pub mod keys;
pub mod show;
pub mod storage;
pub mod verify;

pub use emergency::EmergencyError;
pub use evidence::EvidenceError;
pub use layout::Place;
pub use log::{AppendError, Log, Receipt};
pub use reader::{Inclusion, Leaf, ReadError, Reader};
pub use recovery::{Cut, OpenError, Recovery};
