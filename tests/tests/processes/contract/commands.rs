//! Every command with its exit code.

use crate::fleet::{Fleet, Node};
use crate::registry::Sleeper;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::process::Stdio;

/// Each command with its exit code: 0 done, 2 wrong usage, 3 not found, 4 conflict, 5 timeout.
fn commands<'a>(id: &'a str, pid: &'a str) -> Vec<(Vec<&'a str>, i32)> {
    let groups = [
        of_the_node(),
        of_lists(id),
        of_transfer(),
        of_tokens(),
        of_registering(pid),
        of_processes(),
        of_help(),
    ];
    groups.concat()
}

fn of_the_node() -> Vec<(Vec<&'static str>, i32)> {
    vec![
        (vec!["status"], 0),
        (vec!["top"], 2),
        (vec!["members"], 0),
        (vec!["members", "--state", "alive"], 0),
        (vec!["partition"], 0),
        (vec!["reach"], 0),
        (vec!["heals"], 0),
        (vec!["heals", "ffffffff"], 3),
        (vec!["partition", "--require", "majority"], 0),
        (vec!["partition", "--wait", "whole"], 0),
        (vec!["partition", "--require", "some"], 2),
        (vec!["heals", "--all"], 0),
        (vec!["heals", "ffffffff", "--all"], 2),
        (vec!["reload"], 0),
        (vec!["log-level"], 0),
        (vec!["log-level", "debug", "--for", "1m"], 0),
        (vec!["log-level", "inof"], 2),
        (vec!["log-level", "--reset"], 0),
        (vec!["join", "127.0.0.1:9"], 1),
        (vec!["join", "127.0.0.1:9", "--token", "x"], 2),
        (vec!["join", "127.0.0.1:9", "--name", "x"], 2),
        (vec!["invite"], 4),
        (vec!["invite", "--ttl", "1s"], 2),
        (vec!["invite", "--role", "king"], 2),
        (vec!["invitations"], 4),
        (vec!["uninvite", "0011"], 4),
        (vec!["authority"], 0),
        (vec!["authority", "renew"], 4),
        (vec!["forget", "nobody"], 3),
        (vec!["forget", "n2"], 4),
    ]
}

fn of_transfer() -> Vec<(Vec<&'static str>, i32)> {
    vec![
        (vec!["add", "moved", "by hand"], 0),
        (vec!["export", "moved"], 0),
        (vec!["export", "moved", "--format", "ics"], 0),
        (vec!["export", "moved", "--format", "automerge"], 0),
        (vec!["export", "nothing", "--format", "automerge"], 3),
        (vec!["import", "moved", "-", "--format", "automerge"], 2),
        (vec!["export", "nothing"], 3),
        (vec!["export", "moved", "--format", "docx"], 2),
        (vec!["import", "moved", "-", "--format", "todo.txt"], 0),
        (vec!["import", "moved", "-"], 2),
        (vec!["import", "moved", "nosuch.json"], 3),
    ]
}

fn of_lists(id: &str) -> Vec<(Vec<&str>, i32)> {
    vec![
        (
            vec![
                "add",
                "chores",
                "sweep",
                "--due",
                "+3d",
                "--tag",
                "deck",
                "--priority",
                "high",
                "--note",
                "twice",
            ],
            0,
        ),
        (vec!["add", "chores", "rinse", "--replicas", "majority"], 0),
        (vec!["add", "chores", "x", "--replicas", "3"], 2),
        (vec!["add", "chores", "x", "--replicas", "most"], 2),
        (vec!["add", "chores", ""], 2),
        (vec!["add", "chores", "x", "--due", "someday"], 2),
        (vec!["add", "chores"], 2),
        (vec!["lists"], 0),
        (vec!["lists", "--match", "cho"], 0),
        (vec!["show", "chores"], 0),
        (vec!["show", "chores", "--open", "--tag", "deck"], 0),
        (vec!["show", "chores", id], 0),
        (vec!["show", "chores", "ZZZZZZ"], 3),
        (vec!["show", "chores", id, "--open"], 2),
        (vec!["show", "chores", "--overdue", "--sort", "due"], 0),
        (vec!["show", "chores", "--no-due", "--priority", "none"], 0),
        (
            vec!["show", "chores", "--text", "s", "--assignee", "kim"],
            0,
        ),
        (vec!["show", "nothing"], 3),
        (vec!["agenda", "--list", "chores", "--tag", "deck"], 0),
        (vec!["agenda"], 0),
        (vec!["agenda", "--today"], 0),
        (vec!["edit", "chores", id, "--title", "polish"], 0),
        (vec!["edit", "chores", "ZZZZZZ", "--title", "x"], 3),
        (vec!["done", "chores", id], 0),
        (vec!["reopen", "chores", id], 0),
        (vec!["conflicts", "chores"], 0),
        (vec!["conflicts"], 0),
        (vec!["resolve", "chores", id, "title", "x"], 4),
        (vec!["log", "chores"], 0),
        (vec!["log", "chores", id, "--limit", "2"], 0),
        (vec!["log", "nothing"], 3),
        (vec!["undo", "chores"], 0),
        (vec!["redo", "chores"], 0),
        (vec!["redo", "chores"], 3),
        (vec!["undo", "chores", "0011223344"], 3),
        (vec!["undo", "chores", "zz"], 2),
        (vec!["redo", "nothing"], 3),
        (vec!["move", "chores", id, "--before", id], 2),
        (vec!["rm", "chores", id], 0),
        (vec!["rm", "chores", id], 3),
        (vec!["rm-list", "chores", "--yes"], 0),
        (vec!["rm-list", "chores"], 3),
    ]
}

fn of_tokens() -> Vec<(Vec<&'static str>, i32)> {
    vec![
        (vec!["token", "create"], 0),
        (vec!["token", "create", "--scope", "sd", "--ttl", "90d"], 0),
        (
            vec!["token", "create", "--scope", "page", "--ttl", "90d"],
            2,
        ),
        (vec!["token", "create", "--scope", "all"], 2),
        (vec!["token", "list"], 0),
        (vec!["token", "revoke", "zzz"], 3),
        (vec!["token", "revoke", "z"], 2),
        (vec!["web"], 0),
        (vec!["web", "--json"], 0),
    ]
}

fn of_registering(pid: &str) -> Vec<(Vec<&str>, i32)> {
    vec![
        (vec!["ps"], 0),
        (
            vec![
                "ps", "--prefix", "w", "--on", "n1", "--group", "g", "--state", "up", "--local",
            ],
            0,
        ),
        (vec!["ps", "--state", "asleep"], 2),
        (
            vec![
                "register",
                "tests",
                "--pid",
                pid,
                "--group",
                "g",
                "--meta",
                "a=1",
                "--address",
                "127.0.0.1:80",
            ],
            0,
        ),
        (vec!["register", "tests", "--pid", pid], 0),
        (vec!["register", "tests", "--pid", "4294967295"], 2),
        (vec!["register", "not a name", "--pid", pid], 2),
        (vec!["register", "tests", "--meta", "a"], 2),
        (
            vec!["register", "other", "--pid", pid, "--on-conflict", "notify"],
            0,
        ),
        (vec!["run", "tests", "--", "true"], 4),
        (
            vec!["run", "job", "--restart", "on-failure:3/1m", "--", "true"],
            0,
        ),
        (vec!["run", "job", "--restart", "always", "--", "true"], 2),
    ]
}

fn of_processes() -> Vec<(Vec<&'static str>, i32)> {
    vec![
        (vec!["whereis", "tests"], 0),
        (vec!["whereis", "nobody"], 3),
        (vec!["groups"], 0),
        (vec!["groups", "nobody"], 3),
        (vec!["group", "join", "g", "tests", "other"], 0),
        (vec!["group", "join", "g", "nobody"], 3),
        (vec!["groups", "g"], 0),
        (vec!["group", "leave", "g", "tests"], 0),
        (vec!["monitor", "nobody", "--once"], 3),
        (vec!["link", "tests", "other", "--unreachable"], 0),
        (vec!["link", "nobody", "other"], 3),
        (vec!["links", "tests"], 0),
        (vec!["links", "nobody"], 3),
        (vec!["unlink", "tests", "other"], 0),
        (vec!["unregister", "other"], 0),
        (vec!["unregister", "tests"], 0),
        (vec!["unregister", "tests"], 3),
    ]
}

fn of_help() -> Vec<(Vec<&'static str>, i32)> {
    vec![
        (vec!["completions", "bash"], 0),
        (vec!["help"], 0),
        (vec!["help", "add"], 0),
        (vec!["nonsense"], 2),
        (vec!["--json", "members"], 0),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_does_what_its_exit_code_says() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let node = &fleet.nodes[0];
    let id = node.add("chores", "the one").await?;
    let sleeper = Sleeper::start()?;
    let pid = sleeper.pid().to_string();
    for (words, expected) in commands(&id, &pid) {
        let output = node.muster(&words)?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            output.status.code() == Some(expected),
            "muster {words:?}: {}, not {expected}: \
            {text}",
            output.status
        );
        ensure!(
            expected == 0 || !output.stderr.is_empty(),
            "muster {words:?} fails without a \
            word"
        );
        // `join` answers which addresses it could not join; `top` is for people alone.
        if expected != 0 && words[0] != "join" {
            problem_in_json(node, &words, expected)?;
        }
    }
    unreachable(node)
}

/// The same failure, for a program.
fn problem_in_json(node: &Node, words: &[&str], expected: i32) -> anyhow::Result<()> {
    let output = node.muster(&[&["--json"], words].concat())?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(expected) && output.stdout.is_empty(),
        "muster --json {words:?}: {output:?}"
    );
    let problem: Value =
        serde_json::from_str(&told).with_context(|| format!("{words:?}: {told}"))?;
    ensure!(
        ["type", "title", "detail"]
            .iter()
            .all(|field| problem[field].as_str().is_some_and(|text| !text.is_empty())),
        "muster --json {words:?}: {told}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_until_as_many_nodes_have_its_change_as_it_asks_for() -> anyhow::Result<()>
{
    let mut fleet = Fleet::started(2).await?;
    let titles = |node: &Node, words: &[&str]| {
        let mut add = std::process::Command::new(crate::fleet::program("muster"))
            .arg("--socket")
            .arg(node.socket())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = add.stdin.take().context("no standard input")?;
        std::io::Write::write_all(&mut input, b"one\ntwo\n")?;
        drop(input);
        anyhow::Ok(add.wait_with_output()?)
    };
    let all = ["add", "chores", "-", "--replicas", "all"];
    let added = titles(&fleet.nodes[0], &all)?;
    ensure!(added.status.success(), "{added:?}");
    let other = fleet.nodes[1].get("/v1/lists/chores/entries").await?.json();
    ensure!(
        other["items"]
            .as_array()
            .is_some_and(|items| items.len() == 2),
        "they are on the other node when the command ends: {other}"
    );

    fleet.nodes[1].kill()?;
    let short = [&["--timeout", "300ms"], &all[..]].concat();
    let late = titles(&fleet.nodes[0], &short)?;
    let lines = String::from_utf8_lossy(&late.stdout).lines().count();
    ensure!(
        late.status.code() == Some(5) && lines == 2,
        "what was added is told, and that it is on one node only: {late:?}"
    );
    let words = String::from_utf8_lossy(&late.stderr);
    ensure!(words.contains("not yet on 2 nodes; it is on n1"), "{words}");
    Ok(())
}

fn unreachable(node: &Node) -> anyhow::Result<()> {
    let nowhere = std::process::Command::new(crate::fleet::program("muster"))
        .args(["--socket", "/nonexistent/s", "lists"])
        .output()?;
    ensure!(nowhere.status.code() == Some(6), "{nowhere:?}");
    ensure!(
        String::from_utf8_lossy(&nowhere.stderr).contains("/nonexistent/s"),
        "it lists the places that it tried"
    );
    let json = node.muster(&["--json", "show", "nothing"])?;
    ensure!(
        json.stdout.is_empty() && !json.stderr.is_empty(),
        "problems go to stderr"
    );
    Ok(())
}
