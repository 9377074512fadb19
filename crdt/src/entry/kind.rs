//! The kinds of fields: how a value is read from a document and written into it, when two values
//! agree, and what a client may send.

use super::{Due, Priority, rule};
use crate::list::{Plain, is_position, is_same_gap};
use automerge::ScalarValue;
use names::{is_visible, with_unprintable};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a field of this kind is read, written, compared and checked.
pub(crate) trait Kind {
    /// What such a field holds. The default is that of a field that was never set.
    type Value: Clone + Default + PartialEq + Serialize + DeserializeOwned;

    /// Reads what a document holds; `None` if that is of a wrong type, which counts as no value at
    /// all: other replicas hold it too, so that it can be no error.
    fn read(&self, value: &Plain) -> Option<Self::Value>;

    /// As it is written into a document; null clears the field.
    fn write(&self, value: &Self::Value) -> ScalarValue;

    /// Whether two concurrent values are no conflict.
    fn agree(&self, one: &Self::Value, other: &Self::Value) -> bool {
        one == other
    }

    /// Checks what a client sends. What other replicas hold may break these rules.
    ///
    /// # Errors
    /// What is wrong with the value and what would be right, to follow the field's name.
    fn check(&self, _: &Self::Value) -> Result<(), String> {
        Ok(())
    }
}

/// One line, which has to be there.
pub(crate) struct Line {
    pub(crate) max_bytes: usize,
}

impl Kind for Line {
    type Value = String;

    fn read(&self, value: &Plain) -> Option<String> {
        value.text().map(Option::unwrap_or_default)
    }

    fn write(&self, value: &String) -> ScalarValue {
        value.as_str().into()
    }

    fn check(&self, value: &String) -> Result<(), String> {
        if !is_visible(value) {
            return Err("is empty: at least one visible character is needed".to_owned());
        }
        check_length(value, self.max_bytes)?;
        match unprintable(value, &[]) {
            Some(bad) => Err(format!(
                "has the control or format character {}: one line of plain text is allowed",
                bad.escape_unicode()
            )),
            None => Ok(()),
        }
    }
}

/// One line, or nothing.
pub(crate) struct OptionalLine {
    pub(crate) max_bytes: usize,
}

impl Kind for OptionalLine {
    type Value = Option<String>;

    fn read(&self, value: &Plain) -> Option<Option<String>> {
        value.text()
    }

    fn write(&self, value: &Option<String>) -> ScalarValue {
        text_value(value.as_deref().unwrap_or_default())
    }

    fn check(&self, value: &Option<String>) -> Result<(), String> {
        let line = Line {
            max_bytes: self.max_bytes,
        };
        value.as_ref().map_or(Ok(()), |value| line.check(value))
    }
}

/// Text of any number of lines; empty for none.
pub(crate) struct Prose {
    pub(crate) max_bytes: usize,
}

impl Kind for Prose {
    type Value = String;

    fn read(&self, value: &Plain) -> Option<String> {
        value.text().map(Option::unwrap_or_default)
    }

    fn write(&self, value: &String) -> ScalarValue {
        text_value(value)
    }

    fn check(&self, value: &String) -> Result<(), String> {
        check_length(value, self.max_bytes)?;
        match unprintable(value, &['\n', '\t']) {
            Some(bad) => Err(format!(
                "has the control or format character {}: of these only \\n and \\t are allowed",
                bad.escape_unicode()
            )),
            None => Ok(()),
        }
    }
}

/// A place in the list's order; one that a list cannot sort by is none.
pub(crate) struct Position;

impl Kind for Position {
    type Value = String;

    fn read(&self, value: &Plain) -> Option<String> {
        value.text().flatten().filter(|text| is_position(text))
    }

    fn write(&self, value: &String) -> ScalarValue {
        value.as_str().into()
    }

    /// Two that have moved something into one gap agree: it stands where both wanted it.
    fn agree(&self, one: &String, other: &String) -> bool {
        one == other || is_same_gap(one, other)
    }
}

/// When something was ticked, in milliseconds since the epoch, if it was.
pub(crate) struct Tick;

impl Kind for Tick {
    type Value = Option<i64>;

    fn read(&self, value: &Plain) -> Option<Option<i64>> {
        match value {
            Plain::Null => Some(None),
            Plain::Time(ms) => Some(Some(*ms)),
            Plain::Text(_) | Plain::Integer(_) | Plain::Other => None,
        }
    }

    fn write(&self, value: &Option<i64>) -> ScalarValue {
        value.map_or(ScalarValue::Null, ScalarValue::Timestamp)
    }

    /// Two that ticked it at different times agree.
    fn agree(&self, one: &Option<i64>, other: &Option<i64>) -> bool {
        one.is_some() == other.is_some()
    }
}

/// A day of the calendar or an instant, if any.
pub(crate) struct DueTime;

impl Kind for DueTime {
    type Value = Option<Due>;

    fn read(&self, value: &Plain) -> Option<Option<Due>> {
        match value {
            Plain::Null => Some(None),
            Plain::Text(text) => text
                .parse()
                .ok()
                .filter(|date: &jiff::civil::Date| date.to_string() == *text)
                .map(|date| Some(Due::Date(date))),
            Plain::Time(ms) => Some(Some(Due::Instant(*ms))),
            Plain::Integer(_) | Plain::Other => None,
        }
    }

    fn write(&self, value: &Option<Due>) -> ScalarValue {
        match value {
            None => ScalarValue::Null,
            Some(Due::Date(date)) => date.to_string().into(),
            Some(Due::Instant(ms)) => ScalarValue::Timestamp(*ms),
        }
    }
}

/// The rule by which it recurs, if any. One that is wrong is kept as it is: nothing follows on it.
pub(crate) struct Recurrence;

impl Kind for Recurrence {
    type Value = Option<String>;

    fn read(&self, value: &Plain) -> Option<Option<String>> {
        value.text()
    }

    fn write(&self, value: &Option<String>) -> ScalarValue {
        text_value(value.as_deref().unwrap_or_default())
    }

    fn check(&self, value: &Option<String>) -> Result<(), String> {
        value.as_deref().map_or(Ok(()), rule::check)
    }
}

/// One of the priorities, if any.
pub(crate) struct Level;

impl Kind for Level {
    type Value = Option<Priority>;

    fn read(&self, value: &Plain) -> Option<Option<Priority>> {
        let Some(text) = value.text()? else {
            return Some(None);
        };
        Priority::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .map(Some)
    }

    fn write(&self, value: &Option<Priority>) -> ScalarValue {
        value.map_or(ScalarValue::Null, |priority| priority.as_str().into())
    }
}

/// A whole number within bounds, if any; one beyond them is none.
pub(crate) struct Whole {
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl Whole {
    fn admits(&self, number: i64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

impl Kind for Whole {
    type Value = Option<i64>;

    fn read(&self, value: &Plain) -> Option<Option<i64>> {
        match value {
            Plain::Null => Some(None),
            Plain::Integer(number) => self.admits(*number).then_some(Some(*number)),
            Plain::Text(_) | Plain::Time(_) | Plain::Other => None,
        }
    }

    fn write(&self, value: &Option<i64>) -> ScalarValue {
        value.map_or(ScalarValue::Null, ScalarValue::Int)
    }

    fn check(&self, value: &Option<i64>) -> Result<(), String> {
        match value {
            Some(number) if !self.admits(*number) => Err(format!(
                "is {number}; a whole number from {} to {} is right",
                self.min, self.max
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// A text that may be cleared; an empty one is a cleared one.
fn text_value(text: &str) -> ScalarValue {
    if text.is_empty() {
        ScalarValue::Null
    } else {
        text.into()
    }
}

/// The first character that may not stand where it does.
fn unprintable(text: &str, allowed: &[char]) -> Option<char> {
    with_unprintable(text)
        .find(|(c, unprintable)| *unprintable && !allowed.contains(c))
        .map(|(c, _)| c)
}

fn check_length(text: &str, most: usize) -> Result<(), String> {
    if text.len() <= most {
        return Ok(());
    }
    Err(format!(
        "has {} bytes; at most {most} are allowed",
        text.len()
    ))
}

/// What stands in a document, for people.
pub(crate) fn text(value: &ScalarValue) -> String {
    match value {
        ScalarValue::Str(text) => text.to_string(),
        ScalarValue::Timestamp(ms) => jiff::Timestamp::from_millisecond(*ms)
            .map_or_else(|_| ms.to_string(), |at| at.to_string()),
        ScalarValue::Null => String::new(),
        ScalarValue::Int(_)
        | ScalarValue::Uint(_)
        | ScalarValue::F64(_)
        | ScalarValue::Boolean(_)
        | ScalarValue::Counter(_)
        | ScalarValue::Bytes(_)
        | ScalarValue::Unknown { .. } => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Whole = Whole {
        min: 1,
        max: 525_600,
    };

    #[test]
    fn a_whole_number_beyond_its_bounds_is_refused_from_clients_and_none_from_documents() {
        for (number, is_right) in [(0, false), (1, true), (525_600, true), (525_601, false)] {
            assert_eq!(MINUTES.check(&Some(number)).is_ok(), is_right, "{number}");
            let read = MINUTES.read(&Plain::Integer(number));
            assert_eq!(read, is_right.then_some(Some(number)), "{number}");
        }
        assert_eq!(
            MINUTES.check(&Some(-5)),
            Err("is -5; a whole number from 1 to 525600 is right".to_owned())
        );
    }

    #[test]
    fn words_and_emoji_that_need_joiners_are_taken_from_clients() {
        let (line, prose) = (Line { max_bytes: 99 }, Prose { max_bytes: 99 });
        for (text, is_right) in [
            ("\u{1f469}\u{200d}\u{1f4bb} at work", true),
            ("cut\u{ad}ting", true),
            ("a\u{200b}b", false),
            ("ends\u{200d}", false),
        ] {
            assert_eq!(line.check(&text.to_owned()).is_ok(), is_right, "{text:?}");
            assert_eq!(prose.check(&text.to_owned()).is_ok(), is_right, "{text:?}");
        }
        assert!(prose.check(&"two\n\tlines".to_owned()).is_ok());
        assert!(line.check(&"two\nlines".to_owned()).is_err());
        assert!(line.check(&"\u{3164}".to_owned()).is_err());
    }

    #[test]
    fn null_clears_a_whole_number_and_other_types_are_none() {
        assert_eq!(MINUTES.write(&None), ScalarValue::Null);
        assert_eq!(MINUTES.read(&Plain::Null), Some(None));
        assert_eq!(MINUTES.read(&Plain::Text("30".to_owned())), None);
        assert_eq!(MINUTES.read(&Plain::Time(30)), None);
    }
}
