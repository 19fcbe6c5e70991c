//! The table: medians with the smallest and largest of all rounds, then the ratios that are to be reached.

use super::Frames;
use super::measure::Sample;
use super::variant::{MEMORY_MOST_KIB, TARGETS, VARIANTS, Variant};
use std::fmt::Write;

/// All samples of one variant.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) variant: Variant,
    pub(crate) frames: Frames,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    fn median(&self) -> f64 {
        let mut values: Vec<_> = self.samples.iter().map(|sample| sample.cpu_nanos_per_span).collect();
        values.sort_unstable_by(f64::total_cmp);
        match values.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => values[odd / 2],
            even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
        }
    }

    fn peak_kib(&self) -> u64 {
        self.samples.iter().map(|sample| sample.peak_kib).max().unwrap_or(0)
    }

    fn line(&self) -> String {
        let of = |pick: fn(&Sample) -> f64| self.samples.iter().map(pick).collect::<Vec<_>>();
        let cpu = of(|sample| sample.cpu_nanos_per_span);
        let least = cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let most = cpu.iter().copied().fold(0.0, f64::max);
        let fastest = of(|sample| sample.spans_per_second).into_iter().fold(0.0, f64::max);
        let p99 = of(|sample| sample.p99_us as f64).into_iter().fold(0.0, f64::max);
        format!(
            "| {} | {:.0} | {least:.0}-{most:.0} | {:.0} k | {:.1} ms | {:.0} MiB |",
            self.variant.name,
            self.median(),
            fastest / 1e3,
            p99 / 1e3,
            self.peak_kib() as f64 / 1024.0,
        )
    }
}

/// The whole report in markdown.
pub(crate) fn report(rows: &[Row], machine: &str) -> String {
    let mut text = format!("{machine}\n");
    for frames in [Frames::Large, Frames::Small] {
        let of_frames: Vec<_> =
            rows.iter().filter(|row| row.frames == frames && !row.samples.is_empty()).collect();
        if of_frames.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n### {}\n", frames.title());
        text.push_str(
            "| | CPU ns a span, median | least-most | spans/s, best | p99, worst | peak memory |\n",
        );
        text.push_str("|---|---:|---:|---:|---:|---:|\n");
        for row in ordered(&of_frames) {
            let _ = writeln!(text, "{}", row.line());
        }
        text.push_str(&targets(&of_frames));
    }
    text
}

fn targets(rows: &[&Row]) -> String {
    let find = |name: &str| rows.iter().find(|row| row.variant.name == name);
    let mut text = String::new();
    for target in TARGETS {
        let (Some(of), Some(over)) = (find(target.of), find(target.over)) else { continue };
        let ratio = of.median() / over.median();
        let verdict = if ratio <= target.most { "reached" } else { "**not reached**" };
        let (of, over, said) = (target.of, target.over, target.said);
        let inverse = if ratio < 1.0 { format!(" (1/{:.1})", 1.0 / ratio) } else { String::new() };
        let _ = writeln!(text, "| {of} / {over} | {ratio:.3}{inverse} | {said} | {verdict} |");
    }
    let peak = rows.iter().filter(|row| row.variant.is_crossfade()).map(|row| row.peak_kib()).max();
    if let Some(peak) = peak {
        let verdict = if peak <= MEMORY_MOST_KIB { "reached" } else { "**not reached**" };
        let (peak, most) = (peak as f64 / 1024.0, MEMORY_MOST_KIB / 1024);
        let _ = writeln!(text, "| crossfade, peak memory | {peak:.0} MiB | {most} MiB | {verdict} |");
    }
    if text.is_empty() {
        return text;
    }
    format!("\n| ratio of medians | here | at most | |\n|---|---:|---:|---|\n{text}")
}

fn ordered<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    VARIANTS.iter().filter_map(|variant| rows.iter().find(|row| row.variant == *variant).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cpu: &[f64]) -> Row {
        let variant = *VARIANTS.iter().find(|variant| variant.name == name).unwrap();
        let sample = |cpu: &f64| Sample {
            cpu_nanos_per_span: *cpu,
            spans_per_second: 1e6,
            peak_kib: 90 * 1024,
            p99_us: 2_500,
        };
        Row { variant, frames: Frames::Large, samples: cpu.iter().map(sample).collect() }
    }

    #[test]
    fn medians_ratios_and_verdicts() {
        let rows = [
            row("crossfade", &[300.0, 200.0, 900.0]),
            row("Collector", &[3_000.0]),
            row("nginx, blind", &[100.0]),
        ];
        let text = report(&rows, "one machine");
        assert!(text.contains("| crossfade | 300 | 200-900 | 1000 k | 2.5 ms | 90 MiB |"), "{text}");
        assert!(text.contains("| crossfade / Collector | 0.100 (1/10.0) | 1/6 | reached |"), "{text}");
        assert!(text.contains("| crossfade / nginx, blind | 3.000 | 1.6 | **not reached** |"), "{text}");
        assert!(text.contains("| crossfade, peak memory | 90 MiB | 100 MiB | reached |"), "{text}");
        assert!(!text.contains("16 KiB"), "{text}");
    }

    #[test]
    fn an_even_number_of_rounds_has_a_median_between() {
        assert!((row("crossfade", &[1.0, 2.0, 3.0, 10.0]).median() - 2.5).abs() < 1e-9);
    }
}
