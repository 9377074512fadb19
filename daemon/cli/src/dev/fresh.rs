//! `--fresh`: deletes what `muster dev` made, and nothing else.

use super::layout::{Layout, NodeLayout};
use super::mark::Mark;
use anyhow::Context;
use std::io::ErrorKind;
use std::path::Path;

/// Deletes the cluster of that mark. Files of others stay, and so do the directories that hold
/// them. The lock must be held.
pub(super) fn delete(layout: &Layout, mark: &Mark) -> anyhow::Result<()> {
    for node in &mark.nodes {
        delete_node(&layout.node(node.name.as_str()))?;
    }
    tree(&layout.ca())?;
    file(&layout.split())?;
    file(&layout.control())?;
    // The mark goes last: interrupted, this can be done again.
    file(&layout.mark())
}

fn delete_node(node: &NodeLayout) -> anyhow::Result<()> {
    // Behind a link that somebody put there is nothing of ours.
    if !node
        .dir()
        .symlink_metadata()
        .is_ok_and(|found| found.is_dir())
    {
        return Ok(());
    }
    [node.config(), node.socket(), node.pid(), node.log()]
        .iter()
        .try_for_each(|path| file(path))?;
    tree(&node.data())?;
    tree(&node.tls())?;
    match std::fs::remove_dir(node.dir()) {
        Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
            Err(error).with_context(|| named(node.dir()))
        }
        _ => Ok(()),
    }
}

fn file(path: &Path) -> anyhow::Result<()> {
    unless_missing(std::fs::remove_file(path)).with_context(|| named(path))
}

/// A link is deleted itself, not what it points at.
fn tree(path: &Path) -> anyhow::Result<()> {
    unless_missing(std::fs::remove_dir_all(path)).with_context(|| named(path))
}

fn unless_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn named(path: &Path) -> String {
    format!("cannot delete {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::super::mark::Marked;
    use super::*;
    use names::NodeName;

    #[test]
    fn only_what_was_made_here_is_deleted() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layout = Layout::new(dir.path().to_path_buf());
        let node = |name: &str| Marked {
            name: NodeName::new(name).unwrap(),
            port: 1,
        };
        let mark = Mark {
            nodes: vec![node("node1"), node("node2"), node("node3"), node("node4")],
        };
        mark.write(&layout).unwrap();
        for name in ["node1", "node2"] {
            std::fs::create_dir_all(layout.node(name).data().join("deep")).unwrap();
            std::fs::write(layout.node(name).log(), "x").unwrap();
        }
        std::fs::create_dir(layout.ca()).unwrap();
        std::fs::write(dir.path().join("node2/thesis.txt"), "x").unwrap();
        std::fs::write(dir.path().join("notes"), "x").unwrap();
        std::fs::create_dir(elsewhere.path().join("data")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("node3")).unwrap();
        delete(&layout, &mark).unwrap();
        let mut left: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["node2", "node3", "notes"]);
        assert_eq!(
            std::fs::read_dir(dir.path().join("node2")).unwrap().count(),
            1
        );
        assert!(elsewhere.path().join("data").exists());
    }
}
