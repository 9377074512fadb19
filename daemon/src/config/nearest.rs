//! What somebody may have meant.

/// The candidate that is nearest to what was typed, if one is near enough to be worth naming.
pub(crate) fn nearest<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (strsim::levenshtein(typed, candidate), candidate))
        .min()
        .filter(|(d, _)| *d <= limit)
        .map(|(_, name)| name)
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
}
