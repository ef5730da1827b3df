use super::*;
use serde_json::json;

#[test]
fn yaml_is_block_style_with_json_scalars() {
    let mut text = String::new();
    yaml(&json!([{"id": "a: b", "scopes": ["x", "y"], "limit": null, "none": []}, 3]), 0, &mut text);
    let expected = "- \n  \"id\": \"a: b\"\n  \"limit\": null\n  \"none\": []\n  \"scopes\": \n    - \"x\"\n    - \"y\"\n- 3\n";
    assert_eq!(text, expected);
}

#[test]
fn a_cell_says_what_people_call_it_and_moves_no_cursor() {
    assert_eq!(cell(Some(&json!({"id": "svc_1", "name": "demo"}))), "demo");
    assert_eq!(cell(Some(&json!({"requests": 100, "per": "1m"}))), "100/1m");
    assert_eq!(cell(Some(&json!(["a", "b"]))), "a b");
    assert_eq!(cell(Some(&json!({"name": "demo", "kind": "user"}))), "kind=user name=demo");
    assert_eq!(cell(Some(&json!("2026-11-23T22:32:22.649287Z"))), "2026-11-23T22:32:22Z");
    assert_eq!(cell(Some(&json!("v1.2Z"))), "v1.2Z");
    assert_eq!(cell(None), "-");
    assert_eq!(cell(Some(&json!("\u{1b}[2Jgone"))), "\u{fffd}[2Jgone");
}
