//! The API by TCP for clients that bear a token.

mod lives;

use crate::fleet::{Fleet, Node, eventually};
use crate::http::{Answer, Client};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// A token as it was told to whoever made it.
struct Token {
    id: String,
    text: String,
}

async fn create(node: &Node, scope: &str, ttl: &str) -> anyhow::Result<Token> {
    let answer = node
        .call(
            "POST",
            "/v1/tokens",
            Some(&json!({ "scope": scope, "ttl": ttl })),
        )
        .await?;
    ensure!(
        answer.status == 201 && answer.header("cache-control") == "no-store",
        "{answer:?}"
    );
    let created = answer.json();
    ensure!(
        created["scope"] == scope && created["uid"] == rustix::process::geteuid().as_raw(),
        "{created}"
    );
    let field = |field: &str| {
        created[field]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("{created}"))
    };
    Ok(Token {
        id: field("id")?,
        text: field("token")?,
    })
}

async fn listener(node: &Node) -> anyhow::Result<String> {
    Ok(node.get("/v1/node").await?.json()["http"]
        .as_str()
        .context("no listener")?
        .to_owned())
}

async fn tcp(node: &Node) -> anyhow::Result<Client> {
    Client::connect_tcp(&listener(node).await?).await
}

/// Calls by TCP. A body is declared as JSON.
async fn call(
    client: &mut Client,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    let bearer = format!("Bearer {token}");
    client
        .call_with(
            method,
            path,
            body,
            &[
                ("authorization", &bearer),
                ("content-type", "application/json"),
            ],
        )
        .await
}

const CALLS: [(&str, &str); 13] = [
    ("GET", "/v1/node"),
    ("GET", "/v1/lists"),
    ("GET", "/v1/entries"),
    ("POST", "/v1/lists/bob/entries"),
    ("DELETE", "/v1/lists/bob"),
    ("POST", "/v1/members/join"),
    ("DELETE", "/v1/members/n2"),
    ("POST", "/v1/leave"),
    ("POST", "/v1/tokens"),
    ("GET", "/v1/tokens"),
    ("GET", "/v1/sd/prometheus"),
    ("GET", "/v1/processes"),
    ("PUT", "/v1/processes/x"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_allows_what_it_says_and_nothing_else() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let expected = [
        (
            "page",
            [
                200, 200, 200, 201, 204, 403, 403, 403, 403, 403, 200, 200, 403,
            ],
        ),
        (
            "read",
            [
                200, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200, 200, 403,
            ],
        ),
        (
            "sd",
            [
                403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 200, 403, 403,
            ],
        ),
    ];
    for (scope, statuses) in expected {
        let token = create(node, scope, "5m").await?;
        let mut client = tcp(node).await?;
        for ((method, path), status) in CALLS.into_iter().zip(statuses) {
            let body = (method == "POST").then(|| json!({ "title": "x" }));
            let answer = call(&mut client, &token.text, method, path, body.as_ref()).await?;
            ensure!(
                answer.status == status,
                "{scope}: {method} {path}: expected {status}, got {answer:?}"
            );
            let challenge = answer.header("www-authenticate");
            ensure!(
                status != 403 || challenge.contains("error=\"insufficient_scope\""),
                "{answer:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nothing_is_told() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let (good, short) = (
        create(node, "page", "1h").await?,
        create(node, "read", "1s").await?,
    );
    let mut client = tcp(node).await?;
    for (method, path) in CALLS {
        let answer = client.call(method, path, None).await?;
        ensure!(
            answer.status == 401 && answer.header("www-authenticate").starts_with("Bearer"),
            "{method} {path}: {answer:?}"
        );
    }
    eventually("the token of one second expires", async || {
        let answer = call(&mut tcp(node).await?, &short.text, "GET", "/v1/node", None).await?;
        ensure!(
            answer.status == 401
                && answer
                    .header("www-authenticate")
                    .contains("error=\"invalid_token\""),
            "{answer:?}"
        );
        Ok(())
    })
    .await?;
    let last = if good.text.ends_with('0') { "1" } else { "0" };
    let wrong = format!(
        "{}{last}",
        good.text.strip_suffix(|_: char| true).unwrap_or_default()
    );
    for bad in [
        wrong.as_str(),
        good.id.as_str(),
        "",
        "muster_",
        &good.text.to_uppercase(),
    ] {
        ensure!(
            call(&mut client, bad, "GET", "/v1/node", None)
                .await?
                .status
                == 401,
            "{bad:?} is good"
        );
    }
    only_the_header_counts(&mut client, &good.text).await?;
    ensure!(
        call(&mut client, &good.text, "GET", "/v1/node", None)
            .await?
            .status
            == 200,
        "the connection is as good as before"
    );
    Ok(())
}

/// A good token counts only if it stands in the header `Authorization`, with its scheme, and alone.
async fn only_the_header_counts(client: &mut Client, good: &str) -> anyhow::Result<()> {
    let in_query = client
        .call("GET", &format!("/v1/node?access_token={good}"), None)
        .await?;
    ensure!(in_query.status == 401, "{in_query:?}");
    let bare = client
        .call_with("GET", "/v1/node", None, &[("authorization", good)])
        .await?;
    ensure!(
        bare.status == 401,
        "only service discovery takes a token without its scheme: {bare:?}"
    );
    let twice = [
        ("authorization", format!("Bearer {good}")),
        ("authorization", "Bearer x".to_owned()),
    ];
    let twice: Vec<(&str, &str)> = twice
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    ensure!(
        client
            .call_with("GET", "/v1/node", None, &twice)
            .await?
            .status
            == 401
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_elsewhere_gets_nowhere_even_with_a_token() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let (token, address) = (create(node, "page", "1h").await?, listener(node).await?);
    let (bearer, own) = (
        format!("Bearer {}", token.text),
        format!("http://{address}"),
    );
    let body = json!({ "title": "x" });
    let cases = [
        (
            vec![
                ("content-type", "application/json"),
                ("origin", own.as_str()),
            ],
            201,
        ),
        (
            vec![
                ("content-type", "application/json"),
                ("origin", "http://evil.example"),
            ],
            403,
        ),
        (vec![("content-type", "text/plain")], 415),
        (vec![], 415),
    ];
    for (mut headers, status) in cases {
        headers.push(("authorization", &bearer));
        let answer = Client::connect_tcp(&address)
            .await?
            .call_with("POST", "/v1/lists/bob/entries", Some(&body), &headers)
            .await?;
        ensure!(answer.status == status, "{headers:?}: {answer:?}");
    }
    let renamed = [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        "Host: evil.example",
        "-H",
        &format!("Authorization: {bearer}"),
        &own,
    ];
    ensure!(crate::fleet::run(std::process::Command::new("curl").args(renamed))? == "403");
    ensure!(
        node.call("POST", "/v1/lists/bob/entries", Some(&body))
            .await?
            .status
            == 201,
        "the socket reads any body as JSON"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokens_changes_are_its_users() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let token = create(node, "page", "1h").await?;
    let by_tcp = call(
        &mut tcp(node).await?,
        &token.text,
        "POST",
        "/v1/lists/bob/entries",
        Some(&json!({ "title": "a" })),
    )
    .await?
    .json();
    let by_socket = node
        .call(
            "POST",
            "/v1/lists/bob/entries",
            Some(&json!({ "title": "b" })),
        )
        .await?
        .json();
    ensure!(
        by_tcp["created_by"] == by_socket["created_by"],
        "{by_tcp} {by_socket}"
    );
    let mut client = tcp(node).await?;
    call(&mut client, &token.text, "GET", "/v1/node", None).await?;
    client
        .call("POST", "/add_entry?list=carl&date=2026-12-01&title=x", None)
        .await?;
    let anonymous = node.entries("carl").await?;
    ensure!(
        anonymous[0]["created_by"] == "http@n1",
        "a later request without the token is not its user's: {anonymous:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_says_what_needs_which_token() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let document = fleet.nodes[0].get("/v1/openapi.json").await?.json();
    ensure!(
        document["components"]["securitySchemes"]["token"]["scheme"] == "bearer",
        "{}",
        document["components"]["securitySchemes"]
    );
    let security = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
    ensure!(
        security("/v1/node", "get") == json!([{}, { "token": ["read"] }, { "token": ["page"] }])
    );
    ensure!(security("/v1/lists/{list}", "delete") == json!([{}, { "token": ["page"] }]));
    for (path, method) in [
        ("/v1/leave", "post"),
        ("/v1/tokens", "get"),
        ("/metrics", "get"),
    ] {
        ensure!(security(path, method) == json!([{}]), "{method} {path}");
    }
    Ok(())
}
