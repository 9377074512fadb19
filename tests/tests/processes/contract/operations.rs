//! Every path and status, against a running node and its OpenAPI document.

mod authority;
mod page;

use crate::fleet::Fleet;
use crate::http::{Answer, Client};
use crate::registry::{Sleeper, found, register};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a request is about, as the OpenAPI document writes it, and the request itself.
struct Try {
    template: &'static str,
    method: &'static str,
    path: String,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    expected: u16,
}

fn ask(
    template: &'static str,
    method: &'static str,
    path: impl Into<String>,
    expected: u16,
) -> Try {
    Try {
        template,
        method,
        path: path.into(),
        body: None,
        headers: Vec::new(),
        expected,
    }
}

impl Try {
    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

const ENTRIES: &str = "/v1/lists/{list}/entries";
const CHECK: &str = "/v1/lists/{list}/check";
const DOCUMENT: &str = "/v1/lists/{list}/document";
const ENTRY: &str = "/v1/lists/{list}/entries/{id}";
const ID: &str = "01JB00000000000000000TEST1";
const GONE: &str = "01JB00000000000000000TEST2";

fn away(method: &'static str, member: &str, expected: u16) -> Try {
    let path = format!("/v1/members/{member}/away");
    ask("/v1/members/{member}/away", method, path, expected)
}

fn damage() -> Vec<Try> {
    vec![
        ask("/v1/damage", "GET", "/v1/damage", 200),
        ask("/v1/damage/reissue", "POST", "/v1/damage/reissue", 200),
        ask(
            "/v1/damage/acknowledge",
            "POST",
            "/v1/damage/acknowledge",
            200,
        ),
    ]
}

fn backup() -> Vec<Try> {
    vec![
        ask("/v1/backup", "GET", "/v1/backup", 200),
        ask("/v1/backup", "GET", "/v1/backup?x=1", 400),
        ask("/v1/restore", "POST", "/v1/restore", 422),
        ask("/v1/restore", "POST", "/v1/restore?x=1", 400),
        ask("/v1/verify", "POST", "/v1/verify", 200),
        ask("/v1/verify", "POST", "/v1/verify?cursor=%21", 400),
        ask("/v1/verify", "POST", "/v1/verify?limit=0", 422),
    ]
}

fn quarantine() -> Vec<Try> {
    let of = |template, method, action: &str| {
        let path = format!("/v1/quarantine/nosuch{action}");
        ask(template, method, path, 404)
    };
    let (one, release, replace) = (
        "/v1/quarantine/{list}",
        "/v1/quarantine/{list}/release",
        "/v1/quarantine/{list}/replace",
    );
    vec![
        ask("/v1/quarantine", "GET", "/v1/quarantine", 200),
        ask("/v1/quarantine", "GET", "/v1/quarantine?x=1", 400),
        of(one, "GET", ""),
        of(release, "POST", "/release"),
        of(replace, "POST", "/replace?force=true"),
    ]
}

fn node_and_cluster() -> Vec<Try> {
    vec![
        ask("/v1/node", "GET", "/v1/node", 200),
        ask("/v1/node", "GET", "/v1/node?x=1", 400),
        ask("/v1/members", "GET", "/v1/members", 200),
        ask("/v1/members", "GET", "/v1/members?limit=0", 422),
        ask("/v1/members", "GET", "/v1/members?cursor=%21", 400),
        ask("/v1/members/join", "POST", "/v1/members/join", 200)
            .body(json!({ "addresses": ["127.0.0.1:9"] })),
        ask("/v1/members/join", "POST", "/v1/members/join", 400)
            .body(json!({ "address": "127.0.0.1:9" })),
        ask("/v1/members/join", "POST", "/v1/members/join", 422)
            .body(json!({ "addresses": ["no port"] })),
        ask("/v1/members/{member}", "DELETE", "/v1/members/nobody", 404),
        ask("/v1/members/{member}", "DELETE", "/v1/members/n2", 409),
        away("POST", "n2", 409).body(json!({ "for": "1d" })),
        away("POST", "n2", 422).body(json!({ "for": "1s" })),
        away("POST", "nobody", 404).body(json!({ "for": "1d" })),
        away("DELETE", "n2", 404),
        ask("/v1/partition", "GET", "/v1/partition", 200),
        ask("/v1/heals", "GET", "/v1/heals", 200),
        ask("/v1/heals", "GET", "/v1/heals?limit=0", 422),
        ask("/v1/heals/members", "GET", "/v1/heals/members", 200),
        ask("/v1/heals/members", "GET", "/v1/heals/members?limit=1", 400),
        ask("/v1/reach", "GET", "/v1/reach", 200),
        ask("/v1/reach", "GET", "/v1/reach?limit=1", 400),
        ask("/v1/status", "GET", "/v1/status", 200),
        ask("/v1/status", "GET", "/v1/status?verbose=1", 400),
        ask("/v1/debug/doctor", "GET", "/v1/debug/doctor", 200),
        ask("/v1/debug/events", "GET", "/v1/debug/events", 200),
        ask("/v1/debug/events", "GET", "/v1/debug/events?limit=1", 400),
        ask(
            "/v1/debug/configuration",
            "GET",
            "/v1/debug/configuration",
            200,
        ),
        ask(
            "/v1/debug/configuration",
            "GET",
            "/v1/debug/configuration?key=x",
            400,
        ),
        ask("/v1/debug/doctor", "GET", "/v1/debug/doctor?peer=n2", 400),
        ask("/v1/reload", "POST", "/v1/reload", 200),
        ask("/v1/rebuild", "POST", "/v1/rebuild", 200),
        ask("/v1/rebuild", "POST", "/v1/rebuild?list=nosuch", 404),
        ask("/v1/reload", "POST", "/v1/reload?x=1", 400),
        ask("/v1/log-level", "GET", "/v1/log-level", 200),
        ask("/v1/log-level", "PUT", "/v1/log-level", 200)
            .body(json!({ "level": "info,node=debug", "for": "10m" })),
        ask("/v1/log-level", "PUT", "/v1/log-level", 400).body(json!({ "loud": true })),
        ask("/v1/log-level", "PUT", "/v1/log-level", 422).body(json!({ "level": "inof" })),
        ask("/v1/log-level", "PUT", "/v1/log-level", 422)
            .body(json!({ "level": "info", "for": "25h" })),
        ask("/v1/log-level", "DELETE", "/v1/log-level", 200),
        ask("/v1/log-level", "DELETE", "/v1/log-level?x=1", 400),
        ask("/v1/events", "GET", "/v1/events?kinds=nonsense", 422),
        ask("/v1/events", "GET", "/v1/events?since=soon", 422),
        ask("/v1/events", "GET", "/v1/events?until=-1h", 422),
        ask("/v1/events", "GET", "/v1/events?last=1001", 422),
        ask("/v1/events", "GET", "/v1/events?last=many", 422),
        ask("/v1/events", "GET", "/v1/events?since=1h&until=0s", 200),
        ask("/v1/openapi.json", "GET", "/v1/openapi.json", 200),
        ask("/metrics", "GET", "/metrics", 200),
        ask("/healthz", "GET", "/healthz", 200),
        ask("/readyz", "GET", "/readyz", 200),
    ]
}

fn tokens() -> Vec<Try> {
    let create = |expected| ask("/v1/tokens", "POST", "/v1/tokens", expected);
    let token = "/v1/tokens/{id}";
    vec![
        ask("/v1/sd/prometheus", "GET", "/v1/sd/prometheus", 200),
        ask(
            "/v1/sd/prometheus",
            "GET",
            "/v1/sd/prometheus?group=crew",
            200,
        ),
        ask(
            "/v1/sd/prometheus",
            "GET",
            "/v1/sd/prometheus?group=a%20b",
            422,
        ),
        ask(
            "/v1/sd/prometheus",
            "GET",
            "/v1/sd/prometheus?groups=crew",
            400,
        ),
        create(201).body(json!({ "scope": "read" })),
        create(201).body(json!({ "scope": "sd", "ttl": "1y" })),
        create(400).body(json!({ "scope": "read", "uid": 7 })),
        create(400).body(json!({ "ttl": "15m" })),
        create(413).body(json!({ "scope": "x".repeat(2 << 20) })),
        create(422).body(json!({ "scope": "admin" })),
        create(422).body(json!({ "scope": "page", "ttl": "13h" })),
        create(422).body(json!({ "scope": "page", "ttl": "soon" })),
        ask("/v1/tokens", "POST", "/v1/tokens?timeout=1h", 422).body(json!({ "scope": "read" })),
        ask("/v1/tokens", "GET", "/v1/tokens", 200),
        ask("/v1/tokens", "GET", "/v1/tokens?limit=0", 422),
        ask("/v1/tokens", "GET", "/v1/tokens?cursor=%21", 400),
        ask(token, "DELETE", "/v1/tokens/0011223344556677", 404),
        ask(token, "DELETE", "/v1/tokens/nonsense", 404),
        ask(token, "DELETE", "/v1/tokens/0011223344556677?x=1", 400),
    ]
}

fn adding() -> Vec<Try> {
    let path = "/v1/lists/groceries/entries";
    let add = |expected| ask(ENTRIES, "POST", path, expected);
    vec![
        add(201).body(json!({ "title": "bread" })),
        add(201)
            .body(json!({ "id": ID, "title": "oat milk", "due": "2026-12-01", "tags": ["food"], "priority": "high", "assignee": "kim", "estimate": 90, "wait": "2026-11-01", "every": "FREQ=WEEKLY" })),
        add(200).body(json!({ "id": ID, "title": "oat milk" })),
        add(201).body(json!({ "entries": [{ "title": "tea" }, { "title": "salt" }, { "id": GONE, "title": "to be deleted" }] })),
        add(400).body(json!({ "titel": "typo" })),
        add(400).body(json!({ "title": 7 })),
        add(422).body(json!({ "title": "" })),
        add(422).body(json!({ "title": "two\nlines" })),
        add(422).body(json!({ "title": "x", "due": "2026-02-30" })),
        add(422).body(json!({ "title": "x", "priority": "urgent" })),
        add(422).body(json!({ "title": "x", "estimate": 0 })),
        add(422).body(json!({ "title": "x", "every": "FREQ=HOURLY" })),
        add(422).body(json!({ "title": "x", "wait": "soon" })),
        add(422).body(json!({ "title": "x", "before": "01JB00000000000000000N0NE9" })),
        add(422).body(json!({ "title": "x", "notes": "x".repeat(2 << 20) })),
        add(413).body(json!({ "entries": vec![json!({ "title": "x", "notes": "x".repeat(60_000) }); 100] })),
        add(422).body(json!({ "title": "x", "done_at": "2026-01-01T00:00:00Z" })),
        add(422).body(json!({ "title": "x", "created_at": "2999-01-01T00:00:00Z" })),
        ask(DOCUMENT, "GET", "/v1/lists/groceries/document", 200),
        ask(DOCUMENT, "GET", "/v1/lists/unknown/document", 404),
        ask(DOCUMENT, "PUT", "/v1/lists/groceries/document", 422).body(json!({ "no": "document" })),
        ask(CHECK, "POST", "/v1/lists/groceries/check", 200).body(json!({ "entries": [{ "id": ID, "title": "x" }, { "title": "" }] })),
        ask(CHECK, "POST", "/v1/lists/unknown/check", 200).body(json!({ "entries": [{ "title": "x" }] })),
        ask(CHECK, "POST", "/v1/lists/groceries/check", 400).body(json!({ "title": "x" })),
        ask(CHECK, "POST", "/v1/lists/groceries/check", 422).body(json!({ "entries": [] })),
        add(412).body(json!({ "title": "x" })).header("if-match", "\"0000000000000001\""),
        ask(ENTRIES, "POST", format!("{path}?replicas=all"), 201).body(json!({ "title": "everywhere" })),
        ask(ENTRIES, "POST", format!("{path}?replicas=9"), 422).body(json!({ "title": "x" })),
        ask(ENTRIES, "POST", format!("{path}?replicas=many"), 422).body(json!({ "title": "x" })),
        ask(ENTRIES, "POST", format!("{path}?timeout=1h"), 422).body(json!({ "title": "x" })),
        ask(ENTRIES, "POST", "/v1/lists/a%2Fb/entries", 422).body(json!({ "title": "x" })),
        ask(ENTRIES, "PUT", path, 405),
    ]
}

fn reading() -> Vec<Try> {
    let list = |query: &str, expected| {
        ask(
            ENTRIES,
            "GET",
            format!("/v1/lists/groceries/entries{query}"),
            expected,
        )
    };
    vec![
        ask("/v1/lists", "GET", "/v1/lists", 200),
        ask("/v1/lists", "GET", "/v1/lists?match=groc", 200),
        ask("/v1/lists", "GET", "/v1/lists?cursor=nonsense", 400),
        ask("/v1/lists", "GET", "/v1/lists?limit=1001", 422),
        ask("/v1/lists/{list}", "GET", "/v1/lists/groceries", 200),
        ask("/v1/lists/{list}", "GET", "/v1/lists/unknown", 404),
        list("", 200),
        list(
            "?state=open&due=2026-12-01&tag=food&assignee=kim&text=MILK&tz=Europe/Berlin",
            200,
        ),
        list("?due=none", 200),
        list("?estimate_min=1&estimate_max=90", 200),
        list("?estimate_max=soon", 422),
        list("?waiting=hide&tz=CET-1CEST,M3.5.0,M10.5.0/3", 200),
        list("?waiting=maybe", 422),
        list("?due=overdue", 200),
        list("?due_from=2026-01-01&due_to=2026-12-31", 200),
        list("?state=maybe", 422),
        list("?due=someday", 422),
        list("?tz=Nowhere/Land", 422),
        list("?colour=red", 400),
        list("?limit=x", 422),
        ask(ENTRIES, "GET", "/v1/lists/unknown/entries", 404),
        ask(
            ENTRY,
            "GET",
            format!("/v1/lists/groceries/entries/{ID}"),
            200,
        ),
        ask(ENTRY, "GET", "/v1/lists/groceries/entries/nonsense", 404),
        ask(
            "/v1/lists/{list}/conflicts",
            "GET",
            "/v1/lists/groceries/conflicts",
            200,
        ),
        ask(
            "/v1/lists/{list}/conflicts",
            "GET",
            "/v1/lists/unknown/conflicts",
            404,
        ),
        ask(
            "/v1/lists/{list}/resolve",
            "POST",
            "/v1/lists/unknown/resolve",
            422,
        )
        .body(json!({ "entry": "x", "field": "title", "value": "y" })),
        ask("/v1/entries", "GET", "/v1/entries?due_from=2026-12-01", 200),
        ask("/v1/entries", "GET", "/v1/entries?x=1", 400),
        ask(
            "/v1/lists/{list}/watch",
            "GET",
            "/v1/lists/unknown/watch",
            404,
        ),
    ]
}

fn changing() -> Vec<Try> {
    let path = format!("/v1/lists/groceries/entries/{ID}");
    let patch = |expected| ask(ENTRY, "PATCH", path.clone(), expected);
    vec![
        patch(200).body(json!({ "title": "oat milk, two", "done": true, "tags": ["food", "drink"], "due": null, "notes": "a\nb", "estimate": null, "wait": null, "every": null })),
        patch(400).body(json!({ "done": "yes" })),
        patch(400).body(json!({ "order": "a" })),
        patch(422).body(json!({ "title": null })),
        patch(422).body(json!({ "after": "01JB00000000000000000N0NE9" })),
        patch(412).body(json!({ "title": "x" })).header("if-match", "\"0000000000000001\""),
        ask(ENTRY, "PATCH", "/v1/lists/unknown/entries/01JB00000000000000000N0NE9", 404).body(json!({ "title": "x" })),
        ask(ENTRIES, "PATCH", "/v1/lists/groceries/entries", 200).body(json!({ "ids": [ID], "patch": { "priority": "low" }, "tag": ["more"], "untag": ["drink"] })),
        ask(ENTRIES, "PATCH", "/v1/lists/groceries/entries", 422).body(json!({ "ids": [ID], "delete": true, "tag": ["x"] })),
        ask(ENTRIES, "PATCH", "/v1/lists/groceries/entries", 400).body(json!({ "id": ID })),
        ask(ENTRIES, "PATCH", "/v1/lists/groceries/entries", 404).body(json!({ "ids": ["01JB00000000000000000N0NE9"], "delete": true })),
        ask(ENTRIES, "PATCH", "/v1/lists/unknown/entries", 404).body(json!({ "ids": [ID], "delete": true })),
        ask(ENTRY, "DELETE", format!("/v1/lists/groceries/entries/{GONE}"), 204),
        ask(ENTRY, "DELETE", format!("/v1/lists/groceries/entries/{GONE}"), 404),
        ask(ENTRY, "GET", format!("/v1/lists/groceries/entries/{GONE}"), 404),
        ask(ENTRIES, "POST", "/v1/lists/groceries/entries", 409).body(json!({ "id": GONE, "title": "again" })),
        ask(ENTRY, "DELETE", format!("{path}?replicas=2"), 200),
        ask("/v1/lists/{list}", "DELETE", "/v1/lists/groceries", 204),
        ask("/v1/lists/{list}", "DELETE", "/v1/lists/groceries", 404),
        ask("/v1/lists/{list}", "GET", "/v1/lists/groceries", 404),
        ask(HISTORY, "GET", "/v1/lists/groceries/history?limit=2", 200),
        ask(HISTORY, "GET", "/v1/lists/groceries/history?cursor=00", 400),
        ask(HISTORY, "GET", "/v1/lists/groceries/history?entry=x", 422),
        ask(HISTORY, "GET", "/v1/lists/unknown/history", 404),
        ask(UNDO, "POST", "/v1/lists/groceries/undo", 200).body(json!({})),
        ask(UNDO, "POST", "/v1/lists/groceries/undo", 422).body(json!({ "change": "x" })),
        ask(UNDO, "POST", "/v1/lists/groceries/undo", 404).body(json!({ "change": "0".repeat(64) })),
        ask(UNDO, "POST", "/v1/lists/unknown/undo", 404).body(json!({})),
        ask(REDO, "POST", "/v1/lists/groceries/redo?replicas=2", 200).body(json!({})),
        ask(REDO, "POST", "/v1/lists/groceries/redo", 404).body(json!({})),
    ]
}

const HISTORY: &str = "/v1/lists/{list}/history";
const UNDO: &str = "/v1/lists/{list}/undo";
const REDO: &str = "/v1/lists/{list}/redo";

const PROCESS: &str = "/v1/processes/{name}";
const MEMBER: &str = "/v1/groups/{group}/{name}";
const LINK: &str = "/v1/processes/{name}/links/{other}";
const LINKS: &str = "/v1/processes/{name}/links";
const EXIT: &str = "/v1/processes/{name}/exit";

/// `remote` runs on the other node.
fn registering(pid: u32) -> Vec<Try> {
    let put = |expected| ask(PROCESS, "PUT", "/v1/processes/web", expected);
    let all = json!({
        "pid": pid, "groups": ["eu"], "metadata": { "version": "2.1" }, "address": "127.0.0.1:80", "lifetime": "process",
        "on_conflict": "notify", "reports_exit": true,
    });
    vec![
        put(201).body(all.clone()),
        put(200).body(all),
        ask(PROCESS, "PUT", "/v1/processes/self", 201),
        put(409).body(json!({})),
        put(400).body(json!({ "pids": 7 })),
        put(400).body(json!({ "metadata": { "version": 2 } })),
        put(422).body(json!({ "pid": 0 })),
        put(422).body(json!({ "lifetime": "long" })),
        put(422).body(json!({ "metadata": { "two words": "" } })),
        put(413).body(json!({ "metadata": { "x": "x".repeat(2 << 20) } })),
        ask(PROCESS, "PUT", "/v1/processes/remote", 409).body(json!({ "pid": pid })),
        ask(PROCESS, "PUT", "/v1/processes/a%20b", 422).body(json!({ "pid": pid })),
        ask(PROCESS, "PUT", "/v1/processes/web?timeout=1h", 422).body(json!({ "pid": pid })),
    ]
}

fn finding() -> Vec<Try> {
    vec![
        ask("/v1/processes", "GET", "/v1/processes", 200),
        ask(
            "/v1/processes",
            "GET",
            "/v1/processes?prefix=we&node=n1&group=eu&local=true&state=up,contested",
            200,
        ),
        ask("/v1/processes", "GET", "/v1/processes?state=down", 422),
        ask("/v1/processes", "GET", "/v1/processes?limit=0", 422),
        ask("/v1/processes", "GET", "/v1/processes?cursor=nonsense", 400),
        ask("/v1/processes", "GET", "/v1/processes?name=web", 400),
        ask(PROCESS, "GET", "/v1/processes/web", 200),
        ask(PROCESS, "GET", "/v1/processes/nobody", 404),
        ask(PROCESS, "GET", "/v1/processes/a%20b", 422),
        ask("/v1/groups", "GET", "/v1/groups", 200),
        ask("/v1/groups", "GET", "/v1/groups?limit=1001", 422),
        ask("/v1/groups/{group}", "GET", "/v1/groups/eu", 200),
        ask("/v1/groups/{group}", "GET", "/v1/groups/nobody", 404),
        ask("/v1/groups/{group}", "GET", "/v1/groups/eu?state=down", 422),
        ask("/v1/groups/{group}", "GET", "/v1/groups/eu?cursor=21", 400),
        ask(
            "/v1/processes/{name}/monitor",
            "GET",
            "/v1/processes/nobody/monitor",
            404,
        ),
        ask(
            "/v1/processes/{name}/monitor",
            "GET",
            "/v1/processes/web/monitor?wait=maybe",
            422,
        ),
    ]
}

fn joining_and_linking() -> Vec<Try> {
    vec![
        ask(MEMBER, "PUT", "/v1/groups/us/web", 204),
        ask(MEMBER, "PUT", "/v1/groups/us/nobody", 404),
        ask(MEMBER, "PUT", "/v1/groups/us/remote", 409),
        ask(MEMBER, "PUT", "/v1/groups/u%20s/web", 422),
        ask(MEMBER, "DELETE", "/v1/groups/us/web", 204),
        ask(MEMBER, "DELETE", "/v1/groups/us/remote", 409),
        ask(LINK, "PUT", "/v1/processes/web/links/remote", 204),
        ask(
            LINK,
            "PUT",
            "/v1/processes/web/links/remote?unreachable=true",
            204,
        ),
        ask(LINK, "PUT", "/v1/processes/web/links/nobody", 404),
        ask(LINK, "PUT", "/v1/processes/web/links/x@nowhere%231.2", 404),
        ask(LINK, "PUT", "/v1/processes/web/links/x@y", 422),
        ask(LINK, "PUT", "/v1/processes/nobody/links/web", 404),
        ask(LINK, "PUT", "/v1/processes/remote/links/web", 409),
        ask(LINKS, "GET", "/v1/processes/web/links", 200),
        ask(LINKS, "GET", "/v1/processes/nobody/links", 404),
        ask(LINKS, "GET", "/v1/processes/remote/links", 409),
        ask(LINK, "DELETE", "/v1/processes/web/links/remote", 204),
        ask(LINK, "DELETE", "/v1/processes/nobody/links/web", 404),
    ]
}

fn ending() -> Vec<Try> {
    let exit = |expected| ask(EXIT, "POST", "/v1/processes/web/exit", expected);
    vec![
        exit(400).body(json!({ "exit": 1 })),
        exit(422).body(json!({})),
        exit(422).body(json!({ "code": 1, "signal": 9 })),
        exit(422).body(json!({ "signal": 0 })),
        exit(204).body(json!({ "code": 1 })),
        ask(EXIT, "POST", "/v1/processes/nobody/exit", 404).body(json!({ "code": 1 })),
        ask(EXIT, "POST", "/v1/processes/remote/exit", 409).body(json!({ "code": 1 })),
        ask(PROCESS, "DELETE", "/v1/processes/remote", 409),
        ask(PROCESS, "DELETE", "/v1/processes/web", 204),
        ask(PROCESS, "DELETE", "/v1/processes/web", 404),
        ask(PROCESS, "DELETE", "/v1/processes/self", 204),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_and_status_is_as_the_openapi_document_says() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let node = &fleet.nodes[0];
    let document = node.get("/v1/openapi.json").await?.json();
    let mut client = Client::connect(&node.socket()).await?;
    let (one, other) = (Sleeper::start()?, Sleeper::start()?);
    register(&fleet.nodes[1], "remote", json!({ "pid": other.pid() })).await?;
    found(node, "remote").await?;
    let registry = [
        registering(one.pid()),
        finding(),
        joining_and_linking(),
        ending(),
    ];
    let mut seen = BTreeSet::new();
    for attempt in [
        node_and_cluster(),
        damage(),
        quarantine(),
        backup(),
        authority::authority(),
        authority::revoking(),
        authority::withdrawing(),
        tokens(),
        page::codes(),
        adding(),
        reading(),
        changing(),
    ]
    .into_iter()
    .chain(registry)
    .flatten()
    {
        let headers: Vec<(&str, &str)> = attempt
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = client
            .call_with(
                attempt.method,
                &attempt.path,
                attempt.body.as_ref(),
                &headers,
            )
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(error.context(format!("{} {}", attempt.method, attempt.path))),
        };
        ensure!(
            answer.status == attempt.expected,
            "{} {}: expected {}, got \
            {answer:?}",
            attempt.method,
            attempt.path,
            attempt.expected
        );
        conforms(&attempt, &answer, &document)?;
        seen.insert((attempt.template, attempt.method));
        if answer.status == 413 {
            client = Client::connect(&node.socket()).await?;
        }
    }
    all_were_tried(&document, &seen)
}

/// All that is documented was tried, but what has a test of its own.
fn all_were_tried(
    document: &Value,
    seen: &BTreeSet<(&'static str, &'static str)>,
) -> anyhow::Result<()> {
    let elsewhere = [
        "/v1/events",
        "/v1/lists/{list}/watch",
        "/v1/leave",
        "/v1/debug/fault",
        "/v1/debug/hang",
        "/add_entry",
        "/entries",
    ];
    for (path, operations) in document["paths"].as_object().context("paths")? {
        for method in operations.as_object().context("operations")?.keys() {
            let tried = seen.contains(&(path.as_str(), method.to_uppercase().as_str()));
            ensure!(
                tried || elsewhere.contains(&path.as_str()),
                "{method} {path} is documented and not tried here"
            );
        }
    }
    Ok(())
}

/// The answer's status is documented for that operation, and errors are problems in words.
fn conforms(attempt: &Try, answer: &Answer, document: &Value) -> anyhow::Result<()> {
    let what = format!("{} {}: {}", attempt.method, attempt.path, answer.status);
    if answer.status >= 400 && attempt.template != "/readyz" {
        ensure!(
            answer
                .header("content-type")
                .starts_with("application/problem+json"),
            "{what}: no problem: {answer:?}"
        );
        let problem = answer.json();
        let words = problem["detail"].as_str().unwrap_or_default();
        ensure!(
            problem["status"] == answer.status && !words.is_empty(),
            "{what}: {problem}"
        );
        ensure!(
            problem["type"]
                .as_str()
                .is_some_and(|slug| slug.starts_with("/problems/")),
            "{what}: {problem}"
        );
    }
    if answer.status == 405 {
        ensure!(answer.header("allow").contains("POST"), "{what}: no Allow");
        return Ok(());
    }
    let operation = &document["paths"][attempt.template][attempt.method.to_lowercase()];
    let documented = operation["responses"]
        .as_object()
        .with_context(|| format!("{what}: {} is not documented", attempt.template))?;
    ensure!(
        documented.contains_key(&answer.status.to_string()),
        "{what} is not documented: \
        {:?}",
        documented.keys()
    );
    Ok(())
}
