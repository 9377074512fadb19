//! Taskwarrior's JSON, as `task export` writes it and `task import` reads it.
//!
//! | there | here |
//! | --- | --- |
//! | `uuid` | the id: both have 128 bits |
//! | `description`, `annotations` | title; notes, a line each |
//! | `status` | open or done; what is deleted is passed over |
//! | `entry`, `end` | when it was made, and done |
//! | `due`, `wait` | the same; midnight where the reader is stands for the day |
//! | `project` | the tag `project:NAME` |
//! | `priority` H, M, L; `tags` | priority, tags |
//! | `recur` of days, weeks, months, years | every. The template is the entry, due when its first open instance is; open instances are passed over |
//! | `muster_…` | what Taskwarrior has no place for, in attributes that it keeps |
//!
//! Other attributes are passed over, and told.

use crate::days::{self, start_of, zoned};
use crate::ids;
use crate::json::{values, without_place};
use crate::percent::{decode, encode};
use crate::{Item, List, Read};
use api::lists::{EntryPriority, NewEntry, TodoEntry};
use api::time::{Due, Millis};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use names::EntryId;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const NAME: &str = "taskwarrior";
const PROJECT: &str = "project:";
/// What says nothing of an entry that lists could keep.
const SILENT: [&str; 8] = [
    "id", "urgency", "modified", "mask", "imask", "rtype", "last", "template",
];

#[derive(Deserialize)]
struct Task {
    uuid: Option<String>,
    description: Option<String>,
    status: Option<String>,
    entry: Option<String>,
    end: Option<String>,
    due: Option<String>,
    wait: Option<String>,
    project: Option<String>,
    priority: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    recur: Option<String>,
    parent: Option<String>,
    muster_notes: Option<String>,
    muster_tags: Option<String>,
    muster_assignee: Option<String>,
    muster_estimate: Option<Value>,
    muster_every: Option<String>,
    muster_series: Option<String>,
    muster_planned: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    entry: String,
    #[serde(default)]
    description: String,
}

pub(crate) fn read(text: &str, zone: &TimeZone) -> Read {
    let mut read = Read::default();
    let mut tasks = Vec::new();
    for (line, value) in values(text, &mut read) {
        match serde_json::from_str::<Task>(value.get()) {
            Ok(task) => tasks.push((line, task)),
            Err(error) => read.refuse(
                line,
                format!("it is not a task: {}", without_place(&error.to_string())),
            ),
        }
    }
    let dues = first_dues(&tasks);
    for (line, task) in tasks {
        let status = task.status.as_deref().unwrap_or("pending");
        let is_open = status == "pending" || status == "waiting";
        let parent = task.parent.as_deref().unwrap_or_default();
        if status == "deleted" {
            read.pass_over("deleted tasks");
            continue;
        }
        if is_open && dues.contains_key(parent) {
            read.pass_over("open instances of recurring tasks");
            continue;
        }
        let due = task.uuid.as_ref().and_then(|uuid| dues.get(uuid)).cloned();
        match entry(task, due.flatten(), zone, &mut read) {
            Ok(entry) => read.items.push(Item { line, entry }),
            Err(why) => read.refuse(line, why),
        }
    }
    read
}

/// The templates of recurring tasks, and when the first open instance of each is due.
fn first_dues(tasks: &[(usize, Task)]) -> BTreeMap<String, Option<String>> {
    let templates = tasks
        .iter()
        .filter(|(_, task)| task.status.as_deref() == Some("recurring"));
    let uuids = templates.filter_map(|(_, task)| Some((task.uuid.clone()?, None)));
    let mut dues: BTreeMap<String, Option<String>> = uuids.collect();
    let open = tasks
        .iter()
        .map(|(_, task)| task)
        .filter(|task| matches!(task.status.as_deref(), Some("pending" | "waiting")));
    for task in open {
        let template = task.parent.as_ref().and_then(|parent| dues.get_mut(parent));
        let (Some(first), Some(due)) = (template, &task.due) else {
            continue;
        };
        if first.as_ref().is_none_or(|first| due < first) {
            *first = Some(due.clone());
        }
    }
    dues
}

fn entry(
    mut task: Task,
    first_due: Option<String>,
    zone: &TimeZone,
    read: &mut Read,
) -> Result<NewEntry, String> {
    let uuid = task.uuid.take().ok_or("it has no uuid")?;
    let title = task.description.take().ok_or("it has no description")?;
    let due = first_due.or_else(|| task.due.take());
    let due = due.map(|at| day_or_moment(&at, zone)).transpose()?;
    let wait = task.wait.as_deref();
    let wait = wait.map(|at| day_or_moment(at, zone)).transpose()?;
    let done = task.status.as_deref() == Some("completed");
    let past = |at: Option<&str>| -> Result<Option<String>, String> {
        let at = at.map(|at| instant(at).map(|at| at.to_string()));
        at.transpose()
    };
    let (created_at, ended) = (past(task.entry.as_deref())?, past(task.end.as_deref())?);
    let every = every(&task, due.is_some(), read);
    let mut tags = std::mem::take(&mut task.tags);
    tags.extend(
        task.project
            .as_ref()
            .map(|project| format!("{PROJECT}{project}")),
    );
    let others = task.muster_tags.iter().flat_map(|words| words.split(' '));
    tags.extend(others.filter(|word| !word.is_empty()).map(decode));
    tags.sort();
    tags.dedup();
    let priority = match task.priority.as_deref() {
        Some("H") => Some(EntryPriority::High),
        Some("M") => Some(EntryPriority::Medium),
        Some("L") => Some(EntryPriority::Low),
        Some(other) => {
            if !other.is_empty() {
                read.pass_over("priorities other than H, M and L");
            }
            None
        }
        None => None,
    };
    for name in task
        .rest
        .keys()
        .filter(|name| !SILENT.contains(&name.as_str()))
    {
        read.pass_over(name);
    }
    let notes = notes(&mut task);
    Ok(NewEntry {
        id: Some(id(&uuid)),
        title: Some(title.replace(['\n', '\t'], " ")),
        due,
        wait,
        done: done.then_some(true),
        done_at: ended.filter(|_| done),
        created_at,
        every,
        priority,
        tags: (!tags.is_empty()).then_some(tags),
        notes: (!notes.is_empty()).then_some(notes),
        assignee: task.muster_assignee.as_deref().map(decode),
        estimate: task.muster_estimate.and_then(whole),
        series: task.muster_series,
        planned: task.muster_planned,
        ..NewEntry::default()
    })
}

/// Taskwarrior keeps the values of attributes that it does not know as text.
fn whole(value: Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn notes(task: &mut Task) -> String {
    task.annotations
        .sort_by(|one, other| one.entry.cmp(&other.entry));
    let lines = task.annotations.iter().map(|one| one.description.clone());
    let before = task.muster_notes.as_deref().map(decode);
    before
        .into_iter()
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

fn every(task: &Task, is_due: bool, read: &mut Read) -> Option<String> {
    let recur = task.recur.as_deref().filter(|recur| !recur.is_empty());
    // An instance that is done recurs by its template.
    let recur = recur.filter(|_| task.status.as_deref() == Some("recurring"));
    let ours = task.muster_every.clone();
    if ours.is_some() || recur.is_none() {
        return ours;
    }
    let rule = recur.and_then(rule).filter(|_| is_due);
    if rule.is_none() {
        read.pass_over("recur of other times");
    }
    rule
}

/// `weekly`, `2wks`, `P1M`.
fn rule(recur: &str) -> Option<String> {
    let word = recur.to_ascii_lowercase();
    let named = match word.as_str() {
        "daily" => Some((1, 'd')),
        "weekly" | "sennight" => Some((1, 'w')),
        "biweekly" | "fortnight" => Some((2, 'w')),
        "monthly" => Some((1, 'm')),
        "bimonthly" => Some((2, 'm')),
        "quarterly" => Some((3, 'm')),
        "semiannual" => Some((6, 'm')),
        "annual" | "yearly" => Some((1, 'y')),
        "biannual" | "biyearly" => Some((2, 'y')),
        "weekdays" => return Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR".to_owned()),
        _ => None,
    };
    let (number, unit) = named.or_else(|| {
        let word = word.strip_prefix('p').unwrap_or(&word);
        let end = word.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = word.split_at(end);
        let number: u32 = if number.is_empty() {
            1
        } else {
            number.parse().ok()?
        };
        match unit.trim_start() {
            "d" | "day" | "days" => Some((number, 'd')),
            "w" | "wk" | "wks" | "week" | "weeks" => Some((number, 'w')),
            "m" | "mo" | "mos" | "mth" | "mths" | "month" | "months" => Some((number, 'm')),
            "q" | "qtr" | "qtrs" | "quarter" | "quarters" => Some((number * 3, 'm')),
            "y" | "yr" | "yrs" | "year" | "years" => Some((number, 'y')),
            _ => None,
        }
    })?;
    days::rule_of(number, unit)
}

fn id(uuid: &str) -> String {
    let digits = uuid.replace('-', "");
    match u128::from_str_radix(&digits, 16) {
        Ok(bits) if digits.len() == 32 => EntryId(bits).to_string(),
        Ok(_) | Err(_) => ids::of_id(NAME, uuid),
    }
}

fn uuid(id: &str) -> String {
    let bits = id.parse::<EntryId>().map_or(0, |id| id.0);
    let mut uuid = format!("{bits:032x}");
    for at in [20, 16, 12, 8] {
        uuid.insert(at, '-');
    }
    uuid
}

/// `20260301T170000Z`, or as RFC 3339 has it.
fn instant(text: &str) -> Result<Millis, String> {
    let local = text.strip_suffix('Z').unwrap_or(text);
    let compact = DateTime::strptime("%Y%m%dT%H%M%S", local).ok();
    let compact = compact.and_then(|at| at.to_zoned(TimeZone::UTC).ok());
    let compact = compact.map(|at| Millis(at.timestamp().as_millisecond()));
    compact
        .or_else(|| text.parse().ok())
        .ok_or_else(|| format!("{text:?} is no time; 20260301T170000Z is right"))
}

fn day_or_moment(text: &str, zone: &TimeZone) -> Result<String, String> {
    let at = instant(text)?;
    let here = zoned(at, zone);
    if here.time() == Time::midnight() {
        return Ok(here.date().to_string());
    }
    Ok(at.to_string())
}

pub(crate) fn write(list: List<'_>) -> String {
    let tasks = list
        .entries
        .iter()
        .map(|entry| task(entry, list.zone).to_string());
    format!("[\n{}\n]\n", tasks.collect::<Vec<_>>().join(",\n"))
}

fn task(entry: &TodoEntry, zone: &TimeZone) -> Value {
    let mut task = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        task.extend(value.map(|value| (name.to_owned(), value)));
    };
    let moment = |due: Due| json!(compact_due(due, zone));
    let simple = entry.every.as_deref().and_then(days::simple_rule);
    // Only what is open and has a day can recur there.
    let recur = simple.filter(|_| !entry.done && entry.due.is_some());
    let status = match (entry.done, recur) {
        (true, _) => "completed",
        (false, Some(_)) => "recurring",
        (false, None) => "pending",
    };
    set("uuid", Some(json!(uuid(&entry.id))));
    set("description", Some(json!(entry.title)));
    set("status", Some(json!(status)));
    set("entry", Some(json!(compact(entry.created_at))));
    set("modified", Some(json!(compact(entry.modified_at))));
    set("end", days::done_at(entry).map(|at| json!(compact(at))));
    set("due", entry.due.map(moment));
    set("wait", entry.wait.map(moment));
    set(
        "recur",
        recur.map(|(number, unit)| json!(in_words(number, unit))),
    );
    let level = match entry.priority {
        Some(EntryPriority::High) => Some("H"),
        Some(EntryPriority::Medium) => Some("M"),
        Some(EntryPriority::Low) => Some("L"),
        Some(EntryPriority::Other(_)) | None => None,
    };
    set("priority", level.map(|level| json!(level)));
    let project = entry.tags.iter().find_map(|tag| tag.strip_prefix(PROJECT));
    let project = project.filter(|project| !project.is_empty());
    set("project", project.map(|project| json!(project)));
    let others = entry
        .tags
        .iter()
        .filter(|tag| tag.strip_prefix(PROJECT) != project || project.is_none());
    let (tags, odd): (Vec<&String>, Vec<&String>) = others.partition(|tag| is_tag(tag));
    set("tags", (!tags.is_empty()).then(|| json!(tags)));
    let odd: Vec<String> = odd.into_iter().map(|tag| encode(tag)).collect();
    set(
        "muster_tags",
        (!odd.is_empty()).then(|| json!(odd.join(" "))),
    );
    let annotations = annotations(entry);
    let is_plain = annotations.is_some() || entry.notes.is_empty();
    set("annotations", annotations);
    set(
        "muster_notes",
        (!is_plain).then(|| json!(encode(&entry.notes))),
    );
    set(
        "muster_assignee",
        entry.assignee.as_deref().map(|who| json!(encode(who))),
    );
    set(
        "muster_estimate",
        entry.estimate.map(|minutes| json!(minutes.to_string())),
    );
    let rule = entry.every.as_ref().filter(|_| recur.is_none());
    set("muster_every", rule.map(|rule| json!(rule)));
    set("muster_series", entry.series.as_ref().map(|id| json!(id)));
    set(
        "muster_planned",
        entry.planned.map(|day| json!(day.to_string())),
    );
    Value::Object(task)
}

/// What Taskwarrior takes as a tag also on its command line.
fn is_tag(tag: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '@';
    tag.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@') && tag.chars().all(is_part)
}

/// Notes as annotations, if each of their lines can be one.
fn annotations(entry: &TodoEntry) -> Option<Value> {
    let is_line =
        |line: &str| !line.is_empty() && line.trim() == line && !line.contains(['\t', '\\']);
    if entry.notes.is_empty() || !entry.notes.split('\n').all(is_line) {
        return None;
    }
    let lines = entry.notes.split('\n').zip(0..);
    // Those of one second could change places.
    let annotation = |(line, nth): (&str, i64)| {
        let at = Millis(entry.created_at.0.saturating_add(nth * 1000));
        json!({ "entry": compact(at), "description": line })
    };
    Some(lines.map(annotation).collect())
}

fn in_words(number: u32, unit: char) -> String {
    let unit = match unit {
        'd' => "days",
        'w' => "weeks",
        'm' => "months",
        _ => "years",
    };
    format!("{number}{unit}")
}

fn compact(at: Millis) -> String {
    zoned(at, &TimeZone::UTC)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

fn compact_due(due: Due, zone: &TimeZone) -> String {
    let start = |day| start_of(day, zone).and_then(|at| at.parse().ok());
    match due {
        Due::Instant(at) => compact(at),
        Due::Date(day) => compact(start(day).unwrap_or(Millis(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;
    use crate::testing::{self, back};

    #[test]
    fn an_export_of_taskwarrior_is_read() {
        let read = testing::read_golden(Format::Taskwarrior, "in/taskwarrior.json");
        let entry = |line| {
            read.items
                .iter()
                .find(|item| item.line == line)
                .map(|item| &item.entry)
        };
        let plumber = entry(2).unwrap();
        assert_eq!(plumber.title.as_deref(), Some("Call the plumber"));
        assert_eq!(
            plumber.due.as_deref(),
            Some("2026-06-01"),
            "midnight in Berlin is a day"
        );
        assert_eq!(
            plumber.tags.as_deref().unwrap(),
            ["phone", "project:house.bath"]
        );
        assert_eq!(
            plumber.notes.as_deref(),
            Some("ask about the boiler\nhttps://example.org/")
        );
        let plants = entry(5).unwrap();
        assert_eq!(plants.every.as_deref(), Some("FREQ=WEEKLY"));
        assert_eq!(plants.due.as_deref(), Some("2026-06-08"));
        assert_eq!((entry(6), entry(7)), (None, None));
    }

    #[test]
    fn recurrences_in_the_words_of_taskwarrior_become_rules() {
        for (recur, expected) in [
            ("weekly", Some("FREQ=WEEKLY")),
            ("2wks", Some("FREQ=WEEKLY;INTERVAL=2")),
            ("P1M", Some("FREQ=MONTHLY")),
            ("quarterly", Some("FREQ=MONTHLY;INTERVAL=3")),
            ("3 days", Some("FREQ=DAILY;INTERVAL=3")),
            ("weekdays", Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR")),
            ("PT4H", None),
            ("0d", None),
            ("often", None),
        ] {
            assert_eq!(rule(recur).as_deref(), expected, "{recur}");
        }
    }

    #[test]
    fn a_uuid_is_an_id_and_the_other_way_round() {
        let uuid_text = "f6a1b1e0-3c55-4f4b-8a6d-0123456789ab";
        assert_eq!(uuid(&id(uuid_text)), uuid_text);
        assert_eq!(
            id(&uuid("01ARZ3NDEKTSV4RRFFQ69G5FAV")),
            "01ARZ3NDEKTSV4RRFFQ69G5FAV"
        );
        assert_ne!(id("7"), id("8"));
    }

    #[test]
    fn each_task_that_is_wrong_is_told() {
        let file = "[\n{\"uuid\":\"f6a1b1e0-3c55-4f4b-8a6d-0123456789ab\"},\n{\"description\":\"x\"},\n\
            {\"uuid\":\"7\",\"description\":\"y\",\"due\":\"soon\"},\n{\"uuid\":\"8\",\"description\":9}\n]";
        let lines: Vec<usize> = read(file, &TimeZone::UTC)
            .bad
            .iter()
            .map(|bad| bad.line)
            .collect();
        assert_eq!(lines, [5, 2, 3, 4]);
    }

    #[test]
    fn all_fields_come_back() {
        let entry = testing::full();
        let read = read(
            &write(testing::list(std::slice::from_ref(&entry))),
            &TimeZone::UTC,
        );
        assert!(read.passed_over.is_empty(), "{read:?}");
        assert_eq!(back(&read), [entry]);
    }

    #[test]
    fn the_file_is_as_it_was() {
        testing::golden(
            "taskwarrior.json",
            &write(testing::list(&testing::samples())),
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_written_again(entries in testing::entries()) {
            let written = write(testing::list(&entries));
            let read = read(&written, &TimeZone::UTC);
            proptest::prop_assert_eq!(write(testing::list(&back(&read))), written);
        }
    }
}
