use super::*;

#[test]
fn a_trace_id_is_32_hex_digits() {
    let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
    assert_eq!(id.0[0], 0x4b);
    assert_eq!(id.0[15], 0x36);
    assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!("4BF92F3577B34DA6A3CE929D0E0E4736".parse(), Ok(id));
    for text in ["", "4bf9", "4bf92f3577b34da6a3ce929d0e0e47360", "+bf92f3577b34da6a3ce929d0e0e4736", "zz"] {
        assert!(text.parse::<TraceId>().is_err(), "{text:?}");
    }
}

#[test]
fn only_sixteen_bytes_that_are_not_all_zero_are_valid() {
    assert!(!TraceId::INVALID.is_valid());
    assert!(!TraceId::from_wire(&[]).is_valid());
    assert!(!TraceId::from_wire(&[1; 15]).is_valid());
    assert!(!TraceId::from_wire(&[1; 17]).is_valid());
    assert!(!TraceId::from_wire(&[0; 16]).is_valid());
    let mut one = [0; 16];
    one[15] = 1;
    assert!(TraceId::from_wire(&one).is_valid());
}

#[test]
fn names_are_short_and_safe_in_a_path() {
    assert_eq!(EnvironmentId::new("blue-2").unwrap().as_str(), "blue-2");
    assert!(GatewayId::new("Gateway_1-a").is_ok());
    let long = "a".repeat(64);
    for text in ["", "Blue", "blue.green", "a/b", "..", "blue ", &long] {
        assert!(EnvironmentId::new(text).is_err(), "{text:?}");
    }
    for text in ["", "..", "a/b", "a b", "ä", &long] {
        assert!(GatewayId::new(text).is_err() && BootId::new(text).is_err(), "{text:?}");
    }
    let error = EnvironmentId::new("Blue").unwrap_err().to_string();
    assert_eq!(error, "environment name \"Blue\" must be 1 to 63 characters, each of a-z 0-9 -");
}

#[test]
fn json_holds_checked_text() {
    let id: TraceId = serde_json::from_str("\"4bf92f3577b34da6a3ce929d0e0e4736\"").unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"4bf92f3577b34da6a3ce929d0e0e4736\"");
    assert!(serde_json::from_str::<EnvironmentId>("\"Blue\"").is_err());
}
