//! Entries and files to test formats with.

use crate::{Format, List, Read};
use api::lists::{EntryPriority, NewEntry, TodoEntry};
use api::time::{Due, Millis};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

static UTC: TimeZone = TimeZone::UTC;

/// A list of these entries.
pub(crate) fn list(entries: &[TodoEntry]) -> List<'_> {
    List {
        name: "Weekly chores",
        entries,
        raw: &[],
        zone: &UTC,
    }
}

/// The entries that what was read would become.
pub(crate) fn back(read: &Read) -> Vec<TodoEntry> {
    assert_eq!(read.bad, []);
    read.items.iter().map(|item| added(&item.entry)).collect()
}

fn added(new: &NewEntry) -> TodoEntry {
    let due =
        |text: &Option<String>| -> Option<Due> { text.as_ref().map(|text| text.parse().unwrap()) };
    let at = |text: &Option<String>| -> Option<Millis> {
        text.as_ref().map(|text| text.parse().unwrap())
    };
    let created = at(&new.created_at).unwrap_or(Millis(0));
    TodoEntry {
        id: new.id.clone().unwrap(),
        title: new.title.clone().unwrap(),
        due: due(&new.due),
        done: new.done == Some(true),
        done_at: at(&new.done_at),
        priority: new.priority.clone(),
        tags: new.tags.clone().unwrap_or_default(),
        notes: new.notes.clone().unwrap_or_default(),
        assignee: new.assignee.clone(),
        estimate: new.estimate,
        wait: due(&new.wait),
        every: new.every.clone(),
        series: new.series.clone(),
        planned: due(&new.planned),
        created_at: created,
        modified_at: created,
        ..empty()
    }
}

fn empty() -> TodoEntry {
    serde_json::from_str(
        r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","title":"","due":null,"done":false,"done_at":null,
        "priority":null,"tags":[],"notes":"","assignee":null,"estimate":null,"order":"a0",
        "created_at":"2026-03-01T10:00:00.000Z","created_by":"kim@node1",
        "modified_at":"2026-03-01T10:00:00.000Z","modified_by":"kim@node1","conflicts":[]}"#,
    )
    .unwrap()
}

/// An entry with all fields.
pub(crate) fn full() -> TodoEntry {
    TodoEntry {
        title: "Sweep, rinse; repeat".to_owned(),
        due: Some("2026-03-05".parse().unwrap()),
        priority: Some(EntryPriority::High),
        tags: ["@deck", "big shop", "house"].map(str::to_owned).to_vec(),
        notes: "twice:\n\tonce \"wet\", once dry\n\nback\\slash".to_owned(),
        assignee: Some("Kim O'Neill".to_owned()),
        estimate: Some(90),
        wait: Some("2026-03-03".parse().unwrap()),
        every: Some("FREQ=WEEKLY;BYDAY=MO,TH;UNTIL=20271231".to_owned()),
        series: Some("01ARZ3NDEKTSV4RRFFQ69G5FAA".to_owned()),
        planned: Some("2026-03-04".parse().unwrap()),
        ..empty()
    }
}

/// Entries of each kind.
pub(crate) fn samples() -> Vec<TodoEntry> {
    let titled = |id: char, title: &str| TodoEntry {
        id: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{id}"),
        title: title.to_owned(),
        ..empty()
    };
    vec![
        full(),
        titled('B', "milk"),
        TodoEntry {
            done: true,
            done_at: Some("2026-03-02T08:30:00Z".parse().unwrap()),
            priority: Some(EntryPriority::Low),
            every: Some("FREQ=MONTHLY;INTERVAL=2".to_owned()),
            due: Some("2026-03-02T17:00:00Z".parse().unwrap()),
            ..titled('C', "=2+5 cmd|' /C calc'!A0 *bold* <b>html</b> [link](x)")
        },
        TodoEntry {
            wait: Some("2026-04-01T08:00:00Z".parse().unwrap()),
            notes: "- a list\n# a heading".to_owned(),
            ..titled(
                'D',
                "Ünïcödé 日本 👩\u{200d}👧 of a length that no line of a calendar has room for at all, at all",
            )
        },
    ]
}

/// Any entries of one list, with titles in which nothing looks like a mark of todo.txt.
pub(crate) fn entries() -> impl Strategy<Value = Vec<TodoEntry>> {
    let due = || {
        let day = (2000..2100_i16, 1..=12_i8, 1..=28_i8);
        let instant = (0..4_102_444_800_i64).prop_map(|s| Due::Instant(Millis(s * 1000)));
        let day = day.prop_map(|(y, m, d)| Due::Date(jiff::civil::date(y, m, d)));
        prop::option::of(prop_oneof![day, instant])
    };
    let at = || (0..4_102_444_800_i64).prop_map(|s| Millis(s * 1000));
    let word = "[^\\s\\p{C}:+@%]{1,9}";
    let title = prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "));
    let tags = prop::collection::btree_set("[^\\p{C}\\s]{1,5}( [a-z,;]{1,3})?", 0..4);
    let notes = prop_oneof![
        Just(String::new()),
        "[^\\p{C}]{1,90}",
        "([a-z,;:\\\\ ]{0,9}\n){1,4}[a-z]"
    ];
    let rule = prop::sample::select(vec![
        "FREQ=DAILY",
        "FREQ=WEEKLY;INTERVAL=3",
        "FREQ=MONTHLY;BYDAY=-1FR",
    ]);
    let texts = (title, tags, notes, prop::option::of(word));
    let times = (due(), due(), at(), prop::option::of(at()));
    let rest = (
        prop::option::of(1..525_600_i64),
        prop::option::of(rule),
        0..4_usize,
    );
    let entry = (texts, times, rest).prop_map(|(texts, times, rest)| {
        let (title, tags, notes, assignee) = texts;
        let (due, wait, created_at, done_at) = times;
        let (estimate, every, priority) = rest;
        let levels = [
            EntryPriority::High,
            EntryPriority::Medium,
            EntryPriority::Low,
        ];
        TodoEntry {
            title,
            tags: tags.into_iter().collect(),
            notes,
            assignee,
            due,
            wait,
            created_at,
            modified_at: created_at,
            done: done_at.is_some(),
            done_at,
            estimate,
            every: every.map(str::to_owned).filter(|_| due.is_some()),
            priority: levels.get(priority).cloned(),
            ..empty()
        }
    });
    prop::collection::vec(entry, 0..4).prop_map(|entries| {
        let numbered = entries.into_iter().enumerate();
        let with_id = |(n, entry)| TodoEntry {
            id: names::EntryId(n as u128 + 7).to_string(),
            ..entry
        };
        numbered.map(with_id).collect()
    })
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

/// Compares a text with the file of that name, or writes it with `UPDATE_GOLDEN`.
pub(crate) fn golden(name: &str, text: &str) {
    let file = file(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "{name}");
}

/// Reads a file of another program, and compares what comes of it with what came of it before.
pub(crate) fn read_golden(format: Format, name: &str) -> Read {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let read = crate::read(format, &fs::read(file(name)).unwrap(), &zone);
    let items = read.items.iter().map(|item| {
        let entry = serde_json::to_string(&item.entry).unwrap();
        format!("line {}: {entry}\n", item.line)
    });
    let passed = read
        .passed_over
        .iter()
        .map(|(what, times)| format!("passed over: {what} ({times})\n"));
    let bad = read
        .bad
        .iter()
        .map(|bad| format!("bad: line {}: {}\n", bad.line, bad.why));
    let told: String = items.chain(passed).chain(bad).collect();
    golden(&format!("{name}.read"), &told);
    read
}
