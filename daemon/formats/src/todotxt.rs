//! todo.txt: one entry a line (<https://github.com/todotxt/todo.txt>).
//!
//! ```text
//! (A) 2026-03-01 Call @phone the plumber +house due:2026-03-05 rec:+1m
//! x 2026-03-02 2026-03-01 Sweep +house pri:A
//! ```
//!
//! | there | here |
//! | --- | --- |
//! | `(A)`, `(B)`, `(C)`, `pri:` of these | priority high, medium, low; other letters stay in the title, as they are |
//! | `x` and the first day | done, and when; the second day, or the one of an open entry: when it was made |
//! | `+project`, `@context` | the tags `project` and `@context`; in the middle of a title they stay in it too |
//! | `due:`, `t:`, `rec:` | due, wait, every: of `1d`, `2w`, `3m`, `1y`, with `+` or without |
//! | `id:` | the id, if it is one of Muster |
//! | `tag:` `note:` `assignee:` `estimate:` `rrule:` `series:` `planned:` | what the format has no place for, by programs of Muster; blanks as `%20` |
//!
//! Other keys stay in the title, as they are.

use crate::days::{self, day_of};
use crate::ids::{self, Ids};
use crate::percent::{decode, encode};
use crate::{Item, List, Read};
use api::lists::{EntryPriority, NewEntry, TodoEntry};
use api::time::Due;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// What files and keys of this format are called where ids are made.
const NAME: &str = "todo.txt";

pub(crate) fn read(text: &str, zone: &TimeZone) -> Read {
    let (mut read, mut ids) = (Read::default(), Ids::default());
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() {
            let entry = entry(line, zone, &mut ids);
            read.items.push(Item {
                line: number + 1,
                entry,
            });
        }
    }
    read
}

fn entry(line: &str, zone: &TimeZone, ids: &mut Ids) -> NewEntry {
    let line = line.replace('\t', " ");
    let (mut entry, text) = head(&line, zone);
    let words: Vec<&str> = text.split(' ').collect();
    let mut tags = Vec::new();
    // At the end they are no words of the title.
    let ending = words.iter().rev().take_while(|word| is_apart(word)).count();
    let title_words = words.len() - ending;
    let mut title = Vec::new();
    for (at, word) in words.into_iter().enumerate() {
        let is_taken = match tag(word) {
            Some(tag) => {
                tags.push(tag);
                at >= title_words
            }
            None => take_key(&mut entry, &mut tags, word),
        };
        if !is_taken {
            title.push(word);
        }
    }
    let title = title.join(" ").trim().to_owned();
    // Nothing but marks: they are the title too.
    entry.title = Some(if title.is_empty() {
        text.to_owned()
    } else {
        title
    });
    tags.sort();
    tags.dedup();
    entry.tags = (!tags.is_empty()).then_some(tags);
    if entry.id.is_none() {
        entry.id = Some(ids.of_text(NAME, &line));
    }
    entry
}

/// What stands before the text, and the text.
fn head<'a>(line: &'a str, zone: &TimeZone) -> (NewEntry, &'a str) {
    let mut entry = NewEntry::default();
    let start = |day| days::start_of(day, zone);
    let mut rest = line;
    if let Some(after) = line.strip_prefix("x ") {
        entry.done = Some(true);
        rest = after.trim_start();
        // Some programs leave it.
        take_priority(&mut entry, &mut rest);
        entry.done_at = take_day(&mut rest).and_then(start);
    } else {
        take_priority(&mut entry, &mut rest);
    }
    entry.created_at = take_day(&mut rest).and_then(start);
    (entry, rest)
}

fn take_priority(entry: &mut NewEntry, rest: &mut &str) {
    let mut chars = rest.chars();
    if let (Some('('), Some(letter), Some(')'), Some(' ')) =
        (chars.next(), chars.next(), chars.next(), chars.next())
        && let Some(priority) = priority(letter)
    {
        entry.priority = Some(priority);
        *rest = chars.as_str().trim_start();
    }
}

fn priority(letter: char) -> Option<EntryPriority> {
    match letter {
        'A' => Some(EntryPriority::High),
        'B' => Some(EntryPriority::Medium),
        'C' => Some(EntryPriority::Low),
        _ => None,
    }
}

fn take_day(rest: &mut &str) -> Option<Date> {
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let day = api::time::parse_date(word).ok()?;
    *rest = after.trim_start();
    Some(day)
}

/// The tag that a word is.
fn tag(word: &str) -> Option<String> {
    match word.strip_prefix('+') {
        Some(project) => (!project.is_empty()).then(|| project.to_owned()),
        None => (word.len() > 1 && word.starts_with('@')).then(|| word.to_owned()),
    }
}

/// Whether a word says something of the entry and is not of its title.
fn is_apart(word: &str) -> bool {
    word.is_empty() || tag(word).is_some() || is_key(word)
}

fn is_key(word: &str) -> bool {
    take_key(&mut NewEntry::default(), &mut Vec::new(), word)
}

/// Takes a key with its value, if it means something here.
fn take_key(entry: &mut NewEntry, tags: &mut Vec<String>, word: &str) -> bool {
    let Some((key, value)) = word.split_once(':') else {
        return false;
    };
    let due = || value.parse::<Due>().ok().map(days::written);
    let text = || (!value.is_empty()).then(|| decode(value));
    match key {
        "due" => set(&mut entry.due, due()),
        "t" => set(&mut entry.wait, due()),
        "rec" => set(&mut entry.every, recurrence(value)),
        "rrule" => set(&mut entry.every, text()),
        "pri" => {
            let mut letters = value.chars();
            let level = letters.next().and_then(priority);
            set(
                &mut entry.priority,
                level.filter(|_| letters.next().is_none()),
            )
        }
        "id" => {
            let id = value.parse::<names::EntryId>().is_ok();
            set(&mut entry.id, id.then(|| ids::of_id(NAME, value)))
        }
        "tag" => match text() {
            Some(tag) => {
                tags.push(tag);
                true
            }
            None => false,
        },
        "note" => set(&mut entry.notes, text()),
        "assignee" => set(&mut entry.assignee, text()),
        "estimate" => set(
            &mut entry.estimate,
            value.strip_suffix('m').and_then(|n| n.parse().ok()),
        ),
        "series" => set(
            &mut entry.series,
            value
                .parse::<names::EntryId>()
                .ok()
                .map(|id| id.to_string()),
        ),
        "planned" => set(
            &mut entry.planned,
            api::time::parse_date(value).ok().map(|day| day.to_string()),
        ),
        _ => false,
    }
}

fn set<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    let is_given = value.is_some();
    if is_given {
        *field = value;
    }
    is_given
}

/// `1w`, `+2d`: counted from the planned day in both cases.
fn recurrence(value: &str) -> Option<String> {
    let value = value.strip_prefix('+').unwrap_or(value);
    let unit = value.chars().next_back()?;
    let number = value.strip_suffix(unit)?;
    days::rule_of(number.parse().ok()?, unit)
}

pub(crate) fn write(list: List<'_>) -> String {
    let lines = list
        .entries
        .iter()
        .map(|entry| line(entry, list.zone) + "\n");
    lines.collect()
}

fn line(entry: &TodoEntry, zone: &TimeZone) -> String {
    let letter = match entry.priority {
        Some(EntryPriority::High) => Some('A'),
        Some(EntryPriority::Medium) => Some('B'),
        Some(EntryPriority::Low) => Some('C'),
        Some(EntryPriority::Other(_)) | None => None,
    };
    let mut words = Vec::new();
    if let Some(at) = days::done_at(entry) {
        words.extend(["x".to_owned(), day_of(at, zone).to_string()]);
    } else {
        words.extend(letter.map(|letter| format!("({letter})")));
    }
    words.push(day_of(entry.created_at, zone).to_string());
    words.push(entry.title.clone());
    words.extend(tags(entry));
    let mut key = |key: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("{key}:{value}")));
    };
    key("pri", letter.filter(|_| entry.done).map(String::from));
    key("due", entry.due.map(days::written));
    key("t", entry.wait.map(days::written));
    let rule = entry.every.as_deref();
    let simple = rule.and_then(days::simple_rule);
    key(
        "rec",
        simple.map(|(number, unit)| format!("+{number}{unit}")),
    );
    key("rrule", rule.filter(|_| simple.is_none()).map(encode));
    key("assignee", entry.assignee.as_deref().map(encode));
    key(
        "estimate",
        entry.estimate.map(|minutes| format!("{minutes}m")),
    );
    key(
        "note",
        (!entry.notes.is_empty()).then(|| encode(&entry.notes)),
    );
    key("series", entry.series.clone());
    key("planned", entry.planned.map(days::written));
    key("id", Some(entry.id.clone()));
    words.join(" ")
}

/// The tags as words, without those that the title has.
fn tags(entry: &TodoEntry) -> Vec<String> {
    let in_title: Vec<String> = entry.title.split(' ').filter_map(tag).collect();
    let absent = entry.tags.iter().filter(|tag| !in_title.contains(tag));
    let as_word = |text: &String| {
        let project = format!("+{text}");
        let word = if text.starts_with('@') {
            text
        } else {
            &project
        };
        let is_word = !text.contains(char::is_whitespace) && tag(word).as_ref() == Some(text);
        if is_word {
            word.clone()
        } else {
            format!("tag:{}", encode(text))
        }
    };
    absent.map(as_word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, back};

    const UTC: TimeZone = TimeZone::UTC;

    fn one(line: &str) -> NewEntry {
        let mut read = read(line, &UTC);
        assert_eq!(read.items.len(), 1, "{line}");
        read.items.remove(0).entry
    }

    #[test]
    fn a_line_is_read_as_the_format_says() {
        let open = one(
            "(A) 2026-03-01 Call @phone key:value the plumber +house due:2026-03-05 t:2026-03-02 rec:+1m",
        );
        assert_eq!(
            open.title.as_deref(),
            Some("Call @phone key:value the plumber")
        );
        assert_eq!(open.priority, Some(EntryPriority::High));
        assert_eq!(open.tags.unwrap(), ["@phone", "house"]);
        assert_eq!(
            (open.due.as_deref(), open.wait.as_deref()),
            (Some("2026-03-05"), Some("2026-03-02"))
        );
        assert_eq!(open.every.as_deref(), Some("FREQ=MONTHLY"));
        assert_eq!(open.created_at.as_deref(), Some("2026-03-01T00:00:00Z"));
        let done = one("x 2026-03-02 2026-03-01 Sweep +house pri:B");
        assert_eq!(done.title.as_deref(), Some("Sweep"));
        assert_eq!(
            (done.done, done.priority),
            (Some(true), Some(EntryPriority::Medium))
        );
        assert_eq!(done.done_at.as_deref(), Some("2026-03-02T00:00:00Z"));
        assert_eq!(done.created_at.as_deref(), Some("2026-03-01T00:00:00Z"));
    }

    #[test]
    fn what_only_looks_like_a_mark_stays_in_the_title() {
        for line in [
            "xylophone lesson",
            "X 2012-05-19 Make resolutions",
            "(b) Get back to the boss",
            "(B)->Submit TPS report",
            "Really gotta call Mom (A) @phone now",
            "(D) tidy the attic",
            "email SoAndSo@example.com",
            "learn how to add 2+2",
            "see http://example.org/ pri:D due:soon rec:1b + @",
        ] {
            assert_eq!(one(line).title.as_deref(), Some(line));
        }
    }

    #[test]
    fn real_files_have_tabs_marks_and_blank_lines() {
        let file = "\u{feff}(A) one\r\n\r\n\ttwo\tthree  \r\nx done\n";
        let read = crate::read(crate::Format::TodoTxt, file.as_bytes(), &UTC);
        let found: Vec<_> = read
            .items
            .iter()
            .map(|item| (item.line, item.entry.title.as_deref().unwrap()))
            .collect();
        assert_eq!(found, [(1, "one"), (3, "two three"), (4, "done")]);
        assert_eq!(read.items[2].entry.done, Some(true));
    }

    #[test]
    fn equal_lines_are_two_entries_and_the_same_two_each_time() {
        let ids = |text| -> Vec<String> {
            let items = read(text, &UTC).items.into_iter();
            items.filter_map(|item| item.entry.id).collect()
        };
        let first = ids("milk\nmilk\n");
        assert_ne!(first[0], first[1]);
        assert_eq!(first, ids("bread\nmilk\r\nmilk")[1..]);
    }

    #[test]
    fn all_fields_come_back() {
        let entry = testing::full();
        let written = write(testing::list(std::slice::from_ref(&entry)));
        let read = read(&written, &UTC);
        assert_eq!(write(testing::list(&back(&read))), written);
        let read = &read.items[0].entry;
        assert_eq!(read.id.as_ref(), Some(&entry.id));
        assert_eq!(read.title.as_ref(), Some(&entry.title));
        assert_eq!(read.tags.as_ref(), Some(&entry.tags));
        assert_eq!(read.notes.as_ref(), Some(&entry.notes));
        assert_eq!(
            (&read.assignee, read.estimate),
            (&entry.assignee, entry.estimate)
        );
        assert_eq!((&read.every, &read.series), (&entry.every, &entry.series));
    }

    #[test]
    fn the_file_is_as_it_was() {
        testing::golden("todo.txt", &write(testing::list(&testing::samples())));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_written_again(entries in testing::entries()) {
            let written = write(testing::list(&entries));
            let read = read(&written, &UTC);
            proptest::prop_assert_eq!(write(testing::list(&back(&read))), written);
        }
    }
}
