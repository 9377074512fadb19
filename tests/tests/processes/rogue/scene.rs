//! What a rogue member must leave as it is.

use crate::fleet::{Fleet, Node, eventually};
use crate::registry::{Sleeper, found, register};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// Three nodes at work: `web` on n1, which ends when `db` on n2 does, and a list.
pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) web: Sleeper,
    pub(crate) db: Sleeper,
}

impl Scene {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::with(&[]).await
    }

    /// The same, with these variables in the environment of all nodes.
    pub(crate) async fn with(env: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let mut fleet = Fleet::new(3)?;
        for node in &mut fleet.nodes {
            node.env = env
                .iter()
                .map(|(key, value)| (*key, value.into()))
                .collect();
            node.start()?;
        }
        fleet.whole().await?;
        let (web, db) = (Sleeper::start()?, Sleeper::start()?);
        let [n1, n2, _] = &fleet.nodes[..] else {
            anyhow::bail!("three nodes")
        };
        register(n2, "db", json!({ "pid": db.pid() })).await?;
        found(n1, "db").await?;
        register(n1, "web", json!({ "pid": web.pid() })).await?;
        let link = n1.call("PUT", "/v1/processes/web/links/db", None).await?;
        ensure!(link.status == 204, "{link:?}");
        n1.add("bob", "milk").await?;
        fleet.agree().await?;
        Ok(Self { fleet, web, db })
    }

    /// All is as it has to be, whatever a member has said: every daemon runs and sees the others,
    /// nobody's process was ended, every node finds every process, and takes writes to the list.
    /// The same after all were killed and started from their disks.
    pub(crate) async fn stands(&mut self) -> anyhow::Result<()> {
        self.stands_now("before").await?;
        for node in &mut self.fleet.nodes {
            node.kill()?;
        }
        for node in &mut self.fleet.nodes {
            node.start()?;
        }
        self.stands_now("after").await
    }

    async fn stands_now(&mut self, when: &str) -> anyhow::Result<()> {
        for node in &self.fleet.nodes {
            sees_all(&self.fleet, node).await?;
            for name in ["web", "db"] {
                crate::registry::stands(node, name, "up").await?;
            }
        }
        for sleeper in [&mut self.web, &mut self.db] {
            ensure!(sleeper.runs()?, "a process was ended {when} the restart");
        }
        let mut titles = Vec::new();
        for node in &self.fleet.nodes {
            let title = format!("{} {when}", node.name);
            node.add("bob", &title).await?;
            titles.push(title);
        }
        for node in &self.fleet.nodes {
            eventually(&format!("{} has all entries", node.name), async || {
                let entries = node.entries("bob").await?;
                let has =
                    |title: &String| entries.iter().any(|entry| entry["title"] == title.as_str());
                ensure!(titles.iter().all(has), "{entries:?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// The most resident memory of a node, in MiB.
    pub(crate) fn memory_mib(&self) -> anyhow::Result<u64> {
        self.most_mib("VmRSS:")
    }

    /// The most resident memory that a node has ever had, in MiB.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<u64> {
        self.most_mib("VmHWM:")
    }

    fn most_mib(&self, what: &str) -> anyhow::Result<u64> {
        let mut most = 0;
        for node in &self.fleet.nodes {
            let pid = node
                .pid()
                .with_context(|| format!("{} has ended", node.name))?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix(what));
            let kib = line.and_then(|line| line.split_whitespace().next());
            most = most.max(kib.context("a process has memory")?.parse::<u64>()? / 1024);
        }
        Ok(most)
    }
}

/// Waits until a node sees all nodes of the fleet alive, whomever else it sees.
async fn sees_all(fleet: &Fleet, node: &Node) -> anyhow::Result<()> {
    eventually(&format!("{} sees all nodes", node.name), async || {
        let members = node.get("/v1/members?limit=1000").await?.json();
        let all = crate::fleet::items(&members);
        let is_alive = |node: &Node| {
            let is_it = |member: &Value| member["name"] == node.name.as_str();
            all.iter()
                .any(|member| is_it(member) && member["state"] == "alive")
        };
        ensure!(fleet.nodes.iter().all(is_alive), "{members}");
        Ok(())
    })
    .await
}
