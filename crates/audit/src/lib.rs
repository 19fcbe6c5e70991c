//! The audit log on disk: sequencer, signer, storage, evidence, verification.
//!
//! The log is the only store that Crossfade has: what it does not say has not happened. One process
//! appends; anybody can verify, without a server and without trust in whoever wrote it.
//!
//! It is *not* a database: there is no index, no update, no deletion. It does not know who appends or
//! why, it reads no clock (entries bring their times), and it promises nothing against somebody who
//! holds the key and cuts the log back to an earlier state: for that a witness is needed.
//!
//! # Layout
//!
//! ```text
//! audit/checkpoint                the signed checkpoint
//! audit/tile/<L>/<N>[.p/<W>]      hashes; only the tiles of the checkpoint's size
//! audit/tile/entries/<N>[.p/<W>]  bundles of entries
//! audit/evidence/<aa>/<sha256>    blobs that entries name; <aa> are the digest's first two digits
//! emergency                       beside the folder: room for entries that cannot wait
//! log.pub, keys/log.key           the verifier key; the signer key (mode 0600), outside of the folder
//! ```
//!
//! Formats of tiles, bundles and the checkpoint are C2SP's (`crossfade-tlog`). A partial tile is
//! removed once a larger one has taken its place, so that nothing in the folder is unaccounted for; a
//! server of old sizes makes them again from the entries.
//!
//! # Why an acknowledged entry is there after a crash
//!
//! An append makes, in this order, durable: the blobs, bundles and tiles, and the new checkpoint under
//! another name, all of them new files; the folders that name them; the rename of the checkpoint. The
//! rename and the sync of its folder are the commit point. Before it, nothing that the old checkpoint covers is touched: a
//! crash leaves the old log, and files that no checkpoint accounts for, which opening removes. After
//! it, the new checkpoint covers only what is durable. Whether a rename that was interrupted has
//! happened is decided when the log is opened: the checkpoint that is found is written anew, since a
//! page cache may show what a failed sync has lost, and only then older files are removed.
//!
//! An error before the commit point means that nothing was appended. If the disk was full, the append
//! can be tried again; after any other error the log takes nothing until it is opened again. An error
//! at the commit point means that opening will tell. The tests try every operation with every kind of
//! failure, on a disk that keeps apart what was written and what is durable.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | `log` | [`Log`]: the one writer; [`AppendError`], [`Receipt`] |
//! | `reader` | [`Reader`]: reads while another thread appends; proofs |
//! | `commit` | the commit protocol |
//! | `recovery` | making and opening a log; [`Recovery`] says what was found |
//! | `emergency` | the emergency file |
//! | `evidence` | blobs that wait for their entries |
//! | [`canonical`] | canonical JSON (RFC 8785) |
//! | [`entry`] | entries as bytes |
//! | [`keys`] | key files, random bytes |
//! | [`verify`](mod@verify) | strict verification, offline; the report |
//! | [`show`] | entries, filtered, without the lock |
//! | [`export`](mod@export) | a copy that verifies by itself |
//! | [`storage`] | what all of it asks of a disk: the seam for faults |
//! | `layout`, `snapshot` | names and places; a consistent look at a folder that grows |

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
