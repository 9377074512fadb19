//! Markdown: a task list, as GitHub and others show it, for reading. It is only written.

use crate::List;
use api::lists::TodoEntry;

/// What has a meaning of its own within a line.
const MARKS: [char; 12] = ['\\', '`', '*', '_', '[', ']', '<', '>', '&', '~', '|', '#'];

pub(crate) fn write(list: List<'_>) -> String {
    let mut out = format!("# {}\n\n", escaped(list.name));
    for entry in list.entries {
        let mark = if entry.done { 'x' } else { ' ' };
        let title = escaped(&entry.title);
        out += &format!("- [{mark}] {title}{}", details(entry));
        for line in entry.notes.lines() {
            // Two blanks keep the lines apart; what begins one shall be no mark of a block.
            out += "  \n";
            out += &begun(&escaped(line), "  ");
        }
        out += "\n";
    }
    out
}

/// ` (high, due 2026-03-01, kim; food)`.
fn details(entry: &TodoEntry) -> String {
    let mut told = Vec::new();
    told.extend(
        entry
            .priority
            .as_ref()
            .map(|level| level.as_str().to_owned()),
    );
    told.extend(entry.due.map(|due| format!("due {due}")));
    told.extend(entry.wait.map(|wait| format!("from {wait}")));
    told.extend(
        entry
            .every
            .as_deref()
            .map(|rule| format!("every {}", escaped(rule))),
    );
    told.extend(entry.estimate.map(|minutes| format!("{minutes} min")));
    told.extend(
        entry
            .assignee
            .as_deref()
            .map(|who| format!("by {}", escaped(who))),
    );
    told.extend(entry.tags.iter().map(|tag| escaped(&format!("#{tag}"))));
    if told.is_empty() {
        String::new()
    } else {
        format!(" ({})", told.join(", "))
    }
}

fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if MARKS.contains(&c) {
            line.push('\\');
        }
        line.push(c);
    }
    line
}

/// The line, without a mark of a list, a rule or a heading at its beginning.
fn begun(line: &str, indent: &str) -> String {
    let line = line.trim_start();
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = line.len() - digits.len();
    if line.starts_with(['-', '+', '=']) {
        return format!("{indent}\\{line}");
    }
    if number > 0 && digits.starts_with(['.', ')']) {
        let (number, rest) = line.split_at(number);
        return format!("{indent}{number}\\{rest}");
    }
    format!("{indent}{line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_text_is_shown_as_it_is() {
        assert_eq!(escaped("*a* [b](c) <i>"), "\\*a\\* \\[b\\](c) \\<i\\>");
        for (line, expected) in [
            ("- a", ">\\- a"),
            ("12. a", ">12\\. a"),
            ("  12 a", ">12 a"),
            ("=", ">\\="),
        ] {
            assert_eq!(begun(line, ">"), expected);
        }
    }

    #[test]
    fn the_file_is_as_it_was() {
        testing::golden("list.md", &write(testing::list(&testing::samples())));
    }
}
