//! `crossfade init`: keys, tokens, the log and its first entry.

use crossfade_routing::EnvironmentId;

use super::site;
use crate::args::Init;
use crate::exit::{Exit, OrExit, Outcome};
use crate::ui::Paint;

pub(crate) fn run(args: &Init) -> Outcome {
    let site = site(&args.site)?;
    let active = EnvironmentId::new(&args.active).or_usage()?;
    let made = crossfade_control::init(&site, &active, crossfade_control::now()).or_usage()?;
    let paint = Paint::stdout();
    println!("{} log        {}", paint.good("✔"), made.log_dir.display());
    println!("{} public key {}  give it to whoever verifies", paint.good("✔"), made.log_pub.display());
    for secret in &made.secrets {
        println!("{} secret     {}  mode 0600", paint.good("✔"), secret.display());
    }
    println!("{} active     {active}, on record as the first entry", paint.good("✔"));
    println!("Next: crossfade check -c {0} && crossfade serve -c {0}", args.site.config.display());
    Ok(Exit::Passed)
}
