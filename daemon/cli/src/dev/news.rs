//! What the nodes say about each other, line by line.

use crate::cluster::events::describe;
use crate::output::Output;
use api::events::{ClusterEvent, ClusterStreamEvent, EventKind, EventType};
use client::{ApiPath, Client};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Prints a line with the time in front of it. A terminal that is gone does not end the cluster.
pub(super) fn say(words: &str) {
    print(&format!("{} {words}", time(&Timestamp::now().to_string())));
}

/// A time of the API as the reader of the output wants it.
fn time(at: &str) -> String {
    Output::of_process(false).time(at, &TimeZone::system())
}

/// Prints a line.
pub(super) fn print(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Follows a node's events for as long as the cluster runs, also over the node's restarts.
pub(super) async fn follow(name: String, socket: PathBuf) {
    let path = ApiPath::new(&["events"]).query("kinds", "member,partition,process");
    let mut events = Client::new(socket, Duration::from_secs(5)).follow(&path);
    loop {
        // The node's own end is told by whoever waits for its process.
        let Ok(event) = events.next().await else {
            continue;
        };
        if let Ok(ClusterStreamEvent::Message(event)) = event.read()
            && is_its_own(&event, &name)
        {
            let at = time(&event.at.to_string());
            print(&format!("{at} {name}: {}", describe(&event)));
        }
    }
}

/// That a process is up or down all nodes say alike: the one that it runs on says it here. All else
/// is each node's view.
fn is_its_own(event: &ClusterEvent, node: &str) -> bool {
    event.kind != EventKind::Process
        || !matches!(event.what, EventType::Up | EventType::Down)
        || event.more.process.node.as_deref() == Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::events::sample;
    use serde_json::json;

    #[test]
    fn a_process_is_told_once_and_what_each_node_sees_by_each() {
        let event = |what: &str| {
            sample(json!({"kind": "process", "type": what, "name": "web", "node": "node1"}))
        };
        let member = sample(json!({"kind": "member", "type": "alive", "name": "node1"}));
        assert!(
            is_its_own(&event("up"), "node1")
                && !is_its_own(&event("up"), "node2")
                && !is_its_own(&event("down"), "node3")
        );
        assert!(is_its_own(&event("unreachable"), "node2") && is_its_own(&member, "node2"));
    }
}
