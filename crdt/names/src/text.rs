//! Which characters of a text people see.

/// The soft hyphen, seen only where a line is broken.
const SOFT_HYPHEN: char = '\u{ad}';

/// Control and format characters (general categories Cc, Cf, Zl, Zp), which can hide or reorder a
/// text.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            SOFT_HYPHEN | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// Characters that programs show as nothing (Unicode's property `Default_Ignorable_Code_Point`).
pub(crate) fn is_ignorable(c: char) -> bool {
    matches!(c,
        SOFT_HYPHEN | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// White space, and the pattern of braille without a dot, which looks the same.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

/// Whether there is anything to see: a character that is neither blank nor shown as nothing.
pub fn is_visible(text: &str) -> bool {
    let unseen = |c| is_blank(c) || is_ignorable(c) || is_unprintable(c);
    !text.chars().all(unseen)
}

/// Each character of a text for people, and whether it is unprintable where it stands. The joiners
/// U+200C and U+200D are printable between two others, since several scripts and the emoji of
/// families and professions are written with them (Unicode, section 23.2). At an edge, beside white
/// space or in a row they would only hide that two texts differ. The soft hyphen, which comes with
/// what is copied from books and pages, is printable behind any character that is.
pub fn with_unprintable(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut before = None;
    let mut rest = text.chars().peekable();
    std::iter::from_fn(move || {
        let c = rest.next()?;
        let follows = is_joined(before);
        let joins = is_joiner(c) && follows && is_joined(rest.peek().copied());
        let hyphenates = c == SOFT_HYPHEN && follows;
        before = Some(c);
        Some((c, is_unprintable(c) && !joins && !hyphenates))
    })
}

pub(crate) fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_joined(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| !c.is_whitespace() && !is_unprintable(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hides(text: &str) -> bool {
        with_unprintable(text).any(|(_, hidden)| hidden)
    }

    #[test]
    fn joiners_are_printable_between_what_they_join() {
        for text in [
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308} flag",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{915}\u{94d}\u{200d}\u{937}",
        ] {
            assert!(!hides(text), "{text:?}");
        }
        for text in [
            "\u{200d}a",
            "a\u{200c}",
            "a \u{200d}b",
            "a\u{200d}\nb",
            "a\u{200d}\u{200d}b",
            "a\u{200b}b",
            "a\u{202e}b",
        ] {
            assert!(hides(text), "{text:?}");
        }
    }

    #[test]
    fn a_soft_hyphen_is_printable_behind_a_letter() {
        for text in ["cut\u{ad}ting", "a line\u{ad} broken", "at its end\u{ad}"] {
            assert!(!hides(text), "{text:?}");
        }
        for text in ["\u{ad}a", "a \u{ad}b", "a\u{ad}\u{ad}b"] {
            assert!(hides(text), "{text:?}");
        }
    }

    #[test]
    fn what_only_takes_room_is_not_visible() {
        for text in [
            "",
            " ",
            "\u{a0}",
            "\u{2800}",
            "\u{3164}",
            "\u{ad}",
            "\u{200d}\u{fe0f}",
        ] {
            assert!(!is_visible(text), "{text:?}");
        }
        for text in ["a", "-", "\u{2801}", "\u{3164}a"] {
            assert!(is_visible(text), "{text:?}");
        }
    }
}
