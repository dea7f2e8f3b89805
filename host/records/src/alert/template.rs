//! The body of an alert's POST: a text with fields in double braces, such as
//! `{"text": "{{severity}}: {{text}}"}`. What is put in is escaped as in a JSON text, so
//! that a caller's words cannot change the body's shape.

use serde_json::Value;

use super::{Alarm, Told};

/// Fields that a template may have.
pub const FIELDS: [&str; 9] = [
    "severity",
    "plugin",
    "key",
    "text",
    "call_id",
    "peer",
    "identity",
    "time",
    "held_back",
];

/// Bytes of a template; the JSON of a chat message with buttons fits.
pub const TEMPLATE_BYTES: usize = 16 << 10;

/// A template that can be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(&'static str),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A field that there is not.
    #[error("there is no field `{0}`")]
    UnknownField(String),
    /// `{{` without `}}`.
    #[error("a `{{{{` is not closed")]
    Open,
    /// What comes out is no JSON.
    #[error("with its fields filled in it is no JSON: {0}")]
    NotJson(String),
    /// Longer than [`TEMPLATE_BYTES`].
    #[error("longer than {TEMPLATE_BYTES} bytes")]
    Long,
}

impl Template {
    /// Reads a template, and checks that it gives JSON.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEMPLATE_BYTES {
            return Err(TemplateError::Long);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or(TemplateError::Open)?;
            let name = name.trim();
            let known = FIELDS.into_iter().find(|field| *field == name);
            let field = known.ok_or_else(|| TemplateError::UnknownField(name.to_owned()))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self(parts);
        // A number where a text belongs would show here as well as a text without quotes.
        let sample = Told {
            alarm: Alarm::of_host("key", "a \"text\"".to_owned()),
            held_back: 1,
        };
        serde_json::from_str::<Value>(&template.fill(&sample))
            .map_err(|error| TemplateError::NotJson(error.to_string()))?;
        Ok(template)
    }

    /// The body for one alert.
    pub fn fill(&self, told: &Told) -> String {
        let mut body = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => body.push_str(text),
                Part::Field(name) => body.push_str(&escaped(&field(told, name))),
            }
        }
        body
    }
}

fn field(told: &Told, name: &str) -> String {
    let alarm = &told.alarm;
    match name {
        "severity" => alarm.severity.name().to_owned(),
        "plugin" => alarm.plugin.clone(),
        "key" => alarm.key.clone(),
        "call_id" => alarm.call_id.clone(),
        "peer" => alarm.peer.clone(),
        "identity" => alarm.identity.clone(),
        "held_back" => told.held_back.to_string(),
        "time" => {
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(alarm.at_ms);
            humantime::format_rfc3339_seconds(at).to_string()
        }
        _ => alarm.text.clone(),
    }
}

/// As within the quotes of a JSON text.
fn escaped(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Severity;

    fn told(text: &str) -> Told {
        Told {
            alarm: Alarm {
                at_ms: 1_767_225_600_000,
                severity: Severity::Warning,
                call_id: "a@b".to_owned(),
                ..Alarm::of_host("k", text.to_owned())
            },
            held_back: 4,
        }
    }

    #[test]
    fn fields_are_filled_in_and_escaped() {
        let template = Template::parse(
            r#"{"text": "{{severity}} {{ time }}: {{text}} ({{call_id}})", "more": {{held_back}}}"#,
        );
        let body = template.unwrap().fill(&told("a \"quote\"\nand {{key}}"));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body["text"],
            "warning 2026-01-01T00:00:00Z: a \"quote\"\nand {{key}} (a@b)"
        );
        assert_eq!(body["more"], 4);
    }

    #[test]
    fn wrong_templates_are_named() {
        use TemplateError::{Long, NotJson, Open, UnknownField};
        let error = |text: &str| Template::parse(text).unwrap_err();
        assert_eq!(
            error(r#"{"a": "{{caller}}"}"#),
            UnknownField("caller".to_owned())
        );
        assert_eq!(error(r#"{"a": "{{text"}"#), Open);
        assert!(matches!(error("{{text}}"), NotJson(_)));
        assert!(matches!(error(""), NotJson(_)));
        let exactly = format!("\"{}\"", "x".repeat(TEMPLATE_BYTES - 2));
        assert!(Template::parse(&exactly).is_ok());
        assert_eq!(error(&format!("{exactly} ")), Long);
    }
}
