//! Nodes that have signed two changes with one number as their own.
//!
//! No honest program does so whose memory is its own: what it has made it has made once, and it says
//! nothing of what it has not made, whatever copy of its disk it starts from. But a virtual machine that
//! goes on from a snapshot of its memory makes a number twice, and does not know of it. So nobody is
//! cut off for this: it is told, and stays on show until this daemon ends. The change with the smaller
//! hash stays.

use super::Replication;
use crate::lists::edge::Edge;
use crate::lists::io::Output;
use names::{ListId, NodeId, NodeName};
use std::collections::BTreeMap;

/// Nodes that are remembered.
const MAX_NODES: usize = 1_024;

/// A node that has signed two changes with one number as its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Which node.
    pub node: NodeId,
    /// Its name, if the roster has it.
    pub member: Option<NodeName>,
    /// The list in which that was seen first.
    pub list: ListId,
}

/// All that were seen since this daemon started.
#[derive(Debug, Default)]
pub(super) struct Contradictions(BTreeMap<NodeId, ListId>);

impl Contradictions {
    /// Notes one. True if it is the node's first.
    fn note(&mut self, node: NodeId, list: ListId) -> bool {
        let is_new = !self.0.contains_key(&node) && self.0.len() < MAX_NODES;
        if is_new {
            self.0.insert(node, list);
        }
        is_new
    }
}

impl Replication {
    /// A node has said of two changes with one number that they are its own.
    pub(super) fn contradicts(&mut self, edge: &mut Edge, node: NodeId, list: ListId) {
        if self.contradictions.note(node, list) {
            tracing::error!(%node, %list, "a node has signed two changes of one actor and number as its own");
            edge.put(Output::Contradicted(self.contradiction(node, list)));
        }
    }

    /// All that were seen.
    pub(in crate::lists) fn contradictions(&self) -> Vec<Contradiction> {
        let all = self.contradictions.0.iter();
        all.map(|(node, list)| self.contradiction(*node, *list))
            .collect()
    }

    fn contradiction(&self, node: NodeId, list: ListId) -> Contradiction {
        let member = self.view.as_ref().and_then(|view| view.member(node));
        Contradiction {
            node,
            member: member.map(|member| member.profile.name.clone()),
            list,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_of_once() {
        let mut all = Contradictions::default();
        let lists = [ListId([1; 16]), ListId([2; 16])];
        assert!(all.note(NodeId([7; 16]), lists[0]));
        assert!(!all.note(NodeId([7; 16]), lists[1]));
        assert!(all.note(NodeId([8; 16]), lists[1]));
        assert_eq!(all.0.get(&NodeId([7; 16])), Some(&lists[0]));
    }
}
