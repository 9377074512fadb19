//! `muster top` at a terminal, which tmux has.

use crate::fleet::{Fleet, Node, eventually, program, run};
use anyhow::ensure;
use std::process::Command;

/// A terminal with a shell in it, gone with the test.
struct Terminal {
    server: String,
}

impl Terminal {
    fn open(node: &Node, width: u16, height: u16) -> anyhow::Result<Self> {
        let terminal = Self {
            server: node.dir.join("tmux").display().to_string(),
        };
        let (width, height) = (width.to_string(), height.to_string());
        let shell = "env PS1='> ' TERM=screen sh";
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &width,
            "-y",
            &height,
            shell,
        ])?;
        Ok(terminal)
    }

    fn tmux(&self, args: &[&str]) -> anyhow::Result<String> {
        run(Command::new("tmux").arg("-S").arg(&self.server).args(args))
    }

    /// Types a line.
    fn type_line(&self, line: &str) -> anyhow::Result<()> {
        self.tmux(&["send-keys", "-l", line])?;
        self.tmux(&["send-keys", "Enter"]).map(drop)
    }

    fn press(&self, key: &str) -> anyhow::Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    fn resize(&self, width: u16, height: u16) -> anyhow::Result<()> {
        self.tmux(&[
            "resize-window",
            "-x",
            &width.to_string(),
            "-y",
            &height.to_string(),
        ])
        .map(drop)
    }

    fn screen(&self) -> anyhow::Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    async fn shows(&self, words: &str) -> anyhow::Result<()> {
        eventually(&format!("the screen shows {words:?}"), async || {
            let screen = self.screen()?;
            ensure!(screen.contains(words), "{screen}");
            Ok(())
        })
        .await
    }

    /// Types a question to the shell, once it has the screen again; it is answered when the
    /// terminal reads lines as before.
    async fn is_the_shells(&self) -> anyhow::Result<()> {
        eventually("the screen is the shell's", async || {
            ensure!(!self.screen()?.contains("EVENTS"));
            Ok(())
        })
        .await?;
        self.type_line("stty -a | grep -qw -- -icanon || echo as it was, $((1 + 1)) > /dev/tty")?;
        self.shows("as it was, 2").await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}

fn top(node: &Node) -> String {
    format!(
        "{} --socket {} top",
        program("muster").display(),
        node.socket().display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_the_cluster_live_and_leaves_the_terminal_as_it_was() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    let terminal = Terminal::open(&fleet.nodes[0], 80, 24)?;
    terminal.type_line("echo before")?;
    terminal.type_line(&top(&fleet.nodes[0]))?;
    for words in [
        "whole: 3 of 3 members",
        "n1 ",
        "n2 ",
        "n3 ",
        "EVENTS",
        "q quit",
    ] {
        terminal.shows(words).await?;
    }
    ensure!(
        !terminal.screen()?.contains("before"),
        "it has a screen of its own"
    );
    fleet.nodes[0].add("groceries", "milk").await?;
    terminal.shows("list groceries was created").await?;
    fleet.nodes[2].kill()?;
    terminal.shows("warning: n3 is down").await?;
    terminal.shows("n3 is down (no answer").await?;
    terminal.resize(50, 10)?;
    terminal.shows("50x10 is too small").await?;
    terminal.resize(120, 40)?;
    terminal.shows("majority: 2 of 3 members").await?;
    terminal.press("q")?;
    terminal.shows("before").await?;
    terminal.is_the_shells().await
}

#[tokio::test(flavor = "multi_thread")]
async fn top_says_that_the_daemon_is_gone_and_finds_it_again() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let terminal = Terminal::open(&fleet.nodes[0], 80, 24)?;
    // A pid is needed below: exec keeps that of the shell that prints it.
    let pid_file = fleet.nodes[0].dir.join("top.pid");
    terminal.type_line(&format!(
        "sh -c 'echo $$ > {}; exec \
        {}'",
        pid_file.display(),
        top(&fleet.nodes[0])
    ))?;
    terminal.shows("whole: 1 of 1 members").await?;
    fleet.nodes[0].kill()?;
    terminal.shows("The daemon does not answer since").await?;
    fleet.nodes[0].start()?;
    terminal.shows("the daemon answers again").await?;
    terminal.shows("whole: 1 of 1 members").await?;
    let pid = std::fs::read_to_string(&pid_file)?;
    run(Command::new("kill").args(["-TERM", pid.trim()]))?;
    terminal.is_the_shells().await?;
    terminal.type_line("clear")?;
    terminal.type_line(&top(&fleet.nodes[0]))?;
    terminal.shows("EVENTS").await?;
    terminal.press("C-c")?;
    terminal.is_the_shells().await
}

#[tokio::test(flavor = "multi_thread")]
async fn top_refuses_what_is_no_terminal_in_words() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    for (args, words) in [
        (&["top"][..], "needs a terminal"),
        (&["--json", "top"], "is for people"),
    ] {
        let output = fleet.nodes[0].muster(args)?;
        ensure!(
            output.status.code() == Some(2) && output.stdout.is_empty(),
            "{output:?}"
        );
        ensure!(
            String::from_utf8_lossy(&output.stderr).contains(words),
            "{output:?}"
        );
    }
    Ok(())
}
