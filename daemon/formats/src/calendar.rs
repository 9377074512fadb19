//! iCalendar (RFC 5545): the to-dos (`VTODO`) of a calendar.
//!
//! | there | here |
//! | --- | --- |
//! | `UID` | the id: that of Muster as it is, another one hashed |
//! | `SUMMARY`, `DESCRIPTION` | title, notes |
//! | `DUE`; without it `DTSTART` with `DURATION`, or alone | due: a day, or an instant in the zone that it names, else the reader's |
//! | `DTSTART` before that | wait |
//! | `RRULE` by days and without `COUNT` | every |
//! | `STATUS`, `COMPLETED` | done; what was cancelled is done, with the tag `cancelled` |
//! | `PRIORITY` 1 to 4, 5, 6 to 9 | high, medium, low |
//! | `CATEGORIES`, `CREATED` | tags, when it was made |
//! | `X-MUSTER-…` | what the format has no place for |
//!
//! All else is passed over, and told: events, journals, alarms, places, attendees, relations.
//!
//! The content lines are read by code of our own: of the libraries one is archived (`ical`), one refuses
//! what common clients write (`caldata`), and none tells the line on which something is wrong.

mod content;
mod zones;

use crate::days;
use crate::ids::{self, Ids};
use crate::{Item, List, Read};
use api::lists::{EntryPriority, NewEntry, TodoEntry};
use api::time::{Due, Millis};
use content::{Line, escaped, texts, unescaped};
use jiff::Span;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use zones::Zones;

const NAME: &str = "ics";
/// The tag of what was given up.
const CANCELLED: &str = "cancelled";
/// What says nothing of an entry that lists could keep.
const SILENT: [&str; 6] = [
    "DTSTAMP",
    "SEQUENCE",
    "CLASS",
    "LAST-MODIFIED",
    "PERCENT-COMPLETE",
    "GEO",
];

/// A to-do as it is written.
struct Todo {
    line: usize,
    lines: Vec<Line>,
}

/// A day or a moment as it is written.
#[derive(Clone, Debug)]
enum When {
    Day(Date),
    Moment(DateTime, TimeZone),
}

pub(crate) fn read(text: &str, zone: &TimeZone) -> Read {
    let (mut read, mut ids) = (Read::default(), Ids::default());
    let mut zones = Zones::new(zone.clone());
    let todos = todos(text, &mut read, &mut zones);
    for todo in todos {
        match entry(&todo, &zones, &mut ids, &mut read) {
            Ok(entry) => read.items.push(Item {
                line: todo.line,
                entry,
            }),
            Err((line, why)) => read.refuse(line, why),
        }
    }
    read
}

/// The to-dos of a file; zones that it describes are learned.
fn todos(text: &str, read: &mut Read, zones: &mut Zones) -> Vec<Todo> {
    let (mut todos, mut open): (Vec<Todo>, Vec<(usize, String)>) = (Vec::new(), Vec::new());
    for line in content::lines(text) {
        let line = match line {
            Ok(line) => line,
            Err(number) => {
                read.refuse(
                    number,
                    "it is no content line of iCalendar, such as SUMMARY:milk",
                );
                continue;
            }
        };
        match line.name.as_str() {
            "BEGIN" => {
                begin(&line, &open, &mut todos, read);
                open.push((line.number, line.value.trim().to_ascii_uppercase()));
                continue;
            }
            "END" => {
                let ended = open.pop().map(|(_, name)| name);
                if ended.as_deref() != Some(line.value.trim().to_ascii_uppercase().as_str()) {
                    read.refuse(line.number, format!("END:{} ends nothing", line.value));
                    return Vec::new();
                }
                continue;
            }
            _ if open.is_empty() => {
                read.refuse(line.number, "it stands outside of BEGIN:VCALENDAR");
                return Vec::new();
            }
            _ => {}
        }
        match open.last().map(|(_, name)| name.as_str()) {
            Some("VTODO") => {
                if let Some(todo) = todos.last_mut() {
                    todo.lines.push(line);
                }
            }
            Some("VTIMEZONE") => zones.learn(&line.name, &line.value),
            Some(_) | None => {}
        }
    }
    if let Some((number, name)) = open.pop() {
        read.refuse(number, format!("BEGIN:{name} has no end"));
    }
    todos
}

fn begin(line: &Line, open: &[(usize, String)], todos: &mut Vec<Todo>, read: &mut Read) {
    let name = line.value.trim().to_ascii_uppercase();
    let inside = open.last().map(|(_, name)| name.as_str());
    match (name.as_str(), inside) {
        ("VTODO", _) => todos.push(Todo {
            line: line.number,
            lines: Vec::new(),
        }),
        ("VCALENDAR" | "VTIMEZONE", _) | (_, Some("VTIMEZONE")) => {}
        (_, Some("VCALENDAR" | "VTODO")) => read.pass_over(&name),
        (_, _) => {}
    }
}

/// What comes of the lines of a to-do, before they are put together.
#[derive(Default)]
struct Parts {
    entry: NewEntry,
    uid: String,
    start: Option<When>,
    due: Option<When>,
    duration: Option<Span>,
    status: String,
    completed: Option<String>,
    has_wait: bool,
}

fn entry(
    todo: &Todo,
    zones: &Zones,
    ids: &mut Ids,
    read: &mut Read,
) -> Result<NewEntry, (usize, String)> {
    let mut parts = Parts::default();
    for line in &todo.lines {
        take(&mut parts, line, zones, read).map_err(|why| (line.number, why))?;
    }
    let Parts {
        mut entry,
        uid,
        start,
        due,
        duration,
        status,
        completed,
        has_wait,
    } = parts;
    if entry.title.is_none() {
        return Err((
            todo.line,
            "it has no SUMMARY, which is the title".to_owned(),
        ));
    }
    let due = match (due, &start, duration) {
        (Some(due), _, _) => Some(due),
        (None, Some(start), Some(duration)) => start.after(duration).or(Some(start.clone())),
        (None, start, _) => start.clone(),
    };
    let broken = || (todo.line, "it has a time that does not exist".to_owned());
    let due = due
        .map(|due| due.written().ok_or_else(broken))
        .transpose()?;
    let start = start
        .map(|start| start.written().ok_or_else(broken))
        .transpose()?;
    let is_before = |start: &Due| due.is_some_and(|due| is_before(*start, due));
    if let Some(start) = start.filter(|start| !has_wait && is_before(start)) {
        entry.wait = Some(days::written(start));
    }
    entry.due = due.map(days::written);
    if entry.every.is_some() && entry.due.is_none() {
        entry.every = None;
        read.pass_over("RRULE without DUE or DTSTART");
    }
    if status == "COMPLETED" || status == "CANCELLED" || (status.is_empty() && completed.is_some())
    {
        entry.done = Some(true);
        entry.done_at = completed;
    }
    if status == "CANCELLED" {
        entry
            .tags
            .get_or_insert_default()
            .push(CANCELLED.to_owned());
    }
    if let Some(tags) = &mut entry.tags {
        tags.sort();
        tags.dedup();
    }
    let id = if uid.is_empty() {
        let lines = todo
            .lines
            .iter()
            .map(|line| format!("{}:{}\n", line.name, line.value));
        ids.of_text(NAME, &lines.collect::<String>())
    } else {
        ids::of_id(NAME, &uid)
    };
    entry.id = Some(id);
    Ok(entry)
}

/// Whether one is earlier, where both are of one kind.
fn is_before(one: Due, other: Due) -> bool {
    match (one, other) {
        (Due::Date(one), Due::Date(other)) => one < other,
        (Due::Instant(one), Due::Instant(other)) => one < other,
        (Due::Date(_), Due::Instant(_)) | (Due::Instant(_), Due::Date(_)) => false,
    }
}

fn take(parts: &mut Parts, line: &Line, zones: &Zones, read: &mut Read) -> Result<(), String> {
    let entry = &mut parts.entry;
    let text = || unescaped(&line.value);
    match line.name.as_str() {
        "UID" => parts.uid.push_str(line.value.trim()),
        // Another occurrence of one UID.
        "RECURRENCE-ID" => parts.uid.push_str(&format!("\n{}", line.value.trim())),
        "SUMMARY" => entry.title = Some(text().replace(['\n', '\t'], " ").trim().to_owned()),
        "DESCRIPTION" => {
            let text = text().replace('\r', "");
            entry.notes = (!text.is_empty()).then_some(text);
        }
        "DUE" => parts.due = Some(when(line, zones)?),
        "DTSTART" => parts.start = Some(when(line, zones)?),
        "DURATION" => {
            let duration: Result<Span, _> = line.value.trim().parse();
            let wrong = |_| format!("DURATION is {:?}; P1D or PT30M is right", line.value);
            parts.duration = Some(duration.map_err(wrong)?);
        }
        "RRULE" => entry.every = rule(&line.value, read),
        "STATUS" => parts.status = line.value.trim().to_ascii_uppercase(),
        "COMPLETED" => parts.completed = instant(line, zones)?,
        "CREATED" => entry.created_at = instant(line, zones)?,
        "PRIORITY" => {
            entry.priority = match line.value.trim().parse() {
                Ok(1..=4_u8) => Some(EntryPriority::High),
                Ok(5) => Some(EntryPriority::Medium),
                Ok(6..=9) => Some(EntryPriority::Low),
                Ok(0) => None,
                Ok(_) | Err(_) => {
                    return Err(format!("PRIORITY is {:?}; 0 to 9 is right", line.value));
                }
            };
        }
        "CATEGORIES" => {
            let tags = texts(&line.value)
                .into_iter()
                .map(|tag| tag.trim().to_owned());
            let tags = tags.filter(|tag| !tag.is_empty());
            entry.tags.get_or_insert_default().extend(tags);
        }
        "X-MUSTER-WAIT" => {
            entry.wait = Some(text());
            parts.has_wait = true;
        }
        "X-MUSTER-ASSIGNEE" => entry.assignee = Some(text()),
        "X-MUSTER-ESTIMATE" => entry.estimate = line.value.trim().parse().ok(),
        "X-MUSTER-SERIES" => entry.series = Some(text()),
        "X-MUSTER-PLANNED" => entry.planned = Some(text()),
        name if name.starts_with("X-") || SILENT.contains(&name) => {}
        name => read.pass_over(name),
    }
    Ok(())
}

fn rule(value: &str, read: &mut Read) -> Option<String> {
    let rule = value.trim().to_ascii_uppercase();
    if !days::is_rule_of_lists(&rule) {
        read.pass_over("RRULE by hours, or with COUNT");
        return None;
    }
    // Lists end a rule by a day.
    let part = |part: &str| match part.strip_prefix("UNTIL=") {
        Some(until) => format!("UNTIL={}", until.split('T').next().unwrap_or_default()),
        None => part.to_owned(),
    };
    Some(rule.split(';').map(part).collect::<Vec<_>>().join(";"))
}

fn instant(line: &Line, zones: &Zones) -> Result<Option<String>, String> {
    let at = match when(line, zones)? {
        When::Day(day) => days::start_of(day, zones.here()),
        moment @ When::Moment(..) => moment.written().map(days::written),
    };
    Ok(at)
}

/// `20260301`, `20260301T170000`, `20260301T170000Z`.
fn when(line: &Line, zones: &Zones) -> Result<When, String> {
    let value = line.value.trim();
    let wrong = || {
        let name = &line.name;
        format!("{name} is {value:?}; 20260301, 20260301T170000 or 20260301T170000Z is right")
    };
    if value.len() == 8 && value.is_ascii() {
        let day = Date::strptime("%Y%m%d", value);
        return day.map(When::Day).map_err(|_| wrong());
    }
    let (local, zone) = match value.strip_suffix('Z') {
        Some(local) => (local, TimeZone::UTC),
        None => (value, zones.find(line.param("TZID"))?),
    };
    let at = DateTime::strptime("%Y%m%dT%H%M%S", local);
    at.map(|at| When::Moment(at, zone)).map_err(|_| wrong())
}

impl When {
    fn written(&self) -> Option<Due> {
        match self {
            Self::Day(day) => Some(Due::Date(*day)),
            Self::Moment(at, zone) => {
                let at = at.to_zoned(zone.clone()).ok()?;
                Some(Due::Instant(Millis(at.timestamp().as_millisecond())))
            }
        }
    }

    fn after(&self, duration: Span) -> Option<Self> {
        Some(match self {
            Self::Day(day) => Self::Day(day.checked_add(duration).ok()?),
            Self::Moment(at, zone) => Self::Moment(at.checked_add(duration).ok()?, zone.clone()),
        })
    }
}

pub(crate) fn write(list: List<'_>) -> String {
    let mut out = String::new();
    let head = [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Muster//NONSGML Muster//EN".to_owned(),
        format!("X-WR-CALNAME:{}", escaped(list.name)),
    ];
    head.iter().for_each(|line| content::write(&mut out, line));
    for entry in list.entries {
        todo(entry)
            .iter()
            .for_each(|line| content::write(&mut out, line));
    }
    content::write(&mut out, "END:VCALENDAR");
    out
}

fn todo(entry: &TodoEntry) -> Vec<String> {
    let mut lines = vec!["BEGIN:VTODO".to_owned()];
    let mut line = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name}{value}")));
    };
    line("UID:", Some(entry.id.clone()));
    line("DTSTAMP:", Some(utc(entry.modified_at)));
    line("CREATED:", Some(utc(entry.created_at)));
    line("LAST-MODIFIED:", Some(utc(entry.modified_at)));
    line("SUMMARY:", Some(escaped(&entry.title)));
    line(
        "DESCRIPTION:",
        (!entry.notes.is_empty()).then(|| escaped(&entry.notes)),
    );
    let start = entry
        .wait
        .filter(|wait| entry.due.is_some_and(|due| is_before(*wait, due)));
    // A rule needs a day that it counts from.
    let first = entry.due.filter(|_| entry.every.is_some());
    line("DTSTART", start.or(first).map(moment));
    line("DUE", entry.due.map(moment));
    line("RRULE:", entry.every.clone());
    let priority = match entry.priority {
        Some(EntryPriority::High) => Some("1"),
        Some(EntryPriority::Medium) => Some("5"),
        Some(EntryPriority::Low) => Some("9"),
        Some(EntryPriority::Other(_)) | None => None,
    };
    line("PRIORITY:", priority.map(str::to_owned));
    let tags: Vec<String> = entry.tags.iter().map(|tag| escaped(tag)).collect();
    line("CATEGORIES:", (!tags.is_empty()).then(|| tags.join(",")));
    let status = if entry.done {
        "COMPLETED"
    } else {
        "NEEDS-ACTION"
    };
    line("STATUS:", Some(status.to_owned()));
    line("COMPLETED:", days::done_at(entry).map(utc));
    let wait = entry.wait.filter(|_| start.is_none());
    line("X-MUSTER-WAIT:", wait.map(days::written));
    line("X-MUSTER-ASSIGNEE:", entry.assignee.as_deref().map(escaped));
    line(
        "X-MUSTER-ESTIMATE:",
        entry.estimate.map(|minutes| minutes.to_string()),
    );
    line("X-MUSTER-SERIES:", entry.series.clone());
    line("X-MUSTER-PLANNED:", entry.planned.map(days::written));
    line("END:VTODO", Some(String::new()));
    lines
}

fn moment(due: Due) -> String {
    match due {
        Due::Date(day) => format!(";VALUE=DATE:{}", day.strftime("%Y%m%d")),
        Due::Instant(at) => format!(":{}", utc(at)),
    }
}

fn utc(at: Millis) -> String {
    days::zoned(at, &TimeZone::UTC)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;
    use crate::testing::{self, back};

    #[test]
    fn files_of_real_programs_are_read() {
        let thunderbird = testing::read_golden(Format::Calendar, "in/thunderbird.ics");
        let first = &thunderbird.items[0].entry;
        // Nine in the morning in Berlin, in summer.
        assert_eq!(first.due.as_deref(), Some("2026-06-01T07:00:00.000Z"));
        let tasks = testing::read_golden(Format::Calendar, "in/tasks-org.ics");
        assert_eq!(tasks.passed_over["VALARM"], 1);
        assert_eq!(
            tasks.items[0].entry.every.as_deref(),
            Some("FREQ=WEEKLY;BYDAY=MO")
        );
        let outlook = testing::read_golden(Format::Calendar, "in/quirks.ics");
        assert_eq!(outlook.bad, []);
    }

    #[test]
    fn each_line_that_is_wrong_is_told() {
        let file = "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\nDUE:tomorrow\nEND:VTODO\nBEGIN:VTODO\nUID:x\nEND:VTODO\n\
            BEGIN:VTODO\nSUMMARY:b\nPRIORITY:11\nEND:VTODO\nBEGIN:VTODO\nSUMMARY:c\nDUE;TZID=Middle Earth:20260301T090000\nEND:VTODO\n\
            nonsense\nEND:VCALENDAR\n";
        let read = read(file, &TimeZone::UTC);
        let mut lines: Vec<usize> = read.bad.iter().map(|bad| bad.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [4, 6, 11, 15, 17], "{:?}", read.bad);
        assert!(read.bad.iter().any(|bad| bad.why.contains("Middle Earth")));
    }

    #[test]
    fn a_file_that_breaks_off_is_refused() {
        for file in [
            "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\n",
            "SUMMARY:a\n",
            "BEGIN:VCALENDAR\nEND:VTODO\n",
            "milk\n",
        ] {
            assert_eq!(read(file, &TimeZone::UTC).bad.len(), 1, "{file}");
        }
    }

    #[test]
    fn all_fields_come_back() {
        let entry = testing::full();
        let read = read(
            &write(testing::list(std::slice::from_ref(&entry))),
            &TimeZone::UTC,
        );
        assert!(read.passed_over.is_empty(), "{read:?}");
        let mut back = back(&read);
        back[0].modified_at = entry.modified_at;
        assert_eq!(back, [entry]);
    }

    #[test]
    fn the_file_is_as_it_was() {
        testing::golden("todo.ics", &write(testing::list(&testing::samples())));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(entries in testing::entries()) {
            let read = read(&write(testing::list(&entries)), &TimeZone::UTC);
            proptest::prop_assert_eq!(back(&read), entries);
        }
    }
}
