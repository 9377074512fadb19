//! Whether a development cluster is one: each node answers and sees all.

use super::layout::Layout;
use super::mark::Mark;
use client::{ApiPath, Client};
use serde_json::Value;
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
    while client.get(&ApiPath::new(&["node"])).await.is_err() {
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
    client
        .items(&ApiPath::new(&["members"]))
        .await
        .is_ok_and(|members| !has_left(&members))
}

fn has_left(members: &[Value]) -> bool {
    let own = members
        .iter()
        .find(|member| member.get("self").and_then(Value::as_bool) == Some(true));
    own.and_then(|own| own.get("state")).and_then(Value::as_str) == Some("left")
}

async fn complaint(socket: &Path, name: &str, mark: &Mark) -> Option<String> {
    let client = Client::new(socket, Duration::from_secs(1));
    match client.items(&ApiPath::new(&["members"])).await {
        Err(_) => Some(format!("{name} does not answer")),
        Ok(members) => missing(&members, mark).map(|missing| {
            format!(
                "{name} does not see \
            {missing}"
            )
        }),
    }
}

/// The names that a node does not see alive, or `None`.
fn missing(members: &[Value], mark: &Mark) -> Option<String> {
    let alive = |name: &String| {
        let text = |member: &Value, field| {
            member
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        members
            .iter()
            .any(|member| text(member, "name") == *name && text(member, "state") == "alive")
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
    use names::NodeName;
    use serde_json::json;

    #[test]
    fn a_node_has_left_when_it_says_so_of_itself() {
        let member = |own: bool, state: &str| json!({"self": own, "state": state});
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
        let one = json!({"name": "node1", "state": "alive"});
        let two = |state: &str| json!({"name": "node2", "state": state});
        let three = json!({"name": "node3", "state": "alive"});
        assert_eq!(
            missing(&[one.clone(), two("down")], &mark).as_deref(),
            Some("node2, node3")
        );
        assert_eq!(missing(&[one, two("alive"), three], &mark), None);
    }
}
