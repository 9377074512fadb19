//! Positions: strings of base-62 digits, ordered as strings, between any two of which there is
//! another.
//!
//! A position is an *integer* and a *fraction*. The integer's first letter tells how many digits
//! follow (`a`: 1, `b`: 2 … `z`: 26; below zero `Z`: 1 … `A`: 26), so that integers of any length
//! sort as strings and appending 100,000 entries takes four digits. The fraction ends with random
//! digits: two nodes that put entries into the same gap almost never choose equal positions, and
//! later entries fit between. Positions are never rewritten to make room.
//!
//! Entries that are added one after the other are a *run*: the first one draws its digits, and those
//! after it count on in integers behind the first one's position. So what one node has put into a gap
//! stays together when another node has put something into the same gap.

use names::EntryId;

/// The longest position that is read as one, in bytes.
pub(super) const MAX_BYTES: usize = 1024;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE: u8 = 62;
/// Random digits at the end of each position.
const RANDOM_DIGITS: usize = 3;

/// Whether a text may be used as a position.
pub(crate) fn is_valid(text: &str) -> bool {
    text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A position after `low` and before `high`, ending in digits made of `random`. Without room
/// between them (they are equal, or `high` is `low` and zeros, which Muster never writes) it is
/// `low` itself: the order of the ids then decides.
pub(super) fn between(low: Option<&str>, high: Option<&str>, random: u128) -> String {
    let stem = match (low, high) {
        (None, None) => Some("a0".to_owned()),
        (Some(low), None) => next_integer(low).or_else(|| middle(low, None)),
        (None, Some(high)) => previous_integer(high).or_else(|| middle("", Some(high))),
        (Some(low), Some(high)) => middle(low, Some(high)),
    };
    let position = stem.map(|stem| stem + &suffix(random));
    position
        .filter(|position| position.len() <= MAX_BYTES)
        .unwrap_or_else(|| low.or(high).unwrap_or_default().to_owned())
}

/// The position directly after that of an entry which another one follows on, whatever else is in the
/// list: so nodes apart choose the same one. Those of one series do not grow: what follows on one that
/// was placed so takes its place.
pub(super) fn following(order: &str, id: EntryId, next: EntryId) -> String {
    let base = order.strip_suffix(&behind(id)).unwrap_or(order);
    let position = format!("{base}{}", behind(next));
    if position.len() <= MAX_BYTES {
        position
    } else {
        base.to_owned()
    }
}

/// What stands behind a position before all that is put after it. An entry that its client has named
/// draws its own position from its id, which is another one.
fn behind(id: EntryId) -> String {
    format!("0{}", suffix(!id.0))
}

/// Whether two positions are for the same gap: they differ in their random digits at most.
pub(crate) fn is_same_gap(one: &str, other: &str) -> bool {
    let stem = |text: &'_ str| text.len().checked_sub(RANDOM_DIGITS);
    stem(one)
        .zip(stem(other))
        .is_some_and(|(one_stem, other_stem)| {
            let stems = (one.get(..one_stem), other.get(..other_stem));
            one_stem > 0 && stems.0.is_some() && stems.0 == stems.1
        })
}

/// Entries that were added one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first one's position.
    first: String,
    /// The last one's.
    last: String,
}

impl Run {
    /// Begins with an entry between two positions.
    pub(super) fn between(low: Option<&str>, high: Option<&str>, random: u128) -> Self {
        let first = between(low, high, random);
        Self {
            last: first.clone(),
            first,
        }
    }

    /// Goes on with an entry directly after the last one; `None` if `low` is not that one, or there is
    /// no room.
    pub(super) fn next(self, low: Option<&str>, high: Option<&str>) -> Option<Self> {
        if low != Some(self.last.as_str()) {
            return None;
        }
        let counted = self.last.get(self.first.len()..)?;
        let count = if counted.is_empty() {
            "a1".to_owned()
        } else {
            next_integer(counted)?
        };
        let next = format!("{}{count}", self.first);
        let fits = next.len() <= MAX_BYTES && high.is_none_or(|high| next.as_str() < high);
        fits.then_some(Self { last: next, ..self })
    }

    /// The last one's position.
    pub(super) fn last(&self) -> &str {
        &self.last
    }
}

/// Digits of which the last is not 0: nothing sorts between a text and the same text with a 0.
fn suffix(mut random: u128) -> String {
    let mut digits = String::with_capacity(RANDOM_DIGITS);
    for place in (0..RANDOM_DIGITS).rev() {
        let (base, least) = if place == 0 {
            (u128::from(BASE) - 1, 1)
        } else {
            (u128::from(BASE), 0)
        };
        digits.push(digit(
            u8::try_from(random % base).unwrap_or_default() + least,
        ));
        random /= base;
    }
    digits
}

fn digit(value: u8) -> char {
    DIGITS
        .get(usize::from(value))
        .map_or('z', |byte| char::from(*byte))
}

fn value(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'Z' => byte - b'A' + 10,
        b'a'..=b'z' => byte - b'a' + 36,
        _ => 0,
    }
}

/// How many digits follow an integer's first letter; `None` if it is not one.
fn digits_after(head: u8) -> Option<usize> {
    match head {
        b'a'..=b'z' => Some(usize::from(head - b'a') + 1),
        b'A'..=b'Z' => Some(usize::from(b'Z' - head) + 1),
        _ => None,
    }
}

/// The integer part of a position: its first letter and digits.
fn integer(position: &str) -> Option<(u8, Vec<u8>)> {
    let head = *position.as_bytes().first()?;
    let digits = position.as_bytes().get(1..=digits_after(head)?)?;
    Some((head, digits.iter().map(|byte| value(*byte)).collect()))
}

fn written(head: u8, digits: impl IntoIterator<Item = u8>) -> String {
    std::iter::once(char::from(head))
        .chain(digits.into_iter().map(digit))
        .collect()
}

/// The integer above a position's; `None` past the last one.
fn next_integer(position: &str) -> Option<String> {
    let (head, mut digits) = integer(position)?;
    for place in digits.iter_mut().rev() {
        if *place < BASE - 1 {
            *place += 1;
            return Some(written(head, digits));
        }
        *place = 0;
    }
    match head {
        b'Z' => Some("a0".to_owned()),
        b'z' => None,
        _ => Some(written(head + 1, vec![0; digits_after(head + 1)?])),
    }
}

/// The integer below a position's; `None` past the first one.
fn previous_integer(position: &str) -> Option<String> {
    let (head, mut digits) = integer(position)?;
    for place in digits.iter_mut().rev() {
        if *place > 0 {
            *place -= 1;
            return Some(written(head, digits));
        }
        *place = BASE - 1;
    }
    match head {
        b'a' => Some("Zz".to_owned()),
        b'A' => None,
        _ => Some(written(head - 1, vec![BASE - 1; digits_after(head - 1)?])),
    }
}

/// A text after `low` that stays before `high` whatever is written after it; `None` without room.
fn middle(low: &str, high: Option<&str>) -> Option<String> {
    let low = low.as_bytes();
    let mut high = high.map(str::as_bytes);
    let mut stem = String::new();
    for place in 0..=MAX_BYTES {
        let floor = low.get(place).map_or(0, |byte| value(*byte));
        let ceiling = match high {
            Some(high) => value(*high.get(place)?),
            None => BASE,
        };
        let gap = ceiling.checked_sub(floor)?;
        if gap >= 2 {
            stem.push(digit(floor + gap / 2));
            return Some(stem);
        }
        stem.push(digit(floor));
        if gap == 1 {
            // Below `high` from here on, whatever follows.
            high = None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hundred_thousand_appends_stay_short() {
        let mut last = between(None, None, 1);
        for random in 0..100_000u128 {
            let next = between(
                Some(&last),
                None,
                random.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            );
            assert!(next > last, "{next} {last}");
            last = next;
        }
        assert!(last.len() <= 8, "{last}");
    }

    #[test]
    fn what_follows_stands_behind_and_does_not_grow() {
        let first = between(None, None, 1);
        let after = between(Some(&first), None, 2);
        let mut last = (first.clone(), EntryId(1));
        for id in (2..500).map(|id| EntryId(id << 64 | id)) {
            let next = following(&last.0, last.1, id);
            assert!(is_valid(&next) && first < next && next < after, "{next}");
            assert_eq!(next.len(), first.len() + 4);
            last = (next, id);
        }
        assert!(between(Some(&first), Some(&last.0), 3) > first);
    }

    #[test]
    fn a_thousand_prepends_stay_short() {
        let mut first = between(None, None, 1);
        for random in 0..1000 {
            let next = between(None, Some(&first), random);
            assert!(next < first, "{next} {first}");
            first = next;
        }
        assert!(first.len() <= 7, "{first}");
    }

    #[test]
    fn a_run_counts_on_behind_its_first_position() {
        let first = Run::between(None, Some("a1"), 7);
        let begin = first.last().to_owned();
        let second = first.clone().next(Some(&begin), Some("a1")).unwrap();
        assert_eq!(second.last(), format!("{begin}a1"));
        let third = second.clone().next(Some(second.last()), None).unwrap();
        assert_eq!(third.last(), format!("{begin}a2"));
        assert!(begin.as_str() < second.last() && second.last() < third.last());
        // Somebody else's entry is the last one, or stands where the next one would.
        assert_eq!(third.clone().next(Some("a0zzz"), None), None);
        assert_eq!(
            third.clone().next(Some(third.last()), Some(third.last())),
            None
        );
    }

    #[test]
    fn a_hundred_thousand_entries_of_a_run_stay_short() {
        let mut run = Run::between(None, None, 1);
        for _ in 0..100_000 {
            let last = run.last().to_owned();
            run = run.next(Some(&last), None).unwrap();
            assert!(run.last() > last.as_str());
        }
        assert!(run.last().len() <= 10, "{}", run.last());
    }

    #[test]
    fn positions_of_one_gap_differ_in_their_random_digits() {
        let between = |low, high, random| between(Some(low), Some(high), random);
        let (one, other) = (between("a1", "a2", 7), between("a1", "a2", 9_999));
        assert!(one != other && is_same_gap(&one, &other), "{one} {other}");
        assert!(!is_same_gap(&one, &between("a2", "a3", 7)));
        assert!(!is_same_gap("abc", "abd") && !is_same_gap("", ""));
    }

    #[test]
    fn without_room_the_position_is_shared() {
        assert_eq!(between(Some("a1"), Some("a1"), 7), "a1");
        assert_eq!(between(Some("a1"), Some("a10"), 7), "a1");
        assert_eq!(
            between(Some(&"z".repeat(MAX_BYTES)), None, 7),
            "z".repeat(MAX_BYTES)
        );
    }

    proptest! {
        #[test]
        fn any_two_positions_have_another_between(gaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<u128>()), 1..200)) {
            let mut positions: Vec<String> = Vec::new();
            for (gap, random) in gaps {
                let at = gap.index(positions.len() + 1);
                let low = at.checked_sub(1).map(|at| positions[at].as_str());
                let new = between(low, positions.get(at).map(String::as_str), random);
                prop_assert!(is_valid(&new));
                positions.insert(at, new);
            }
            prop_assert!(positions.is_sorted_by(|a, b| a < b), "{:?}", positions);
        }

        #[test]
        fn runs_are_ordered_and_leave_room(steps in proptest::collection::vec((any::<prop::sample::Index>(), 1..6_usize, any::<u128>()), 1..40)) {
            let mut positions: Vec<String> = Vec::new();
            for (gap, length, random) in steps {
                let begin = gap.index(positions.len() + 1);
                let mut run: Option<Run> = None;
                for at in begin..begin + length {
                    let low = at.checked_sub(1).map(|at| positions[at].as_str());
                    let high = positions.get(at).map(String::as_str);
                    let next = run.take().and_then(|run| run.next(low, high));
                    let placed = next.unwrap_or_else(|| Run::between(low, high, random));
                    positions.insert(at, placed.last().to_owned());
                    run = Some(placed);
                }
            }
            prop_assert!(positions.iter().all(|position| is_valid(position)));
            prop_assert!(positions.is_sorted_by(|a, b| a < b), "{:?}", positions);
        }

        #[test]
        fn foreign_positions_are_respected(low in "[0-9A-Za-z]{0,5}", high in "[0-9A-Za-z]{0,5}", random in any::<u128>()) {
            let new = between(Some(&low), None, random);
            prop_assert!(new > low);
            let (low, high) = if low < high { (low, high) } else { (high, low) };
            let new = between(Some(&low), Some(&high), random);
            prop_assert!(new == low || (low < new && new < high), "{} {} {}", low, new, high);
            let before = between(None, Some(&high), random);
            prop_assert!(before < high || high.trim_end_matches('0').is_empty() && before == high, "{} {}", before, high);
        }
    }
}
