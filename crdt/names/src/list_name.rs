//! Names of lists: two kinds of rule.
//!
//! [`ListName::new`] says what a name *is*: all that other nodes and earlier programs may have named a
//! list is one, and stays usable. Two names are the same if they are equal in Unicode's normal form C.
//!
//! [`ListName::check_new`] says which list may be *created*: only by a name that people can see and
//! tell from others. It is a rule about the name alone, so that all nodes apply it alike:
//!
//! - Something is to be seen, and nothing that looks empty stands at either end.
//! - What programs show as nothing (`Default_Ignorable_Code_Point`) stands only where it changes what
//!   is seen: the joiners U+200C and U+200D beside a letter of a script that joins its letters, U+200D
//!   between two emoji, U+FE0F behind a symbol that may also be shown as an emoji.
//!
//! Where such characters do stand, [`ListName::twins`] are the names that differ in them alone: a
//! list is not created beside one of these that the node has.

use crate::name::NameError;
use crate::text::{is_blank, is_ignorable, is_joiner, with_unprintable};
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Has the symbol before it shown as an emoji.
const EMOJI_STYLE: char = '\u{fe0f}';

/// A list's name: Unicode in normal form C, 1–200 bytes, one line, no `/`, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListName(String);

impl ListName {
    /// The longest name, in bytes of its normal form.
    pub const MAX_BYTES: usize = 200;

    /// Normalises and checks a name as a person typed it.
    ///
    /// # Errors
    /// It is empty, too long, a path, or has characters that no list's name has.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let name: String = text.nfc().collect();
        let refuse = |why: &str| Err(NameError(format!("the list name {text:?} {why}")));
        if name.is_empty() || name.len() > Self::MAX_BYTES {
            return refuse(&format!(
                "has {} bytes; 1 to {} are allowed",
                name.len(),
                Self::MAX_BYTES
            ));
        }
        if name == "." || name == ".." || name.contains('/') {
            return refuse("is a path: \"/\", \".\" and \"..\" are not allowed");
        }
        if name.trim() != name {
            return refuse("begins or ends with white space");
        }
        let bad = with_unprintable(&name).find(|(c, unprintable)| *unprintable || *c == '\u{ad}');
        if let Some((bad, _)) = bad {
            return refuse(&format!(
                "has the control or format character {}",
                bad.escape_unicode()
            ));
        }
        Ok(Self(name))
    }

    /// Checks that a list may be created by this name; see the module.
    ///
    /// # Errors
    /// It looks empty or like another name.
    pub fn check_new(&self) -> Result<(), NameError> {
        let refuse = |why: &str| Err(NameError(format!("the list name {:?} {why}", self.0)));
        if self.0.trim_matches(is_blank) != self.0 {
            return refuse("begins or ends with a character that looks like white space");
        }
        let (mut before, mut rest) = (None, self.0.chars().peekable());
        while let Some(c) = rest.next() {
            if is_ignorable(c) && !is_seen(before, c, rest.peek().copied()) {
                return refuse(&format!(
                    "has the character {} where it cannot be seen",
                    c.escape_unicode()
                ));
            }
            before = Some(c);
        }
        Ok(())
    }

    /// Whether it has a joiner, which programs of protocol 1 take for no name.
    pub fn has_joiners(&self) -> bool {
        self.0.chars().any(is_joiner)
    }

    /// Names that look much like this one: without what programs show as nothing, and with all its
    /// symbols as emoji.
    pub fn twins(&self) -> Vec<Self> {
        let plain: String = self.0.chars().filter(|c| !is_ignorable(*c)).collect();
        let emoji = plain.chars().flat_map(|c| {
            let style = (is_symbol(c) && !c.is_ascii()).then_some(EMOJI_STYLE);
            std::iter::once(c).chain(style)
        });
        [emoji.collect(), plain]
            .into_iter()
            .filter(|twin: &String| *twin != self.0)
            .filter_map(|twin| Self::new(&twin).ok())
            .collect()
    }

    /// The name in normal form C.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character that programs show as nothing changes what is seen between these two.
fn is_seen(before: Option<char>, c: char, after: Option<char>) -> bool {
    let beside = |is: fn(char) -> bool| before.is_some_and(is) || after.is_some_and(is);
    let between = |is: fn(char) -> bool| before.is_some_and(is) && after.is_some_and(is);
    match c {
        EMOJI_STYLE => before.is_some_and(is_symbol),
        '\u{200d}' => beside(joins_letters) || between(is_emoji),
        '\u{200c}' => beside(joins_letters),
        _ => false,
    }
}

/// Letters and marks of the scripts whose letters change their forms beside each other.
fn joins_letters(c: char) -> bool {
    matches!(c,
        '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1a20}'..='\u{1cff}' | '\u{a840}'..='\u{abff}'
        | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10a00}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}')
}

/// Symbols that are shown as text or as an emoji, digits of keycaps among them.
fn is_symbol(c: char) -> bool {
    matches!(c,
        '#' | '*' | '0'..='9' | '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2194}'..='\u{21aa}' | '\u{231a}'..='\u{23ff}' | '\u{24c2}' | '\u{25aa}'..='\u{27bf}'
        | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
}

/// What may be joined to an emoji of several.
fn is_emoji(c: char) -> bool {
    c == EMOJI_STYLE || (is_symbol(c) && !c.is_ascii())
}

impl TryFrom<String> for ListName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<ListName> for String {
    fn from(name: ListName) -> Self {
        name.0
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_be_created(text: &str) -> bool {
        ListName::new(text).is_ok_and(|name| name.check_new().is_ok())
    }

    #[test]
    fn two_ways_to_type_a_letter_are_one_name() {
        assert_eq!(ListName::new("cafe\u{301}"), ListName::new("café"));
    }

    #[test]
    fn names_that_could_mislead_are_refused() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            " a",
            "a ",
            "a\nb",
            "a\u{202e}b",
            "a\u{2028}b",
            "gro\u{ad}ceries",
            "gro\u{200b}ceries",
            &"x".repeat(201),
        ] {
            assert!(ListName::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_list_is_created_that_looks_empty_or_like_another() {
        for text in [
            "\u{2800}",
            "\u{3164}",
            "admin\u{3164}",
            "admin\u{2800}",
            "admin\u{fe0f}",
            "ad\u{200d}min",
            "ad\u{200c}min",
            "admin\u{34f}",
            "\u{2764}\u{fe0e}",
        ] {
            assert!(
                ListName::new(text).is_ok_and(|name| name.check_new().is_err()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn names_that_people_write_in_their_scripts_are_taken() {
        for text in [
            "groceries",
            "a b + c & d % e # f ? g = h",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "\u{2764}\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "API\u{200c}\u{647}\u{627}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{2801}\u{2800}\u{2801}",
        ] {
            assert!(may_be_created(text), "{text:?}");
        }
    }

    #[test]
    fn twins_differ_in_what_is_shown_as_nothing() {
        let twins = |text: &str| -> Vec<String> {
            let name = ListName::new(text).unwrap();
            name.twins().into_iter().map(String::from).collect()
        };
        assert_eq!(twins("groceries 1"), [""; 0]);
        assert_eq!(twins("\u{2764}\u{fe0f}"), ["\u{2764}"]);
        assert_eq!(twins("\u{2764}"), ["\u{2764}\u{fe0f}"]);
        assert_eq!(twins("API\u{200c}\u{647}"), ["API\u{647}"; 2]);
    }
}
