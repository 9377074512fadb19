//! Lists out to files of other programs, and in from them.

use crate::fleet::{Fleet, Node, program};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

const UID: u32 = 65_534;

/// Runs `muster` with that on its standard input.
fn fed(node: &Node, args: &[&str], input: &[u8]) -> anyhow::Result<Output> {
    feed(node, &mut Command::new(program("muster")), args, input)
}

fn feed(node: &Node, command: &mut Command, args: &[&str], input: &[u8]) -> anyhow::Result<Output> {
    let mut child = command
        .arg("--socket")
        .arg(node.socket())
        .args(args)
        .env("TZ", "Europe/Berlin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    // A command that has seen enough reads no more.
    let _ = stdin.write_all(input);
    drop(stdin);
    Ok(child.wait_with_output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn export(node: &Node, list: &str, format: &str) -> anyhow::Result<String> {
    let output = fed(node, &["export", list, "--format", format], b"")?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn import(node: &Node, list: &str, format: &str, file: &str) -> anyhow::Result<String> {
    let output = fed(
        node,
        &["import", list, "-", "--format", format],
        file.as_bytes(),
    )?;
    ensure!(output.status.success(), "{output:?}");
    Ok(text(&output.stderr))
}

/// The entries without what an import cannot bring: who has written them here, where and when.
fn settable(mut entries: Vec<Value>) -> Vec<Value> {
    for entry in &mut entries {
        for told in [
            "created_by",
            "modified_at",
            "modified_by",
            "order",
            "position",
        ] {
            entry.as_object_mut().map(|entry| entry.remove(told));
        }
    }
    entries
}

/// A list with an entry of each kind.
async fn filled(node: &Node) -> anyhow::Result<()> {
    let entries = json!({ "entries": [
        { "title": "Sweep, rinse; repeat", "due": "2090-03-05", "wait": "2090-03-03", "priority": "high",
          "tags": ["deck", "big shop", "@phone"], "notes": "twice:\n\tonce \"wet\"\n\nback\\slash", "assignee": "Kim O'Neill",
          "estimate": 90, "every": "FREQ=WEEKLY;BYDAY=MO,TH" },
        { "title": "milk" },
        { "title": "=2+5 *bold* <b>x</b>", "done": true, "due": "2026-03-02T17:00:00Z", "priority": "low", "created_at": "2026-01-02T03:04:05.678Z", "done_at": "2026-02-02T03:04:05.678Z" },
        { "title": "Ünïcödé 日本 👩\u{200d}👧", "notes": "one\ntwo", "tags": ["project:home"] },
    ] });
    let added = node
        .call("POST", "/v1/lists/home/entries", Some(&entries))
        .await?;
    ensure!(added.status == 201, "{added:?}");
    // The next one of a series.
    let id = added.json()["items"][0]["id"]
        .as_str()
        .context("an id")?
        .to_owned();
    let path = format!("/v1/lists/home/entries/{id}");
    let ticked = node
        .call("PATCH", &path, Some(&json!({ "done": true })))
        .await?;
    ensure!(ticked.status == 200, "{ticked:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_json_takes_out_goes_in_again_without_loss() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    filled(node).await?;
    let before = node.entries("home").await?;
    ensure!(before.len() == 5, "{before:?}");
    let file = export(node, "home", "json")?;
    let told = import(node, "again", "json", &file)?;
    ensure!(told.contains("5 entries imported"), "{told}");
    let after = node.entries("again").await?;
    ensure!(settable(before) == settable(after.clone()), "{after:?}");
    // Edited, ticked and deleted here: a second import touches nothing of it.
    let ids: Vec<&str> = after
        .iter()
        .filter_map(|entry| entry["id"].as_str())
        .collect();
    for args in [
        vec!["edit", "again", ids[1], "--title", "oat milk"],
        vec!["done", "again", ids[1]],
        vec!["rm", "again", ids[2]],
    ] {
        ensure!(node.muster(&args)?.status.success(), "{args:?}");
    }
    let changed = node.entries("again").await?;
    let told = import(node, "again", "json", &file)?;
    ensure!(
        told.contains(
            "0 entries imported; 4 here already, left as they are; 1 deleted here, left out"
        ),
        "{told}"
    );
    ensure!(
        node.entries("again").await? == changed,
        "an import has changed entries"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_formats_come_back_and_double_nothing() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    filled(node).await?;
    for format in ["todo.txt", "ics", "taskwarrior"] {
        let list = format!("by {format}");
        let file = export(node, "home", format)?;
        import(node, &list, format, &file)?;
        let back = export(node, &list, format)?;
        // A calendar and Taskwarrior say when an entry was changed, which is now.
        let lines = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| {
                !line.starts_with("DTSTAMP")
                    && !line.starts_with("LAST-MOD")
                    && !line.starts_with("X-WR-")
            });
            let cut = |line: &str| match line.split_once("\"modified\":\"") {
                Some((before, after)) => format!("{before}{}", after.get(16..).unwrap_or_default()),
                None => line.to_owned(),
            };
            lines.map(cut).collect()
        };
        ensure!(lines(&back) == lines(&file), "{format}:\n{file}\n{back}");
        let again = import(node, "home", format, &file)?;
        ensure!(
            again.contains("0 entries imported; 5 here already"),
            "{format}: {again}"
        );
    }
    for (format, expected) in [
        ("csv", "\"'=2+5 *bold* <b>x</b>\""),
        ("markdown", "- [x] =2+5 \\*bold\\* \\<b\\>x\\</b\\>"),
    ] {
        let file = export(node, "home", format)?;
        ensure!(file.contains(expected), "{file}");
        let refused = fed(
            node,
            &["import", "x", "-", "--format", format],
            file.as_bytes(),
        )?;
        ensure!(refused.status.code() == Some(2), "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_whole_with_each_bad_line() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut lines: Vec<String> = (1..=12_000)
        .map(|n| format!("task {n} due:2026-03-05"))
        .collect();
    lines[2_500] = "bad\u{7}line".to_owned();
    lines[11_999] = "x".repeat(5_000);
    let file = lines.join("\n");
    let refused = fed(
        node,
        &["import", "big", "-", "--format", "todo.txt"],
        file.as_bytes(),
    )?;
    let words = text(&refused.stderr);
    ensure!(refused.status.code() == Some(2), "{words}");
    ensure!(
        words.contains("nothing was imported: 2 lines are not right"),
        "{words}"
    );
    ensure!(
        words.contains("line 2501: ") && words.contains("line 12000: \"title\" has 5000"),
        "{words}"
    );
    ensure!(
        node.get("/v1/lists/big").await?.status == 404,
        "half of it is there"
    );
    let missing = node.muster(&["import", "big", "/nonexistent.ics"])?;
    ensure!(missing.status.code() == Some(3), "{missing:?}");
    let unknown = node.muster(&["import", "big", "list.docx"])?;
    ensure!(unknown.status.code() == Some(2), "{unknown:?}");
    ensure!(text(&unknown.stderr).contains("--format"), "{unknown:?}");
    // More than a call takes.
    lines[2_500] = "good".to_owned();
    lines[11_999] = "good".to_owned();
    let file = lines.join("\n");
    let dry = fed(
        node,
        &["import", "big", "-", "--format", "todo.txt", "--dry-run"],
        file.as_bytes(),
    )?;
    ensure!(dry.status.success(), "{dry:?}");
    ensure!(
        text(&dry.stdout).lines().count() == 12_000,
        "each entry that would come is shown"
    );
    ensure!(
        node.get("/v1/lists/big").await?.status == 404,
        "a dry run has imported"
    );
    for expected in [
        "12000 entries imported",
        "0 entries imported; 12000 here already",
    ] {
        let told = import(node, "big", "todo.txt", &file)?;
        ensure!(told.contains(expected), "{told}");
    }
    let all = node.entries("big").await?;
    ensure!(
        all.len() == 12_000 && all[11_998]["title"] == "task 11999",
        "{:?}",
        all.last()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_added_all_or_none() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut lines: Vec<String> = (1..=3_000).map(|n| n.to_string()).collect();
    lines[2_500] = "bad\u{7}line".to_owned();
    let add = |lines: &[String]| {
        fed(
            node,
            &["add", "part", "-", "--tag", "new"],
            lines.join("\r\n").as_bytes(),
        )
    };
    for _ in 0..2 {
        let refused = add(&lines)?;
        ensure!(refused.status.code() == Some(2), "{refused:?}");
        let words = text(&refused.stderr);
        ensure!(
            words.contains("nothing was added: 1 line is not right\n  line 2501: "),
            "{words}"
        );
        ensure!(
            node.get("/v1/lists/part").await?.status == 404,
            "some were added"
        );
    }
    lines[2_500] = "a\ttab".to_owned();
    // The same lines on purpose are other entries.
    for times in 1..=2 {
        let added = add(&lines)?;
        ensure!(added.status.success(), "{added:?}");
        ensure!(
            text(&added.stdout).lines().count() == 3_000,
            "each is shown"
        );
        let all = node.entries("part").await?;
        ensure!(all.len() == times * 3_000, "{}", all.len());
        ensure!(
            all[2_500]["title"] == "a tab" && all[2_999]["title"] == "3000",
            "the order"
        );
        ensure!(all[0]["tags"] == json!(["new"]), "{}", all[0]);
    }
    Ok(())
}

/// Debian's Taskwarrior takes what comes out, and what it gives goes in.
#[tokio::test(flavor = "multi_thread")]
async fn taskwarrior_itself_takes_a_list_and_gives_it_back() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    filled(node).await?;
    let weekly = json!({ "title": "water the plants", "due": "2090-03-01", "every": "FREQ=WEEKLY;INTERVAL=2" });
    let added = node
        .call("POST", "/v1/lists/home/entries", Some(&weekly))
        .await?;
    ensure!(added.status == 201, "{added:?}");
    let home = tempfile::tempdir()?;
    let rc = home.path().join("taskrc");
    std::fs::write(
        &rc,
        format!(
            "data.location={}\nconfirmation=no\nverbose=nothing\n",
            home.path().display()
        ),
    )?;
    let task = |args: &[&str], input: &str| -> anyhow::Result<String> {
        let file = home.path().join("in.json");
        std::fs::write(&file, input)?;
        let output = Command::new("task")
            .args(args)
            .env("TASKRC", &rc)
            .env("HOME", home.path())
            .env("TZ", "Europe/Berlin")
            .stdin(std::fs::File::open(&file)?)
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let file = export(node, "home", "taskwarrior")?;
    task(&["import", "-"], &file)?;
    // It makes the open instance of what recurs, which is the entry here.
    task(&["list"], "")?;
    let given = task(&["export"], "")?;
    ensure!(given.contains("\"parent\""), "{given}");
    let told = import(node, "back", "taskwarrior", &given)?;
    ensure!(
        told.contains("6 entries imported") && told.contains("open instances"),
        "{told}"
    );
    let sorted = |text: &str| {
        let mut tasks: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        for task in &mut tasks {
            task.as_object_mut().map(|task| task.remove("modified"));
        }
        tasks.sort_by_key(|task| task["uuid"].to_string());
        tasks
    };
    let back = export(node, "back", "taskwarrior")?;
    ensure!(sorted(&back) == sorted(&file), "{file}\n{back}");
    task(&["import", "-"], &back)?;
    let told = import(node, "home", "taskwarrior", &task(&["export"], "")?)?;
    ensure!(
        told.contains("0 entries imported; 6 here already"),
        "{told}"
    );
    Ok(())
}

/// A user who may not write all of it: what was added is known, and the rest goes in once.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_were_added_in_part_can_be_given_again() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: changing the user needs root");
        return Ok(());
    }
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    let config = std::fs::read_to_string(node.config())?;
    let limits = "\n[limits]\nwritten_per_uid = 2300000\n";
    std::fs::write(node.config(), config + limits)?;
    node.start()?;
    fleet.whole().await?;
    let node = &fleet.nodes[0];
    node.let_others_in()?;
    let lines: Vec<String> = (1..=12_000).map(|n| format!("{n:0100}")).collect();
    let kept = tempfile::tempdir()?;
    std::fs::set_permissions(kept.path(), PermissionsExt::from_mode(0o777))?;
    let mut command = Command::new(program("muster"));
    command.uid(UID).env("TMPDIR", kept.path());
    let broken = feed(
        node,
        &mut command,
        &["add", "part", "-"],
        lines.join("\n").as_bytes(),
    )?;
    let words = text(&broken.stderr);
    ensure!(
        words.contains("10000 of 12000 were added for certain"),
        "{broken:?}"
    );
    let file = words.trim().rsplit_once(' ').context("a file")?.1;
    ensure!(
        words.contains(&format!("muster import 'part' {file}")),
        "{words}"
    );
    let rest = node.muster(&["import", "part", file])?;
    ensure!(
        text(&rest.stderr).contains("2000 entries imported; 10000 here already"),
        "{rest:?}"
    );
    let all = node.entries("part").await?;
    let titles: Vec<&str> = all
        .iter()
        .filter_map(|entry| entry["title"].as_str())
        .collect();
    ensure!(titles == lines, "{}", titles.len());
    Ok(())
}
