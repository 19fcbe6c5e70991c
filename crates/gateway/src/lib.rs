//! The data plane: receivers, router, deliveries, ledger, breaker.
//!
//! A gateway takes OTLP traces over gRPC and HTTP, decides for each span by the crossfade rule where it goes, and
//! delivers it there. It holds a routing schedule that the control plane issued and the log proves, goes on without
//! control when control is away, and lets a fence fall by itself when the candidate dies.
//!
//! It is *not* a Collector: it changes no span, knows no processors, and sends nothing that it did not receive. It is not
//! durable: what it queues is in memory, and [`queue`] is the seam where the spool will sit. It decides nothing about a
//! rollout; what it knows of one is its schedule.
//!
//! # From the socket in, and out again
//!
//! Each layer has one reason to be there:
//!
//! | layer | why |
//! |---|---|
//! | [`listen`] | so many connections, spread over the workers by the kernel, and a goodbye to each on a drain |
//! | [`receive`] | what a request is, whether we serve such requests, and its body in one piece, bounded in every way |
//! | [`dispatch`] | one request, planned without a pause: unpacked, routed, split, entered, queued; and its answer |
//! | [`books`] | every span that was routed is in exactly one column of the ledger, at any moment |
//! | [`route`] | the compiled schedule, which only the worker's own thread changes, between two requests |
//! | [`queue`] | what waits for the side that does not answer is bounded, and what has to go for it is chosen and counted |
//! | [`lane`] | one environment's client, queue and deliveries, which share nothing with the other's |
//! | `backends::otlp` | bytes out, one outcome back; and not a byte after a fence |
//! | [`answer`] | what the client hears, as exactly as its transport allows |
//!
//! # Threads
//!
//! ```text
//! worker 0..N   current_thread runtime: its own listeners (SO_REUSEPORT), connections, queues, books
//! steward       current_thread runtime: the follower, the line to control, looks at environments
//! keeper        writes the state folder, and may hang with its disk
//! tap           reads some of what came by, for its share of a processor, at low priority
//! ```
//!
//! The steward gives orders to the workers, and waits for each to be carried out: a schedule is acknowledged, and a fence
//! reported, only when it is in effect on every thread. Workers share a few counters - of memory, of slots, of what waits
//! for each environment - and the breaker's evidence. No lock is ever held while something is awaited. What the ways to
//! both environments lock - the worker's own books and buffers, the breaker's evidence - is held only while something is done
//! in memory; the longest is a report's copy of the books, which grows with the generations of the boot.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`GatewayConfig`] and its parts |
//! | [`gateway`] | [`start`], [`Gateway`], [`Handle`] |
//! | [`admin`] | [`admin_router`]: health, readiness, metrics, status, fence |
//! | [`status`] | what a gateway says of itself, [`ClosingLedger`] |
//! | [`worker`], [`listen`], [`receive`], [`dispatch`], [`route`], [`lane`], [`queue`], [`answer`] | the way of a request |
//! | [`gulp`], [`pool`] | large reads; large buffers, used again |
//! | [`budget`] | bounds on memory and on requests |
//! | [`books`] | the ledger, and the counts of the analysis |
//! | [`breaker`], [`vitals`] | how the environments are, and when that is enough for a fence |
//! | [`steward`] | following control, fences, the state folder |
//! | [`overview`], [`metrics`] | everything that can be said, for status, reports and Prometheus |
//! | [`tap`] | what clients sent, in outline, read beside the way of a request |
//! | [`invariant`] | what happens when something is broken that cannot be |
//! | [`clock`] | the one place where the wall clock is read |

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the tables above name private modules for those who read the source"
)]

mod admin;
mod answer;
mod books;
mod breaker;
mod budget;
mod clock;
mod config;
mod dispatch;
mod gateway;
mod gulp;
mod invariant;
mod lane;
mod listen;
mod metrics;
mod overview;
mod pool;
mod queue;
mod receive;
mod route;
mod status;
mod steward;
mod tap;
mod vitals;
mod worker;

pub use admin::{Readiness, admin_router};
pub use config::{
    BreakerConfig, ConfigError, ControlLink, DeliveryConfig, EnvironmentConfig, GatewayConfig, Limits,
    RemoteControl, TapConfig, Token,
};
pub use gateway::{Gateway, Handle, StartError, start};
pub use status::{
    BreakerStatus, ClosingLedger, ControlStatus, FenceError, FenceRequest, Fenced, GatewayStatus, Phase,
    QueueStatus,
};
pub use steward::keep::KeepError;
