//! The environment as a source: `MUSTERD_<TABLE>__<KEY>`.

use super::given::{Given, Value, split_list};
use super::keys::{KEYS, Kind};
use super::nearest::nearest;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Names the file, and is no key itself.
pub(super) const CONFIG_VARIABLE: &str = "MUSTERD_CONFIG";

/// Takes all variables that begin with `MUSTERD_`. One that is no key's is a mistake: a typing
/// error in a unit file must not be ignored in silence.
pub(super) fn read(env: &BTreeMap<OsString, OsString>, mistakes: &mut Vec<String>) -> Given {
    let mut given = Given::default();
    for (name, text) in env {
        let Some(name) = name
            .to_str()
            .filter(|name| name.starts_with("MUSTERD_") && *name != CONFIG_VARIABLE)
        else {
            continue;
        };
        let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
            mistakes.push(unknown(name));
            continue;
        };
        let Some(text) = text.to_str() else {
            mistakes.push(format!("{name} is not valid UTF-8"));
            continue;
        };
        let value = if key.kind == Kind::List {
            Value::List(split_list(text))
        } else {
            Value::Text(text.to_owned())
        };
        given.set(key, value, name.to_owned());
    }
    given
}

fn unknown(name: &str) -> String {
    let variables: Vec<String> = KEYS.iter().map(|key| key.variable()).collect();
    match nearest(name, variables.iter().map(String::as_str)) {
        Some(near) => format!(
            "{name} in the environment is no setting of musterd; did you mean \
            {near}?"
        ),
        None => format!(
            "{name} in the environment is no setting of musterd; they are called \
                MUSTERD_<TABLE>__<KEY>, such as MUSTERD_QUIC__LISTEN"
        ),
    }
}
