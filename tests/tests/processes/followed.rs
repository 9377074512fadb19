//! Commands that print what happens for as long as their user lets them: also over a restart of the
//! daemon.

use crate::fleet::{Fleet, Node, eventually, program};
use anyhow::ensure;
use std::fs::{File, read_to_string};
use std::path::PathBuf;
use std::process::{Child, Command};

/// A command that runs until the test ends, with its output in files.
struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    fn start(node: &Node, args: &[&str]) -> anyhow::Result<Self> {
        let name = args.join("-");
        let out = node.dir.join(format!("{name}.out"));
        let err = node.dir.join(format!("{name}.err"));
        let child = Command::new(program("muster"))
            .arg("--socket")
            .arg(node.socket())
            .args(args)
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()?;
        Ok(Self { child, out, err })
    }

    fn printed(&self) -> anyhow::Result<String> {
        Ok(read_to_string(&self.out)?)
    }

    fn told(&self) -> anyhow::Result<String> {
        Ok(read_to_string(&self.err)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_followed_goes_on_when_the_daemon_is_back() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let node = &mut fleet.nodes[0];
    node.add("kept", "bread").await?;
    let events = Running::start(node, &["events"])?;
    let watch = Running::start(node, &["watch", "kept"])?;
    eventually("both print", async || {
        // The command prints nothing when it has opened its stream.
        node.add("first", "x").await?;
        ensure!(events.printed()?.contains("first") && watch.printed()?.contains("bread"));
        Ok(())
    })
    .await?;
    node.kill()?;
    eventually("both say that the daemon is gone", async || {
        let told = [events.told()?, watch.told()?];
        ensure!(told.iter().all(|told| told.contains("the daemon is gone")));
        Ok(())
    })
    .await?;
    node.start()?;
    node.add("second", "x").await?;
    node.add("kept", "butter").await?;
    eventually("both go on", async || {
        ensure!(events.printed()?.contains("second") && watch.printed()?.contains("butter"));
        Ok(())
    })
    .await?;
    for running in [&events, &watch] {
        let told = running.told()?;
        ensure!(told.lines().count() == 1, "{told}");
    }
    Ok(())
}
