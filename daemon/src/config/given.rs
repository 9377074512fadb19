//! Values as they were given, each with the place that its mistakes are to name.

use super::keys::Key;
use std::collections::BTreeMap;

/// A value as a source yields it, not yet judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// One text: a path, an address, a number in a variable.
    Text(String),
    List(Vec<String>),
    /// A switch.
    Switch(bool),
    /// A number.
    Number(i64),
}

/// A value and where it came from: `--quic-listen`, `MUSTERD_QUIC__LISTEN`, `quic.listen in
/// /etc/muster/muster.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The value.
    pub(super) value: Value,
    /// For the sentence about a mistake in it.
    pub(super) place: String,
}

/// All values that one source gave, or several overlaid, by dotted key.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(BTreeMap<String, Setting>);

impl Given {
    /// Adds a value.
    pub(super) fn set(&mut self, key: &Key, value: Value, place: String) {
        self.0.insert(key.dotted(), Setting { value, place });
    }

    /// These values, replaced by those of a source that goes before this one.
    pub(super) fn overlaid_by(mut self, stronger: Self) -> Self {
        self.0.extend(stronger.0);
        self
    }

    /// The value of a key by its dotted name.
    pub(super) fn get(&self, dotted: &str) -> Option<&Setting> {
        self.0.get(dotted)
    }
}

/// Texts between commas, without the white space around them; nothing between two commas is
/// nothing.
pub(super) fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
