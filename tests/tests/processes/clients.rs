//! Clients that generators make of the OpenAPI document work against a running node, and the page's
//! types are those of the document.

use crate::fleet::{Fleet, Node, run};
use anyhow::{Context, ensure};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document() -> PathBuf {
    root().join("daemon/api/openapi.json")
}

/// What tools are installed into, once for each list of them.
fn cache(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(name)
}

/// One test at a time installs tools.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock()
}

/// Whether what that file lists is installed already.
fn is_installed(list: &Path, dir: &Path) -> anyhow::Result<bool> {
    let installed = std::fs::read(dir.join(".installed")).ok();
    Ok(installed == Some(std::fs::read(list)?))
}

/// The directory in which openapi-typescript is.
fn typescript() -> anyhow::Result<PathBuf> {
    npm("typescript")
}

/// The directory in which the packages of `tests/clients/NAME` are, with what uses them.
pub(crate) fn npm(name: &str) -> anyhow::Result<PathBuf> {
    let sources = root().join("tests/clients").join(name);
    let dir = cache(name);
    std::fs::create_dir_all(&dir)?;
    let lock = sources.join("package-lock.json");
    if !is_installed(&lock, &dir)? {
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(sources.join(name), dir.join(name))?;
        }
        let quiet = ["--no-audit", "--no-fund", "--ignore-scripts"];
        run(Command::new("npm").arg("ci").args(quiet).current_dir(&dir))?;
        std::fs::copy(lock, dir.join(".installed"))?;
    }
    for source in std::fs::read_dir(sources)? {
        let source = source?;
        std::fs::copy(source.path(), dir.join(source.file_name()))?;
    }
    Ok(dir)
}

/// The directory of a Python environment in which openapi-python-client is.
fn python() -> anyhow::Result<PathBuf> {
    let (list, dir) = (
        root().join("tests/clients/python/requirements.txt"),
        cache("python"),
    );
    std::fs::create_dir_all(&dir)?;
    if !is_installed(&list, &dir)? {
        run(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
        let quiet = ["install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(dir.join("bin/pip")).args(quiet).arg(&list))?;
        std::fs::copy(list, dir.join(".installed"))?;
    }
    Ok(dir)
}

fn make_types(dir: &Path, out: &Path) -> anyhow::Result<()> {
    run(Command::new("node")
        .arg("node_modules/openapi-typescript/bin/cli.js")
        .arg(document())
        .arg("--output")
        .arg(out)
        .current_dir(dir))
    .map(drop)
}

async fn node_and_token(fleet: &Fleet) -> anyhow::Result<(&Node, String, String)> {
    let node = &fleet.nodes[0];
    let listener = node.get("/v1/node").await?.json();
    let base = format!(
        "http://{}",
        listener["http"].as_str().context("no listener")?
    );
    let created = node
        .call("POST", "/v1/tokens", Some(&json!({ "scope": "page" })))
        .await?
        .json();
    let token = created["token"].as_str().context("no token")?.to_owned();
    Ok((node, base, token))
}

/// Holds what a client printed against what the node has.
async fn judge(node: &Node, list: &str, printed: &str) -> anyhow::Result<()> {
    let told: Value = serde_json::from_str(printed)?;
    let entries = node.entries(list).await?;
    ensure!(entries.len() == 1, "{entries:?}");
    let expected = json!({
        "node": node.name, "id": entries[0]["id"], "ids": [entries[0]["id"]], "priority": "high",
    });
    ensure!(told == expected, "{told} is not {expected}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_openapi_typescript_works() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let (node, base, token) = node_and_token(&fleet).await?;
    let printed = {
        let _turn = turn();
        let dir = typescript()?;
        make_types(&dir, Path::new("document.d.ts"))?;
        let options = ["--strict", "--target", "es2022", "--module", "nodenext"];
        run(Command::new("node")
            .arg("node_modules/typescript/bin/tsc")
            .args(options)
            .args(["--lib", "es2022,dom", "calls.ts"])
            .current_dir(&dir))?;
        run(Command::new("node")
            .args(["calls.js", &base, &token])
            .current_dir(&dir))?
    };
    judge(node, "from%20TypeScript", &printed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_openapi_python_client_works() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let (node, base, token) = node_and_token(&fleet).await?;
    let printed = {
        let _turn = turn();
        let dir = python()?;
        let made = run(Command::new(dir.join("bin/openapi-python-client"))
            .args(["generate", "--meta", "none", "--overwrite", "--path"])
            .arg(document())
            .args(["--output-path", "muster_client"])
            .env("PATH", format!("{}/bin:/usr/bin:/bin", dir.display()))
            .current_dir(&dir))?;
        ensure!(!made.contains("Error"), "{made}");
        run(Command::new(dir.join("bin/python3"))
            .arg(root().join("tests/clients/python/calls.py"))
            .args([&base, &token])
            .env("PYTHONPATH", &dir)
            .current_dir(&dir))?
    };
    judge(node, "from%20Python", &printed).await
}

#[test]
fn the_types_of_the_page_are_those_of_the_document() -> anyhow::Result<()> {
    let _turn = turn();
    let dir = typescript()?;
    make_types(&dir, Path::new("page.d.ts"))?;
    let (fresh, kept) = (
        dir.join("page.d.ts"),
        root().join("dashboards/web/src/document.ts"),
    );
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::copy(&fresh, &kept)?;
    }
    ensure!(
        std::fs::read(fresh)? == std::fs::read(kept)?,
        "dashboards/web/src/document.ts differs; UPDATE_OPENAPI=1 cargo test -p tests \
        the_types_of_the_page, then npm run build in dashboards/web, makes it anew"
    );
    Ok(())
}
