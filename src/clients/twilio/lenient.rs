//! Numbers and texts, which the APIs that are compatible with Twilio's do not tell apart: `"duration": 20`, `"channels":
//! "1"`.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads a text or a number as a text. An empty one is none.
pub(super) fn text<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// Reads a number, or a text that is one. Anything else is none.
pub(super) fn number<'de, T: TryFrom<i64>, D: Deserializer<'de>>(source: D) -> Result<Option<T>, D::Error> {
    Ok(integer(&Value::deserialize(source)?).and_then(|number| number.try_into().ok()))
}

/// Returns the number of a value. A fraction is rounded.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| rounded(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| rounded(text.trim().parse().ok()?)),
        _ => None,
    }
}

fn rounded(number: f64) -> Option<i64> {
    const MOST: f64 = 1e15;
    #[expect(clippy::cast_possible_truncation, reason = "its size is checked")]
    (number.abs() < MOST).then(|| number.round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_texts_are_read_alike() {
        for (value, expected) in [
            (json!(20), Some(20)),
            (json!("20"), Some(20)),
            (json!(" 20 "), Some(20)),
            (json!(-1), Some(-1)),
            (json!("-1"), Some(-1)),
            (json!(19.6), Some(20)),
            (json!("19.6"), Some(20)),
            (json!(1e300), None),
            (json!("NaN"), None),
            (json!(""), None),
            (json!(null), None),
            (json!(true), None),
            (json!([20]), None),
        ] {
            assert_eq!(integer(&value), expected, "{value}");
        }
    }
}
