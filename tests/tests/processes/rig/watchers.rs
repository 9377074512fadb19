//! What every node says of its members, as it happens, also over the kills of its daemon.

use super::journal::Millis;
use crate::fleet::Node;
use crate::http::Events;
use parking_lot::Mutex;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// What a node said of another one.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) at: Millis,
    /// Which host said it.
    pub(crate) by: usize,
    /// Of which host.
    pub(crate) of: usize,
    /// `down`, `alive`, `suspect` and so on.
    pub(crate) what: String,
}

/// Readers of the events of all nodes; they end when this is dropped.
pub(crate) struct Watchers {
    said: Arc<Mutex<Vec<Said>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watchers {
    /// Follows what happens from now on.
    pub(crate) fn start(nodes: &[Node]) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let names: Arc<[String]> = nodes.iter().map(|node| node.name.clone()).collect();
        let begun = super::journal::now();
        let follow = |(by, node): (usize, &Node)| {
            let (said, names, socket) = (Arc::clone(&said), Arc::clone(&names), node.socket());
            let note = move |event: &Value| {
                let heard = read(event, by, &names).filter(|heard| heard.at >= begun);
                said.lock().extend(heard);
            };
            tokio::spawn(follow(socket, note))
        };
        let tasks = nodes.iter().enumerate().map(follow).collect();
        Self { said, tasks }
    }

    /// All that was said so far, in the order of time: of which that function says what it was when a host
    /// told that time.
    pub(crate) fn said(&self, right: impl Fn(usize, Millis) -> Millis) -> Vec<Said> {
        let mut said = self.said.lock().clone();
        for it in &mut said {
            it.at = right(it.by, it.at);
        }
        said.sort_by_key(|it| it.at);
        said
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn follow(socket: PathBuf, note: impl Fn(&Value)) {
    let mut last: Option<String> = None;
    loop {
        // What was read already does not come again after its id.
        let since = if last.is_none() { "&since=1h" } else { "" };
        let path = format!("/v1/events?kinds=member{since}");
        let events = Events::follow(&socket, &path, last.as_deref()).await;
        if let Ok(mut events) = events {
            while let Ok((name, id, event)) = events.next().await {
                if !id.is_empty() {
                    last = Some(id);
                }
                if name.is_empty() {
                    note(&event);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn read(event: &Value, by: usize, names: &[String]) -> Option<Said> {
    let at: jiff::Timestamp = event["at"].as_str()?.parse().ok()?;
    let of = names.iter().position(|name| event["name"] == **name)?;
    Some(Said {
        at: at.as_millisecond(),
        by,
        of,
        what: event["type"].as_str()?.to_owned(),
    })
}
