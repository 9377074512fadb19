//! The calls by which the page gets in.

use super::{Try, ask};
use serde_json::json;

pub(super) fn codes() -> Vec<Try> {
    let (codes, code, token) = ("/v1/web/codes", "/v1/web/codes/{id}", "/v1/web/token");
    let trade = |expected| ask(token, "POST", token, expected);
    vec![
        ask(codes, "POST", codes, 201),
        ask(codes, "POST", "/v1/web/codes?x=1", 400),
        ask(code, "GET", "/v1/web/codes/0011223344556677", 404),
        ask(code, "GET", "/v1/web/codes/nonsense", 404),
        ask(code, "GET", "/v1/web/codes/0011223344556677?x=1", 400),
        trade(400).body(json!({ "code": 7 })),
        trade(400).body(json!({ "code": "x", "ttl": "1y" })),
        trade(403).body(json!({ "code": "nonsense" })),
        trade(409).body(json!({ "code": "nonsense", "node": "0" })),
        trade(413).body(json!({ "code": "x".repeat(2 << 20) })),
        ask(token, "POST", "/v1/web/token?timeout=1h", 422).body(json!({ "code": "x" })),
        ask(token, "DELETE", token, 403),
    ]
}
