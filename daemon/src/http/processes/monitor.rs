//! `/v1/processes/{name}/monitor`: what becomes of a name.

use super::no_process;
use super::shown;
use crate::event::process_event;
use crate::http::Api;
use crate::http::connections::gate::Conn;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter};
use crate::http::path::ProcessPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::streams::sse::{self, Feed, LastEventId};
use crate::hub::{News, Watcher};
use crate::process::{First, Told};
use api::events::{ProcessEvent, ProcessStreamEvent};
use api::processes::MonitorQuery;
use api::time::Millis;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use names::{NodeId, ProcessName};
use node::registry::Found;
use std::collections::VecDeque;
use std::sync::Arc;

/// What becomes of the processes of a name: a stream of server-sent events, which stays open when
/// they end.
///
/// `up`; `down` with a `reason` (`exited code=1`, `killed signal=9`, `exited`, `unregistered`,
/// `left`, or `unknown`; `code` and `signal` also by themselves), once for each end; `unreachable`
/// and `back` when the node of the process goes out of sight and returns; `contested` and `lost`
/// when two claim the name (`other` is the other one's handle). The data of each is `{at, handle,
/// node, …}`. Without a usable `Last-Event-ID` the first event is `snapshot`, `{"items": […],
/// "last": true}` with the process that has the name, or none. A reader that is 10,000 events
/// behind gets `lagged`, and the stream ends.
#[utoipa::path(
    get, path = "/v1/processes/{name}/monitor", tag = "processes", operation_id = "monitor",
    params(
        ("name" = String, Path, description = "The name"),
        Query<(MonitorQuery,)>,
        LastEventId,
    ),
    responses((status = 200, description = "The stream: events such as these", body = ProcessStreamEvent, content_type = "text/event-stream"), Problems<(ProcessPath, Query<(MonitorQuery,)>, Own<{ Kind::Process as usize }>)>)
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    ProcessPath(name): ProcessPath,
    Query((how,)): Query<(MonitorQuery,)>,
    LastEventId {
        last_event_id: last,
    }: LastEventId,
) -> Result<Response, Problem> {
    // Whoever has seen an event knows the name: that its process is gone meanwhile is an answer,
    // and no mistake.
    let wait = how.wait.unwrap_or(false) || last.is_some();
    let run = api.run_id();
    let monitor = api
        .service()
        .processes()
        .monitor(name.clone(), last.and_then(|last| parse_id(&run, &last)));
    let (first, pending) = match monitor.first {
        First::Snapshot(None, _) if !wait => return Err(no_process(&name)),
        First::Snapshot(found, last) => (
            Some(snapshot(
                &name,
                found.as_ref(),
                api.service().info().id,
                &event_id(&run, last),
            )?),
            VecDeque::new(),
        ),
        First::Missed(missed) => (None, missed.into()),
    };
    let streaming = conn.stream()?;
    Ok(sse::respond(
        Follow {
            run,
            watcher: monitor.watcher,
            first,
            pending,
            ended: false,
        },
        streaming,
    ))
}

/// An event's id: numbers begin anew with each run of the daemon.
fn event_id(run: &str, number: u64) -> String {
    format!("{run}-{number}")
}

fn parse_id(run: &str, id: &str) -> Option<u64> {
    id.strip_prefix(run)?.strip_prefix('-')?.parse().ok()
}

fn snapshot(
    name: &ProcessName,
    found: Option<&Found>,
    me: NodeId,
    id: &str,
) -> Result<Bytes, Problem> {
    let mut writer = PageWriter::new(&Page {
        limit: 1,
        after: None,
    });
    if let Some(found) = found {
        writer.push(&shown::holder(name, found, me), Vec::new)?;
    }
    Ok(Bytes::from(sse::event(
        Some("snapshot"),
        Some(id),
        &writer.finish_snapshot(),
    )))
}

fn write(run: &str, told: &Told) -> Result<Bytes, Problem> {
    let (what, process) = process_event(&told.event);
    let data = ProcessEvent {
        at: Millis(told.event.at.0),
        process,
    };
    sse::json_event(
        Some(what.as_str()),
        Some(&event_id(run, told.number)),
        &data,
    )
    .map(Bytes::from)
}

/// The stream's state.
struct Follow {
    run: String,
    watcher: Watcher<Told>,
    first: Option<Bytes>,
    /// What happened while the client was away.
    pending: VecDeque<Arc<Told>>,
    ended: bool,
}

impl Feed for Follow {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(snapshot) = self.first.take() {
            return Some(snapshot);
        }
        let told = match self.pending.pop_front() {
            Some(told) => told,
            None => match self.watcher.next().await {
                News::Happened(told) => told,
                News::Lagged => {
                    self.ended = true;
                    return Some(sse::lagged());
                }
            },
        };
        write(&self.run, &told).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::registry::{Event, EventKind};
    use node::time::Wall;

    #[test]
    fn an_event_says_what_happened_to_which_registration() {
        let handle = "web@n1#7.8".parse().unwrap();
        let event = Event {
            at: Wall(0),
            handle,
            kind: EventKind::Down(crdt::registry::Reason::ExitedWith(3)),
        };
        let written = write("19a", &Told { number: 4, event }).unwrap();
        let text = std::str::from_utf8(&written).unwrap();
        let (head, data) = text.split_once("data: ").unwrap();
        assert_eq!(head, "event: down\nid: 19a-4\n");
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let expected = serde_json::json!({
            "at": "1970-01-01T00:00:00.000Z", "handle": "web@n1#7.8", "node": "n1", "reason": "exited code=3", "code": 3,
        });
        assert_eq!(data, expected);
        assert_eq!(parse_id("19a", "19a-4"), Some(4));
        assert_eq!(parse_id("19b", "19a-4"), None);
    }
}
