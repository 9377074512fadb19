//! Ids that are the same each time for the same thing of a file.

use names::EntryId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Gives ids to what has none of its own: from its text, and from how many equal ones came before.
#[derive(Debug, Default)]
pub(crate) struct Ids(BTreeMap<String, u64>);

impl Ids {
    /// The id of the next thing with that text, in files of that format.
    pub(crate) fn of_text(&mut self, format: &str, text: &str) -> String {
        let before = self.0.entry(text.to_owned()).or_default();
        let nth = *before;
        *before += 1;
        hashed(&[format, "text", text, &nth.to_string()])
    }
}

/// The id of what another program has given an id. One of Muster stays as it is.
pub(crate) fn of_id(format: &str, id: &str) -> String {
    match id.parse::<EntryId>() {
        Ok(id) => id.to_string(),
        Err(_) => hashed(&[format, "id", id]),
    }
}

/// The time part of such an id is that of the epoch: what another program says of the time may be
/// another one at the next import.
fn hashed(parts: &[&str]) -> String {
    let mut hash = Sha256::new_with_prefix(b"muster import");
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bits = [0; 16];
    bits.iter_mut()
        .zip(hash.finalize())
        .for_each(|(to, from)| *to = from);
    EntryId::from_parts(0, u128::from_be_bytes(bits)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_each_time_and_differs_where_something_else_is_meant() {
        let two = || {
            let mut ids = Ids::default();
            let mut next = || ids.of_text("todo.txt", "milk");
            [next(), next()]
        };
        assert_eq!(two(), two());
        let [first, second] = two();
        let all = [
            &first,
            &second,
            &Ids::default().of_text("todo.txt", "bread"),
            &Ids::default().of_text("json", "milk"),
            &of_id("todo.txt", "milk"),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        // Constant for ever: what was imported once must be found again.
        assert_eq!(first, "00000000004F9HZ3ZZVT89SZ21");
    }

    #[test]
    fn an_id_of_muster_is_kept() {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(of_id("ics", id), id);
        assert_eq!(of_id("ics", &id.to_lowercase()), id);
    }
}
