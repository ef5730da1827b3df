use super::*;
use serde_json::json;

#[test]
fn yaml_is_block_style_with_json_scalars() {
    let mut text = String::new();
    yaml(&json!([{"id": "a: b", "scopes": ["x", "y"], "limit": null, "none": []}, 3]), 0, &mut text);
    let expected = "- \n  \"id\": \"a: b\"\n  \"scopes\": \n    - \"x\"\n    - \"y\"\n  \"limit\": null\n  \"none\": []\n- 3\n";
    assert_eq!(text, expected);
}

#[test]
fn a_cell_says_what_people_call_it_and_moves_no_cursor() {
    assert_eq!(cell(Some(&json!({"id": "svc_1", "name": "demo"}))), "demo");
    assert_eq!(cell(Some(&json!({"requests": 100, "per": "1m"}))), "100/1m");
    assert_eq!(cell(Some(&json!(["a", "b"]))), "a b");
    assert_eq!(cell(Some(&json!({"name": "demo", "kind": "user"}))), "name=demo kind=user");
    assert_eq!(cell(Some(&json!("2026-11-23T22:32:22.649287Z"))), "2026-11-23T22:32:22Z");
    assert_eq!(cell(Some(&json!("v1.2Z"))), "v1.2Z");
    assert_eq!(cell(None), "-");
    assert_eq!(cell(Some(&json!("\u{1b}[2Jgone"))), "\u{fffd}[2Jgone");
}

#[test]
fn a_column_of_many_words_says_how_many_more_there_are() {
    let scopes = json!(["countersign:audit", "countersign:grant", "countersign:keys"]);
    assert_eq!(brief(Some(&scopes)), "countersign:audit countersign:grant +1");
    assert_eq!(cell(Some(&scopes)), "countersign:audit countersign:grant countersign:keys");
    assert_eq!(brief(Some(&json!(["orders:read", "orders:write"]))), "orders:read orders:write");
    let long = "a".repeat(80);
    assert_eq!(brief(Some(&json!([long, "b"]))), format!("{long} +1"));
    assert_eq!(brief(Some(&json!([]))), "-");
    assert_eq!(
        brief(Some(&json!({"owner": "svc_1", "expires_at": "1795561365"}))),
        "owner=svc_1 expires_at=2026-11-24T23:02:45Z"
    );
    assert_eq!(brief(Some(&json!({"id": "svc_1", "name": "demo"}))), "demo");
    assert_eq!(brief(Some(&json!({}))), "-");
}
