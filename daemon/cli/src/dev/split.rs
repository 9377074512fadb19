//! A split: which nodes cannot hear which.

use super::layout::Layout;
use super::mark::Mark;
use crate::failure::Failure;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The nodes of one side; all others are on the other. No split is an empty side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Split {
    side: BTreeSet<String>,
}

impl Split {
    /// A split of these nodes from the others; it needs somebody on both sides.
    pub(super) fn of(mark: &Mark, names: &[String]) -> Result<Self, Failure> {
        let side = names
            .iter()
            .map(|name| mark.find(name).map(|node| node.name.to_string()))
            .collect::<Result<BTreeSet<_>, _>>()?;
        if side.is_empty() || side.len() == mark.nodes.len() {
            return Err(Failure::Usage(
                "a split needs at least one node on either side".to_owned(),
            ));
        }
        Ok(Self { side })
    }

    /// The addresses that this node is cut off from.
    pub(super) fn blocked(&self, mark: &Mark, name: &str) -> Vec<SocketAddr> {
        let side_of = |name: &str| self.side.contains(name);
        mark.nodes
            .iter()
            .filter(|other| side_of(other.name.as_str()) != side_of(name))
            .map(super::mark::Marked::address)
            .collect()
    }

    /// `node1, node2 | node3`.
    pub(super) fn describe(&self, mark: &Mark) -> String {
        let (one, other): (Vec<String>, Vec<String>) = mark
            .names()
            .into_iter()
            .partition(|name| self.side.contains(name));
        format!("{} | {}", one.join(", "), other.join(", "))
    }

    /// Keeps it where people and a later `start` find it.
    pub(super) fn keep(&self, layout: &Layout) -> anyhow::Result<()> {
        let path = layout.split();
        std::fs::write(&path, toml::to_string(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Ends it.
    pub(super) fn forget(layout: &Layout) -> anyhow::Result<()> {
        let path = layout.split();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mark::Marked;
    use super::*;
    use names::NodeName;

    fn mark() -> Mark {
        let node = |n: u16| Marked {
            name: NodeName::new(&format!("node{n}")).unwrap(),
            port: 20_000 + n,
        };
        Mark {
            nodes: (1..=4).map(node).collect(),
        }
    }

    fn ports(split: &Split, name: &str) -> Vec<u16> {
        split
            .blocked(&mark(), name)
            .iter()
            .map(SocketAddr::port)
            .collect()
    }

    #[test]
    fn each_side_is_cut_off_from_the_other_and_from_nobody_else() {
        let split = Split::of(&mark(), &["node1".to_owned(), "node3".to_owned()]).unwrap();
        assert_eq!(ports(&split, "node1"), [20_002, 20_004]);
        assert_eq!(ports(&split, "node3"), [20_002, 20_004]);
        assert_eq!(ports(&split, "node2"), [20_001, 20_003]);
        assert_eq!(split.describe(&mark()), "node1, node3 | node2, node4");
        assert!(
            mark()
                .names()
                .iter()
                .all(|name| Split::default().blocked(&mark(), name).is_empty())
        );
    }

    #[test]
    fn a_split_needs_two_sides_of_known_nodes() {
        let code = |names: &[&str]| {
            Split::of(
                &mark(),
                &names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
            .unwrap_err()
            .code()
        };
        assert_eq!(code(&["node9"]), 3);
        assert_eq!(code(&["node1", "node2", "node3", "node4"]), 2);
        assert_eq!(code(&[]), 2);
    }
}
