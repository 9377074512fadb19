//! Changes in an order in which each follows those that it depends on.

use super::chunk;
use bytes::Bytes;
use names::ChangeHash;
use std::collections::{BTreeMap, BTreeSet};

/// Puts raw changes into an order in which each follows those that it depends on, as far as they are among
/// them: by their first operations, and where these are equal, as with a change that writes nothing, by
/// what they say that they depend on. Else they stay as they are. What is no change comes last.
pub fn in_order<T>(changes: impl IntoIterator<Item = T>, bytes: impl Fn(&T) -> &Bytes) -> Vec<T> {
    let start = |change: &T| chunk::start_op(bytes(change)).unwrap_or(u64::MAX);
    let mut changes: Vec<T> = changes.into_iter().collect();
    changes.sort_by_cached_key(&start);
    let mut ordered = Vec::with_capacity(changes.len());
    let mut equal: Vec<T> = Vec::new();
    for change in changes {
        if equal
            .first()
            .is_some_and(|one| start(one) != start(&change))
        {
            ordered.extend(by_causes(std::mem::take(&mut equal), &bytes));
        }
        equal.push(change);
    }
    ordered.extend(by_causes(equal, &bytes));
    ordered
}

/// The same of changes with equal first operations.
fn by_causes<T>(changes: Vec<T>, bytes: &impl Fn(&T) -> &Bytes) -> Vec<T> {
    if changes.len() < 2 {
        return changes;
    }
    let index: BTreeMap<ChangeHash, usize> = changes
        .iter()
        .enumerate()
        .map(|(at, change)| (chunk::hash(bytes(change)), at))
        .collect();
    let (mut followers, mut lacking) = (vec![Vec::new(); changes.len()], Vec::new());
    for (at, change) in changes.iter().enumerate() {
        let deps = chunk::head(bytes(change)).map(|head| head.deps);
        let causes = deps.into_iter().flatten();
        let causes: BTreeSet<usize> = causes.filter_map(|dep| index.get(&dep).copied()).collect();
        lacking.push(causes.len());
        for cause in causes {
            if let Some(followers) = followers.get_mut(cause) {
                followers.push(at);
            }
        }
    }
    let ready = lacking.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BTreeSet<usize> = ready.map(|(at, _)| at).collect();
    let mut changes: Vec<Option<T>> = changes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(changes.len());
    while let Some(at) = ready.pop_first() {
        ordered.extend(changes.get_mut(at).and_then(Option::take));
        for follower in followers.get(at).into_iter().flatten() {
            if let Some(count) = lacking.get_mut(*follower) {
                *count -= 1;
                ready.extend((*count == 0).then_some(*follower));
            }
        }
    }
    // No hash depends on itself.
    ordered.extend(changes.into_iter().flatten());
    ordered
}
