//! `/v1/lists/{list}/watch`: a list as it is, then as it changes.

use crate::http::connections::gate::Conn;
use crate::http::lists::list_hub::Told;
use crate::http::lists::rebuild::mended;
use crate::http::lists::shown::{at, todo_entry};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::path::ListPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::streams::events::SNAPSHOT_ITEMS;
use crate::http::streams::sse::{self, Feed, LastEventId, Live, Next};
use crate::http::{Api, no_list};
use crate::hub::{News, Watcher};
use api::events::{EntryEvent, EntryRemoved, ListStreamEvent, NoDetails};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use crdt::entry::Entry;
use names::{EntryId, ListId};
use node::lists::Change;
use std::collections::VecDeque;
use std::sync::Arc;
use store::{ReadError, Reader};

/// A list as it is and as it changes: a stream of server-sent events.
///
/// `added` and `changed` with `{"entry"}`, `removed` with `{"id"}`, `deleted` when the last entry
/// is gone (the stream stays open: the list may come back). Without a usable `Last-Event-ID` first
/// come `snapshot` events, `{"items": […], "last": true|false}` with all entries in order. A reader
/// that is 10,000 events behind gets `lagged`, and the stream ends.
#[utoipa::path(
    get, path = "/v1/lists/{list}/watch", tag = "to-do lists", operation_id = "watch",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), LastEventId),
    responses((status = 200, description = "The stream: events such as these", body = ListStreamEvent, content_type = "text/event-stream"), Problems<(ListPath, Query<()>, ReadError, Own<{ Kind::List as usize }>)>)
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    ListPath(name): ListPath,
    _: Query<()>,
    LastEventId { last_event_id }: LastEventId,
) -> Result<Response, Problem> {
    let list = ListId::of(&name);
    let last = last_event_id.as_deref().and_then(Position::parse);
    // Watching begins before the list is read, so that nothing falls between.
    let (watcher, missed) = match last.and_then(|last| api.hub().resume(list, last.tag)) {
        Some((watcher, missed)) => (watcher, Some(missed)),
        None => (api.hub().watch(list), None),
    };
    let row = api.row(list).await?;
    let is_unchanged = || {
        last.is_some_and(|last| {
            last.index.is_none() && row.as_ref().is_some_and(|row| row.tag() == last.tag)
        })
    };
    let (snapshot, ready) = match missed {
        Some(missed) => (None, missed_events(&missed, last)?),
        None if is_unchanged() => (None, VecDeque::new()),
        None => {
            let snapshot = Snapshot {
                after: None,
                position: 0,
                tag: row.ok_or_else(|| no_list(&name))?.tag(),
            };
            (Some(snapshot), VecDeque::new())
        }
    };
    let streaming = conn.stream()?;
    let watch = Watch {
        api,
        list,
        watcher,
        snapshot,
    };
    Ok(sse::respond(Feed::new(ready, watch), streaming))
}

/// How far a client has read, as the ids of events tell: to the end of the change that made the
/// list's tag this, or only to one of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    tag: u64,
    index: Option<usize>,
}

impl Position {
    fn parse(id: &str) -> Option<Self> {
        let (tag, index) = id
            .split_once('.')
            .map_or((id, None), |(tag, index)| (tag, Some(index)));
        let index = index.map(str::parse).transpose().ok()?;
        Some(Self {
            tag: u64::from_str_radix(tag, 16).ok()?,
            index,
        })
    }

    fn write(self) -> String {
        match self.index {
            None => format!("{:016x}", self.tag),
            Some(index) => format!("{:016x}.{index}", self.tag),
        }
    }
}

/// What a client that comes back has missed. The first change is the one that it saw last, perhaps
/// not to its end.
fn missed_events(
    changes: &[Arc<Told>],
    last: Option<Position>,
) -> Result<VecDeque<Bytes>, Problem> {
    let mut events = VecDeque::new();
    for (n, change) in changes.iter().enumerate() {
        let seen = match last.and_then(|last| last.index) {
            _ if n > 0 => 0,
            Some(index) => index + 1,
            None => usize::MAX,
        };
        events.extend(written(change)?.iter().skip(seen).cloned());
    }
    Ok(events)
}

fn written(told: &Told) -> Result<&[Bytes], Problem> {
    told.events(|change| write(change))
}

/// The events of a change. All have ids; the last one's stands for the whole change.
fn write(change: &Change) -> Result<Vec<Bytes>, Problem> {
    let is_seen =
        |(_, entry, before): &&(EntryId, Option<Arc<Entry>>, bool)| entry.is_some() || *before;
    let touched: Vec<_> = change.entries.iter().filter(is_seen).collect();
    let is_deleted = change.row.total == 0 && change.total_before > 0;
    let count = touched.len() + usize::from(is_deleted);
    let id = |n: usize| {
        Position {
            tag: change.row.tag(),
            index: (n + 1 < count).then_some(n),
        }
        .write()
    };
    let mut events = Vec::with_capacity(count);
    for (n, (entry_id, entry, before)) in touched.into_iter().enumerate() {
        events.push(match entry {
            Some(entry) => {
                let name = if *before { "changed" } else { "added" };
                sse::json_event(
                    Some(name),
                    Some(&id(n)),
                    &EntryEvent {
                        entry: todo_entry(entry.as_ref().clone()),
                    },
                )?
            }
            None => sse::json_event(
                Some("removed"),
                Some(&id(n)),
                &EntryRemoved {
                    id: entry_id.to_string(),
                },
            )?,
        });
    }
    if is_deleted {
        events.push(sse::json_event(
            Some("deleted"),
            Some(&id(count - 1)),
            &NoDetails {},
        )?);
    }
    Ok(events)
}

/// A list: what is to come of the snapshot, then what happens.
struct Watch {
    api: Api,
    list: ListId,
    watcher: Watcher<Told>,
    snapshot: Option<Snapshot>,
}

/// How far a snapshot has been sent.
#[derive(Clone, Debug)]
struct Snapshot {
    after: Option<(String, EntryId)>,
    position: u64,
    /// The list's tag when the snapshot began.
    tag: u64,
}

impl Snapshot {
    /// Writes the next part, and what then remains.
    fn read(mut self, reader: &Reader, list: ListId) -> Result<(Bytes, Option<Self>), Problem> {
        let mut writer = PageWriter::new(&Page {
            limit: SNAPSHOT_ITEMS,
            after: None,
        });
        let mut is_last = true;
        let after = self.after.take();
        for entry in reader.entries(
            list,
            after.as_ref().map(|(order, id)| (order.as_str(), *id)),
        ) {
            let entry = entry?;
            let id = entry.id;
            let shown = at(todo_entry(entry), self.position);
            if writer.push(&shown, Vec::new)? == Room::Full {
                is_last = false;
                break;
            }
            self.position += 1;
            self.after = Some((shown.order, id));
        }
        let id = is_last.then(|| {
            Position {
                tag: self.tag,
                index: None,
            }
            .write()
        });
        let event = sse::event(Some("snapshot"), id.as_deref(), &writer.finish_snapshot());
        Ok((event, (!is_last).then_some(self)))
    }
}

impl Live for Watch {
    async fn next(&mut self) -> Next {
        if let Some(snapshot) = self.snapshot.clone() {
            let (list, api) = (self.list, &self.api);
            let scan = || {
                let snapshot = snapshot.clone();
                api.scan(move |reader| snapshot.read(reader, list))
            };
            let read = mended(api, scan).await;
            // The head of the answer has been sent: a store that fails now can only end the stream.
            let Ok((event, rest)) = read else {
                return Next::Over;
            };
            self.snapshot = rest;
            return Next::Events(vec![event]);
        }
        match self.watcher.next().await {
            News::Happened(told) => {
                written(&told).map_or(Next::Over, |events| Next::Events(events.to_vec()))
            }
            News::Lagged => Next::Lagged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::lists::shown::tests::entry;
    use crate::once::Once;
    use crdt::list::heads_tag;
    use names::ListName;
    use node::lists::ListRow;
    use node::time::Wall;

    fn change(
        total_before: u64,
        total: u64,
        entries: Vec<(EntryId, Option<Arc<Entry>>, bool)>,
    ) -> Change {
        let name = ListName::new("a").unwrap();
        let row = ListRow {
            name: name.clone(),
            total,
            open: total,
            modified_at: 0,
            heads: vec![],
            sums: crdt::vector::Sums::default(),
            has_unknown_keys: false,
        };
        Change {
            list: ListId::of(&name),
            name,
            at: Wall(0),
            total_before,
            row,
            entries,
            remote: None,
        }
    }

    /// The tag of the list after each of these changes.
    fn tag() -> String {
        format!("{:016x}", heads_tag(&[]))
    }

    fn heads(events: &[Bytes]) -> Vec<String> {
        let head = |event: &Bytes| {
            std::str::from_utf8(event)
                .unwrap()
                .lines()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        events.iter().map(head).collect()
    }

    fn three() -> Change {
        let some = |id| Some(Arc::new(entry(id)));
        change(
            2,
            2,
            vec![
                (EntryId(1), some(1), false),
                (EntryId(2), some(2), true),
                (EntryId(3), None, true),
                (EntryId(4), None, false),
            ],
        )
    }

    #[test]
    fn each_entry_is_an_event_and_the_last_has_the_changes_id() {
        let tag = tag();
        let expected = [
            format!("event: added id: {tag}.0"),
            format!("event: changed id: {tag}.1"),
            format!("event: removed id: {tag}"),
        ];
        assert_eq!(heads(&write(&three()).unwrap()), expected);
    }

    #[test]
    fn a_list_that_loses_its_last_entry_is_deleted() {
        let events = write(&change(1, 0, vec![(EntryId(3), None, true)])).unwrap();
        let tag = tag();
        assert_eq!(
            heads(&events),
            [
                format!("event: removed id: {tag}.0"),
                format!("event: deleted id: {tag}")
            ]
        );
        assert!(
            write(&change(0, 0, vec![(EntryId(3), None, false)]))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_client_goes_on_in_the_middle_of_a_change() {
        let changes = [three(), change(1, 0, vec![(EntryId(3), None, true)])]
            .map(|change| Arc::new(Once::new(Arc::new(change))));
        let missed = |id: &str| missed_events(&changes, Position::parse(id)).unwrap().len();
        let tag = tag();
        let missed = |within: &str| missed(&format!("{tag}{within}"));
        assert_eq!((missed(".0"), missed(".1"), missed("")), (4, 3, 2));
    }

    #[test]
    fn an_id_reads_back() {
        for position in [
            Position {
                tag: 7,
                index: None,
            },
            Position {
                tag: u64::MAX,
                index: Some(12),
            },
        ] {
            assert_eq!(Position::parse(&position.write()), Some(position));
        }
        for id in ["", "x", "1.x", "1.", ".1"] {
            assert_eq!(Position::parse(id), None, "{id}");
        }
    }
}
