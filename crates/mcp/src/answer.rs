//! Answers of tools: words, and the same as data.

use domain::error::{Error, Result};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

/// What a tool answers.
#[derive(Debug)]
pub struct Answer {
    /// For people and models: what the numbers mean, and how much they can be relied on.
    pub words: String,
    /// An object, as the tool's output schema says.
    pub data: Value,
}

impl Answer {
    /// An answer with its data.
    pub fn new(words: impl Into<String>, data: Value) -> Self {
        Self { words: words.into(), data }
    }
}

/// The result of a call. An error of the product is a result that says so, for the agent to read; it is no fault of the protocol.
pub fn result(answer: Result<Answer>) -> CallToolResult {
    match answer {
        Ok(Answer { words, data }) => {
            // Clients that do not read structured content read the text.
            let mut result = CallToolResult::structured(data);
            result.content.insert(0, ContentBlock::text(words));
            result
        }
        Err(error) => {
            let words = format!("{error} [{}]", error.code());
            let data = json!({ "error": failure(&error) });
            CallToolResult::error(vec![ContentBlock::text(words), ContentBlock::text(data.to_string())])
        }
    }
}

/// An error as data: its code and message and, for a wrong value, the field, the value, and what is allowed.
pub fn failure(error: &Error) -> Value {
    let (field, allowed, value) = match error {
        Error::InvalidSignal { field, problem, value } => (Some(*field), Some(*problem), Some(value)),
        Error::InvalidArgument { argument, problem, value } => (Some(*argument), Some(&problem[..]), Some(value)),
        Error::InvalidConfig { key, allowed, value, .. } => (Some(&key[..]), Some(&allowed[..]), Some(value)),
        Error::InvalidCandle { field, problem, value, .. } => (Some(*field), Some(*problem), Some(value)),
        Error::SignalConflict { field, id } => (Some(*field), None, Some(id)),
        _ => (None, None, None),
    };
    let members = [
        ("code", Some(json!(error.code()))),
        ("message", Some(json!(error.to_string()))),
        ("field", field.map(Value::from)),
        ("value", value.map(|value| json!(value))),
        ("allowed", allowed.map(Value::from)),
    ];
    Value::Object(
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_field_and_the_value() {
        let told = failure(&Error::argument("days", "must be above 0", -1));
        assert_eq!(
            told,
            json!({
                "code": "ERR_INVALID_ARGUMENT", "message": "argument `days` must be above 0; got -1",
                "field": "days", "value": "-1", "allowed": "must be above 0",
            })
        );
        assert_eq!(failure(&Error::Closed)["code"], "ERR_CLOSED");
        let result = result(Err(Error::Closed));
        assert_eq!((result.is_error, result.structured_content), (Some(true), None));
    }
}
