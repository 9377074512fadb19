//! Invitations and certificates.

use super::{Try, ask};
use crdt::roster::{Revocation, Told};
use data_encoding::BASE64;
use names::NodeId;
use serde_json::json;

/// On a node that is no authority; what an authority answers is seen where hosts join.
pub(super) fn authority() -> Vec<Try> {
    let (all, one) = ("/v1/invitations", "/v1/invitations/{id}");
    vec![
        ask(all, "POST", all, 409).body(json!({})),
        ask(all, "POST", all, 400).body(json!({ "for": "10m" })),
        ask(all, "POST", all, 422).body(json!({ "ttl": "1s" })),
        ask(all, "POST", all, 422).body(json!({ "role": "king" })),
        ask(all, "GET", all, 409),
        ask(all, "GET", "/v1/invitations?limit=0", 422),
        ask(all, "GET", "/v1/invitations?cursor=%21", 400),
        ask(one, "DELETE", "/v1/invitations/001122334455", 409),
        ask(one, "DELETE", "/v1/invitations/nonsense", 404),
        ask(one, "DELETE", "/v1/invitations/001122334455?x=1", 400),
        ask("/v1/authority", "GET", "/v1/authority", 200),
        ask("/v1/authority", "GET", "/v1/authority?x=1", 400),
        ask("/v1/authority/renew", "POST", "/v1/authority/renew", 409),
        ask(
            "/v1/authority/renew",
            "POST",
            "/v1/authority/renew?x=1",
            400,
        ),
    ]
}

/// Shutting nodes out, where nobody is an authority.
pub(super) fn revoking() -> Vec<Try> {
    vec![
        ask(
            "/v1/members/{member}/revoke",
            "POST",
            "/v1/members/n2/revoke",
            409,
        )
        .body(json!({})),
        ask(
            "/v1/members/{member}/revoke",
            "POST",
            "/v1/members/nobody/revoke",
            404,
        )
        .body(json!({})),
        ask(
            "/v1/members/{member}/revoke",
            "POST",
            "/v1/members/n2/revoke",
            422,
        )
        .body(json!({ "reason": "two\nlines" })),
        ask("/v1/revocations", "GET", "/v1/revocations", 200),
        publish(409).body(json!({ "statement": unsigned() })),
        publish(422).body(json!({ "statement": "bm9uZQ==" })),
        publish(422).body(json!({ "statement": "?" })),
        publish(400).body(json!({})),
        ask("/v1/revocations", "GET", "/v1/revocations?limit=0", 422),
    ]
}

fn publish(status: u16) -> Try {
    ask("/v1/revocations", "POST", "/v1/revocations", status)
}

/// The withdrawal of an authority that nobody has signed, in base64.
fn unsigned() -> String {
    let (by, key) = (NodeId([1; 16]), [2; 16]);
    let draft = Revocation::draft((by, b""), key, &Told::default(), &[]);
    draft.map_or_else(
        |_| String::new(),
        |draft| BASE64.encode(draft.relayed().bytes()),
    )
}

/// Drafting withdrawals, where no authority stands below the cluster's own.
pub(super) fn withdrawing() -> Vec<Try> {
    let path = "/v1/authority/withdrawal";
    vec![
        ask(path, "POST", path, 404).body(json!({ "authority": "n1" })),
        ask(path, "POST", path, 422).body(json!({ "authority": "n1", "reason": "two\nlines" })),
        ask(path, "POST", path, 400).body(json!({ "authority": "n1", "with": [] })),
    ]
}
