//! The file as a source: TOML.

use super::Surroundings;
use super::environment::CONFIG_VARIABLE;
use super::given::{Given, Value};
use super::keys::{self, KEYS, Key, Kind};
use super::nearest::nearest;
use std::path::{Path, PathBuf};

/// Read when no other file is named, if it exists.
pub(crate) const DEFAULT_PATH: &str = "/etc/muster/muster.toml";

/// Which file to read: `--config`, else `$MUSTERD_CONFIG`, else the default where it exists. A file
/// that was named must exist.
pub(super) fn path(flag: Option<&Path>, surroundings: &Surroundings) -> Option<PathBuf> {
    let named = flag
        .map(Path::to_path_buf)
        .or_else(|| surroundings.var(CONFIG_VARIABLE).map(PathBuf::from));
    named.or_else(|| Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists()))
}

/// The file that counts when no flag names another one.
pub(super) fn usual(surroundings: &Surroundings) -> PathBuf {
    let named = surroundings.var(CONFIG_VARIABLE).map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(DEFAULT_PATH))
}

/// Reads the file's values.
pub(super) fn read(path: &Path, mistakes: &mut Vec<String>) -> Given {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path, mistakes),
        Err(error) => {
            mistakes.push(format!(
                "the configuration file {} cannot be read: \
                {error}",
                path.display()
            ));
            Given::default()
        }
    }
}

/// Reads the values in a file's text.
pub(super) fn parse(text: &str, path: &Path, mistakes: &mut Vec<String>) -> Given {
    let mut given = Given::default();
    let root: toml::Table = match text.parse() {
        Ok(root) => root,
        Err(error) => {
            mistakes.push(syntax(&error, text, path));
            return given;
        }
    };
    for (name, value) in &root {
        match value.as_table().filter(|_| keys::is_table(name)) {
            Some(table) => table
                .iter()
                .for_each(|(inner, value)| take(&mut given, (name, inner), value, path, mistakes)),
            None => take(&mut given, ("", name), value, path, mistakes),
        }
    }
    given
}

fn take(
    given: &mut Given,
    (table, name): (&str, &str),
    value: &toml::Value,
    path: &Path,
    mistakes: &mut Vec<String>,
) {
    let Some(key) = keys::find(table, name) else {
        mistakes.push(unknown(table, name, value, path));
        return;
    };
    let place = format!("{} in {}", key.dotted(), path.display());
    match convert(key, value, path) {
        Some(value) => given.set(key, value, place),
        None => mistakes.push(format!(
            "{place} must be {}, not {}",
            key.kind.in_toml(),
            describe(value)
        )),
    }
}

fn convert(key: &Key, value: &toml::Value, path: &Path) -> Option<Value> {
    let text = || value.as_str().map(str::to_owned);
    match key.kind {
        Kind::Text | Kind::Time(..) => text().map(Value::Text),
        Kind::Path => text().map(|text| Value::Text(beside(path, &text))),
        Kind::List => {
            let items: Option<Vec<String>> = value
                .as_array()?
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect();
            items.map(Value::List)
        }
        Kind::Switch => value.as_bool().map(Value::Switch),
        Kind::Number(..) => value.as_integer().map(Value::Number),
    }
}

/// A path in a file is meant relative to the file, wherever the daemon was started.
fn beside(file: &Path, text: &str) -> String {
    if text.is_empty() || text.starts_with('$') {
        return text.to_owned();
    }
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    folder
        .join(text)
        .to_str()
        .map_or_else(|| text.to_owned(), str::to_owned)
}

fn describe(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("the text {text:?}"),
        toml::Value::Integer(number) => format!("the number {number}"),
        toml::Value::Float(number) => format!("the number {number}"),
        toml::Value::Boolean(switch) => switch.to_string(),
        toml::Value::Datetime(time) => format!("the time {time}"),
        toml::Value::Array(_) => "a list with something else in it, or a list at all".to_owned(),
        toml::Value::Table(_) => "a table".to_owned(),
    }
}

fn unknown(table: &str, name: &str, value: &toml::Value, path: &Path) -> String {
    let place = path.display();
    if table.is_empty() && keys::is_table(name) {
        return format!(
            "{name} in {place} must be a table [{name}], not {}",
            describe(value)
        );
    }
    let dotted = if table.is_empty() {
        name.to_owned()
    } else {
        format!("{table}.{name}")
    };
    if table.is_empty() && value.is_table() {
        let tables = KEYS
            .iter()
            .map(|key| key.table)
            .filter(|table| !table.is_empty());
        let hint = nearest(name, tables)
            .map_or_else(String::new, |near| format!("; did you mean [{near}]?"));
        return format!("{place} has a table [{name}], which musterd does not know{hint}");
    }
    let all: Vec<String> = KEYS.iter().map(|key| key.dotted()).collect();
    // A key in the wrong table (`listen` at the top) is named by its full name.
    let elsewhere = KEYS
        .iter()
        .find(|key| key.name == name)
        .map(|key| key.dotted());
    let near = nearest(&dotted, all.iter().map(String::as_str))
        .map(str::to_owned)
        .or(elsewhere);
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    format!("{place} has a key {dotted}, which musterd does not know{hint}")
}

fn syntax(error: &toml::de::Error, text: &str, path: &Path) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text
        .bytes()
        .take(start)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1;
    format!(
        "{} is not TOML at line {line}: {}",
        path.display(),
        error.message().replace('\n', " ")
    )
}
