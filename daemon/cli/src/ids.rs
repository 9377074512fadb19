//! Shortened ids: people type the few characters that tell an entry from the others of its list.

use std::collections::HashMap;

/// The fewest characters that may be typed, and that are shown.
const MIN: usize = 3;

/// What some characters may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// Fewer characters than may be typed.
    TooShort,
    /// No id begins or ends with them.
    Nothing,
    /// This one.
    One(String),
    /// Several do; which, in the order of the list.
    Several(Vec<String>),
}

/// Finds the id that begins or ends with what was typed, caseless.
pub(crate) fn find<'a>(typed: &str, ids: impl IntoIterator<Item = &'a str>) -> Match {
    if typed.chars().count() < MIN {
        return Match::TooShort;
    }
    let typed = typed.to_ascii_uppercase();
    let fits = |id: &&str| {
        let id = id.to_ascii_uppercase();
        id.starts_with(&typed) || id.ends_with(&typed)
    };
    let mut found: Vec<String> = ids.into_iter().filter(fits).map(str::to_owned).collect();
    match found.len() {
        0 => Match::Nothing,
        1 => found.pop().map_or(Match::Nothing, Match::One),
        _ => Match::Several(found),
    }
}

/// For each id the shortest end, of 3 or more characters, by which [`find`] finds it alone.
pub(crate) fn short<'a>(ids: &[&'a str]) -> HashMap<&'a str, &'a str> {
    let mut shortened = HashMap::new();
    let longest = ids.iter().map(|id| id.len()).max().unwrap_or(0);
    let mut left: Vec<&str> = ids.to_vec();
    for length in MIN..=longest {
        // How many of all ids begin or end so; one that does both counts once.
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for id in ids {
            let (head, tail) = (id.get(..length).unwrap_or(id), tail(id, length));
            *uses.entry(tail).or_default() += 1;
            if head != tail {
                *uses.entry(head).or_default() += 1;
            }
        }
        let (done, more): (Vec<&str>, Vec<&str>) = left
            .into_iter()
            .partition(|id| uses.get(tail(id, length)) == Some(&1));
        shortened.extend(done.into_iter().map(|id| (id, tail(id, length))));
        left = more;
        if left.is_empty() {
            break;
        }
    }
    shortened.extend(left.into_iter().map(|id| (id, id)));
    shortened
}

/// An end that very likely tells an entry from all others of its list, where these are not at hand:
/// 30 random bits.
pub(crate) fn likely(id: &str) -> &str {
    tail(id, 6)
}

fn tail(id: &str, length: usize) -> &str {
    id.len()
        .checked_sub(length)
        .and_then(|start| id.get(start..))
        .unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 4] = [
        "01J9ZX0000AAAAAAAAAAAAAABC",
        "01J9ZX0000AAAAAAAAAAAAAXBC",
        "01J9ZX0000AAAAAAAAAAAAAQRS",
        "QRS9ZX0000AAAAAAAAAAAAAXYZ",
    ];

    #[test]
    fn three_characters_at_either_end_are_enough_if_they_are_unique() {
        assert_eq!(find("xyz", IDS), Match::One(IDS[3].to_owned()));
        assert_eq!(find("qrs9", IDS), Match::One(IDS[3].to_owned()));
        assert_eq!(find("xbc", IDS), Match::One(IDS[1].to_owned()));
        assert_eq!(find(IDS[0], IDS), Match::One(IDS[0].to_owned()));
        assert_eq!(find("yz", IDS), Match::TooShort);
        assert_eq!(find("AAA", IDS), Match::Nothing);
        assert_eq!(
            find("01j", IDS),
            Match::Several(IDS[..3].iter().map(ToString::to_string).collect())
        );
        assert_eq!(
            find("QRS", IDS),
            Match::Several(vec![IDS[2].to_owned(), IDS[3].to_owned()])
        );
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        let short = short(&IDS);
        for id in IDS {
            assert_eq!(
                find(short[id], IDS),
                Match::One(id.to_owned()),
                "{}",
                short[id]
            );
            let shorter = &short[id][1..];
            assert!(
                shorter.len() < 3 || find(shorter, IDS) != Match::One(id.to_owned()),
                "{shorter}"
            );
        }
        assert_eq!(
            (short[IDS[0]], short[IDS[1]], short[IDS[3]]),
            ("ABC", "XBC", "XYZ")
        );
        assert_eq!(short[IDS[2]], "AQRS");
    }

    #[test]
    fn odd_ids_do_no_harm() {
        assert_eq!(
            short(&["é", "", "abc"]),
            HashMap::from([("é", "é"), ("", ""), ("abc", "abc")])
        );
        assert_eq!(short(&["same", "same"]), HashMap::from([("same", "same")]));
    }
}
