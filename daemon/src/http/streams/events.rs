//! `/v1/events`: what happens to members, lists and the cluster as a whole.

use crate::event::{Event, Subscription, partition_event};
use crate::http::Api;
use crate::http::cluster::partition_view;
use crate::http::connections::gate::Conn;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::problem::Problem;
use crate::http::query::{Group, Query};
use crate::http::streams::sse::{self, Feed, LastEventId, Live, Next};
use crate::once::Once;
use api::events::{
    ClusterEvent, ClusterStreamEvent, EventDetails, EventKind, EventsQuery, MissingMembers,
};
use api::time::Millis;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use node::cluster::RosterView;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How many things one snapshot event holds at most.
pub(crate) const SNAPSHOT_ITEMS: usize = 1000;

/// Which events a client wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    kinds: Option<Vec<EventKind>>,
    name: Option<String>,
}

impl Group for Wanted {
    type Written = EventsQuery;

    fn check(written: EventsQuery) -> Result<Self, Problem> {
        let kinds: Option<Vec<EventKind>> = written
            .kinds
            .map(|kinds| kinds.split(',').map(EventKind::from).collect());
        if let Some(EventKind::Other(unknown)) =
            kinds.iter().flatten().find(|kind| !kind.is_known())
        {
            let known: Vec<&str> = EventKind::KNOWN.iter().map(EventKind::as_str).collect();
            return Err(Problem::invalid(format!(
                "\"kinds\" has {unknown:?}; some of {} are right",
                known.join(",")
            )));
        }
        Ok(Self {
            kinds,
            name: written.name,
        })
    }
}

impl Wanted {
    fn admits(&self, event: &ClusterEvent) -> bool {
        let is_kind = self
            .kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&event.kind));
        is_kind
            && self
                .name
                .as_ref()
                .is_none_or(|wanted| *wanted == event.name)
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
/// After the id of an earlier run of the daemon, what has happened since this run began follows it.
/// Lists and processes are not in it: there can be very many, and they have calls and streams of
/// their own. A reader that is 10,000 events behind gets `lagged`, and the stream ends.
#[utoipa::path(
    get, path = "/v1/events", tag = "node and cluster", operation_id = "events",
    params(
        Query<(Wanted,)>,
        LastEventId,
    ),
    responses((status = 200, description = "The stream: events such as these", body = ClusterStreamEvent, content_type = "text/event-stream"), Problems<Query<(Wanted,)>>)
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    Query((wanted,)): Query<(Wanted,)>,
    LastEventId { last_event_id }: LastEventId,
) -> Result<Response, Problem> {
    let streaming = conn.stream()?;
    let run = api.run_id();
    let events = api.service().events();
    let last = last_event_id.map(|id| sse::number_of(&run, &id));
    // Whoever comes from an earlier run of the daemon has missed all of this one.
    let resumed = last.and_then(|last| events.resume(last.unwrap_or(0)));
    let is_of_this_run = matches!(last, Some(Some(_)));
    let (ready, live, past) = match resumed {
        Some(Subscription { past, live }) if is_of_this_run => (VecDeque::new(), live, past),
        Some(Subscription { past, live }) => {
            let snapshot = snapshot(&api.service().view(), &wanted, &sse::numbered(&run, 0))?;
            (snapshot, live, past)
        }
        None => {
            let Subscription { past, live } = events.follow();
            let id = sse::numbered(&run, past.last().map_or(0, |event| event.id));
            let snapshot = snapshot(&api.service().view(), &wanted, &id)?;
            (snapshot, live, Vec::new())
        }
    };
    let events = Events { wanted, run, live };
    let missed = past.iter().map(|event| events.write(event));
    let missed = missed.collect::<Result<Vec<_>, _>>()?.concat();
    let ready = ready.into_iter().chain(missed).collect();
    Ok(sse::respond(Feed::new(ready, events), streaming))
}

/// The cluster as it is, as if each thing in it had just happened.
fn snapshot(view: &RosterView, wanted: &Wanted, id: &str) -> Result<VecDeque<Bytes>, Problem> {
    let members = view.members.iter().map(|member| ClusterEvent {
        at: Millis(member.since.0),
        kind: EventKind::Member,
        what: member.state.as_str().into(),
        name: member.profile.name.to_string(),
        more: EventDetails {
            id: Some(member.id.to_string()),
            role: Some(member.role.as_str().into()),
            ..EventDetails::default()
        },
    });
    let mut things: Vec<ClusterEvent> = members.collect();
    let partition = partition_view(view);
    things.push(ClusterEvent {
        at: partition.since,
        kind: EventKind::Partition,
        what: partition_event(view.verdict),
        name: partition.verdict.to_string(),
        more: EventDetails {
            verdict: Some(partition.verdict),
            missing: Some(MissingMembers::Members(partition.missing)),
            ..EventDetails::default()
        },
    });
    things.retain(|thing| wanted.admits(thing));
    chunks(&things, id)
}

/// Snapshot events of at most [`SNAPSHOT_ITEMS`] things each; at least one, the last of which has
/// the id.
fn chunks<T: Serialize>(things: &[T], id: &str) -> Result<VecDeque<Bytes>, Problem> {
    let mut events = VecDeque::new();
    let mut rest = things;
    loop {
        let mut writer = PageWriter::new(&Page {
            limit: SNAPSHOT_ITEMS,
            after: None,
        });
        let mut written = 0;
        for thing in rest {
            if writer.push(thing, Vec::new)? == Room::Full {
                break;
            }
            written += 1;
        }
        rest = rest.get(written..).unwrap_or_default();
        let id = rest.is_empty().then_some(id);
        events.push_back(sse::event(Some("snapshot"), id, &writer.finish_snapshot()));
        if rest.is_empty() {
            return Ok(events);
        }
    }
}

/// What happens, as far as a client wants it.
struct Events {
    wanted: Wanted,
    run: String,
    live: Receiver<Arc<Once<Event>>>,
}

impl Events {
    fn write(&self, event: &Once<Event>) -> Result<Vec<Bytes>, Problem> {
        if !self.wanted.admits(&event.told) {
            return Ok(Vec::new());
        }
        let events = event.events(|event| {
            let id = sse::numbered(&self.run, event.id);
            sse::json_event(None, Some(&id), &event.told).map(|event| vec![event])
        });
        events.map(<[Bytes]>::to_vec)
    }
}

impl Live for Events {
    async fn next(&mut self) -> Next {
        match self.live.recv().await {
            Ok(event) => self.write(&event).map_or(Next::Over, Next::Events),
            Err(RecvError::Lagged(_)) => Next::Lagged,
            Err(RecvError::Closed) => Next::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::events::EventType;

    fn wanted(text: &str) -> Result<Wanted, Problem> {
        Query::<(Wanted,)>::parse(Some(text)).map(|Query((wanted,))| wanted)
    }

    #[test]
    fn kinds_and_name_choose_the_events() {
        let event = ClusterEvent {
            at: Millis(0),
            kind: EventKind::List,
            what: EventType::Created,
            name: "x".into(),
            more: EventDetails::default(),
        };
        assert!(wanted("").unwrap().admits(&event));
        assert!(wanted("kinds=member,list").unwrap().admits(&event));
        assert!(!wanted("kinds=member,partition").unwrap().admits(&event));
        assert!(!wanted("name=y").unwrap().admits(&event));
        assert_eq!(wanted("kinds=members").unwrap_err().status(), 422);
    }

    #[test]
    fn a_large_snapshot_comes_in_parts() {
        let numbers: Vec<u32> = (0..2001).collect();
        let parts = chunks(&numbers, "19a-7").unwrap();
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
        assert!(chunks(&none, "19a-0").unwrap()[0].ends_with(b"{\"items\":[],\"last\":true}\n\n"));
    }
}
