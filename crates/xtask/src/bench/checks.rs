//! What two of the gates take, without anybody's network: drift over configurations, parity over loopback.

use crate::shell::{capture, cargo};
use anyhow::{Context, Result, bail};
use std::fmt::Write;

/// The name that `--only` knows them by.
pub(crate) const NAME: &str = "gates";

/// Measures both, and reports them in one table, in markdown.
pub(crate) fn report() -> Result<String> {
    let bench = |package: &str, name: &str| {
        capture(cargo().args(["bench", "--locked", "--package", package, "--bench", name]))
    };
    table(&bench("crossfade-gates", "drift")?, &bench("crossfade-backends", "parity")?)
}

fn table(drift: &str, parity: &str) -> Result<String> {
    let mut text = "\n### Gates\n\nTwo configurations of 2,000 lines, compared; 2,000 traces drawn from two simulated environments over loopback sockets, \
                    read by id from both and compared.\n\n| | median | least-most |\n|---|---:|---:|\n"
        .to_owned();
    for (name, what) in [("files", "drift, from text"), ("trees", "drift, from trees")] {
        let [least, most, median] =
            times(drift, name).with_context(|| format!("no times of `{name}` in\n{drift}"))?;
        let _ = writeln!(text, "| {what} | {median} | {least}-{most} |");
    }
    let mut runs = parity.lines().filter_map(compared).peekable();
    if runs.peek().is_none() {
        bail!("no run of parity in\n{parity}");
    }
    for (stored, seconds) in runs {
        let _ = writeln!(text, "| parity, of {stored} stored | {seconds} s | one run |");
    }
    Ok(text)
}

/// `├─ files  12.7 ms  │ 22 ms  │ 15 ms  │ …`, as divan prints it: fastest, slowest, median.
fn times<'t>(table: &'t str, name: &str) -> Option<[&'t str; 3]> {
    let mut rows = table.lines().map(|line| line.trim_start_matches(['├', '╰', '─', ' ']));
    let row = rows.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let mut cells = row.split('│').map(str::trim).filter(|cell| !cell.is_empty());
    Some([cells.next()?, cells.next()?, cells.next()?])
}

/// `2000 of 20000 stored traces compared, … spans each side, in 3.07 s; …`: of how many, and how long.
fn compared(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(" of ")?;
    let (stored, rest) = rest.split_once(" stored traces compared, ")?;
    let (seconds, _) = rest.split_once(" in ")?.1.split_once(" s;")?;
    Some((stored, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIFT: &str = "Timer precision: 20 ns\ndrift     fastest       │ slowest       │ median        │ mean          │ samples │ iters\n\
                         ├─ files  12.72 ms      │ 22.04 ms      │ 15.03 ms      │ 15.4 ms       │ 100     │ 100\n\
                         ╰─ trees  4.712 ms      │ 13.11 ms      │ 9.402 ms      │ 9.1 ms        │ 100     │ 100\n";
    const PARITY: &str = "2000 of 2000 stored traces compared, 12000 spans each side, in 1.35 s; 396 searches; all equal\n\
                          2000 of 20000 stored traces compared, 12000 spans each side, in 3.07 s; 460 searches; all equal\n";

    /// Guarantee: each figure is in the table, and one that is missing is an error.
    #[test]
    fn both_have_their_figures_in_one_table() {
        let told = table(DRIFT, PARITY).unwrap();
        let rows: Vec<&str> =
            told.lines().filter(|line| line.starts_with("| drift") || line.starts_with("| parity")).collect();
        assert_eq!(
            rows,
            [
                "| drift, from text | 15.03 ms | 12.72 ms-22.04 ms |",
                "| drift, from trees | 9.402 ms | 4.712 ms-13.11 ms |",
                "| parity, of 2000 stored | 1.35 s | one run |",
                "| parity, of 20000 stored | 3.07 s | one run |",
            ]
        );
        assert!(table("", PARITY).is_err() && table(DRIFT, "").is_err());
    }
}
