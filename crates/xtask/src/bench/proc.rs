//! What the kernel says of a process: CPU time and memory.

use anyhow::{Context, Result};
use std::fs;

/// CPU time of all threads, in user space and kernel, in nanoseconds.
///
/// `schedstat` counts in nanoseconds but forgets threads that have ended; `stat` remembers them but counts in ticks of
/// 10 ms. The processes measured here keep their threads, so the first is used, and the second where it says more.
pub(crate) fn cpu_nanos(process: u32) -> Result<u64> {
    let mut exact = 0;
    for task in fs::read_dir(format!("/proc/{process}/task")).context("listing the threads of a process")? {
        // A thread that ended between the listing and the look.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        exact += text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
    }
    let stat =
        fs::read_to_string(format!("/proc/{process}/stat")).context("reading the times of a process")?;
    let ticks = ticks(&stat).with_context(|| format!("reading {stat:?}"))?;
    let coarse = ticks.saturating_sub(2) * 10_000_000;
    Ok(exact.max(coarse))
}

/// Largest resident memory so far, in KiB.
pub(crate) fn peak_kib(process: u32) -> Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{process}/status")).context("reading the memory of a process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).context("the kernel tells no VmHWM")
}

/// `utime + stime`, fields 14 and 15; the second field may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn work_shows_in_the_time_of_the_process() {
        let own = std::process::id();
        let before = cpu_nanos(own).unwrap();
        let start = Instant::now();
        let mut sum = 0_u64;
        // Others share the cores, and may have them for long; and the time of a thread that ends is forgotten for a while.
        while cpu_nanos(own).unwrap().saturating_sub(before) < 5_000_000 {
            assert!(start.elapsed() < Duration::from_secs(60), "a minute of work does not show");
            for _ in 0..100_000 {
                sum = std::hint::black_box(sum.wrapping_mul(31) + 7);
            }
        }
        assert!(peak_kib(own).unwrap() > 500);
    }

    #[test]
    fn a_name_with_brackets_is_no_trouble() {
        assert_eq!(ticks("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 110 20 0 0"), Some(130));
    }
}
