//! How rows are named: keys whose byte order is the order in which people want to see the rows.
//!
//! Fixed-size parts stand as they are, big endian. A text of variable length must end with
//! something smaller than any text that continues it: a name (which has no control characters) ends
//! with a zero byte; an order, which comes from other replicas and may be any text, has its zero
//! bytes escaped as `00 ff` and ends with `00 00`.

use crdt::list::{LeftOut, Salt};
use names::{Actor, ChangeHash, ChangeId, EntryId, ListId, ListName};
use std::ops::Bound;

/// An order longer than this counts by its first bytes only: fjall's keys end at 65,535 bytes, a
/// hostile order does not. Entries with equal beginnings then follow each other by id.
pub(super) const MAX_ORDER_BYTES: usize = 1024;

/// Length of [`due`].
const DUE_BYTES: usize = 9;

/// The first and the last key of a scan.
pub(super) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// `changes`: list ‖ actor ‖ seq.
pub(super) fn change(list: ListId, id: ChangeId) -> Vec<u8> {
    [list.0.as_slice(), &id.actor.0, &id.seq.to_be_bytes()].concat()
}

/// The list in a key of `changes`; `None` if it is none.
pub(super) fn list_of_change(key: &[u8]) -> Option<ListId> {
    let (list, _) = key.split_first_chunk()?;
    (key.len() == 40).then_some(ListId(*list))
}

/// `left-out`: list ‖ what names it among those of its list.
pub(super) fn left_out(list: ListId, one: &LeftOut) -> Vec<u8> {
    [list.0.as_slice(), &one.key()].concat()
}

/// `aside`: list ‖ actor ‖ seq ‖ hash.
pub(super) fn aside(list: ListId, id: ChangeId, hash: ChangeHash) -> Vec<u8> {
    [change(list, id).as_slice(), &hash.0].concat()
}

/// The hash at the end of a key of `aside`.
pub(super) fn hash_of(key: &[u8]) -> Option<ChangeHash> {
    let (_, hash) = key.split_last_chunk()?;
    Some(ChangeHash(*hash))
}

/// The number in a key of `changes`.
pub(super) fn seq_of(key: &[u8]) -> Option<u64> {
    key.get(32..)?.try_into().ok().map(u64::from_be_bytes)
}

/// The key of the change before one, of the same actor.
pub(super) fn change_before(key: &[u8], seq: u64) -> Vec<u8> {
    let actor = key.get(..32).unwrap_or_default();
    [actor, &seq.saturating_sub(1).to_be_bytes()].concat()
}

/// `vectors`: list ‖ actor.
pub(super) fn vector(list: ListId, actor: Actor) -> Vec<u8> {
    [list.0, actor.0].concat()
}

/// The actor in a key of `vectors`; `None` if it is no such key.
pub(super) fn actor_of(key: &[u8]) -> Option<Actor> {
    key.get(16..)
        .and_then(|rest| rest.try_into().ok())
        .map(Actor)
}

/// `ids`: list ‖ entry id.
pub(super) fn id(list: ListId, id: EntryId) -> Vec<u8> {
    [list.0, id.0.to_be_bytes()].concat()
}

/// Where an entry stands in its list: order ‖ `00 00` ‖ id. The last part of the keys of all views.
pub(super) fn place(order: &str, id: EntryId) -> Vec<u8> {
    let mut key = Vec::with_capacity(order.len().min(MAX_ORDER_BYTES).saturating_add(18));
    for &byte in order.as_bytes().iter().take(MAX_ORDER_BYTES) {
        key.push(byte);
        if byte == 0 {
            key.push(0xff);
        }
    }
    key.extend([0, 0]);
    key.extend(id.0.to_be_bytes());
    key
}

/// The entry in what [`place`] made; `None` if it cannot have.
pub(super) fn entry_of_place(place: &[u8]) -> Option<EntryId> {
    let (rest, id) = place.split_last_chunk()?;
    rest.ends_with(&[0, 0])
        .then(|| EntryId(u128::from_be_bytes(*id)))
}

/// A due time in milliseconds: negative ones first, none at the end.
pub(super) fn due(ms: Option<i64>) -> [u8; DUE_BYTES] {
    let mut key = [0; DUE_BYTES];
    if let Some((tag, time)) = key.split_first_mut() {
        match ms {
            Some(ms) => time.copy_from_slice(&(ms ^ i64::MIN).to_be_bytes()),
            None => *tag = 1,
        }
    }
    key
}

/// Whether [`due`] made it from a time.
pub(super) fn is_dated(due: &[u8]) -> bool {
    due.first() == Some(&0)
}

/// Splits what begins with [`due`] after it.
pub(super) fn split_due(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(DUE_BYTES)
}

/// `entries`: list ‖ place.
pub(super) fn entry(list: ListId, place: &[u8]) -> Vec<u8> {
    [&list.0, place].concat()
}

/// `dues`: list ‖ due ‖ place.
pub(super) fn dated(list: ListId, due: &[u8], place: &[u8]) -> Vec<u8> {
    [&list.0, due, place].concat()
}

/// The place in a key of `dues`.
pub(super) fn place_of_dated(key: &[u8]) -> Option<&[u8]> {
    key.get(16_usize.saturating_add(DUE_BYTES)..)
}

/// The due time in a key of `dues`.
pub(super) fn due_of_dated(key: &[u8]) -> Option<&[u8]> {
    key.get(16..)?.get(..DUE_BYTES)
}

/// `agenda`: due ‖ name ‖ `00` ‖ place.
pub(super) fn agenda(due: &[u8], name: &ListName, place: &[u8]) -> Vec<u8> {
    [due, name.as_str().as_bytes(), &[0], place].concat()
}

/// The due time, the list's name and the place in a key of `agenda`.
pub(super) fn split_agenda(key: &[u8]) -> Option<(&[u8], ListName, &[u8])> {
    let (due, rest) = split_due(key)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, place) = rest.split_at_checked(end)?;
    Some((due, list_name(name)?, place.get(1..)?))
}

/// `names`: the name of a list.
pub(super) fn list_name(key: &[u8]) -> Option<ListName> {
    ListName::new(std::str::from_utf8(key).ok()?).ok()
}

/// The key in `meta` of a list in quarantine begins with this; the list's id follows.
pub(super) const QUARANTINE: &[u8] = b"quarantine/";

/// The key of a list's quarantine in `meta`.
pub(super) fn quarantine(list: ListId) -> Vec<u8> {
    [QUARANTINE, &list.0].concat()
}

/// The key in `meta` of a token's row begins with this; the token's id follows.
pub(super) const TOKEN: &[u8] = b"token/";

/// The key of a token's row in `meta`.
pub(super) fn token(id: [u8; 8]) -> Vec<u8> {
    [TOKEN, &id].concat()
}

/// The key in `meta` of a salt begins with this; its node and the salt follow.
pub(super) const SALT: &[u8] = b"salt/";

/// The key of a salt in `meta`.
pub(super) fn salt(salt: &Salt) -> Vec<u8> {
    [SALT, &salt.owner().0, &salt.salt()].concat()
}

/// All keys that begin with `prefix`.
pub(super) fn within(prefix: &[u8]) -> Bounds {
    (Bound::Included(prefix.to_vec()), after(prefix))
}

/// The end of the keys that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// Whether no key can be between them: the end comes before the beginning.
pub(super) fn is_empty(bounds: &Bounds) -> bool {
    match bounds {
        (Bound::Included(first), Bound::Included(last)) => first > last,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Excluded(to) | Bound::Included(to),
        ) => from >= to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn orders() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c\u{0}\u{1}\u{ff}]{0,4}",
            "[a-zA-Z0-9]{0,12}",
            any::<String>()
        ]
    }

    fn dues() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![
            Just(None),
            any::<i64>().prop_map(Some),
            (-2..2_i64).prop_map(Some)
        ]
    }

    fn names() -> impl Strategy<Value = ListName> {
        "[a-cé!~]{1,5}".prop_filter_map("a name", |text| ListName::new(&text).ok())
    }

    proptest! {
        #[test]
        fn places_sort_by_order_and_id(a in (orders(), 0..3_u128), b in (orders(), 0..3_u128)) {
            let key = |(order, id): &(String, u128)| place(order, EntryId(*id));
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }

        #[test]
        fn the_agenda_sorts_by_due_name_order_and_id(a in (dues(), names(), orders(), 0..3_u128), b in (dues(), names(), orders(), 0..3_u128)) {
            let key = |(ms, name, order, id): &(Option<i64>, ListName, String, u128)| agenda(&due(*ms), name, &place(order, EntryId(*id)));
            let undated_last = |row: &(Option<i64>, ListName, String, u128)| (row.0.is_none(), row.clone());
            prop_assert_eq!(key(&a).cmp(&key(&b)), undated_last(&a).cmp(&undated_last(&b)));
        }

        #[test]
        fn a_place_is_found_in_the_keys_that_hold_it(ms in dues(), name in names(), order in orders(), id: u128) {
            let place = place(&order, EntryId(id));
            let (agenda, dated) = (agenda(&due(ms), &name, &place), dated(ListId([9; 16]), &due(ms), &place));
            let due = due(ms);
            prop_assert_eq!(split_agenda(&agenda), Some((due.as_slice(), name, place.as_slice())));
            prop_assert_eq!(place_of_dated(&dated), Some(place.as_slice()));
            prop_assert_eq!(due_of_dated(&dated), Some(due.as_slice()));
        }

        #[test]
        fn changes_sort_by_list_actor_and_number(a: ([u8; 16], [u8; 16], u64), b: ([u8; 16], [u8; 16], u64)) {
            let key = |(list, actor, seq)| change(ListId(list), ChangeId { actor: Actor(actor), seq });
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn exactly_the_keys_with_the_prefix_are_within(prefix in prop::collection::vec(prop_oneof![Just(0xff), any::<u8>()], 0..3), key: Vec<u8>) {
            use std::ops::RangeBounds;
            prop_assert_eq!(within(&prefix).contains(&key), key.starts_with(&prefix));
        }
    }

    #[test]
    fn a_hostile_order_makes_no_endless_key() {
        assert!(place(&"\0".repeat(100_000), EntryId(1)).len() < 4096);
    }
}
