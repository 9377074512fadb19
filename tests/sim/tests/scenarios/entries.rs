//! What clients of a scripted world do with lists, and what its disks then hold.

use crate::script::Script;
use bytes::Bytes;
use crdt::entry::{Edit, EntryPatch, NewEntry};
use names::{EntryId, ListId, ListName};
use node::codec;
use node::lists::{Edited, Refusal, Replicas, Reply, Stats, ask};
use node::wire::ConnId;
use sim::check::{convergence, views};
use std::time::Duration;

pub(crate) fn name(text: &str) -> ListName {
    ListName::new(text).unwrap()
}

pub(crate) fn entry(title: &str) -> NewEntry {
    NewEntry {
        title: title.to_owned(),
        ..NewEntry::default()
    }
}

pub(crate) fn patch(title: &str) -> EntryPatch {
    EntryPatch {
        title: Some(title.to_owned()),
        ..EntryPatch::default()
    }
}

/// An addition with an id of the client's own.
pub(crate) fn with_id(id: u128, title: &str) -> Edit {
    Edit::Add(vec![NewEntry {
        id: Some(EntryId(id)),
        ..entry(title)
    }])
}

/// An edit without conditions that waits for five seconds.
pub(crate) fn edit(list: &str, edit: Edit) -> ask::Edit {
    ask::Edit {
        list: name(list),
        edit,
        expect: None,
        replicas: None,
        timeout: Duration::from_secs(5),
    }
}

/// An edit that waits for replicas, for so many seconds.
pub(crate) fn replicated(list: &str, what: Edit, replicas: Replicas, seconds: u64) -> ask::Edit {
    ask::Edit {
        replicas: Some(replicas),
        timeout: Duration::from_secs(seconds),
        ..edit(list, what)
    }
}

/// A push in the first version of the protocol: the header's shards, the message's tag, and for each
/// list its name, its changes and whether the sender wants them confirmed.
pub(crate) fn push(list: ListName, changes: Vec<Bytes>, confirm: bool) -> Bytes {
    let (first, last, tag) = (0u8, 255u8, 0u8);
    let bytes = codec::encode(&(first, last, tag, vec![(list, changes, confirm)]));
    bytes.unwrap().into()
}

impl Script {
    /// A cluster in which all lists were compared.
    pub(crate) fn compared(count: usize) -> Self {
        let mut world = Self::cluster(1, 0.0, count);
        world.run_ms(3_000);
        world
    }

    /// The same, whose nodes take changes by actors for which no node has signed.
    pub(crate) fn compared_unsigned(count: usize) -> Self {
        let mut world = Self::with_hosts(1, 0.0, count);
        for host in 0..count {
            world.hosts[host].takes_unsigned = true;
            world.start(host, &[0]);
        }
        world.run_ms(8_000);
        world.expect_whole(count);
        world
    }

    /// The same, cut into single nodes, whose connections have died.
    pub(crate) fn apart(count: usize) -> Self {
        let mut world = Self::compared(count);
        (0..count).for_each(|a| (0..a).for_each(|b| world.cut(&[a], &[b])));
        world.run_until(20_000, "nobody is connected", |world| {
            (0..count).all(|host| world.stats(host).connections == 0)
        });
        world
    }

    pub(crate) fn edit(&mut self, host: usize, ask: ask::Edit) -> u64 {
        self.ask_lists(host, ListId::of(&ask.list), ask)
    }

    pub(crate) fn add(&mut self, host: usize, list: &str, title: &str) -> u64 {
        self.edit(host, edit(list, Edit::Add(vec![entry(title)])))
    }

    pub(crate) fn list_reply(&self, request: u64) -> Option<&Result<Reply, Refusal>> {
        self.record().lists_replies.get(&request)
    }

    /// What an edit came to that was carried out.
    pub(crate) fn edited(&self, request: u64) -> &Edited {
        match self.list_reply(request) {
            Some(Ok(Reply::Edited(edited))) => edited,
            other => panic!("{other:?}"),
        }
    }

    /// The titles of a list in their order, as a host's disk has them.
    pub(crate) fn titles(&self, host: usize, list: &str) -> Vec<String> {
        let mut entries: Vec<_> = self.hosts[host]
            .disk
            .image
            .entries_of(ListId::of(&name(list)))
            .collect();
        entries.sort_by_key(|entry| (entry.order.clone(), entry.id));
        entries
            .into_iter()
            .map(|entry| entry.title.clone())
            .collect()
    }

    /// A host's connection to another one.
    pub(crate) fn conn(&self, host: usize, other: usize) -> ConnId {
        let view = self.hosts[host].process.as_ref().unwrap().view.clone();
        let member = view.unwrap().member(self.hosts[other].peer.id).cloned();
        member.unwrap().conn.unwrap()
    }

    /// The numbers of a host's one lists machine.
    pub(crate) fn lists_stats(&self, host: usize) -> Stats {
        let process = self.hosts[host].process.as_ref().unwrap();
        process.lists_stats()[0]
    }

    /// Kills a daemon and starts it again, with nothing in memory; waits until all see it.
    pub(crate) fn restart(&mut self, host: usize) {
        self.kill(host);
        self.start(host, &[0]);
        let count = self.hosts.len();
        self.run_until(8_000, "it is back", |world| {
            world.is_whole(count)
                && (0..count).all(|other| world.stats(other).connections + 1 == count as u64)
        });
        self.run_ms(1_000);
    }

    /// Runs until all disks hold the same, also what was asked a moment ago; then each view must be
    /// what its changes make.
    pub(crate) fn run_until_agreed(&mut self, limit_ms: u64) {
        self.run_ms(20);
        self.run_until(limit_ms, "all agree", |world| {
            convergence::check(world).is_ok()
        });
        for host in 0..self.hosts.len() {
            assert_eq!(views::check(self, host), Vec::<String>::new());
            let stats = self.lists_stats(host);
            assert_eq!((stats.orphans, stats.requests_waiting), (0, 0));
        }
    }
}
