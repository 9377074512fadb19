//! Registered processes, found from every node; and what these tests share.

use crate::fleet::{Fleet, Node, eventually, items};
use crate::http::{Client, Events};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

/// A process that does nothing until it is told to end, or the test ends.
pub(crate) struct Sleeper(Child);

impl Sleeper {
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::run("read line")
    }

    /// A shell script whose standard input is open for as long as this lives.
    pub(crate) fn run(script: &str) -> anyhow::Result<Self> {
        Ok(Self(
            Command::new("sh")
                .args(["-c", script])
                .stdin(Stdio::piped())
                .spawn()?,
        ))
    }

    /// One of another user.
    pub(crate) fn of_uid(uid: u32) -> anyhow::Result<Self> {
        let uid = uid.to_string();
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            &uid,
            "--regid",
            &uid,
            "--clear-groups",
            "sh",
            "-c",
            "echo; read line",
        ]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // What it writes shows that it has changed its user.
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().context("its output")?, &mut line)?;
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.0), signal)?)
    }

    /// Ends its input: the script goes on.
    pub(crate) fn wake(&mut self) {
        drop(self.0.stdin.take());
    }

    pub(crate) fn runs(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Waits for its end. (The child's own `wait` closes its input first.)
    pub(crate) async fn ended(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let ended = async || self.0.try_wait()?.context("it still runs");
        eventually("a process ends", ended).await
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Registers a process, which must succeed; gives its handle.
pub(crate) async fn register(node: &Node, name: &str, body: Value) -> anyhow::Result<String> {
    let answer = node
        .call("PUT", &format!("/v1/processes/{name}"), Some(&body))
        .await?;
    ensure!(answer.status == 201, "{answer:?}");
    Ok(answer.json()["handle"]
        .as_str()
        .context("a process has a handle")?
        .to_owned())
}

/// Waits until a node knows a name; gives the process.
pub(crate) async fn found(node: &Node, name: &str) -> anyhow::Result<Value> {
    eventually(&format!("{} finds {name}", node.name), async || {
        let answer = node.get(&format!("/v1/processes/{name}")).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(answer.json())
    })
    .await
}

/// Waits until a node knows that nobody has a name.
pub(crate) async fn gone(node: &Node, name: &str) -> anyhow::Result<()> {
    eventually(
        &format!("{} knows that {name} is gone", node.name),
        async || {
            let answer = node.get(&format!("/v1/processes/{name}")).await?;
            ensure!(answer.status == 404, "{answer:?}");
            Ok(())
        },
    )
    .await
}

/// Waits until a name stands so on a node.
pub(crate) async fn stands(node: &Node, name: &str, state: &str) -> anyhow::Result<Value> {
    eventually(&format!("{name} is {state} on {}", node.name), async || {
        let process = node.get(&format!("/v1/processes/{name}")).await?.json();
        ensure!(process["state"] == state, "{process}");
        Ok(process)
    })
    .await
}

/// Monitors a name on a node; its snapshot has been read.
pub(crate) async fn monitor(node: &Node, name: &str) -> anyhow::Result<Events> {
    let mut events = Events::follow(
        &node.socket(),
        &format!("/v1/processes/{name}/monitor?wait=true"),
        None,
    )
    .await?;
    let (first, _, _) = events.next().await?;
    ensure!(first == "snapshot", "{first}");
    Ok(events)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_found_from_every_node_as_it_was_registered() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let sleeper = Sleeper::start()?;
    let body = json!({ "pid": sleeper.pid(), "groups": ["web", "eu"], "metadata": { "v": "2" }, "address": "127.0.0.1:80" });
    let handle = register(&fleet.nodes[0], "web:1", body).await?;
    for node in &fleet.nodes {
        let process = found(node, "web:1").await?;
        ensure!(
            process["handle"] == handle && process["state"] == "up" && process["node"] == "n1",
            "{process}"
        );
        ensure!(
            process["local"] == (node.name == "n1") && process["pid"] == sleeper.pid(),
            "{process}"
        );
        ensure!(
            process["groups"] == json!(["eu", "web"]) && process["metadata"] == json!({ "v": "2" }),
            "{process}"
        );
        ensure!(
            process["address"] == "127.0.0.1:80" && process["others"] == json!([]),
            "{process}"
        );
        ensure!(
            process["uid"] == rustix::process::getuid().as_raw(),
            "{process}"
        );
        ensure!(
            process["exe"]
                .as_str()
                .is_some_and(|exe| exe.starts_with('/')),
            "{process}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_held_until_it_is_given_back() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (one, other) = (Sleeper::start()?, Sleeper::start()?);
    let handle = register(&fleet.nodes[0], "web", json!({ "pid": one.pid() })).await?;
    found(&fleet.nodes[1], "web").await?;
    for node in &fleet.nodes {
        let refused = node
            .call(
                "PUT",
                "/v1/processes/web",
                Some(&json!({ "pid": other.pid() })),
            )
            .await?;
        ensure!(
            refused.status == 409 && refused.json()["holder"] == handle,
            "{refused:?}"
        );
        ensure!(
            refused.json()["type"] == "/problems/held" && refused.json()["since"].is_string(),
            "{refused:?}"
        );
    }
    let elsewhere = fleet.nodes[1]
        .call("DELETE", "/v1/processes/web", None)
        .await?;
    ensure!(
        elsewhere.status == 409 && elsewhere.json()["node"] == "n1",
        "{elsewhere:?}"
    );
    ensure!(
        fleet.nodes[0]
            .call("DELETE", "/v1/processes/web", None)
            .await?
            .status
            == 204
    );
    gone(&fleet.nodes[1], "web").await?;
    let taken = register(&fleet.nodes[1], "web", json!({ "pid": other.pid() })).await?;
    ensure!(taken != handle);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_again_everything_is_replaced_and_the_claim_stays() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let sleeper = Sleeper::start()?;
    register(
        node,
        "web",
        json!({ "pid": sleeper.pid(), "groups": ["a"], "metadata": { "x": "1" } }),
    )
    .await?;
    let before = found(node, "web").await?;
    let again = node
        .call(
            "PUT",
            "/v1/processes/web",
            Some(&json!({ "pid": sleeper.pid(), "groups": ["b"] })),
        )
        .await?;
    ensure!(again.status == 200, "{again:?}");
    let after = again.json();
    ensure!(
        after["groups"] == json!(["b"]) && after["metadata"] == json!({}),
        "{after}"
    );
    ensure!(
        after["since"] == before["since"] && after["handle"] == before["handle"],
        "{after}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_show_local_members_first_and_pages_show_all_once() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let sleeper = Sleeper::start()?;
    for (index, names) in [(0, ["a", "c", "e"]), (1, ["b", "d", "f"])] {
        for name in names {
            register(
                &fleet.nodes[index],
                name,
                json!({ "pid": sleeper.pid(), "groups": ["all"] }),
            )
            .await?;
        }
    }
    for name in ["a", "c", "e"] {
        found(&fleet.nodes[1], name).await?;
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = fleet.nodes[1]
            .get(&format!("/v1/groups/all?limit=2{cursor}"))
            .await?
            .json();
        names.extend(
            items(&page)
                .iter()
                .filter_map(|process| process["name"].as_str().map(str::to_owned)),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(names == ["b", "d", "f", "a", "c", "e"], "{names:?}");
    let local = fleet.nodes[1]
        .get("/v1/groups/all?local=true")
        .await?
        .json();
    ensure!(items(&local).len() == 3, "{local}");
    ensure!(
        fleet.nodes[1].get("/v1/groups").await?.json()["items"]
            == json!([{ "name": "all", "members": 6 }])
    );
    ensure!(
        fleet.nodes[1]
            .call("PUT", "/v1/groups/more/b", None)
            .await?
            .status
            == 204
    );
    ensure!(
        fleet.nodes[1]
            .call("DELETE", "/v1/groups/all/b", None)
            .await?
            .status
            == 204
    );
    let process = found(&fleet.nodes[1], "b").await?;
    ensure!(process["groups"] == json!(["more"]), "{process}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pid_the_caller_itself_is_registered() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let mut client = Client::connect(&fleet.nodes[0].socket()).await?;
    let answer = client.call("PUT", "/v1/processes/me", None).await?;
    ensure!(
        answer.status == 201 && answer.json()["pid"] == std::process::id(),
        "{answer:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_belongs_to_its_user_and_root() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: changing the user needs root");
        return Ok(());
    }
    const UID: u32 = 65_534;
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    node.let_others_in()?;
    let (roots, theirs) = (Sleeper::start()?, Sleeper::of_uid(UID)?);
    let curl = |method: &str, path: &str, pid: Option<u32>| {
        let body = pid.map(|pid| json!({ "pid": pid }));
        node.status_as(UID, method, &format!("/v1/{path}"), body.as_ref())
    };
    ensure!(
        curl("PUT", "processes/web", Some(roots.pid()))? == "403",
        "another user's process"
    );
    ensure!(
        curl("PUT", "processes/web", Some(theirs.pid()))? == "201",
        "its own"
    );
    register(node, "admin", json!({ "pid": roots.pid() })).await?;
    for path in [
        "processes/admin",
        "groups/g/admin",
        "processes/admin/links/web",
    ] {
        let method = if path.starts_with("processes/admin/") || path.starts_with("groups") {
            "PUT"
        } else {
            "DELETE"
        };
        ensure!(curl(method, path, None)? == "403", "{method} {path}");
    }
    ensure!(
        curl("PUT", "processes/web/links/admin", None)? == "204",
        "its own may be signalled"
    );
    let process = found(node, "web").await?;
    ensure!(process["uid"] == UID, "{process}");
    ensure!(
        node.call("DELETE", "/v1/processes/web", None).await?.status == 204,
        "root may do all of it"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_processes() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let mut events =
        Events::follow(&fleet.nodes[1].socket(), "/v1/events?kinds=process", None).await?;
    ensure!(
        events.next().await?.2["items"] == json!([]),
        "processes are not in the snapshot"
    );
    let sleeper = Sleeper::start()?;
    let handle = register(&fleet.nodes[0], "web", json!({ "pid": sleeper.pid() })).await?;
    let (_, _, up) = events.next().await?;
    ensure!(
        up["kind"] == "process"
            && up["type"] == "up"
            && up["name"] == "web"
            && up["handle"] == handle,
        "{up}"
    );
    ensure!(
        fleet.nodes[0]
            .call("DELETE", "/v1/processes/web", None)
            .await?
            .status
            == 204
    );
    let (_, _, down) = events.next().await?;
    ensure!(
        down["type"] == "down" && down["reason"] == "unregistered" && down["node"] == "n1",
        "{down}"
    );
    Ok(())
}
