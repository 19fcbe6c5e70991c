//! The data plane: receivers, router, deliveries, ledger, breaker.

mod clock;
mod config;
mod status;

pub use config::{
    BreakerConfig, ConfigError, ControlLink, DeliveryConfig, EnvironmentConfig, GatewayConfig, Limits,
    RemoteControl, Token,
};
pub use status::{
    BreakerStatus, ClosingLedger, ControlStatus, FenceError, FenceRequest, Fenced, GatewayStatus, Phase,
    QueueStatus,
};
