//! Whether a development cluster is one: each node answers and sees all.

use super::layout::Layout;
use super::mark::Mark;
use api::cluster::{ClusterMember, MemberState};
use client::Client;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const AGAIN: Duration = Duration::from_millis(50);

/// Waits until each node sees each other alive. When that takes longer, says who does not see whom,
/// a sentence each.
pub(super) async fn all_see_all(
    layout: &Layout,
    mark: &Mark,
    limit: Duration,
) -> Result<(), Vec<String>> {
    let deadline = Instant::now() + limit;
    loop {
        let mut complaints = Vec::new();
        for node in &mark.nodes {
            complaints.extend(
                complaint(
                    &layout.node(node.name.as_str()).socket(),
                    node.name.as_str(),
                    mark,
                )
                .await,
            );
        }
        if complaints.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(complaints);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits until a node answers at its socket; false when that takes too long.
pub(super) async fn answers(socket: &Path, limit: Duration) -> bool {
    let client = Client::new(socket, Duration::from_secs(1));
    let deadline = Instant::now() + limit;
    while client.node().await.is_err() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(AGAIN).await;
    }
    true
}

/// Whether a node answers and is there to stay: one that has left its cluster answers for a second
/// more.
pub(super) async fn stays(socket: &Path) -> bool {
    let client = Client::new(socket, Duration::from_secs(1));
    let members = client.members().await;
    members.is_ok_and(|members| !has_left(&members.value))
}

fn has_left(members: &[ClusterMember]) -> bool {
    let own = members.iter().find(|member| member.is_self);
    own.is_some_and(|own| own.state == MemberState::Left)
}

async fn complaint(socket: &Path, name: &str, mark: &Mark) -> Option<String> {
    let client = Client::new(socket, Duration::from_secs(1));
    match client.members().await {
        Err(_) => Some(format!("{name} does not answer")),
        Ok(members) => {
            missing(&members.value, mark).map(|missing| format!("{name} does not see {missing}"))
        }
    }
}

/// The names that a node does not see alive, or `None`.
fn missing(members: &[ClusterMember], mark: &Mark) -> Option<String> {
    let alive = |name: &String| {
        members
            .iter()
            .any(|member| member.name == *name && member.state == MemberState::Alive)
    };
    let missing: Vec<String> = mark
        .names()
        .into_iter()
        .filter(|name| !alive(name))
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::mark::Marked;
    use super::*;
    use crate::cluster::sample;
    use names::NodeName;

    #[test]
    fn a_node_has_left_when_it_says_so_of_itself() {
        let member = |own: bool, state: &str| sample("node1", state, own);
        assert!(has_left(&[member(false, "alive"), member(true, "left")]));
        assert!(!has_left(&[member(false, "left"), member(true, "alive")]));
        assert!(!has_left(&[]));
    }

    #[test]
    fn only_members_that_are_alive_count() {
        let node = |n: u16| Marked {
            name: NodeName::new(&format!("node{n}")).unwrap(),
            port: n,
        };
        let mark = Mark {
            nodes: (1..=3).map(node).collect(),
        };
        let one = sample("node1", "alive", true);
        let two = |state: &str| sample("node2", state, false);
        let three = sample("node3", "alive", false);
        assert_eq!(
            missing(&[one.clone(), two("down")], &mark).as_deref(),
            Some("node2, node3")
        );
        assert_eq!(missing(&[one, two("alive"), three], &mark), None);
    }
}
