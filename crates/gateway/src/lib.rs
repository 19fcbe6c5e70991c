//! The data plane: receivers, router, deliveries, ledger, breaker.

mod admin;
mod answer;
mod books;
mod breaker;
mod budget;
mod clock;
mod config;
mod dispatch;
mod gateway;
mod lane;
mod listen;
mod metrics;
mod overview;
mod queue;
mod receive;
mod route;
mod status;
mod steward;
mod vitals;
mod worker;

pub use admin::{Readiness, admin_router};
pub use config::{
    BreakerConfig, ConfigError, ControlLink, DeliveryConfig, EnvironmentConfig, GatewayConfig, Limits,
    RemoteControl, Token,
};
pub use gateway::{Gateway, Handle, StartError, start};
pub use status::{
    BreakerStatus, ClosingLedger, ControlStatus, FenceError, FenceRequest, Fenced, GatewayStatus, Phase,
    QueueStatus,
};
pub use steward::keep::KeepError;
