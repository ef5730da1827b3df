use super::event;
use countersign_core::{
    Timestamp,
    audit::{AuditRecord, StoredEvent},
};
use serde_json::Value;

fn record(action: &str, subject: &str) -> AuditRecord {
    AuditRecord {
        number: 7,
        hash: [0xab; 32],
        event: StoredEvent {
            at: Timestamp::from_micros(1_800_000_000_123_456),
            actor: "svc_ops".into(),
            credential: "api_key:k1".into(),
            action: action.into(),
            subject: subject.into(),
            source: "2001:db8::7".into(),
            request: "ab".into(),
            detail: "{\"reason\":\"leaked\"}".into(),
        },
    }
}

fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// ocsf-schema 1.5.0: what `base_event`, `account_change`, `entity_management`, `metadata`, `product`, `user` and
/// `managed_entity` require (of the last three one member at least).
#[test]
fn every_required_attribute_is_there() {
    let base = [
        "/activity_id",
        "/category_uid",
        "/class_uid",
        "/metadata/version",
        "/metadata/product/name",
        "/severity_id",
        "/time",
        "/type_uid",
    ];
    for (action, class, activity, own) in [
        ("principal.create", 3001, 1, "/user/uid"),
        ("principal.enable", 3001, 2, "/user/uid"),
        ("principal.disable", 3001, 5, "/user/uid"),
        ("principal.change", 3001, 99, "/user/uid"),
        ("api_key.create", 3004, 1, "/entity/uid"),
        ("api_key.rotate", 3004, 3, "/entity/uid"),
        ("api_key.revoke", 3004, 4, "/entity/uid"),
        ("revocation.create", 3004, 1, "/entity/uid"),
        ("store.restore", 3004, 99, "/entity/uid"),
        ("audit.remove", 3004, 4, "/entity/uid"),
        ("what", 3004, 99, "/entity/uid"),
    ] {
        let line = event(&record(action, "x"));
        for path in base.into_iter().chain([own]) {
            assert!(!at(&line, path).is_null(), "{action}: {path} is missing: {line}");
        }
        assert_eq!(
            (at(&line, "/class_uid"), at(&line, "/activity_id")),
            (&class.into(), &activity.into()),
            "{action}"
        );
        assert_eq!(at(&line, "/type_uid"), &Value::from(class * 100 + activity), "{action}");
        // an activity of their own needs its name (`activity_id` 99)
        assert!(at(&line, "/activity_name").is_string());
    }
}

#[test]
fn nothing_of_the_record_is_lost() {
    let line = event(&record("api_key.revoke", "k2"));
    for (path, value) in [
        ("/actor/user/uid", "svc_ops"),
        ("/src_endpoint/ip", "2001:db8::7"),
        ("/entity/uid", "k2"),
        ("/entity/type", "api_key"),
        ("/metadata/uid", "7"),
        ("/metadata/event_code", "api_key.revoke"),
        ("/metadata/correlation_uid", "ab"),
        ("/unmapped/credential", "api_key:k1"),
        ("/unmapped/detail/reason", "leaked"),
        ("/metadata/version", "1.5.0"),
    ] {
        assert_eq!(at(&line, path), value, "{path}");
    }
    assert_eq!(at(&line, "/time"), 1_800_000_000_123_i64);
    let host = AuditRecord {
        event: StoredEvent { source: String::new(), ..record("x.y", "z").event },
        ..record("x.y", "z")
    };
    assert!(event(&host).get("src_endpoint").is_none());
}
