//! Prometheus text exposition (version 0.0.4).

use std::fmt::Write;

use crossfade_routing::Reason;
use crossfade_routing::sync::{CLOCK_BOUNDS_MS, LATENCY_BOUNDS_US, LedgerRow};

use crate::answer::Refusal;
use crate::books::{Account, Pages};
use crate::overview::Overview;
use crate::status::BreakerStatus;

/// Every eighth latency bound: the octaves are fine enough for a graph, the rest is for the analysis.
const LATENCY_STEP: usize = 8;

/// A counter of each environment: name, help, and where it is found.
type Column = (&'static str, &'static str, fn(&Account) -> u64);

const LEDGER: [Column; 8] = [
    ("crossfade_spans_received_total", "Spans routed to an environment.", |a| a.received),
    ("crossfade_spans_delivered_total", "Spans that it accepted.", |a| a.delivered),
    ("crossfade_spans_rejected_total", "Spans that it refused for good.", |a| a.rejected),
    ("crossfade_spans_returned_total", "Spans given back to the client, to be sent again.", |a| a.returned),
    ("crossfade_spans_shed_total", "Spans dropped by the gateway.", |a| a.shed),
    ("crossfade_spans_shed_untrusted_total", "Of these, copies for untrusted clocks.", |a| a.shed_untrusted),
    ("crossfade_spans_indeterminate_total", "Spans sent without an answer.", |a| a.indeterminate),
    ("crossfade_spans_untrusted_total", "Spans received whose clock is not believed.", |a| a.untrusted_spans),
];

const REQUESTS: [Column; 2] = [
    ("crossfade_requests_total", "Client requests attempted on an environment.", |a| a.requests),
    ("crossfade_requests_failed_total", "Of these, first attempt failed or spans rejected.", |a| a.failed),
];

/// All metrics of a gateway.
pub(crate) fn render(overview: &Overview) -> String {
    let pages = overview.pages();
    let mut page = Page::default();
    accounts(&mut page, overview, &pages);
    latencies(&mut page, overview, &pages);
    environments(&mut page, overview);
    requests(&mut page, overview, &pages);
    tap(&mut page, overview);
    schedule(&mut page, overview);
    page.text
}

fn accounts(page: &mut Page, overview: &Overview, pages: &Pages) {
    let sums = pages.by_place();
    let by_environment = || {
        let sums = sums.iter();
        sums.filter_map(|(place, account)| Some((overview.environments().get(*place)?.as_str(), account)))
    };
    for (name, help, value) in LEDGER.iter().chain(&REQUESTS) {
        page.family(name, help, "counter");
        for (environment, account) in by_environment() {
            page.sample(name, &[("environment", environment)], value(account));
        }
    }
    page.family("crossfade_spans_queued", "Spans waiting, on their way, or between attempts.", "gauge");
    for (environment, account) in by_environment() {
        page.sample("crossfade_spans_queued", &[("environment", environment)], account.queued);
    }
    let unbalanced = overview.ledger(pages).iter().filter(|row| !LedgerRow::is_balanced(row)).count();
    page.family("crossfade_ledger_unbalanced", "Rows of the ledger that do not add up; always 0.", "gauge");
    page.sample("crossfade_ledger_unbalanced", &[], unbalanced);
}

fn latencies(page: &mut Page, overview: &Overview, pages: &Pages) {
    const NAME: &str = "crossfade_export_duration_seconds";
    page.family(NAME, "Time from sending a request to its answer, first attempts.", "histogram");
    for (place, account) in pages.by_place() {
        let Some(environment) = overview.environments().get(place) else { continue };
        let mut below = 0;
        for (bucket, (count, bound)) in account.latency.iter().zip(LATENCY_BOUNDS_US).enumerate() {
            below += count;
            if bucket % LATENCY_STEP == 0 {
                let le = seconds(u128::from(bound) * 1_000);
                page.sample(
                    &format!("{NAME}_bucket"),
                    &[("environment", environment.as_str()), ("le", &le)],
                    below,
                );
            }
        }
        let total: u64 = account.latency.iter().sum();
        page.sample(
            &format!("{NAME}_bucket"),
            &[("environment", environment.as_str()), ("le", "+Inf")],
            total,
        );
        let sum = seconds(account.latency_sum.as_nanos());
        page.sample(&format!("{NAME}_sum"), &[("environment", environment.as_str())], sum);
        page.sample(&format!("{NAME}_count"), &[("environment", environment.as_str())], total);
    }
}

fn environments(page: &mut Page, overview: &Overview) {
    page.family("crossfade_environment_reachable", "Whether it could be reached, by the last look.", "gauge");
    for health in overview.known_health() {
        let labels = [("environment", health.environment.as_str())];
        page.sample("crossfade_environment_reachable", &labels, u8::from(health.reachable));
    }
    page.family("crossfade_queue_requests", "Copies waiting, on their way, or between attempts.", "gauge");
    page.family("crossfade_queue_bytes", "Their bytes.", "gauge");
    page.family("crossfade_queue_bytes_max", "The most that are held.", "gauge");
    for queue in overview.queues() {
        let labels = [("environment", queue.environment.as_str())];
        page.sample("crossfade_queue_requests", &labels, queue.requests);
        page.sample("crossfade_queue_bytes", &labels, queue.bytes);
        page.sample("crossfade_queue_bytes_max", &labels, queue.bytes_max);
    }
}

fn requests(page: &mut Page, overview: &Overview, pages: &Pages) {
    page.family("crossfade_requests_refused_total", "Requests that the gateway refused itself.", "counter");
    for (kind, count) in Refusal::KINDS.iter().zip(overview.refusals()) {
        page.sample("crossfade_requests_refused_total", &[("kind", kind)], count);
    }
    page.family("crossfade_requests_in_flight", "Requests being answered.", "gauge");
    page.sample("crossfade_requests_in_flight", &[], overview.commons.in_flight.used());
    page.family("crossfade_request_memory_bytes", "Memory held by them.", "gauge");
    page.sample("crossfade_request_memory_bytes", &[], overview.commons.memory.used());
    page.family("crossfade_spans_routed_total", "Spans by the reason of their route.", "counter");
    for (reason, count) in Reason::ALL.iter().zip(pages.reasons) {
        page.sample("crossfade_spans_routed_total", &[("reason", reason.as_str())], count);
    }
    const CLOCK: &str = "crossfade_span_age_seconds";
    page.family(
        CLOCK,
        "From a span's end, by its host's clock, to its arrival; one span in 16.",
        "histogram",
    );
    let mut below = 0;
    for (count, bound) in pages.clock.counts.iter().zip(CLOCK_BOUNDS_MS) {
        below += count;
        let le = format!("{}.{:03}", bound / 1000, (bound % 1000).abs());
        let le = if bound < 0 && bound > -1000 { format!("-{le}") } else { le };
        page.sample(&format!("{CLOCK}_bucket"), &[("le", &le)], below);
    }
    let total: u64 = pages.clock.counts.iter().sum();
    page.sample(&format!("{CLOCK}_bucket"), &[("le", "+Inf")], total);
    page.sample(&format!("{CLOCK}_count"), &[], total);
}

fn tap(page: &mut Page, overview: &Overview) {
    let counts = overview.commons.tap.counts();
    page.family(
        "crossfade_tap_requests_total",
        "Requests by what the inventory's tap made of them.",
        "counter",
    );
    for (fate, count) in [("tapped", counts.tapped), ("shed", counts.shed), ("unreadable", counts.unreadable)]
    {
        page.sample("crossfade_tap_requests_total", &[("fate", fate)], count);
    }
    page.family("crossfade_tap_spans_total", "Spans that it has looked at.", "counter");
    page.sample("crossfade_tap_spans_total", &[], counts.spans);
    page.family(
        "crossfade_tap_spans_unseen_total",
        "Spans that came by and that it has not seen: shed, not readable, or too many of one trace.",
        "counter",
    );
    page.sample("crossfade_tap_spans_unseen_total", &[], counts.unseen);
    page.family("crossfade_tap_busy_seconds_total", "How long it was busy.", "counter");
    page.sample("crossfade_tap_busy_seconds_total", &[], seconds(counts.busy.into()));
    page.family("crossfade_tap_one_trace_in", "It looks at one trace in so many.", "gauge");
    page.sample("crossfade_tap_one_trace_in", &[], counts.one_in);
}

fn schedule(page: &mut Page, overview: &Overview) {
    let board = overview.board();
    let held = board.directive.as_ref();
    page.family("crossfade_generation", "Generation of the schedule; 0 = none.", "gauge");
    page.sample("crossfade_generation", &[], held.map_or(0, |held| held.schedule.generation().0));
    page.family("crossfade_horizon_timestamp_seconds", "How far the schedule may be relied on.", "gauge");
    let horizon = seconds(held.map_or(0, |held| held.horizon.0).into());
    page.sample("crossfade_horizon_timestamp_seconds", &[], horizon);
    page.family("crossfade_fenced", "Whether this rollout is fenced.", "gauge");
    page.sample("crossfade_fenced", &[], u8::from(board.fenced));
    page.family("crossfade_fence_unsaved", "Whether a fence is in effect that is not on disk.", "gauge");
    page.sample("crossfade_fence_unsaved", &[], u8::from(board.fence_unsaved.is_some()));
    page.family("crossfade_breaker_state", "0 closed, 1 holding, 2 tripped.", "gauge");
    let breaker = match overview.vitals().breaker() {
        BreakerStatus::Closed => 0,
        BreakerStatus::Holding => 1,
        BreakerStatus::Tripped => 2,
    };
    page.sample("crossfade_breaker_state", &[], breaker);
    page.family("crossfade_control_last_sync_timestamp_seconds", "When control last answered.", "gauge");
    let last_sync = seconds(board.control.last_sync.map_or(0, |at| at.0).into());
    page.sample("crossfade_control_last_sync_timestamp_seconds", &[], last_sync);
}

/// Nanoseconds as decimal seconds.
fn seconds(nanos: u128) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, help: &str, kind: &str) {
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes every text");
    }

    /// Label values are names and numbers of ours: there is nothing in them to escape.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.text, "{name}{labels} {value}").expect("a String takes every text");
    }
}
