//! What `doctor` has found out, step by step.

use serde::Serialize;

use super::V;

/// One step.
#[derive(Debug, Serialize)]
pub(crate) struct Check<'a> {
    v: u32,
    r#type: &'static str,
    step: &'a str,
    /// `good`, `warning`, `failed` or `skipped`.
    result: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
    /// The figures in the message, as numbers.
    values: &'a serde_json::Value,
}

impl<'a> Check<'a> {
    pub(crate) fn new(
        step: &'a str,
        result: &'a str,
        message: &'a str,
        hint: Option<&'a str>,
        values: &'a serde_json::Value,
    ) -> Self {
        Self { v: V, r#type: "check", step, result, message, hint, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_an_object_of_the_documented_form() {
        let values = serde_json::json!({ "bytes": 1 });
        let check = Check::new("path MTU", "warning", "1200 bytes", Some("tracepath lab"), &values);
        assert_eq!(
            serde_json::to_string(&check).expect("encodes"),
            r#"{"v":1,"type":"check","step":"path MTU","result":"warning","message":"1200 bytes","hint":"tracepath lab","values":{"bytes":1}}"#
        );
    }
}
