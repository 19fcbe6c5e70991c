//! Functions that take a few digits and make a great deal of them, within bounds. The interpreter's own reserve what they are asked for
//! at once, in one step: `numbers.range(0, input.time.unix)` has been written before.

use regorus::{Engine, Value};

/// Numbers of one range.
const RANGE_MAX: i128 = 100_000;
/// Bits that a number is moved by.
const SHIFT_MAX: i64 = 4096;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("a range of whole numbers is expected, with a step of one or more")]
    NoRange,
    #[error("a range of {0} numbers; here it may have {RANGE_MAX}")]
    TooLong(i128),
    #[error("a whole number is expected, and 0 to {SHIFT_MAX} bits to move it by")]
    NoShift,
}

/// Puts them in place of the interpreter's own.
pub(super) fn add(engine: &mut Engine) {
    let range = |values: Vec<Value>| Ok(range(&values)?);
    let shift = |values: Vec<Value>| Ok(shifted(&values)?);
    let added = [
        engine.add_extension("numbers.range".to_owned(), 2, Box::new(range)),
        engine.add_extension("numbers.range_step".to_owned(), 3, Box::new(range)),
        engine.add_extension("bits.lsh".to_owned(), 2, Box::new(shift)),
    ];
    added.into_iter().for_each(|added| added.expect("a new engine has none of that name"));
}

/// From the first to the second, both included, up or down, by the third or one.
fn range(values: &[Value]) -> Result<Value, Refused> {
    let number =
        |at: usize| values.get(at).map(|value| value.as_i64().map_err(|_| Refused::NoRange)).transpose();
    let (Some(first), Some(last), step) = (number(0)?, number(1)?, number(2)?.unwrap_or(1)) else {
        return Err(Refused::NoRange);
    };
    if step < 1 {
        return Err(Refused::NoRange);
    }
    let (first, last, step) = (i128::from(first), i128::from(last), i128::from(step));
    let count = (last - first).abs() / step + 1;
    if count > RANGE_MAX {
        return Err(Refused::TooLong(count));
    }
    let step = if last < first { -step } else { step };
    let all = (0..count).map(|at| Value::from(first + at * step));
    Ok(Value::from(all.collect::<Vec<Value>>()))
}

fn shifted(values: &[Value]) -> Result<Value, Refused> {
    let [number, by] = values else { return Err(Refused::NoShift) };
    let is_little = by.as_i64().is_ok_and(|by| (0..=SHIFT_MAX).contains(&by));
    let (Ok(number), Ok(by), true) = (number.as_number(), by.as_number(), is_little) else {
        return Err(Refused::NoShift);
    };
    number.lsh(by).map(Value::from).ok_or(Refused::NoShift)
}
