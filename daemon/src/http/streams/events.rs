//! `/v1/events`: what happens to members, lists and the cluster as a whole.

use crate::event::{Event, EventId, EventLog, Subscription, partition_event};
use crate::host::wall_ms;
use crate::http::Api;
use crate::http::cluster::partition_view;
use crate::http::connections::gate::Conn;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::problem::Problem;
use crate::http::query::{Group, Query};
use crate::http::streams::sse::{self, Feed, LastEventId, Live, Next};
use crate::http::time::parse_moment;
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
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How many things one snapshot event holds at most.
pub(crate) const SNAPSHOT_ITEMS: usize = 1000;

/// How many kept events may come first by `last`.
const MOST_LAST: u32 = 1000;

/// Which events a client wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    kinds: Option<Vec<EventKind>>,
    name: Option<String>,
    since: Option<Millis>,
    until: Option<Millis>,
    last: Option<usize>,
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
        let last = match written.last {
            None => None,
            Some(last @ 1..=MOST_LAST) => usize::try_from(last).ok(),
            Some(last) => {
                let right = format!("it must be 1 to {MOST_LAST}");
                return Err(Problem::invalid(format!("\"last\" is {last}; {right}")));
            }
        };
        let (since, until) = (written.since.as_deref(), written.until.as_deref());
        Ok(Self {
            kinds,
            name: written.name,
            since: since
                .map(|since| parse_moment("since", since))
                .transpose()?,
            until: until
                .map(|until| parse_moment("until", until))
                .transpose()?,
            last,
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
            && self.until.is_none_or(|until| event.at <= until)
    }

    /// What has happened already and comes first.
    fn begin(&self, events: &EventLog) -> Subscription {
        if self.since.is_none() && self.last.is_none() {
            return events.follow();
        }
        let mut all = events.all();
        let is_late = |event: &Event| self.since.is_none_or(|since| event.told.at >= since);
        all.past
            .retain(|event| is_late(event) && self.admits(&event.told));
        let most = self.last.unwrap_or(usize::MAX);
        all.past.drain(..all.past.len().saturating_sub(most));
        all
    }
}

/// What happens: a stream of server-sent events.
///
/// The data of an event is `{at, kind, type, name, …}`. Kind `member`: `joined`, `suspect`,
/// `alive`, `down`, `restarting`, `away`, `back`, `left`, `forgotten`; kind `list`: `created`, `changed`,
/// `deleted`; kind `partition`: `changed`, `healed`; kind `process`: `up`, `down`, `unreachable`,
/// `back`, `contested`, `lost`, as a monitor of the process gets them. The last 10,000 events are kept,
/// also over restarts of the daemon: after a `Last-Event-ID` that is kept comes all that followed.
/// Without one comes first what `since` or `last` ask for, then `snapshot`, `{"items": […],
/// "last": true|false}`, whose items are written like events: each member with its present state as
/// type, and the partition's verdict; with `until` there is no snapshot, and the stream ends. After an
/// id of an earlier run of the daemon that is not kept, the snapshot comes first, then all of this
/// run. Lists and processes are not in a snapshot: there can be very many, and they have calls and
/// streams of their own. A reader that is 10,000 events behind gets `lagged`, and the stream ends.
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
    let events = api.service().events();
    let last = last_event_id.map(|id| EventId::from_str(&id));
    let resumed = match &last {
        Some(Ok(last)) => events.resume(last),
        Some(Err(_)) | None => None,
    };
    let snapshot = |id: &EventId| -> Result<VecDeque<Bytes>, Problem> {
        if wanted.until.is_some() {
            return Ok(VecDeque::new());
        }
        snapshot(&api.service().view(), &wanted, &id.to_string())
    };
    let (now, before, past, live) = match (resumed, last) {
        (Some(Subscription { past, live, .. }), _) => (VecDeque::new(), Vec::new(), past, live),
        // Whoever comes from a run that is not kept has missed all of this one.
        (None, Some(Ok(last)))
            if last.run != *events.run()
                && let Some(kept) = events.restarted() =>
        {
            let before = EventId {
                run: events.run().clone(),
                number: 0,
            };
            (snapshot(&before)?, Vec::new(), kept.past, kept.live)
        }
        (None, _) => {
            let Subscription { past, last, live } = wanted.begin(events);
            (snapshot(&last)?, past, Vec::new(), live)
        }
    };
    let events = Events { wanted, live };
    let ready = events.write_all(&before)?.into_iter().chain(now);
    let ready = ready.chain(events.write_all(&past)?).collect();
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
    live: Receiver<Arc<Once<Event>>>,
}

impl Events {
    fn write(&self, event: &Once<Event>) -> Result<Vec<Bytes>, Problem> {
        if !self.wanted.admits(&event.told) {
            return Ok(Vec::new());
        }
        let events = event.events(|event| {
            let id = event.id.to_string();
            sse::json_event(None, Some(&id), &event.told).map(|event| vec![event])
        });
        events.map(<[Bytes]>::to_vec)
    }

    fn write_all(&self, events: &[Arc<Once<Event>>]) -> Result<Vec<Bytes>, Problem> {
        let written = events.iter().map(|event| self.write(event));
        Ok(written.collect::<Result<Vec<_>, _>>()?.concat())
    }

    async fn happened(&mut self) -> Next {
        match self.live.recv().await {
            Ok(event) => self.write(&event).map_or(Next::Over, Next::Events),
            Err(RecvError::Lagged(_)) => Next::Lagged,
            Err(RecvError::Closed) => Next::Over,
        }
    }
}

impl Live for Events {
    async fn next(&mut self) -> Next {
        let Some(until) = self.wanted.until else {
            return self.happened().await;
        };
        let left = until.0.saturating_sub(wall_ms());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        if left.is_zero() {
            return Next::Over;
        }
        let next = tokio::time::timeout(left, self.happened()).await;
        next.unwrap_or(Next::Over)
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
