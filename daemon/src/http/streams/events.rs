//! `/v1/events`: what happens to members, lists and the cluster as a whole.

use crate::event::{Event, Subscription};
use crate::http::Api;
use crate::http::cluster::ShownPartition;
use crate::http::connections::gate::Conn;
use crate::http::operations::openapi::{LastEventId, StreamProblems};
use crate::http::page::{Page, PageWriter, Room};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::streams::sse::{self, Feed};
use crate::http::time::Millis;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use node::cluster::{RosterView, Verdict};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

const KINDS: [&str; 4] = ["member", "process", "list", "partition"];

/// How many things one snapshot event holds at most.
pub(crate) const SNAPSHOT_ITEMS: usize = 1000;

/// Which events a client wants.
#[derive(Clone, Debug, Default)]
struct Wanted {
    kinds: Option<Vec<String>>,
    name: Option<String>,
}

impl Wanted {
    fn take(query: &mut Query) -> Result<Self, Problem> {
        let kinds: Option<Vec<String>> = query
            .one("kinds")?
            .map(|kinds| kinds.split(',').map(ToOwned::to_owned).collect());
        let unknown = kinds
            .iter()
            .flatten()
            .find(|kind| !KINDS.contains(&kind.as_str()));
        if let Some(unknown) = unknown {
            return Err(Problem::invalid(format!(
                "\"kinds\" has {unknown:?}; some of {} are \
                right",
                KINDS.join(",")
            )));
        }
        Ok(Self {
            kinds,
            name: query.one("name")?,
        })
    }

    fn admits(&self, kind: &str, name: &str) -> bool {
        let is_kind = self
            .kinds
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|wanted| wanted == kind));
        is_kind && self.name.as_ref().is_none_or(|wanted| wanted == name)
    }
}

/// An event as it is written.
#[derive(Serialize)]
struct ShownEvent<'a> {
    at: Millis,
    kind: &'a str,
    #[serde(rename = "type")]
    what: &'a str,
    name: &'a str,
    #[serde(flatten)]
    detail: &'a Map<String, Value>,
}

impl<'a> ShownEvent<'a> {
    fn new(event: &'a Event) -> Self {
        Self {
            at: Millis(event.at_ms),
            kind: event.kind,
            what: event.what,
            name: &event.name,
            detail: &event.detail,
        }
    }
}

/// What happens: a stream of server-sent events.
///
/// The data of an event is `{at, kind, type, name, …}`. Kind `member`: `joined`, `suspect`,
/// `alive`, `down`, `restarting`, `left`, `forgotten`; kind `list`: `created`, `changed`,
/// `deleted`; kind `partition`: `changed`, `healed`; kind `process`: `up`, `down`, `unreachable`,
/// `back`, `contested`, `lost`, as a monitor of the process gets them. Without a usable
/// `Last-Event-ID` the first event is `snapshot`, `{"items": […], "last": true|false}`, whose items
/// are written alike: each member with its present state as type, and the partition's verdict.
/// Lists and processes are not in it: there can be very many, and they have calls and streams of
/// their own. A reader that is 10,000 events behind gets `lagged`, and the stream ends.
#[utoipa::path(
    get, path = "/v1/events", tag = "node and cluster", operation_id = "events",
    params(
        ("kinds" = Option<String>, Query, description = "Some of member,process,list,partition; \
            all without"),
        ("name" = Option<String>, Query, description = "Only of the member, process or list of \
            that name"),
        LastEventId,
    ),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream"), StreamProblems)
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Wanted::take(&mut query)?;
    query.end()?;
    let streaming = conn.stream()?;
    let run = api.run_id();
    let events = api.service().events();
    let last = sse::last_event_id(&headers).and_then(|id| parse_id(&run, id));
    let feed = match last.and_then(|last| events.resume(last)) {
        Some(Subscription { past, live }) => Events {
            wanted,
            run,
            first: VecDeque::new(),
            past: past.into(),
            live,
            ended: false,
        },
        None => {
            let Subscription { past, live } = events.follow();
            let id = event_id(&run, past.last().map_or(0, |event| event.id));
            let first = snapshot(&api.service().view(), &wanted, &id)?;
            Events {
                wanted,
                run,
                first,
                past: VecDeque::new(),
                live,
                ended: false,
            }
        }
    };
    Ok(sse::respond(feed, streaming))
}

/// An event's id: numbers begin anew with each run of the daemon.
fn event_id(run: &str, number: u64) -> String {
    format!("{run}-{number}")
}

fn parse_id(run: &str, id: &str) -> Option<u64> {
    id.strip_prefix(run)?.strip_prefix('-')?.parse().ok()
}

/// The cluster as it is, as if each thing in it had just happened.
fn snapshot(view: &RosterView, wanted: &Wanted, id: &str) -> Result<VecDeque<Bytes>, Problem> {
    let members = view.members.iter().map(|member| Event {
        id: 0,
        at_ms: member.since.0,
        kind: "member",
        what: member.state.as_str(),
        name: member.profile.name.to_string(),
        detail: Map::from_iter([("id".to_owned(), Value::String(member.id.to_string()))]),
    });
    let mut things: Vec<Event> = members.collect();
    things.push(Event {
        id: 0,
        at_ms: view.since.0,
        kind: "partition",
        what: if view.verdict == Verdict::Whole {
            "healed"
        } else {
            "changed"
        },
        name: view.verdict.as_str().to_owned(),
        detail: partition_detail(view)?,
    });
    things.retain(|thing| wanted.admits(thing.kind, &thing.name));
    chunks(&things, id, ShownEvent::new)
}

fn partition_detail(view: &RosterView) -> Result<Map<String, Value>, Problem> {
    let partition = serde_json::to_value(ShownPartition::new(view)).map_err(Problem::internal)?;
    let field = |field: &str| Some((field.to_owned(), partition.get(field)?.clone()));
    Ok(["verdict", "missing"]
        .into_iter()
        .filter_map(field)
        .collect())
}

/// Snapshot events of at most [`SNAPSHOT_ITEMS`] things each; at least one, the last of which has
/// the id.
fn chunks<'a, T, S: Serialize>(
    things: &'a [T],
    id: &str,
    show: impl Fn(&'a T) -> S,
) -> Result<VecDeque<Bytes>, Problem> {
    let mut events = VecDeque::new();
    let mut rest = things;
    loop {
        let mut writer = PageWriter::new(&Page {
            limit: SNAPSHOT_ITEMS,
            after: None,
        });
        let mut written = 0;
        for thing in rest {
            if writer.push(&show(thing), Vec::new)? == Room::Full {
                break;
            }
            written += 1;
        }
        rest = rest.get(written..).unwrap_or_default();
        let id = rest.is_empty().then_some(id);
        events.push_back(Bytes::from(sse::event(
            Some("snapshot"),
            id,
            &writer.finish_snapshot(),
        )));
        if rest.is_empty() {
            return Ok(events);
        }
    }
}

/// The stream's state.
struct Events {
    wanted: Wanted,
    run: String,
    /// The snapshot.
    first: VecDeque<Bytes>,
    /// What happened while the client was away.
    past: VecDeque<Arc<Event>>,
    live: Receiver<Arc<Event>>,
    ended: bool,
}

impl Events {
    fn write(&self, event: &Event) -> Option<Bytes> {
        if !self.wanted.admits(event.kind, &event.name) {
            return None;
        }
        let id = event_id(&self.run, event.id);
        sse::json_event(None, Some(&id), &ShownEvent::new(event))
            .ok()
            .map(Bytes::from)
    }
}

impl Feed for Events {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(snapshot) = self.first.pop_front() {
            return Some(snapshot);
        }
        while let Some(event) = self.past.pop_front() {
            if let Some(written) = self.write(&event) {
                return Some(written);
            }
        }
        loop {
            match self.live.recv().await {
                Ok(event) => {
                    if let Some(written) = self.write(&event) {
                        return Some(written);
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    self.ended = true;
                    return Some(sse::lagged());
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Result<Wanted, Problem> {
        Wanted::take(&mut Query::parse(Some(text)).unwrap())
    }

    #[test]
    fn kinds_and_name_choose_the_events() {
        assert!(wanted("").unwrap().admits("list", "x"));
        assert!(wanted("kinds=member,list").unwrap().admits("list", "x"));
        assert!(
            !wanted("kinds=member,partition")
                .unwrap()
                .admits("list", "x")
        );
        assert!(!wanted("name=y").unwrap().admits("list", "x"));
        assert_eq!(wanted("kinds=members").unwrap_err().status(), 422);
    }

    #[test]
    fn an_id_of_another_run_is_of_no_use() {
        assert_eq!(parse_id("19a", &event_id("19a", 7)), Some(7));
        for id in ["19b-7", "7", "", "19a-", "19a-x"] {
            assert_eq!(parse_id("19a", id), None, "{id}");
        }
    }

    #[test]
    fn a_large_snapshot_comes_in_parts() {
        let numbers: Vec<u32> = (0..2001).collect();
        let parts = chunks(&numbers, "19a-7", |number| *number).unwrap();
        let text: Vec<_> = parts
            .iter()
            .map(|part| std::str::from_utf8(part).unwrap())
            .collect();
        assert_eq!(text.len(), 3);
        assert!(
            text[0].starts_with("event: snapshot\ndata: ")
                && text[0].ends_with(",999],\"last\":false}\n\n")
        );
        assert_eq!(
            text[2],
            "event: snapshot\nid: 19a-7\ndata: \
            {\"items\":[2000],\"last\":true}\n\n"
        );
        let none: Vec<u32> = Vec::new();
        assert!(
            chunks(&none, "19a-0", |number| *number).unwrap()[0]
                .ends_with(b"{\"items\":[],\"last\":true}\n\n")
        );
    }
}
