//! Functions that make much of little in one step - a text of texts, a text again and again - within bounds. What they come to is known
//! before they are asked: a text that is used twice weighs twice, though there is but one. Then the interpreter's own do the work.

use std::cell::RefCell;

use regorus::{Engine, Value};

/// The longest text that a function makes, in bytes.
const TEXT_MAX: usize = 1 << 20;
/// How deep lists and maps lie in each other.
const DEPTH_MAX: usize = 128;
/// Digits in a verb of `sprintf`: `%04d`, `%.10f`.
const DIGITS_MAX: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("it comes to a text of more than {TEXT_MAX} bytes")]
    TooLong,
    #[error("lists and maps that lie in each other, more than {DEPTH_MAX} deep")]
    TooDeep,
    #[error("a verb of `sprintf` has at most {DIGITS_MAX} digits, 0 to 9")]
    Digits,
    #[error("json.marshal_with_options is not known here; use json.marshal")]
    Pretty,
    #[error("texts are expected for texts")]
    NoTexts,
    #[error("{0}")]
    Plain(String),
}

/// Each with a policy that asks the interpreter's own.
const PLAIN: &str = "package plain\n
sprintf_ := sprintf(input[0], input[1])\n
concat_ := concat(input[0], input[1])\n
replace_ := replace(input[0], input[1], input[2])\n
marshal_ := json.marshal(input[0])\n
union_ := object.union(input[0], input[1])\n
union_n_ := object.union_n(input[0])\n";

/// Puts them in place of the interpreter's own.
pub(super) fn add(engine: &mut Engine) {
    let mut put = |name: &str, count: u8, called: fn(Vec<Value>) -> Result<Value, Refused>| {
        let called = move |values: Vec<Value>| Ok(called(values)?);
        engine
            .add_extension(name.to_owned(), count, Box::new(called))
            .expect("a new engine has none of that name");
    };
    put("sprintf", 2, |values| {
        let [Value::String(format), arguments] = &values[..] else { return plain("sprintf_", values) };
        enough(format.len() + widths(format)? + weight(arguments)?)?;
        plain("sprintf_", values)
    });
    put("concat", 2, |values| {
        let [Value::String(between), texts] = &values[..] else { return plain("concat_", values) };
        let count = texts.as_array().map_or(0, |all| all.len()) + texts.as_set().map_or(0, |all| all.len());
        enough(weight(texts)?.saturating_add(count.saturating_mul(between.len())))?;
        plain("concat_", values)
    });
    put("replace", 3, |values| {
        if let [Value::String(text), Value::String(old), Value::String(new)] = &values[..] {
            enough(replaced(text, old, new))?;
        }
        plain("replace_", values)
    });
    put("strings.replace_n", 2, |values| replace_n(&values));
    put("json.marshal", 1, |values| {
        weight(&Value::from(values.clone()))?;
        plain("marshal_", values)
    });
    put("json.marshal_with_options", 2, |_| Err(Refused::Pretty));
    // They go through what lies in each other as often as it is there.
    put("object.union", 2, |values| {
        weight(&Value::from(values.clone()))?;
        plain("union_", values)
    });
    put("object.union_n", 1, |values| {
        weight(&Value::from(values.clone()))?;
        plain("union_n_", values)
    });
}

/// What the interpreter's own function says.
fn plain(rule: &str, values: Vec<Value>) -> Result<Value, Refused> {
    thread_local! {
        static ENGINE: RefCell<Engine> = RefCell::new({
            let mut engine = Engine::new();
            engine.add_policy("plain.rego".to_owned(), PLAIN.to_owned()).expect("it is a policy");
            engine
        });
    }
    ENGINE.with_borrow_mut(|engine| {
        engine.set_input(Value::from(values));
        let last = |text: String| text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
        engine.eval_rule(format!("data.plain.{rule}")).map_err(|error| {
            let what = last(error.to_string()).unwrap_or_default();
            Refused::Plain(what.trim().trim_start_matches("error:").trim().to_owned())
        })
    })
}

fn enough(length: usize) -> Result<(), Refused> {
    if length > TEXT_MAX { Err(Refused::TooLong) } else { Ok(()) }
}

fn replaced(text: &str, old: &str, new: &str) -> usize {
    text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len())
}

/// One after the other, in order.
fn replace_n(values: &[Value]) -> Result<Value, Refused> {
    let [Value::Object(pairs), Value::String(text)] = values else { return Err(Refused::NoTexts) };
    let mut text = text.to_string();
    for pair in pairs.iter_sorted() {
        let (Value::String(old), Value::String(new)) = pair else { return Err(Refused::NoTexts) };
        enough(replaced(&text, old, new))?;
        text = text.replace(old.as_ref(), new);
    }
    Ok(Value::from(text))
}

/// What the verbs of a format ask for.
fn widths(format: &str) -> Result<usize, Refused> {
    let mut asked: usize = 0;
    let mut rest = format.chars().peekable();
    while let Some(next) = rest.next() {
        if next != '%' {
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            continue;
        }
        let _ = rest.next_if_eq(&'.');
        let mut digits = String::new();
        // Digits of other scripts are digits to the interpreter, and break it.
        while let Some(digit) = rest.next_if(|c| c.is_numeric()) {
            digits.push(digit);
        }
        if digits.len() > DIGITS_MAX || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Refused::Digits);
        }
        asked = asked.saturating_add(digits.parse().unwrap_or(0));
    }
    Ok(asked)
}

/// About how long a value is as text.
///
/// # Errors
/// It is longer than any text may be, or deeper.
fn weight(value: &Value) -> Result<usize, Refused> {
    weight_within(value, TEXT_MAX)
}

/// The same, with another limit.
pub(super) fn weight_within(value: &Value, most: usize) -> Result<usize, Refused> {
    let mut left = most;
    weigh(value, 0, &mut left)?;
    Ok(most - left)
}

fn weigh(value: &Value, depth: usize, left: &mut usize) -> Result<(), Refused> {
    /// A number, or the marks around anything else.
    const EACH: usize = 4;
    if depth > DEPTH_MAX {
        return Err(Refused::TooDeep);
    }
    let own = match value {
        Value::String(text) => text.len() + EACH,
        _ => EACH,
    };
    *left = left.checked_sub(own).ok_or(Refused::TooLong)?;
    match value {
        Value::Array(all) => all.iter().try_for_each(|one| weigh(one, depth + 1, left)),
        Value::Set(all) => all.iter().try_for_each(|one| weigh(one, depth + 1, left)),
        Value::Object(all) => all.iter_sorted().try_for_each(|(key, value)| {
            weigh(key, depth + 1, left)?;
            weigh(value, depth + 1, left)
        }),
        _ => Ok(()),
    }
}
