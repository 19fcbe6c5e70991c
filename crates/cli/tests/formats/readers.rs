//! Those who read SARIF: a validator with the official schema, and code scanning.

use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// The official schema (`tests/data/sarif/NOTICE`).
pub(crate) struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sarif/sarif-schema-2.1.0.json");
        let text = std::fs::read_to_string(path).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        let id = schema["id"].as_str().unwrap().to_owned();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource(&id, schema).unwrap();
        let index = compiler.compile(&id, &mut schemas).unwrap();
        Self { schemas, index }
    }

    /// What is not as it says, if anything.
    pub(crate) fn check(&self, sarif: &Value) -> Result<(), String> {
        self.schemas.validate(sarif, self.index).map_err(|error| error.to_string())
    }
}

/// Whether code scanning takes it: what GitHub's page "SARIF support for code scanning" calls required, beyond the schema, and
/// its limits.
pub(crate) fn scannable(sarif: &Value) -> Result<(), String> {
    let runs = list(sarif, "/runs")?;
    demand((1..=20).contains(&runs.len()), "1 to 20 runs")?;
    runs.iter().try_for_each(run)
}

fn run(run: &Value) -> Result<(), String> {
    text(run, "/tool/driver/name")?;
    text(run, "/automationDetails/id")?;
    let rules = list(run, "/tool/driver/rules")?;
    for rule in rules {
        for pointer in ["/id", "/shortDescription/text", "/fullDescription/text", "/help/text"] {
            demand(text(rule, pointer)?.chars().count() <= 1_024, pointer)?;
        }
        level(rule, "/defaultConfiguration/level")?;
        demand(list(rule, "/properties/tags")?.len() <= 20, "20 tags at most")?;
        if let Some(score) = rule.pointer("/properties/security-severity") {
            let score: f64 = score.as_str().and_then(|text| text.parse().ok()).ok_or("a score is a text")?;
            demand(score > 0.0 && score <= 10.0, "a score is above 0, and 10 at most")?;
        }
    }
    let results = list(run, "/results")?;
    demand(results.len() <= 25_000, "25,000 results at most")?;
    results.iter().try_for_each(|result| one(result, rules).map_err(|why| format!("{why} in {result:#}")))
}

fn one(result: &Value, rules: &[Value]) -> Result<(), String> {
    let id = text(result, "/ruleId")?;
    let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok());
    let rule = index.and_then(|index| rules.get(index)).ok_or("there is no rule at `ruleIndex`")?;
    demand(text(rule, "/id")? == id, "`ruleIndex` and `ruleId` name two rules")?;
    level(result, "/level")?;
    text(result, "/message/text")?;
    text(result, "/partialFingerprints/crossfade~1v1")?;
    let locations = list(result, "/locations")?;
    demand((1..=10).contains(&locations.len()), "1 to 10 locations")?;
    for location in locations {
        let uri = text(location, "/physicalLocation/artifactLocation/uri")?;
        let path = uri.strip_prefix("file:///").unwrap_or(uri);
        demand(!path.contains(':') && !path.starts_with('/'), "a path, relative or of the scheme file")?;
        demand(path.split('/').all(|segment| !matches!(segment, "" | ".")), "one name for one file")?;
        for pointer in ["/physicalLocation/region/startLine", "/physicalLocation/region/startColumn"] {
            let from = location.pointer(pointer).map(Value::as_u64);
            let is_optional = pointer.ends_with("Column");
            demand(from.map_or(is_optional, |from| from.is_some_and(|from| from >= 1)), pointer)?;
        }
    }
    Ok(())
}

fn level(value: &Value, pointer: &str) -> Result<(), String> {
    let level = text(value, pointer)?;
    demand(["error", "warning", "note", "none"].contains(&level), pointer)
}

fn list<'a>(value: &'a Value, pointer: &str) -> Result<&'a [Value], String> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map(Vec::as_slice).ok_or_else(|| format!("no list at {pointer}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, String> {
    let text = value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("no text at {pointer}"))
}

fn demand(is_so: bool, what: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(format!("not so: {what}")) }
}
