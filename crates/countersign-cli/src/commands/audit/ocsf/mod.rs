//! A record in the words of the Open Cybersecurity Schema Framework, version 1.5.0: what happens to a principal is an
//! Account Change (3001), what happens to anything else is Entity Management (3004). What has no place there stands in
//! `unmapped`, so that nothing is lost.

use countersign_core::audit::AuditRecord;
use serde_json::{Map, Value, json};

const VERSION: &str = "1.5.0";
const IDENTITY: (u32, &str) = (3, "Identity & Access Management");
const ACCOUNT_CHANGE: (u32, &str) = (3001, "Account Change");
const ENTITY_MANAGEMENT: (u32, &str) = (3004, "Entity Management");
const OTHER: u32 = 99;

pub(super) fn event(record: &AuditRecord) -> Value {
    let AuditRecord { number, hash, event } = record;
    let (noun, verb) = event.action.split_once('.').unwrap_or((&event.action, ""));
    let detail: Value = serde_json::from_str(&event.detail).unwrap_or_else(|_| event.detail.clone().into());
    let name = detail.get("name").or_else(|| detail.get("label")).and_then(Value::as_str);
    let mut subject = Map::new();
    subject.insert("uid".into(), event.subject.clone().into());
    subject.extend(name.map(|name| ("name".into(), name.into())));
    let (class, activity, target) = match noun {
        "principal" => {
            let activity = match verb {
                "create" => (1, "Create"),
                "enable" => (2, "Enable"),
                "disable" => (5, "Disable"),
                other => (OTHER, other),
            };
            (ACCOUNT_CHANGE, activity, ("user", Value::Object(subject)))
        }
        _ => {
            let activity = match verb {
                "create" => (1, "Create"),
                "rotate" | "change" => (3, "Update"),
                // it is kept, and good for nothing any more
                "revoke" | "remove" => (4, "Delete"),
                other => (OTHER, other),
            };
            subject.insert("type".into(), noun.into());
            (ENTITY_MANAGEMENT, activity, ("entity", Value::Object(subject)))
        }
    };
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut line = json!({
        "class_uid": class.0,
        "class_name": class.1,
        "category_uid": IDENTITY.0,
        "category_name": IDENTITY.1,
        "activity_id": activity.0,
        "activity_name": activity.1,
        "type_uid": class.0 * 100 + activity.0,
        "type_name": format!("{}: {}", class.1, if activity.0 == OTHER { "Other" } else { activity.1 }),
        "time": event.at.as_micros().div_euclid(1000),
        // only what was done is in the trail; what was refused is in the records of decisions
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "message": format!("{} {}", event.action, event.subject),
        "metadata": {
            "version": VERSION,
            "product": {
                "name": "Countersign",
                "vendor_name": "Countersign",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "log_name": "audit",
            "uid": number.to_string(),
            "event_code": event.action,
        },
        "actor": { "user": { "uid": event.actor } },
        "unmapped": { "hash": hash, "detail": detail },
    });
    let Some(members) = line.as_object_mut() else { return line };
    members.insert(target.0.into(), target.1);
    let mut insert = |place: &str, member: &str, value: &str| {
        if value.is_empty() {
            return;
        }
        let at = members.entry(place.to_owned()).or_insert_with(|| json!({}));
        if let Some(at) = at.as_object_mut() {
            at.insert(member.into(), value.into());
        }
    };
    insert("src_endpoint", "ip", &event.source);
    insert("metadata", "correlation_uid", &event.request);
    insert("unmapped", "credential", &event.credential);
    line
}

#[cfg(test)]
mod tests;
