//! The accounts of this host.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Where they are.
pub(crate) const ACCOUNTS: &str = "/etc/passwd";

/// Those of these users, by name or number, whom this host does not know by name: as callers are looked
/// up in the same file, such a name lets nobody do anything.
pub(crate) fn unknown_users(users: &[String]) -> Vec<&str> {
    let text = std::fs::read_to_string(ACCOUNTS).unwrap_or_default();
    unknown_in(&text, users)
}

fn unknown_in<'a>(accounts: &str, users: &'a [String]) -> Vec<&'a str> {
    let known = parse(accounts);
    let is_known = |user: &str| known.values().any(|name| &**name == user);
    let is_number = |user: &str| user.parse::<u32>().is_ok();
    let users = users.iter().map(String::as_str);
    users
        .filter(|user| !is_number(user) && !is_known(user))
        .collect()
}

/// Reads `name:password:uid:…` lines; the first name of a uid counts, as for `getpwuid`.
pub(crate) fn parse(text: &str) -> BTreeMap<u32, Arc<str>> {
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (name, uid) = (
            fields.next().unwrap_or_default(),
            fields.nth(1).and_then(|uid| uid.parse().ok()),
        );
        if let Some(uid) = uid.filter(|_| !name.is_empty()) {
            names.entry(uid).or_insert_with(|| Arc::from(name));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_account_of_a_uid_names_it() {
        let names = parse(
            "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:\nally:x:1000:1::/:\n:x:5:5\nbroken\n+::::::\n",
        );
        assert_eq!(names.get(&1000).map(|name| &**name), Some("alice"));
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn users_that_this_host_does_not_know_are_named() {
        let accounts = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:\nally:x:1000:1::/:\n";
        let users = ["alice", "alcie", "4001", "ally"].map(str::to_owned);
        // A caller's uid has one name alone.
        assert_eq!(unknown_in(accounts, &users), ["alcie", "ally"]);
    }
}
