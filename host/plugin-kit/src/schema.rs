//! Settings schemas: their keys on one line each, and what differs between two.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Tables within tables that are followed. 8: deeper ones nobody writes.
const DEPTH: usize = 8;
/// Keys of one schema that are listed. 1,000.
const KEYS: usize = 1_000;

/// Words of a schema that change what may be written.
const CONSTRAINTS: [&str; 16] = [
    "type",
    "format",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "additionalProperties",
    "default",
];

/// Each key with what may be written there.
pub(crate) fn keys(schema: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Ok(root) = serde_json::from_str::<Value>(schema) {
        Walk {
            root: &root,
            found: &mut found,
        }
        .table("", &root, DEPTH);
    }
    found
}

struct Walk<'s, 'f> {
    root: &'s Value,
    found: &'f mut BTreeMap<String, String>,
}

impl<'s> Walk<'s, '_> {
    /// The schema that a reference within the document means.
    fn meant(&self, schema: &'s Value) -> &'s Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        reference
            .and_then(|it| self.root.pointer(it.strip_prefix('#')?))
            .unwrap_or(schema)
    }

    fn table(&mut self, above: &str, schema: &'s Value, depth: usize) {
        let schema = self.meant(schema);
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        for alternatives in ["anyOf", "oneOf", "allOf"] {
            for part in list(schema, alternatives) {
                self.table(above, part, depth);
            }
        }
        let required: Vec<&str> = list(schema, "required").filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if self.found.len() >= KEYS {
                return;
            }
            let key = match above {
                "" => name.clone(),
                _ => format!("{above}.{name}"),
            };
            let mut words = self.constraints(property);
            if required.contains(&name.as_str()) {
                words.push("required".to_owned());
            }
            self.found.insert(key.clone(), words.join(", "));
            self.below(&key, property, depth);
        }
    }

    fn below(&mut self, key: &str, property: &'s Value, depth: usize) {
        self.table(key, property, depth);
        let property = self.meant(property);
        if let Some(items) = property.get("items") {
            self.table(&format!("{key}[]"), items, depth);
        }
        if let Some(values) = property
            .get("additionalProperties")
            .filter(|it| it.is_object())
        {
            self.table(&format!("{key}.*"), values, depth);
        }
    }

    fn constraints(&self, property: &'s Value) -> Vec<String> {
        let meant = self.meant(property);
        let mut words = Vec::new();
        for constraint in CONSTRAINTS {
            // What stands beside a reference adds to what it means.
            let value = property.get(constraint).or_else(|| meant.get(constraint));
            match value {
                Some(Value::Object(_)) | None => {}
                Some(value) if constraint == "type" => words.push(bare(value)),
                Some(value) => words.push(format!("{constraint} {}", bare(value))),
            }
        }
        let named: Vec<String> = ["anyOf", "oneOf"]
            .into_iter()
            .flat_map(|alternatives| list(meant, alternatives))
            .flat_map(|part| self.meant(part).get("const").map(bare))
            .collect();
        if !named.is_empty() {
            words.push(format!("one of {}", named.join(" ")));
        }
        words
    }
}

fn list<'v>(schema: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    schema
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What differs between two schemas, a line for each key.
pub(crate) fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (keys(old), keys(new));
    let mut lines = Vec::new();
    for (key, was) in &old {
        match new.get(key) {
            None => lines.push(format!("- {key} ({was})")),
            Some(is) if is != was => lines.push(format!("~ {key} ({was}) -> ({is})")),
            Some(_) => {}
        }
    }
    let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
    lines.extend(added.map(|(key, is)| format!("+ {key} ({is})")));
    lines
}

/// The schema as JSON to read, or the text if it is none.
pub(crate) fn readable(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or_else(|_| match schema {
        "" => Value::Object(Map::new()),
        text => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r##"{
        "type": "object",
        "required": ["open"],
        "properties": {
            "open": { "type": "integer", "minimum": 0, "maximum": 23 },
            "zone": { "$ref": "#/$defs/Zone", "default": {} },
            "rules": { "type": "array", "items": { "$ref": "#/$defs/Rule" } },
            "answer": { "oneOf": [{ "const": "reject" }, { "const": "silence" }] }
        },
        "$defs": {
            "Zone": { "type": "object", "properties": { "allow": { "type": "array" } } },
            "Rule": { "type": "object", "required": ["key"],
                      "properties": { "key": { "type": "string" }, "again": { "$ref": "#/$defs/Rule" } } }
        }
    }"##;

    #[test]
    fn keys_are_found_through_references() {
        let keys = keys(OLD);
        assert_eq!(keys["open"], "integer, minimum 0, maximum 23, required");
        assert_eq!(keys["zone.allow"], "array");
        assert_eq!(keys["rules[].key"], "string, required");
        assert_eq!(keys["answer"], "one of reject silence");
        // A rule within a rule within a rule comes to an end.
        assert!(keys.len() < 50, "{keys:?}");
    }

    #[test]
    fn differences_name_the_key() {
        let new = OLD
            .replace("\"maximum\": 23", "\"maximum\": 24")
            .replace("\"answer\"", "\"reply\"");
        assert_eq!(
            difference(OLD, &new),
            [
                "- answer (one of reject silence)",
                "~ open (integer, minimum 0, maximum 23, required) -> (integer, minimum 0, maximum 24, required)",
                "+ reply (one of reject silence)",
            ]
        );
        assert!(difference(OLD, OLD).is_empty());
    }

    #[test]
    fn nonsense_has_no_keys() {
        for nonsense in ["", "text", "[]", "{\"properties\": 5}", "{\"$ref\": \"#\"}"] {
            assert!(keys(nonsense).is_empty(), "{nonsense}");
        }
        assert_eq!(readable("text"), Value::String("text".to_owned()));
    }
}
