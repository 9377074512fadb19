//! What somebody may have meant.

/// The candidate that is nearest to what was typed, if one is near enough to be worth naming.
pub(crate) fn nearest<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(typed, candidate), candidate))
        .min()
        .filter(|(d, _)| *d <= limit)
        .map(|(_, name)| name)
}

/// Levenshtein's distance: how many letters must be added, removed or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != *to))
                .min(above + 1)
                .min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_rubbish_is_not() {
        let names = ["listen", "advertise", "seeds"];
        assert_eq!(nearest("listn", names), Some("listen"));
        assert_eq!(nearest("advertize", names), Some("advertise"));
        assert_eq!(nearest("seed", names), Some("seeds"));
        assert_eq!(nearest("bananas", names), None);
    }

    #[test]
    fn the_distance_counts_single_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
