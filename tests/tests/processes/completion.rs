//! Completion in a shell, which asks the daemon for names.

use crate::fleet::{Fleet, program, run};
use anyhow::ensure;
use std::process::Command;

/// What Bash offers for the last of the words that were typed after `muster`.
const ASK: &str = r#"
source <(muster completions bash)
COMP_WORDS=(muster "$@")
COMP_CWORD=$#
_muster muster "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_completes_commands_and_names() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let entry = node.add("Weekly chores", "sweep the deck").await?;
    node.add("groceries", "bread").await?;
    let path = program("muster");
    let path = path.parent().map(|dir| dir.display().to_string());
    let path = format!(
        "{}:{}",
        path.unwrap_or_default(),
        std::env::var("PATH").unwrap_or_default()
    );
    let offered = |words: &[&str]| -> anyhow::Result<Vec<String>> {
        let said = run(Command::new("bash")
            .args(["-c", ASK, "bash"])
            .args(words)
            .env("PATH", &path)
            .env("MUSTER_SOCKET", node.socket()))?;
        Ok(said.lines().map(str::to_owned).collect())
    };
    ensure!(offered(&["memb"])? == ["members"]);
    ensure!(offered(&["show", "gro"])? == ["groceries"]);
    ensure!(offered(&["show", "Wee"])? == ["Weekly\\ chores"]);
    let all = offered(&["done", "Weekly chores", ""])?;
    let short = all.first().map_or("", String::as_str);
    ensure!(
        !short.is_empty() && entry.ends_with(short),
        "{all:?} {entry}"
    );
    let name = &node.name;
    ensure!(offered(&["forget", ""])?.contains(name));
    // An option in front says whom to ask; where nobody answers there is nothing to offer.
    let elsewhere = node.dir.join("nobody").display().to_string();
    let none = offered(&["--socket", &elsewhere, "show", "gro"])?;
    ensure!(none.iter().all(|word| !word.starts_with("gro")), "{none:?}");
    Ok(())
}
