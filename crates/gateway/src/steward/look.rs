//! Looks whether the environments can be reached, where no request has told lately.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::books::Place;
use crate::clock;
use crate::overview::Overview;

const INTERVAL: Duration = Duration::from_secs(1);
/// An environment that has taken a request this recently is not looked at.
const RECENT: Duration = Duration::from_secs(2);

/// Looks at every environment, each at its own pace, for as long as the runtime lives.
pub(super) fn watch(overview: &Arc<Overview>) {
    for place in 0..overview.environments().len() {
        tokio::spawn(look(Arc::clone(overview), place));
    }
}

async fn look(overview: Arc<Overview>, place: Place) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let last_ok = overview.vitals().condition(place).last_ok;
        if last_ok.is_some_and(|last| clock::now().since(last).is_none_or(|age| age < RECENT)) {
            continue;
        }
        // Only a connection, opened and closed: nothing is sent, not even to an environment that is fenced.
        let found = overview.knock(place).await;
        overview.vitals().looked(place, found);
    }
}
