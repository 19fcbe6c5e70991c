use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Actor, Digest, Literal, RolloutId, Share, percent, text64};

#[test]
fn digests_have_one_spelling() {
    let digest = Digest::from_bytes(std::array::from_fn(|i| i as u8 * 7));
    let text = digest.to_string();
    assert_eq!(text.parse(), Ok(digest));
    for wrong in [
        "",
        "sha256:",
        &text[..70],
        &text.to_uppercase(),
        &text.replace("sha256", "sha512"),
        &format!("{text}0"),
    ] {
        assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
    }
}

#[test]
fn rollout_ids() {
    for (name, attempt, id) in [("tempo-3", 1, "tempo-3"), ("tempo-3", 2, "tempo-3.2"), ("0", 10, "0.10")] {
        let made = RolloutId::attempt(name, attempt).unwrap();
        assert_eq!((made.as_str(), made.name()), (id, name));
        assert_eq!(id.parse(), Ok(made));
    }
    for wrong in ["", "-a", "A", "a.1", "a.0", "a.02", "a.b", "a.2.3", "a b", &"x".repeat(64)] {
        assert!(wrong.parse::<RolloutId>().is_err(), "{wrong}");
    }
}

#[test]
fn actors_are_pseudonyms() {
    for text in ["control", "gateway:gw-1", "operator:1a2b"] {
        assert_eq!(text.parse::<Actor>().unwrap().as_str(), text);
    }
    for wrong in ["", "Ada Lovelace", "a\nb", "ä", &"x".repeat(101)] {
        assert!(wrong.parse::<Actor>().is_err(), "{wrong}");
    }
}

#[test]
fn shares_are_exact() {
    for (text, ppm, shown) in [
        ("0.01", 10_000, "1%"),
        ("20%", 200_000, "20%"),
        ("12.5 %", 125_000, "12.5%"),
        ("1", 1_000_000, "100%"),
        ("150%", 1_500_000, "150%"),
    ] {
        let share: Share = text.parse().unwrap();
        assert_eq!((share.ppm(), share.to_string().as_str()), (ppm, shown), "{text}");
    }
    for wrong in ["", "%", "-1", "1e-3", ".5", "0.0000001", "0.00001%", "5000000", "one", "20", "1.000001"] {
        assert!(wrong.parse::<Share>().is_err(), "{wrong}");
    }
}

/// `0.1`, `"0.1"` and `null` stay apart, and what JSON would not keep exactly is text.
#[test]
fn literals_hold_no_floats() {
    for (value, stored) in [
        (json!(null), "null"),
        (json!(2048), "2048"),
        (json!("2048"), "\"2048\""),
        (json!(0.1), "{\"$number\":\"0.1\"}"),
        (json!(u64::MAX), "{\"$number\":\"18446744073709551615\"}"),
        (json!([1.5, { "a": 1e300 }]), "[{\"$number\":\"1.5\"},{\"a\":{\"$number\":\"1e+300\"}}]"),
    ] {
        let literal = Literal::new(value.clone());
        assert_eq!(serde_json::to_string(&literal).unwrap(), stored);
        assert_eq!(literal.value(), value);
        assert_eq!(serde_json::from_str::<Literal>(stored).unwrap(), literal);
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Numbers {
    #[serde(with = "text64")]
    count: u64,
    #[serde(with = "percent")]
    weight: crossfade_routing::Weight,
}

#[test]
fn numbers_are_text() {
    let json = r#"{"count":"18446744073709551615","weight":"12.5"}"#;
    let numbers: Numbers = serde_json::from_str(json).unwrap();
    assert_eq!((numbers.count, numbers.weight.ppm()), (u64::MAX, 125_000));
    assert_eq!(serde_json::to_string(&numbers).unwrap(), json);
    for wrong in [r#""01""#, r#""+1""#, r#""-1""#, r#""""#, "1"] {
        let json = format!(r#"{{"count":{wrong},"weight":"1"}}"#);
        assert!(serde_json::from_str::<Numbers>(&json).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn shares_read_as_they_are_written(ppm in any::<u32>()) {
        prop_assert_eq!(Share::from_ppm(ppm).to_string().parse(), Ok(Share::from_ppm(ppm)));
    }

    #[test]
    fn literals_read_as_they_are_written(x in any::<f64>().prop_filter("finite", |x| x.is_finite()), n in any::<i64>()) {
        let literal = Literal::new(json!({ "x": x, "n": [n] }));
        let json = serde_json::to_string(&literal).unwrap();
        let read: Literal = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &literal);
        let Value::Object(map) = read.value() else { panic!("{json}") };
        prop_assert_eq!(map["x"].as_f64(), Some(x));
        prop_assert_eq!(map["n"][0].as_i64(), Some(n));
    }
}
