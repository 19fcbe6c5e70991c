//! `crossfade serve`: gateway and control plane in one process, until a signal.

use crossfade_control::site::Site;
use tokio::signal::unix::{SignalKind, signal};

use super::{block_on, site};
use crate::args::Serve;
use crate::compose::{Running, Tuning};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui::Paint;

pub(crate) fn run(args: &Serve) -> Outcome {
    let site = site(&args.site)?;
    if !site.key_file.exists() {
        let config = args.site.config.display();
        let what = format!(
            "{config}: this site has no keys yet; run: crossfade init -c {config} --active <environment>"
        );
        return Err(Failure::usage(anyhow::anyhow!(what)));
    }
    block_on(serve(site))
}

async fn serve(site: Site) -> Outcome {
    let mut terminate = signal(SignalKind::terminate()).or_usage()?;
    let mut interrupt = signal(SignalKind::interrupt()).or_usage()?;
    let mut hangup = signal(SignalKind::hangup()).or_usage()?;
    let grace = site.gateway.grace;
    let running = Running::start(site, Tuning::default()).await?;
    announce(&running);
    let broken = running.control.broken();
    tokio::pin!(broken);
    let mut whole = true;
    while whole {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = &mut broken => whole = false,
            _ = hangup.recv() => tracing::warn!("SIGHUP: nothing is reloaded while running; stop and start to change the configuration"),
        }
    }
    if !whole {
        eprintln!("the control plane has ended by itself; what it said before is above");
    }
    let grace = grace.as_secs();
    eprintln!(
        "draining, {grace} s at most, and 10 s more for the record if it is slow; a second signal ends it at once"
    );
    let (closing, recorded) = tokio::select! {
        stopped = running.stop() => stopped,
        _ = terminate.recv() => return Err(cut_short()),
        _ = interrupt.recv() => return Err(cut_short()),
    };
    if !closing.reported {
        eprintln!("the closing accounts are not on record: within a rollout the log will declare a gap");
    }
    if !closing.drained {
        eprintln!("the grace time was over: what was left is shed or indeterminate in the closing accounts");
    }
    if !recorded {
        eprintln!("the last entries are not on record: the log has not taken them; look after its disk");
    }
    if !whole {
        let what =
            "the control plane has ended by itself: start `crossfade serve` again; it goes on from its log";
        return Err(Failure::no_verdict(anyhow::anyhow!(what)));
    }
    if !closing.drained || !closing.reported || !recorded {
        return Ok(Exit::NoVerdict);
    }
    eprintln!("drained in {} ms", closing.took.as_millis());
    Ok(Exit::Passed)
}

fn cut_short() -> Failure {
    Failure::refused(anyhow::anyhow!(
        "ended by a second signal: what was queued is not delivered, and the log will say so"
    ))
}

fn announce(running: &Running) {
    let paint = Paint::stderr();
    for line in &running.control.recovery {
        eprintln!("{} log: {line}", paint.warn("!"));
    }
    let handle = running.gateway.handle();
    let status = handle.status();
    if let Some(address) = status.grpc {
        eprintln!("{} OTLP/gRPC on {address}", paint.good("✔"));
    }
    if let Some(address) = status.http {
        eprintln!("{} OTLP/HTTP on http://{address}", paint.good("✔"));
    }
    eprintln!(
        "{} control, /healthz, /readyz and /metrics on http://{}",
        paint.good("✔"),
        running.control.address()
    );
}
