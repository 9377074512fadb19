//! The log's table in `docs/log.md` holds every line that the program may log at INFO or above, and
//! no other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One place that logs: its level, its message and the names of its fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    message: String,
    level: String,
    fields: String,
}

#[test]
fn the_table_of_the_log_is_that_of_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut logged = BTreeSet::new();
    for dir in [
        "crdt/src",
        "daemon/node/src",
        "daemon/src",
        "daemon/store/src",
        "transport/src",
    ] {
        for file in sources(&root.join(dir)) {
            let text = joined(&std::fs::read_to_string(&file).unwrap());
            logged.extend(lines(
                text.split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap_or_default(),
            ));
        }
    }
    assert!(logged.len() > 40, "the source is read");
    let table = std::fs::read_to_string(root.join("docs/log.md")).unwrap();
    let documented: BTreeSet<Line> = table.lines().filter_map(row).collect();
    let missing: Vec<&Line> = logged.difference(&documented).collect();
    let gone: Vec<&Line> = documented.difference(&logged).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not in docs/log.md: {missing:#?}\nonly there: \
        {gone:#?}"
    );
}

/// The source with its strings on one line each, where they go on after a backslash.
fn joined(source: &str) -> String {
    let mut parts = source.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

#[test]
fn a_place_that_logs_is_read_as_it_is_written() {
    let source = r#"
        info!(%peer, id = ?self.id(1, 2), "a peer, perhaps (it)");
        tracing::error!(error = format!("{error:#}", 7),
            "broken");
        debug!("not shown"); // warn!
    "#;
    let line = |message: &str, level: &str, fields: &str| Line {
        message: message.into(),
        level: level.into(),
        fields: fields.into(),
    };
    assert_eq!(
        lines(source),
        [
            line("a peer, perhaps (it)", "info", "peer, id"),
            line("broken", "error", "error")
        ]
    );
    assert_eq!(
        row("| `broken` | error | error | why |"),
        Some(line("broken", "error", "error"))
    );
    assert_eq!(row("| --- | --- | --- | --- |"), None);
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| {
        if path.is_dir() {
            sources(&path)
        } else {
            vec![path]
        }
    });
    found
        .filter(|path| {
            path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("logging/events.rs")
        })
        .collect()
}

fn lines(source: &str) -> Vec<Line> {
    let mut found: Vec<(usize, Line)> = Vec::new();
    for level in ["info", "warn", "error"] {
        let call = format!("{level}!(");
        for (at, _) in source.match_indices(&call) {
            let before = source[..at].chars().next_back();
            let commented = source[..at]
                .rsplit('\n')
                .next()
                .is_some_and(|line| line.contains("//"));
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') || commented {
                continue;
            }
            let arguments = arguments(&source[at + call.len()..]);
            let message = arguments
                .last()
                .map(|last| last.trim_matches('"').to_owned())
                .unwrap_or_default();
            let fields: Vec<&str> = arguments
                .iter()
                .rev()
                .skip(1)
                .rev()
                .map(|argument| field(argument))
                .collect();
            found.push((
                at,
                Line {
                    message,
                    level: level.into(),
                    fields: fields.join(", "),
                },
            ));
        }
    }
    found.sort();
    found.into_iter().map(|(_, line)| line).collect()
}

/// What stands between the commas of a call, up to its closing parenthesis.
fn arguments(call: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut arguments = vec![String::new()];
    for c in call.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        arguments.last_mut().unwrap().push(c);
    }
    arguments
        .into_iter()
        .map(|argument| argument.trim().to_owned())
        .filter(|argument| !argument.is_empty())
        .collect()
}

fn field(argument: &str) -> &str {
    argument
        .split('=')
        .next()
        .unwrap_or_default()
        .trim()
        .trim_start_matches(['%', '?'])
}

/// A row of the table: message, level, fields, what it means.
fn row(line: &str) -> Option<Line> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [message, level, fields, _] = cells[..] else {
        return None;
    };
    let message = message.strip_prefix('`')?.strip_suffix('`')?;
    Some(Line {
        message: message.to_owned(),
        level: level.to_owned(),
        fields: fields.to_owned(),
    })
}
