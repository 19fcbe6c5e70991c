//! The spec's JSON Schema, for editors: from the types that read it.

use serde_json::Value;

use super::Spec;

/// JSON Schema (draft 2020-12) of `rollout.yaml`.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Spec).to_value()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_knows_what_the_reader_knows() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&super::schema()).unwrap());
    }
}
