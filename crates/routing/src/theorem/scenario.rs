//! What a simulated world is made of. Everything follows from a scenario: it runs alike every time.
//!
//! One tick is one nanosecond. Distances are small, so that starts, cuts, edges and acknowledgements often meet.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Weight, Window};

/// When the world begins; so far from zero that no window reaches it.
pub(crate) const DAWN: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) window: Window,
    /// Of four skews and more.
    pub(crate) horizon: Duration,
    pub(crate) gateways: usize,
    /// When the candidate is named.
    pub(crate) begin_after: u64,
    /// How long the rollout waits before each cut, and the weight of that cut.
    pub(crate) cuts: Vec<(u64, Weight)>,
    /// How often a gateway asks for news.
    pub(crate) poll_every: u64,
    /// How often control looks whether there is something to do.
    pub(crate) control_every: u64,
    /// From its announcement to a cut.
    pub(crate) lead: u64,
    /// Messages between gateways and control: the longest delay, and how many in a hundred are lost.
    pub(crate) delay_max: u64,
    pub(crate) loss_percent: u64,
    /// How long a gateway takes to write its state.
    pub(crate) save_max: u64,
    pub(crate) mishaps: Vec<Mishap>,
    /// Traces, besides those that are started at every moment of interest.
    pub(crate) traces: usize,
    /// Control announces again so late that it needs no word from the silent.
    pub(crate) patient: bool,
    /// Whether a promotion keeps a copy at `from`.
    pub(crate) mirror_back: bool,
}

/// Something that goes wrong, counted in ticks from [`DAWN`].
#[derive(Clone, Debug)]
pub(crate) enum Mishap {
    /// A gateway dies and comes back with what is on its disk.
    GatewayDies { gateway: usize, at: u64, back_after: u64 },
    /// A gateway dies as it saves what it has just taken.
    GatewayDiesSaving { gateway: usize, at: u64, back_after: u64 },
    /// A gateway lets the fence fall.
    Fence { gateway: usize, at: u64 },
    /// A gateway and control do not hear each other.
    CutOff { gateway: usize, at: u64, until: u64 },
    /// Control dies and comes back with what is in its log.
    ControlDies { at: u64, back_after: u64 },
    /// Control takes an announcement back: it issues another generation.
    Withdrawal { at: u64 },
    /// A gateway that nobody has heard of appears, with nothing on its disk.
    Newcomer { at: u64 },
}

pub(crate) fn scenarios() -> impl Strategy<Value = Scenario> {
    let shape = (windows(), 1..=4_u32, 1..=3_usize, prop_oneof![Just(0_u64), 1..100_u64], cuts());
    let pace = (prop_oneof![3..8_u64, 8..40_u64], prop_oneof![2..10_u64, 10..60_u64]);
    let lead = prop_oneof![1..12_u64, 1..160_u64];
    let rest = (any::<bool>(), any::<bool>(), 20..40_usize);
    let mishaps = vec(mishaps(), 0..6);
    (any::<u64>(), shape, pace, lead, weather(), rest, mishaps).prop_map(
        |(seed, shape, pace, lead, weather, rest, mishaps)| {
            let (window, horizons, gateways, begin_after, cuts) = shape;
            let (poll_every, control_every) = pace;
            let (delay_max, loss_percent, save_max) = weather;
            let (patient, mirror_back, traces) = rest;
            let horizon = window.skew() * 4 * horizons;
            Scenario {
                seed,
                window,
                horizon,
                gateways,
                begin_after,
                cuts,
                poll_every,
                control_every,
                lead,
                delay_max,
                loss_percent,
                save_max,
                mishaps,
                traces,
                patient,
                mirror_back,
            }
        },
    )
}

/// Delay of messages, share of them that is lost, delay of writes. In half of the worlds there is next to none: things
/// happen at the same tick, and boundaries are met exactly.
fn weather() -> impl Strategy<Value = (u64, u64, u64)> {
    prop_oneof![(0..3_u64, Just(0_u64), 0..3_u64), (0..60_u64, 0..40_u64, 0..30_u64)]
}

fn windows() -> impl Strategy<Value = Window> {
    (prop_oneof![Just(0_u64), 1..90_u64], 2..40_u64, prop_oneof![Just(0_u64), 1..30_u64]).prop_map(
        |(overlap, skew, gamma)| {
            let ticks = Duration::from_nanos;
            Window::new(ticks(overlap), ticks(skew), ticks(gamma.min(skew - 1))).expect("a window")
        },
    )
}

fn cuts() -> impl Strategy<Value = Vec<(u64, Weight)>> {
    let weights = prop::collection::btree_set(prop_oneof![1..1_000_000_u32, Just(1_000_000)], 1..4);
    (weights, vec(0..150_u64, 4)).prop_map(|(weights, waits)| {
        let weights = weights.into_iter().map(|ppm| Weight::from_ppm(ppm).expect("a share"));
        waits.into_iter().zip(weights).collect()
    })
}

fn mishaps() -> impl Strategy<Value = Mishap> {
    let at = 0..900_u64;
    let long = prop_oneof![0..40_u64, 0..300_u64];
    let gateway = 0..3_usize;
    prop_oneof![
        3 => (gateway.clone(), at.clone(), long.clone())
            .prop_map(|(gateway, at, back_after)| Mishap::GatewayDies { gateway, at, back_after }),
        2 => (gateway.clone(), at.clone(), long.clone())
            .prop_map(|(gateway, at, back_after)| Mishap::GatewayDiesSaving { gateway, at, back_after }),
        3 => (gateway.clone(), at.clone(), prop_oneof![1..400_u64, Just(u64::MAX / 2)])
            .prop_map(|(gateway, at, length)| Mishap::CutOff { gateway, at, until: at + length }),
        2 => (at.clone(), long).prop_map(|(at, back_after)| Mishap::ControlDies { at, back_after }),
        1 => at.clone().prop_map(|at| Mishap::Withdrawal { at }),
        1 => at.clone().prop_map(|at| Mishap::Newcomer { at }),
        1 => (gateway, at).prop_map(|(gateway, at)| Mishap::Fence { gateway, at }),
    ]
}

impl Mishap {
    pub(crate) fn at(&self) -> u64 {
        match *self {
            Mishap::GatewayDies { at, .. }
            | Mishap::GatewayDiesSaving { at, .. }
            | Mishap::Fence { at, .. }
            | Mishap::CutOff { at, .. }
            | Mishap::ControlDies { at, .. }
            | Mishap::Withdrawal { at }
            | Mishap::Newcomer { at } => at,
        }
    }
}
