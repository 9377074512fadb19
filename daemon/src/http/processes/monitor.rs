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
use crate::http::streams::sse::{self, Feed, LastEventId, Live, Next};
use crate::hub::{News, Watcher};
use crate::once::Once;
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
use std::sync::Arc;

/// What becomes of the processes of a name: a stream of server-sent events, which stays open when
/// they end.
///
/// `up`; `down` with a `reason` (`exited code=1`, `killed signal=9`, `exited`, `unregistered`,
/// `left`, or `unknown`; `code` and `signal` also by themselves), once for each end; `unreachable`
/// and `back` when the node of the process becomes unreachable and returns; `contested` and `lost`
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
    let monitor = api.service().processes().monitor(
        name.clone(),
        last.and_then(|last| sse::number_of(&run, &last)),
    );
    let ready = match monitor.first {
        First::Snapshot(None, _) if !wait => return Err(no_process(&name)),
        First::Snapshot(found, last) => {
            let (me, id) = (api.service().info().id, sse::numbered(&run, last));
            vec![snapshot(&name, found.as_ref(), me, &id)?]
        }
        First::Missed(missed) => {
            let missed = missed.iter().map(|told| write(&run, told));
            missed.collect::<Result<Vec<_>, _>>()?.concat()
        }
    };
    let streaming = conn.stream()?;
    let monitored = Monitored {
        run,
        watcher: monitor.watcher,
    };
    Ok(sse::respond(Feed::new(ready.into(), monitored), streaming))
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
    let data = writer.finish_snapshot();
    Ok(sse::event(Some("snapshot"), Some(id), &data))
}

fn write(run: &str, told: &Once<Told>) -> Result<Vec<Bytes>, Problem> {
    let events = told.events(|told| {
        let (what, process) = process_event(&told.event);
        let data = ProcessEvent {
            at: Millis(told.event.at.0),
            process,
        };
        let id = sse::numbered(run, told.number);
        sse::json_event(Some(what.as_str()), Some(&id), &data).map(|event| vec![event])
    });
    events.map(<[Bytes]>::to_vec)
}

/// What happens to the processes of a name.
struct Monitored {
    run: String,
    watcher: Watcher<Once<Told>>,
}

impl Live for Monitored {
    async fn next(&mut self) -> Next {
        match self.watcher.next().await {
            News::Happened(told) => write(&self.run, &told).map_or(Next::Over, Next::Events),
            News::Lagged => Next::Lagged,
        }
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
        let written = write("19a", &Once::new(Told { number: 4, event })).unwrap();
        let text = std::str::from_utf8(&written[0]).unwrap();
        let (head, data) = text.split_once("data: ").unwrap();
        assert_eq!(head, "event: down\nid: 19a-4\n");
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let expected = serde_json::json!({
            "at": "1970-01-01T00:00:00.000Z", "handle": "web@n1#7.8", "node": "n1", "reason": "exited code=3", "code": 3,
        });
        assert_eq!(data, expected);
    }
}
