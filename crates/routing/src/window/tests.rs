use super::*;

fn window(overlap: u64, skew: u64, gamma: u64) -> Result<Window, WindowError> {
    let seconds = Duration::from_secs;
    Window::new(seconds(overlap), seconds(skew), seconds(gamma))
}

#[test]
fn gamma_lies_below_skew() {
    assert!(window(0, 2, 1).is_ok());
    for gamma in [2, 3] {
        assert!(matches!(window(0, 2, gamma), Err(WindowError::SkewWithinGamma { .. })));
    }
    assert!(matches!(window(0, 0, 0), Err(WindowError::SkewWithinGamma { .. })));
}

#[test]
fn a_window_has_limits() {
    let week = Window::LONGEST.as_secs();
    assert_eq!(window(week, week, 0).unwrap().width(), Window::LONGEST * 3);
    assert!(matches!(window(week + 1, 30, 1), Err(WindowError::TooLong { field: "overlap", .. })));
    assert!(matches!(window(600, week + 1, 1), Err(WindowError::TooLong { field: "skew", .. })));
    assert!(matches!(window(600, u64::MAX, 1), Err(WindowError::TooLong { .. })));
}

#[test]
fn json_is_in_nanoseconds_and_checked() {
    let json = r#"{"overlap_ns":"600000000000","skew_ns":"30000000000","gamma_ns":"1000000000"}"#;
    assert_eq!(serde_json::to_string(&Window::default()).unwrap(), json);
    assert_eq!(serde_json::from_str::<Window>(json).unwrap(), Window::default());
    for (good, bad) in
        [("\"1000000000\"", "\"30000000000\""), ("\"1000000000\"", "1000000000"), ("gamma", "delta")]
    {
        let wrong = json.replacen(good, bad, 1);
        assert!(serde_json::from_str::<Window>(&wrong).is_err(), "{wrong}");
    }
}

/// One spelling for one number, so that equal values have equal digests.
#[test]
fn decimal_strings_are_canonical() {
    assert_eq!(text::parse("0"), Some(0));
    assert_eq!(text::parse("18446744073709551615"), Some(u64::MAX));
    for wrong in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "1e3", "18446744073709551616", "١"] {
        assert_eq!(text::parse(wrong), None, "{wrong:?}");
    }
}
