//! What the liar's messages are made of: what is there, what is just above it, and the bounds.

use super::lies::Speech;
use crate::chance::Chance;
use crate::clients::LISTS;
use crate::host::{EPOCH_MS, Host};
use node::testing::{self, Dice};
use node::wire::Channel;
use std::collections::BTreeSet;

/// How many numbers of one kind are remembered.
const MAX_NUMBERS: usize = 60;
/// Numbers at which something changes its size or its meaning: the ends of each kind of integer, of
/// runs (2³¹), of claims (2⁴⁸).
const BOUNDS: [u64; 18] = [
    0,
    1,
    2,
    250,
    255,
    65_535,
    65_536,
    (1 << 31) - 2,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    (1 << 48) - 2,
    (1 << 48) - 1,
    1 << 48,
    1 << 63,
    u64::MAX - 2,
    u64::MAX - 1,
    u64::MAX,
];
/// How far above what is there a number is. The bounds on hearsay are 1,000.
const STEPS: [u64; 8] = [0, 1, 2, 8, 9, 999, 1_000, 1_001];

/// What the liar can put into a message.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Of honest nodes, itself, and one that nobody knows.
    pub(super) nodes: Vec<[u8; 16]>,
    pub(super) node_names: Vec<String>,
    addresses: Vec<[u8; 4]>,
    pub(super) lists: Vec<[u8; 16]>,
    actors: Vec<[u8; 16]>,
    processes: BTreeSet<String>,
    /// The runs that nodes have.
    runs: BTreeSet<u64>,
    /// Numbers of changes of registries' logs.
    versions: BTreeSet<u64>,
    claims: BTreeSet<u64>,
    /// Changes of lists that are the first of their actors.
    pub(super) changes: Vec<Vec<u8>>,
    now_ms: u64,
}

impl Words {
    /// Looks around.
    pub(super) fn look(&mut self, hosts: &[Host], now_ms: u64) {
        let unknown = [0xee; 16];
        self.now_ms = u64::try_from(EPOCH_MS).unwrap_or(0) + now_ms;
        self.nodes = hosts.iter().map(|host| host.peer.id.0).collect();
        self.nodes.push(unknown);
        self.node_names = hosts
            .iter()
            .map(|host| host.peer.name.to_string())
            .collect();
        self.node_names.push("nobody".to_owned());
        self.addresses = hosts
            .iter()
            .filter_map(|host| match host.address.ip() {
                std::net::IpAddr::V4(ip) => Some(ip.octets()),
                std::net::IpAddr::V6(_) => None,
            })
            .collect();
        self.addresses.push([10, 9, 9, 9]);
        let views = hosts
            .iter()
            .filter_map(|host| host.process.as_ref()?.view.as_ref());
        let runs = views.flat_map(|view| view.members.iter().map(|member| member.run));
        self.runs = runs
            .filter(|run| *run < 1 << 20)
            .take(MAX_NUMBERS)
            .collect();
        let images: Vec<_> = hosts.iter().map(|host| &host.disk.image).collect();
        let keys = images.iter().flat_map(|image| image.changes.keys());
        let (mut lists, mut actors) = (BTreeSet::new(), BTreeSet::new());
        for (list, actor, _) in keys {
            lists.insert(list.0);
            actors.insert(actor.0);
        }
        (self.lists, self.actors) = (
            lists.into_iter().collect(),
            actors.into_iter().take(200).collect(),
        );
        let firsts = images
            .iter()
            .flat_map(|image| image.changes.iter().filter(|((.., seq), _)| *seq == 1));
        self.changes = firsts.map(|(_, bytes)| bytes.to_vec()).collect();
    }

    /// Takes numbers and names from what was said.
    pub(super) fn learn(&mut self, speech: &Speech) {
        let Speech::Message(Channel::Registry, bytes) = speech else {
            return;
        };
        let (versions, claims, processes) =
            (&mut self.versions, &mut self.claims, &mut self.processes);
        testing::alter_part(bytes, |delta, _| {
            versions.extend([delta.after, delta.upto, delta.latest, delta.horizon]);
            for record in &delta.records {
                processes.insert(record.name.to_string());
                claims.extend(record.state.entry().map(|entry| entry.claim));
            }
        });
        while self.versions.len() > MAX_NUMBERS {
            self.versions.pop_first();
        }
        while self.claims.len() > MAX_NUMBERS {
            self.claims.pop_first();
        }
    }

    /// A number for a field of that name.
    pub(super) fn number(&self, chance: &mut Chance, field: &str) -> u64 {
        let known: Vec<u64> = match field {
            "generation" => self.runs.iter().map(|run| run << 32).collect(),
            "claim" | "since_ms" => self.claims.iter().copied().chain([self.now_ms]).collect(),
            "version" | "after" | "upto" | "latest" | "horizon" => {
                self.versions.iter().copied().collect()
            }
            "run" | "incarnation" | "src_incarnation" => self.runs.iter().copied().collect(),
            "address" | "addr" if chance.happens(0.9) => vec![6_878],
            _ => self.runs.iter().chain(&self.versions).copied().collect(),
        };
        let near = chance.pick(&known).copied();
        match near.filter(|_| chance.happens(0.6)) {
            Some(6_878) => 6_878,
            Some(near) => near.saturating_add(STEPS[chance.below(STEPS.len())]),
            None => BOUNDS[chance.below(BOUNDS.len())],
        }
    }

    /// An id of what is there.
    pub(super) fn id(&self, chance: &mut Chance, field: &str) -> [u8; 16] {
        let pool = match field {
            "vector" | "actor" => &self.actors,
            "list" | "leaves" => &self.lists,
            _ => &self.nodes,
        };
        let known = chance.pick(pool).copied();
        known
            .filter(|_| chance.happens(0.9))
            .unwrap_or_else(|| chance.bytes())
    }
}

/// The dice from which [`node::testing`] makes messages.
pub(super) struct Drawing<'a> {
    pub(super) words: &'a Words,
    pub(super) chance: &'a mut Chance,
    /// Of which channel the message is.
    pub(super) channel: Option<Channel>,
    /// A change to be sent, if one is asked for.
    pub(super) change: Option<Vec<u8>>,
}

impl Dice for Drawing<'_> {
    fn below(&mut self, limit: usize) -> usize {
        self.chance.below(limit)
    }

    fn number(&mut self, field: &'static str) -> u64 {
        self.words.number(self.chance, field)
    }

    fn array(&mut self, field: &'static str, length: usize) -> Vec<u8> {
        match length {
            16 => self.words.id(self.chance, field).to_vec(),
            4 => {
                let address = self.chance.pick(&self.words.addresses);
                address.copied().unwrap_or_default().to_vec()
            }
            _ => self.chance.bytes::<32>()[..length.min(32)].to_vec(),
        }
    }

    fn text(&mut self, _: &'static str) -> String {
        let words = self.words;
        let text = match self.channel {
            Some(Channel::Lists) => self.chance.pick(&LISTS).map(|name| (*name).to_owned()),
            Some(Channel::Registry) => {
                let processes: Vec<&String> = words.processes.iter().collect();
                self.chance.pick(&processes).map(|name| (*name).clone())
            }
            Some(Channel::Cluster) | None => self.chance.pick(&words.node_names).cloned(),
        };
        match text {
            Some(text) if self.chance.happens(0.95) => text,
            Some(_) | None => "x".repeat([0, 1, 2, 70][self.chance.below(4)]),
        }
    }

    fn blob(&mut self, _: &'static str) -> Vec<u8> {
        match &self.change {
            Some(change) => change.clone(),
            None => self.chance.bytes::<40>().to_vec(),
        }
    }
}
