//! What a server says became of each instance (PS3.18 10.5.3.2, in the JSON model of annex F).

use std::collections::HashMap;

use serde_json::Value;

use crate::dicom::uid::Uid;
use crate::net::Status;

/// Failed SOP Sequence (0008,1198).
const FAILED: &str = "00081198";
/// Referenced SOP Sequence (0008,1199).
const REFERENCED: &str = "00081199";
/// Referenced SOP Instance UID (0008,1155).
const INSTANCE: &str = "00081155";
/// Failure Reason (0008,1197).
const FAILURE_REASON: &str = "00081197";
/// Warning Reason (0008,1196).
const WARNING_REASON: &str = "00081196";

/// What an answer says, by instance. An answer that cannot be read says nothing.
#[derive(Debug, Default)]
pub(super) struct Answer {
    said: HashMap<String, Said>,
    lists: bool,
}

/// What became of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It is there: success, or a warning.
    Stored(Status),
    /// It is not.
    Failed(Status),
}

impl Answer {
    /// Reads an answer: one object, or a list of them as some servers give it.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let objects = match &value {
            Value::Array(objects) => objects.as_slice(),
            other => std::slice::from_ref(other),
        };
        let mut said = HashMap::new();
        let lists = objects.iter().any(|object| object.get(REFERENCED).or(object.get(FAILED)).is_some());
        for object in objects {
            for item in items(object, REFERENCED) {
                let warning = number(item, WARNING_REASON).map_or(Status::SUCCESS, Status);
                said.extend(instance(item).map(|uid| (uid, Said::Stored(warning))));
            }
            // Named under both, it is not there.
            for item in items(object, FAILED) {
                let reason = number(item, FAILURE_REASON).map_or(Status::PROCESSING_FAILURE, Status);
                said.extend(instance(item).map(|uid| (uid, Said::Failed(reason))));
            }
        }
        Self { said, lists }
    }

    /// Whether it has a list of instances, were it an empty one.
    pub(super) const fn lists(&self) -> bool {
        self.lists
    }

    pub(super) fn about(&self, instance: &Uid) -> Option<Said> {
        self.said.get(instance.as_str()).copied()
    }
}

fn items<'a>(object: &'a Value, tag: &str) -> impl Iterator<Item = &'a Value> {
    object.get(tag).and_then(|element| element.get("Value")).and_then(Value::as_array).into_iter().flatten()
}

fn first<'a>(item: &'a Value, tag: &str) -> Option<&'a Value> {
    items(item, tag).next()
}

fn instance(item: &Value) -> Option<String> {
    let uid = first(item, INSTANCE)?.as_str()?;
    Some(uid.trim_end_matches(['\0', ' ']).to_owned())
}

/// A US is a number; some servers write it as text.
fn number(item: &Value, tag: &str) -> Option<u16> {
    let value = first(item, tag)?;
    value.as_u64().and_then(|number| u16::try_from(number).ok()).or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    #[test]
    fn each_instance_is_stored_stored_with_a_warning_failed_or_not_mentioned() {
        let body = r#"{
            "00081190": {"vr": "UR", "Value": ["https://pacs/studies/1"]},
            "00081198": {"vr": "SQ", "Value": [
                {"00081155": {"vr": "UI", "Value": ["1.1"]}, "00081197": {"vr": "US", "Value": [42752]}},
                {"00081155": {"vr": "UI", "Value": ["1.2"]}},
                {"00081197": {"vr": "US", "Value": [1]}}]},
            "00081199": {"vr": "SQ", "Value": [
                {"00081155": {"vr": "UI", "Value": ["1.3"]}, "00081196": {"vr": "US", "Value": ["45056"]}},
                {"00081155": {"vr": "UI", "Value": ["1.4"]}},
                {"00081155": {"vr": "UI", "Value": ["1.1"]}}]}}"#;
        for body in [body.to_owned(), format!("[{body}]")] {
            let answer = Answer::read(body.as_bytes());
            let said = ["1.1", "1.2", "1.3", "1.4", "1.5"].map(|text| answer.about(&uid(text)));
            let expected = [
                Some(Said::Failed(Status(0xA700))),
                Some(Said::Failed(Status::PROCESSING_FAILURE)),
                Some(Said::Stored(Status(0xB000))),
                Some(Said::Stored(Status::SUCCESS)),
                None,
            ];
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn an_answer_may_list_nothing() {
        assert!(Answer::read(br#"{"00081199": {"vr": "SQ"}}"#).lists());
        assert!(!Answer::read(br#"{"00081190": {"vr": "UR"}}"#).lists() && !Answer::read(b"").lists());
    }

    #[test]
    fn an_answer_that_cannot_be_read_says_nothing() {
        for body in ["", "<xml/>", "[1, null]", r#"{"00081198": {"Value": "x"}}"#, "{\"00081199\": 3}"] {
            assert!(Answer::read(body.as_bytes()).said.is_empty(), "{body}");
        }
    }
}
