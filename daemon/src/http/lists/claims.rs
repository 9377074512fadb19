//! Who has written something: what a change says of itself, beside the node that has made it.

use crate::http::Api;
use crdt::entry::Author;
use names::NodeId;
use node::cluster::RosterView;
use std::sync::Arc;

/// The names of the nodes that make changes.
pub(crate) struct Signers(Arc<RosterView>);

impl Signers {
    pub(crate) fn of(api: &Api) -> Self {
        Self(api.service().view())
    }

    /// The name of a node; none if it is not on the roster.
    pub(crate) fn name(&self, node: NodeId) -> Option<&str> {
        let member = self.0.member(node);
        member.map(|member| member.profile.name.as_str())
    }

    /// Who wrote a change that `owner` has made. A change that says that it is another node's is told
    /// as what it is: the node's word.
    pub(crate) fn by(&self, author: &Author, owner: Option<NodeId>) -> String {
        let name = owner.and_then(|owner| self.name(owner));
        told(&author.0, name)
    }
}

fn told(said: &str, owner: Option<&str>) -> String {
    let node = said.rsplit_once('@').map(|(_, node)| node);
    match owner {
        Some(owner) if node != Some(owner) => format!("{owner} (says {said})"),
        Some(_) | None => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn a_change_that_names_another_node_is_that_nodes_word() {
        assert_eq!(told("anna@alpha", Some("alpha")), "anna@alpha");
        assert_eq!(told("anna@alpha", Some("beta")), "beta (says anna@alpha)");
        assert_eq!(told("", Some("beta")), "beta (says )");
        assert_eq!(told("anna@alpha", None), "anna@alpha");
    }
}
