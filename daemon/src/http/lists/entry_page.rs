//! Reads pages of a list's entries from the store's view.

use crate::http::lists::filter::Filter;
use crate::http::lists::shown::{at, todo_entry};
use crate::http::page::{Page, PageWriter, Room, bad_cursor};
use crate::http::problem::Problem;
use crdt::entry::Entry;
use names::{EntryId, ListId};
use store::Reader;

/// Up to so many entries of a large list are found by their due date.
const MOST_BY_INDEX: usize = 8;

/// How much may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// So little that no other call is held up meanwhile: about 128 KiB of entries.
    Little,
    /// Whatever it takes.
    Any,
}

impl Effort {
    fn bytes(self) -> usize {
        match self {
            Self::Little => 128 << 10,
            Self::Any => usize::MAX,
        }
    }
}

/// The answer when [`Effort::Any`] was not enough.
pub(crate) fn unbounded() -> Problem {
    Problem::internal("reading without a bound reached one")
}

/// Where an entry stands in the order.
pub(crate) type Place = (String, EntryId);

fn place_key(id: EntryId, order: &str) -> Vec<u8> {
    [&id.0.to_be_bytes(), order.as_bytes()].concat()
}

/// Reads the key of a cursor.
pub(crate) fn parse_place(key: &[u8]) -> Result<Place, Problem> {
    let (id, order) = key.split_first_chunk().ok_or_else(bad_cursor)?;
    let order = std::str::from_utf8(order).map_err(|_| bad_cursor())?;
    Ok((order.to_owned(), EntryId(u128::from_be_bytes(*id))))
}

/// Reads a page of a list. `None` if it takes more than `effort`.
pub(crate) fn read_page(
    reader: &Reader,
    list: ListId,
    filter: &Filter,
    page: &Page,
    after: Option<&Place>,
    effort: Effort,
) -> Result<Option<PageWriter>, Problem> {
    if effort == Effort::Any
        && let Some(found) = find_by_due(reader, list, filter)?
    {
        return write_found(reader, list, found, filter, page, after).map(Some);
    }
    let mut first = 0;
    if let Some((order, id)) = after {
        let is_there = reader
            .entry(list, *id)?
            .is_some_and(|entry| entry.order == *order);
        first = reader.position(list, order, *id)? + u64::from(is_there);
    }
    let from = after.map(|(order, id)| (order.as_str(), *id));
    if !filter.asks_for_due() {
        let entries = reader.entries(list, from).map(|entry| entry.map(Some));
        return write_page(entries, first, filter, page, None, effort);
    }
    let entries = reader.entries_due(list, from, |due| filter.admits_due(due));
    write_page(entries, first, filter, page, None, effort)
}

/// Writes those of the entries that pass the filter and stand behind `after`; `first` is the first
/// one's position, and `None` stands for an entry that does not pass. `None` if it takes more than
/// `effort`.
pub(crate) fn write_page<E>(
    entries: impl Iterator<Item = Result<Option<Entry>, E>>,
    first: u64,
    filter: &Filter,
    page: &Page,
    after: Option<&Place>,
    effort: Effort,
) -> Result<Option<PageWriter>, Problem>
where
    Problem: From<E>,
{
    let mut writer = PageWriter::new(page);
    let mut read_bytes = 0;
    for (entry, position) in entries.zip(first..) {
        let Some(entry) = entry? else {
            continue;
        };
        read_bytes += entry.title.len() + entry.notes.len();
        if read_bytes > effort.bytes() {
            return Ok(None);
        }
        if is_seen(&entry, after) || !filter.admits(&entry) {
            continue;
        }
        let id = entry.id;
        let shown = at(todo_entry(entry), position);
        if writer.push(&shown, || place_key(id, &shown.order))? == Room::Full {
            break;
        }
    }
    Ok(Some(writer))
}

/// The entries of a list that can be due as the filter wants, by the index and in order. `None` if
/// the filter has no such bound, or if they are many: counting the position of each would take
/// longer than reading the whole list.
fn find_by_due(
    reader: &Reader,
    list: ListId,
    filter: &Filter,
) -> Result<Option<Vec<Entry>>, Problem> {
    let Some((from_ms, to_ms)) = filter.due_range_ms() else {
        return Ok(None);
    };
    let mut found: Vec<Entry> = reader
        .due_in(list, from_ms, to_ms)
        .take(MOST_BY_INDEX + 1)
        .collect::<Result<_, _>>()?;
    found.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    Ok((found.len() <= MOST_BY_INDEX).then_some(found))
}

fn write_found(
    reader: &Reader,
    list: ListId,
    found: Vec<Entry>,
    filter: &Filter,
    page: &Page,
    after: Option<&Place>,
) -> Result<PageWriter, Problem> {
    let mut writer = PageWriter::new(page);
    for entry in found {
        if is_seen(&entry, after) || !filter.admits(&entry) {
            continue;
        }
        let (id, position) = (entry.id, reader.position(list, &entry.order, entry.id)?);
        let shown = at(todo_entry(entry), position);
        if writer.push(&shown, || place_key(id, &shown.order))? == Room::Full {
            break;
        }
    }
    Ok(writer)
}

fn is_seen(entry: &Entry, after: Option<&Place>) -> bool {
    after.is_some_and(|(order, id)| (&entry.order, &entry.id) <= (order, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::lists::shown::tests::entry;
    use crate::http::query::Query;
    use crdt::entry::Due;
    use names::ListName;
    use node::lists::{ListRow, Row};
    use std::sync::Arc;
    use store::Store;

    /// A list of entries 0 to `count`, every tenth of them due on a day of its own.
    fn reader(dir: &tempfile::TempDir, count: u32) -> (Reader, ListId, Store) {
        let (store, _) = Store::open(dir.path(), |_| (), |_| ()).unwrap();
        let name = ListName::new("a").unwrap();
        let list = ListId::of(&name);
        let due = |n: u32| {
            n.is_multiple_of(10)
                .then(|| Due::Instant(i64::from(n) * 86_400_000))
        };
        let row = |n: u32| Row::Entry {
            list,
            id: EntryId(n.into()),
            entry: Some(Arc::new(Entry {
                due: due(n),
                order: format!("a{n:05}"),
                ..entry(n.into())
            })),
        };
        let mut rows: Vec<Row> = (0..count).map(row).collect();
        rows.push(Row::List {
            list,
            row: ListRow {
                name,
                total: count.into(),
                open: count.into(),
                modified_at: 0,
                heads: vec![],
                sums: crdt::vector::Sums::default(),
                has_unknown_keys: false,
            },
        });
        let (sender, committed) = std::sync::mpsc::channel();
        store.commit(rows, Box::new(move |result| sender.send(result).unwrap()));
        committed.recv().unwrap().unwrap();
        (store.reader(), list, store)
    }

    fn read(
        reader: &Reader,
        list: ListId,
        text: &str,
        effort: Effort,
    ) -> Option<serde_json::Value> {
        let Query((filter, page)) = Query::<(Filter, Page)>::parse(Some(text)).unwrap();
        let after = page.after.as_deref().map(|key| parse_place(key).unwrap());
        let writer = read_page(reader, list, &filter, &page, after.as_ref(), effort).unwrap();
        writer.map(|writer| serde_json::from_slice(&writer.finish()).unwrap())
    }

    fn positions(page: &serde_json::Value) -> Vec<u64> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["position"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn pages_go_through_the_list_once_and_tell_the_place_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, list, store) = reader(&dir, 50);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = read(&reader, list, &format!("limit=7{cursor}"), Effort::Any).unwrap();
            seen.extend(positions(&page));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, (0..50).collect::<Vec<u64>>());
        store.close();
    }

    #[test]
    fn the_index_and_the_whole_list_give_the_same_page() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, list, store) = reader(&dir, 200);
        for query in [
            "due=1970-01-31",
            "due_from=1970-01-11&due_to=1970-02-20&limit=2",
            "due=1970-01-02",
            "due_from=1970-01-01",
            "text=none&due=1970-01-31",
        ] {
            let (by_index, whole) = (
                read(&reader, list, query, Effort::Any),
                read(&reader, list, query, Effort::Little),
            );
            assert_eq!(by_index, whole, "{query}");
        }
        let first = read(
            &reader,
            list,
            "due_from=1970-01-11&due_to=1970-02-20&limit=2",
            Effort::Any,
        )
        .unwrap();
        let next = format!(
            "due_from=1970-01-11&due_to=1970-02-20&cursor={}",
            first["next"].as_str().unwrap()
        );
        assert_eq!(
            (
                positions(&first),
                positions(&read(&reader, list, &next, Effort::Any).unwrap())
            ),
            (vec![10, 20], vec![30, 40, 50])
        );
        store.close();
    }

    #[test]
    fn little_effort_stops_at_large_entries() {
        let large = |n: u128| {
            Ok::<_, Problem>(Some(Entry {
                notes: "x".repeat(60_000),
                ..entry(n)
            }))
        };
        let page = Page {
            limit: 10,
            after: None,
        };
        let write = |count, effort| {
            write_page(
                (0..count).map(large),
                0,
                &Filter::default(),
                &page,
                None,
                effort,
            )
            .unwrap()
            .is_some()
        };
        assert!(write(2, Effort::Little) && !write(3, Effort::Little) && write(3, Effort::Any));
    }
}
