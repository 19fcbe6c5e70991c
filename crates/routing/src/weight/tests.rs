use proptest::prelude::*;

use super::*;

#[test]
fn percentages_have_four_decimals() {
    let ppm = |text: &str| Weight::from_percent_str(text).map(Weight::ppm);
    assert_eq!(ppm("5"), Ok(50_000));
    assert_eq!(ppm("12.5"), Ok(125_000));
    assert_eq!(ppm("12.5 %"), Ok(125_000));
    assert_eq!(ppm("0.01%"), Ok(100));
    assert_eq!(ppm("0.0001"), Ok(1));
    assert_eq!(ppm("100"), Ok(1_000_000));
    assert_eq!(ppm("0"), Ok(0));
    for text in ["", "%", ".5", "5.", "-1", "1e2", "0.00001", "5,5", "+5", "5 5"] {
        assert!(matches!(ppm(text), Err(WeightError::NotAPercentage { .. })), "{text:?}");
    }
    for text in ["100.0001", "101", "999999999"] {
        assert!(matches!(ppm(text), Err(WeightError::MoreThanAll { .. })), "{text:?}");
    }
}

#[test]
fn display_is_read_back() {
    for (ppm, text) in
        [(0, "0 %"), (1, "0.0001 %"), (125_000, "12.5 %"), (1_000_000, "100 %"), (20_300, "2.03 %")]
    {
        let weight = Weight::from_ppm(ppm).unwrap();
        assert_eq!(weight.to_string(), text);
        assert_eq!(Weight::from_percent_str(text), Ok(weight));
    }
    assert!(serde_json::from_str::<Weight>("1000001").is_err());
    assert_eq!(serde_json::to_string(&Weight::FULL).unwrap(), "1000000");
}

/// XXH3-64 of 9 to 16 bytes, written down from its specification (xxHash/doc, "XXH3 Algorithm Overview").
fn xxh3_of_16_bytes(input: [u8; 16], seed: u64) -> u64 {
    const SECRET: [u64; 4] =
        [0x1cad_21f7_2c81_017c, 0xdb97_9083_e96d_d4de, 0x1f67_b3b7_a4a4_4072, 0x78e5_c0cc_4ee6_79cb];
    const SECRET_HIGH: [u64; 2] = [0x2172_ffcc_7dd0_5a82, 0x8e24_43f7_7446_08b8];
    let half = |at: usize| u64::from_le_bytes(input[at..at + 8].try_into().unwrap());
    let low = half(0) ^ (SECRET[2] ^ SECRET[3]).wrapping_add(seed);
    let high = half(8) ^ (SECRET_HIGH[0] ^ SECRET_HIGH[1]).wrapping_sub(seed);
    let product = u128::from(low) * u128::from(high);
    let folded = (product as u64) ^ (product >> 64) as u64;
    let mut hash = 16_u64.wrapping_add(low.swap_bytes()).wrapping_add(high).wrapping_add(folded);
    hash ^= hash >> 37;
    hash = hash.wrapping_mul(0x1656_6791_9e37_79f9);
    hash ^ hash >> 32
}

proptest! {
    /// Scenario: gateways of several versions route side by side. Guarantee: the fraction is the published XXH3-64.
    #[test]
    fn the_fraction_is_xxh3(id: [u8; 16], seed: u64) {
        prop_assert_eq!(fraction(Seed(seed), &TraceId(id)).0, xxh3_of_16_bytes(id, seed));
    }

    #[test]
    fn the_compiled_share_is_the_weight(ppm in 0..=1_000_000_u32, any: u64, near in -2..=2_i64) {
        let weight = Weight::from_ppm(ppm).unwrap();
        let border = u64::try_from(weight.share().0.min(u128::from(u64::MAX))).unwrap();
        for u in [any, border.saturating_add_signed(near), 0, u64::MAX].map(Fraction) {
            prop_assert_eq!(weight.share().contains(u), weight.contains(u));
        }
    }

    /// Monotone: a growing weight never gives a trace back.
    #[test]
    fn a_growing_weight_keeps_what_it_has(small in 0..=1_000_000_u32, large in 0..=1_000_000_u32, u: u64) {
        let [small, large] = [small.min(large), small.max(large)].map(|ppm| Weight::from_ppm(ppm).unwrap());
        prop_assert!(large.contains(Fraction(u)) || !small.contains(Fraction(u)));
    }
}

#[test]
fn nothing_and_everything_are_exact() {
    for u in [0, 1, u64::MAX - 1, u64::MAX].map(Fraction) {
        assert!(!Weight::ZERO.contains(u));
        assert!(Weight::FULL.contains(u));
    }
    let least = Weight::from_ppm(1).unwrap();
    assert!(least.contains(Fraction(0)) && !least.contains(Fraction(1 << 45)));
}

type Family = (&'static str, fn(u64) -> u128);

/// Ids as they come: random, counted, with one half constant (some SDKs of 64-bit tracers), sampled on the low bits.
fn families() -> Vec<Family> {
    fn mixed(i: u64) -> u64 {
        fraction(Seed(99), &TraceId(u128::from(i).to_be_bytes())).0
    }
    vec![
        ("random", |i| u128::from(mixed(2 * i)) << 64 | u128::from(mixed(2 * i + 1))),
        ("counted", |i| u128::from(i) + 1),
        ("counted high", |i| (u128::from(i) + 1) << 64),
        ("constant high half", |i| 0x1234_5678_9abc_def0 << 64 | u128::from(mixed(i))),
        ("constant low half", |i| u128::from(mixed(i)) << 64 | 0x1234_5678_9abc_def0),
        ("zero high half", |i| u128::from(mixed(i))),
        ("sampled 1 %", |i| u128::from(mixed(i)) << 64 | u128::from(u64::MAX - (mixed(i) >> 8) % (1 << 49))),
    ]
}

/// Uniform. Scenario: 40,000 ids of each kind, several seeds. Guarantee: the share of traces is the weight, within five
/// standard deviations of the binomial; and their spread over 256 bins passes chi-square (mean 255, deviation 22.6).
#[test]
fn the_share_of_traces_is_the_weight() {
    const IDS: u64 = 40_000;
    for (family, id) in families() {
        for seed in [0, 1, 42, u64::MAX].map(Seed) {
            let all = (0..IDS).map(|i| fraction(seed, &TraceId(id(i).to_be_bytes())));
            let fractions: Vec<Fraction> = all.collect();
            for percent in ["0.01", "1", "5", "25", "50", "99"] {
                let weight = Weight::from_percent_str(percent).unwrap();
                let share = f64::from(weight.ppm()) / 1e6;
                let owned = fractions.iter().filter(|u| weight.contains(**u)).count() as f64;
                let (mean, deviation) = (IDS as f64 * share, (IDS as f64 * share * (1.0 - share)).sqrt());
                let off = (owned - mean) / deviation;
                assert!(off.abs() < 5.0, "{family}, {seed:?}, {percent} %: {owned} of {IDS}");
            }
            let mut bins = [0_u32; 256];
            fractions.iter().for_each(|u| bins[usize::try_from(u.0 >> 56).unwrap()] += 1);
            let expected = IDS as f64 / 256.0;
            let chi = bins.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum::<f64>();
            assert!((255.0 - 113.0..255.0 + 113.0).contains(&chi), "{family}, {seed:?}: chi-square {chi}");
        }
    }
}

/// Another rollout moves other traces first.
#[test]
fn another_seed_picks_other_traces() {
    let tenth = Weight::from_percent_str("10").unwrap();
    let picked = |seed: u64, i: u128| tenth.contains(fraction(Seed(seed), &TraceId((i + 1).to_be_bytes())));
    let twice = (0..100_000).filter(|i| picked(1, *i) && picked(2, *i)).count();
    assert!((850..1_150).contains(&twice), "{twice} of 100,000 are in the first tenth of both");
}
