//! Answers that are known before the request's body was read reach clients that are still sending.

use crate::fleet::{Fleet, Node, run};
use anyhow::Context;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The largest body that a call reads.
const LIMIT: usize = 1 << 20;
const JSON: &str = "application/json";
const ENTRIES: &str = "/v1/lists/a/entries";

/// A request whose body has so many bytes, and the status of its answer.
fn request(method: &str, path: &str, body: usize, status: u16) -> Value {
    json!({
        "method": method, "path": path, "headers": { "content-type": JSON }, "body": body,
        "status": status,
    })
}

fn with(mut request: Value, header: &str, value: &str) -> Value {
    request["headers"][header] = value.into();
    request
}

/// Asks each 50 times with Python's `http.client`.
fn ask(whom: &str, requests: &[Value]) -> anyhow::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/early.py");
    run(Command::new("python3")
        .arg(script)
        .arg(whom)
        .arg(Value::from(requests).to_string()))
    .map(drop)
}

fn on_the_socket(node: &Node) -> String {
    format!("unix:{}", node.socket().display())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_the_socket_waits_for_the_body() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    node.add("a", "one").await?;
    let mut requests = Vec::new();
    for body in [10, 100_000, LIMIT] {
        requests.extend([
            request("POST", "/v1/node?x=1", body, 405),
            request("POST", "/v1/nothing", body, 404),
            request("GET", "/v1/node?x=1", body, 400),
            request("GET", "/v1/lists/b", body, 404),
            request("POST", "/v1/web/codes?x=1", body, 400),
            request("POST", "/v1/lists/a%2Fb/entries", body, 422),
            request("PATCH", "/v1/lists/a/entries/nonsense", body, 404),
            request("DELETE", "/v1/members/n1", body, 409),
            with(
                request("DELETE", "/v1/lists/a", body, 412),
                "if-match",
                "\"0000000000000001\"",
            ),
        ]);
    }
    // What is over the limit is refused on the way; up to 64 times as much is still taken.
    requests.push(request("POST", "/v1/lists/a/undo", 2 * LIMIT, 413));
    requests.push(request("POST", "/v1/nothing", 2 * LIMIT, 404));
    ask(&on_the_socket(node), &requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_by_tcp_waits_for_the_body() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let listener = node.get("/v1/node").await?.json();
    let listener = listener["http"].as_str().context("no listener")?;
    let token = node
        .call("POST", "/v1/tokens", Some(&json!({ "scope": "read" })))
        .await?
        .json();
    let bearer = format!("Bearer {}", token["token"].as_str().context("no token")?);
    let mut requests = Vec::new();
    for body in [10, 100_000, LIMIT] {
        requests.extend([
            request("POST", ENTRIES, body, 401),
            with(
                request("POST", ENTRIES, body, 401),
                "authorization",
                "Bearer x",
            ),
            with(
                request("POST", ENTRIES, body, 403),
                "authorization",
                &bearer,
            ),
            with(
                request("POST", ENTRIES, body, 403),
                "origin",
                "http://evil.example",
            ),
            with(
                request("POST", ENTRIES, body, 415),
                "content-type",
                "text/plain",
            ),
            request("POST", "/page.js", body, 405),
            request("POST", "/nothing", body, 404),
        ]);
    }
    requests.push(request("POST", ENTRIES, 2 * LIMIT, 401));
    ask(listener, &requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_a_connection_hears_why() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.env
        .push(("MUSTERD_LIMITS__CONNECTIONS_PER_UID", "1".into()));
    node.start()?;
    // A stream of one program keeps another of the same program out, and nothing else does.
    let script = "import socket, sys
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1].removeprefix('unix:'))
stream.sendall(b'GET /v1/events HTTP/1.1\\r\\nhost: muster\\r\\n\\r\\n')
assert stream.recv(12) == b'HTTP/1.1 200'
sys.argv[0] = sys.argv.pop(3)
exec(open(sys.argv[0]).read())";
    let asked = [request("POST", "/v1/lists/a/entries", 100_000, 429)];
    run(Command::new("python3")
        .args(["-c", script])
        .arg(on_the_socket(node))
        .arg(Value::from(asked.to_vec()).to_string())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/early.py")))
    .map(drop)
}
