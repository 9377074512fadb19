//! The page in the browser: its link, its files, and stories that `dashboards/web/test` tells in
//! Chromium with a real cluster.

use crate::fleet::{Fleet, Node, program, run};
use crate::http::{Answer, Client};
use crate::story::Dev;
use anyhow::{Context, ensure};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// More than the page may have in all.
const MAX_BYTES: usize = 150_000;
const FILES: [&str; 3] = ["index.html", "page.js", "page.css"];

async fn tcp(node: &Node) -> anyhow::Result<Client> {
    let listener = node.get("/v1/node").await?.json();
    Client::connect_tcp(listener["http"].as_str().context("no listener")?).await
}

async fn code(node: &Node) -> anyhow::Result<Value> {
    let made = node.call("POST", "/v1/web/codes", None).await?;
    ensure!(
        made.status == 201 && made.header("cache-control") == "no-store",
        "{made:?}"
    );
    Ok(made.json())
}

async fn trade(client: &mut Client, code: &Value) -> anyhow::Result<Answer> {
    let json = [("content-type", "application/json")];
    client
        .call_with(
            "POST",
            "/v1/web/token",
            Some(&json!({ "code": code })),
            &json,
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_traded_once_for_a_token_that_can_end_itself() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let (made, mut client) = (code(node).await?, tcp(node).await?);
    let id = node.get("/v1/node").await?.json()["id"].clone();
    let state = format!("/v1/web/codes/{}", made["id"].as_str().context("no id")?);
    ensure!(
        made["url"]
            .as_str()
            .is_some_and(|url| url.ends_with(&format!(
                "/#code={}.{}",
                made["code"].as_str().unwrap_or("?"),
                id.as_str().unwrap_or("?")
            ))),
        "{made}"
    );
    ensure!(node.get(&state).await?.status == 200);

    let traded = trade(&mut client, &made["code"]).await?;
    ensure!(
        traded.status == 201 && traded.header("cache-control") == "no-store",
        "{traded:?}"
    );
    let token = traded.json();
    ensure!(
        token["scope"] == "page" && token["uid"] == rustix::process::geteuid().as_raw(),
        "{token}"
    );
    ensure!(node.get(&state).await?.status == 404, "it waits no longer");
    for used in [&made["code"], &json!("nonsense"), &json!("")] {
        let again = trade(&mut client, used).await?;
        ensure!(
            again.status == 403 && again.json()["type"] == "/problems/bad-code",
            "{again:?}"
        );
    }

    let bearer = format!("Bearer {}", token["token"].as_str().context("no token")?);
    let bearing = [("authorization", bearer.as_str())];
    ensure!(
        client
            .call_with("GET", "/v1/lists", None, &bearing)
            .await?
            .status
            == 200
    );
    ensure!(
        client
            .call_with("POST", "/v1/web/codes", None, &bearing)
            .await?
            .status
            == 403,
        "a token makes no codes"
    );
    ensure!(
        client
            .call_with("DELETE", "/v1/web/token", None, &bearing)
            .await?
            .status
            == 204
    );
    ensure!(
        client
            .call_with("GET", "/v1/lists", None, &bearing)
            .await?
            .status
            == 401
    );
    ensure!(
        node.call("DELETE", "/v1/web/token", None).await?.status == 403,
        "the socket has no token to end"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_another_node_spends_no_code() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let (made, mut client) = (code(node).await?, tcp(node).await?);
    let state = format!("/v1/web/codes/{}", made["id"].as_str().context("no id")?);
    let meant = json!({ "code": made["code"], "node": "0".repeat(32) });
    let declared = [("content-type", "application/json")];
    let elsewhere = client.call_with("POST", "/v1/web/token", Some(&meant), &declared);
    let elsewhere = elsewhere.await?;
    ensure!(
        elsewhere.status == 409 && elsewhere.json()["type"] == "/problems/other-node",
        "{elsewhere:?}"
    );
    ensure!(node.get(&state).await?.status == 200, "it spends no code");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_trades_no_code() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let (made, mut client) = (code(node).await?, tcp(node).await?);
    let body = json!({ "code": made["code"] });
    let elsewhere = [
        ("content-type", "application/json"),
        ("origin", "http://evil.example"),
    ];
    ensure!(
        client
            .call_with("POST", "/v1/web/token", Some(&body), &elsewhere)
            .await?
            .status
            == 403
    );
    ensure!(
        client
            .call_with(
                "POST",
                "/v1/web/token",
                Some(&body),
                &[("content-type", "text/plain")]
            )
            .await?
            .status
            == 415
    );
    ensure!(
        trade(&mut client, &made["code"]).await?.status == 201,
        "neither has spent it"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_are_for_anyone_and_under_a_strict_policy() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let mut client = tcp(&fleet.nodes[0]).await?;
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
    ] {
        let file = client.call("GET", path, None).await?;
        ensure!(
            file.status == 200 && file.header("content-type").starts_with(kind),
            "{path}: {:?}",
            file.headers
        );
        let policy = file.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            ensure!(policy.contains(rule), "{path}: {policy}");
        }
        ensure!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        ensure!(
            file.header("x-content-type-options") == "nosniff"
                && file.header("referrer-policy") == "no-referrer",
            "{path}"
        );
        let tag = file.header("etag").to_owned();
        let known = client
            .call_with("GET", path, None, &[("if-none-match", &tag)])
            .await?;
        ensure!(
            known.status == 304 && known.text.is_empty() && known.header("etag") == tag,
            "{known:?}"
        );
        let head = client.call("HEAD", path, None).await?;
        ensure!(head.status == 200 && head.text.is_empty(), "{head:?}");
        ensure!(
            client.call("POST", path, None).await?.status == 405,
            "{path}"
        );
    }
    ensure!(
        client.call("GET", "/v1/lists", None).await?.status == 401,
        "what it shows takes a token"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_listener_says_so() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.env.push(("MUSTERD_HTTP__LISTEN", "none".into()));
    node.start()?;
    let refused = node.call("POST", "/v1/web/codes", None).await?;
    ensure!(
        refused.status == 409 && refused.json()["type"] == "/problems/no-listener",
        "{refused:?}"
    );
    let output = node.muster(&["web"])?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(4) && words.contains("[http] listen"),
        "{output:?}"
    );
    Ok(())
}

/// What a desktop has: opens the file that it is given, as a browser would, which then trades the
/// code.
const OPENER: &str = r#"#!/bin/sh
set -e
stat -c %a "$1" > "$OUT/mode"
tr '\0' ' ' < /proc/$$/cmdline > "$OUT/arguments"
url=$(sed -n 's/.*url=\([^"]*\)".*/\1/p' "$1")
link=${url#*#code=}
curl -s --fail -o "$OUT/token" -H 'Content-Type: application/json' -d "{\"code\": \"${link%.*}\", \"node\": \"${link#*.}\"}" "${url%%/\#*}/v1/web/token"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_opened_through_a_file_of_its_users() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let (node, out) = (&fleet.nodes[0], fleet.dir.path());
    let (bin, runtime) = (out.join("bin"), out.join("runtime"));
    std::fs::create_dir_all(&bin)?;
    std::fs::create_dir_all(&runtime)?;
    std::fs::write(bin.join("xdg-open"), OPENER)?;
    std::fs::set_permissions(bin.join("xdg-open"), std::fs::Permissions::from_mode(0o755))?;
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let open = || {
        let mut muster = Command::new(program("muster"));
        muster
            .arg("--socket")
            .arg(node.socket())
            .args(["web", "--open"]);
        muster
            .env("PATH", &path)
            .env("OUT", out)
            .env("XDG_RUNTIME_DIR", &runtime)
            .stdin(Stdio::null());
        muster
    };
    ensure!(run(&mut open())?.contains("open in the browser"));
    let read = |name: &str| std::fs::read_to_string(out.join(name));
    ensure!(
        read("mode")?.trim() == "600" && read("token")?.contains("\"scope\":\"page\""),
        "{} {}",
        read("mode")?,
        read("token")?
    );
    ensure!(
        !read("arguments")?.contains("code"),
        "{}",
        read("arguments")?
    );
    ensure!(
        std::fs::read_dir(&runtime)?.next().is_none(),
        "the file is removed"
    );
    let homeless = open().env_remove("XDG_RUNTIME_DIR").output()?;
    ensure!(
        homeless.status.code() == Some(1)
            && String::from_utf8_lossy(&homeless.stderr).contains("XDG_RUNTIME_DIR"),
        "{homeless:?}"
    );
    Ok(())
}

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/web")
}

/// One story at a time: a browser and three daemons are enough for a machine. What the first one
/// installs serves all.
fn turn() -> anyhow::Result<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock();
    let (wanted, installed) = (
        std::fs::read(web().join("package-lock.json"))?,
        web().join("node_modules/.installed"),
    );
    if std::fs::read(&installed).ok().as_ref() != Some(&wanted) {
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(web()))?;
        std::fs::write(installed, wanted)?;
    }
    Ok(turn)
}

/// Tells a story with a cluster of its own; gives what it printed.
fn tell(story: &str) -> anyhow::Result<String> {
    let _turn = turn()?;
    let dev = Dev::start()?;
    let mut node = Command::new("node");
    node.arg(format!("test/{story}.mjs"))
        .current_dir(web())
        .env("MUSTER", program("muster"))
        .env("MUSTER_DEV_DIR", dev.cluster());
    run(&mut node).with_context(|| format!("what the cluster said: {}", dev.out()))
}

#[test]
fn the_built_page_is_that_of_its_source_and_small() -> anyhow::Result<()> {
    let _turn = turn()?;
    run(Command::new("npm")
        .args(["run", "--silent", "check"])
        .current_dir(web()))?;
    let fresh = tempfile::tempdir()?;
    run(Command::new("node")
        .arg("build.mjs")
        .arg(fresh.path())
        .current_dir(web()))?;
    let mut bytes = 0;
    for file in FILES {
        let built = std::fs::read(fresh.path().join(file))?;
        ensure!(
            built == std::fs::read(web().join("dist").join(file))?,
            "dist/{file} is not what \
            src/ makes: npm run build, and commit it"
        );
        bytes += built.len();
    }
    ensure!(bytes < MAX_BYTES, "{bytes} bytes");
    Ok(())
}

#[test]
fn two_browsers_on_two_sides_of_a_cut_see_both_when_it_heals() -> anyhow::Result<()> {
    tell("two-sides").map(drop)
}

#[test]
fn the_page_outlives_the_daemon_and_saves_what_was_typed_meanwhile() -> anyhow::Result<()> {
    tell("restart").map(drop)
}

#[test]
fn a_link_is_good_once_and_a_session_ends_in_order() -> anyhow::Result<()> {
    tell("signing-in").map(drop)
}

#[test]
fn the_page_stops_when_another_node_answers() -> anyhow::Result<()> {
    tell("another-node").map(drop)
}

#[test]
fn many_windows_share_what_connections_a_browser_has() -> anyhow::Result<()> {
    tell("windows").map(drop)
}

#[test]
fn all_of_the_page_is_used_by_the_keyboard_alone() -> anyhow::Result<()> {
    tell("keyboard").map(drop)
}

#[test]
fn entries_are_moved_by_mouse_and_by_finger() -> anyhow::Result<()> {
    tell("dragging").map(drop)
}

#[test]
fn a_phone_shows_all_of_it_and_scrolls_down_only() -> anyhow::Result<()> {
    tell("phone").map(drop)
}

#[test]
fn axe_finds_no_barrier_in_light_and_in_dark() -> anyhow::Result<()> {
    tell("accessibility").map(drop)
}

#[test]
fn hostile_text_stays_text() -> anyhow::Result<()> {
    tell("hostile").map(drop)
}

#[test]
fn what_the_node_refuses_is_told_and_kept() -> anyhow::Result<()> {
    tell("refused").map(drop)
}

#[test]
fn a_change_elsewhere_comes_to_the_page_and_its_figures_are_told() -> anyhow::Result<()> {
    let figures = tell("figures")?;
    ensure!(figures.lines().count() == 3, "{figures}");
    print!("{figures}");
    Ok(())
}
