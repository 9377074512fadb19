//! Which parts of logs are believed, and what is relayed: small worlds of registries, joined by
//! messages.

mod relayed;
mod unproved;

use super::*;
use crate::proof::{Domain, Marks, Proofs};
use crate::registry::{Effect, Presence, Settings, Sight, Stats, Trust};
use crate::time::{Instant, Now, Wall};
use crate::wire::{Peer, Protocol};
use bytes::Bytes;
use crdt::registry::{Entry, Position, Process, Reason, State};
use names::{NodeName, ProcessName, Role};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The nodes of a world by their numbers. The first one's log is what the tests are about.
const OWNER: usize = 0;
const RELAY: usize = 1;
const LAST: usize = 2;
const CLUSTER: [u8; 16] = [9; 16];

fn peer(node: usize) -> Peer {
    Peer {
        id: NodeId([u8::try_from(node).unwrap() + 1; 16]),
        name: NodeName::new(&format!("node{node}")).unwrap(),
        role: Role::Member,
    }
}

/// Proofs of a node in a cluster, as cheap as a hash.
#[derive(Clone, Debug)]
struct In {
    cluster: [u8; 16],
    me: Peer,
    /// The number of its key.
    key: u8,
}

impl Proofs for In {
    fn chain(&self) -> Bytes {
        [&self.me.id.0[..], &[self.key]].concat().into()
    }

    fn role(&self, _: &[u8]) -> Role {
        Role::Member
    }

    fn sign(&self, domain: Domain, said: &[u8]) -> Bytes {
        let message = domain.message(self.cluster, said);
        Bytes::copy_from_slice(&Sha256::digest([self.chain().to_vec(), message].concat()))
    }

    fn signer(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> Option<Peer> {
        let (key, id) = chain.split_last()?;
        let me = (0..5).map(peer).find(|peer| peer.id.0 == id)?;
        let signer = Self {
            cluster: self.cluster,
            me,
            key: *key,
        };
        (signer.sign(domain, said) == proof).then_some(signer.me)
    }

    fn is_of_authority(&self, _: &[u8], _: Domain, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn is_of_root(&self, _: &[u8], _: Domain, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn issuers<'a>(&self, _: &'a [u8]) -> Vec<&'a [u8]> {
        Vec::new()
    }

    fn marks(&self, _: &[u8]) -> Option<Marks> {
        None
    }
}

/// The connections of one node: that to a node has the node's number.
struct Links {
    of: usize,
    connected: BTreeSet<(usize, usize)>,
    protocol: Protocol,
}

impl Routes for Links {
    fn current(&self, node: NodeId) -> Option<ConnId> {
        let node = (0..5).find(|other| peer(*other).id == node)?;
        let is_connected = self.connected.contains(&(self.of, node));
        is_connected.then_some(ConnId(node as u64))
    }

    fn role(&self, _: ConnId) -> Role {
        Role::Member
    }

    fn protocol(&self, _: ConnId) -> Protocol {
        self.protocol
    }
}

/// What becomes of a log on its way.
type Tamper = fn(&mut ProvedDelta);

struct World {
    nodes: Vec<Registry>,
    connected: BTreeSet<(usize, usize)>,
    protocol: Protocol,
    now: Now,
    /// Parts of the owner's log that the relay tells go through here.
    tamper: Option<Tamper>,
    /// How many parts of logs have been sent.
    parts: usize,
    /// After how many of them the network fails.
    last_part: usize,
    /// The breaches of the protocol that were found, by whom of whom.
    breaches: Vec<(usize, usize)>,
}

impl World {
    fn new() -> Self {
        Self::speaking(Protocol::PROVED, false)
    }

    fn speaking(protocol: Protocol, accept_v1: bool) -> Self {
        let now = Now {
            instant: Instant::default(),
            wall: Wall(1_000),
        };
        let mut world = Self {
            nodes: Vec::new(),
            connected: BTreeSet::new(),
            protocol,
            now,
            tamper: None,
            parts: 0,
            last_part: usize::MAX,
            breaches: Vec::new(),
        };
        world.nodes = (0..4).map(|node| registry(now, node, accept_v1)).collect();
        for node in 0..4 {
            world.finish(node);
        }
        world
    }

    fn links(&self, of: usize) -> Links {
        Links {
            of,
            connected: self.connected.clone(),
            protocol: self.protocol,
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        for (node, other) in [(a, b), (b, a)] {
            self.connected.insert((node, other));
            let links = self.links(node);
            let conn = ConnId(other as u64);
            self.nodes[node].accepted(&links, conn, peer(other).id);
            self.nodes[node].finish_step(&links);
        }
        self.deliver();
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        for (node, other) in [(a, b), (b, a)] {
            self.connected.remove(&(node, other));
            let links = self.links(node);
            self.nodes[node].closed(&links, ConnId(other as u64));
            self.nodes[node].finish_step(&links);
            while self.nodes[node].next_effect().is_some() {}
        }
    }

    fn finish(&mut self, node: usize) {
        let links = self.links(node);
        self.nodes[node].finish_step(&links);
    }

    /// Delivers what is on its way, and what follows from it.
    fn deliver(&mut self) {
        let mut waiting: Vec<(usize, usize, Bytes)> = Vec::new();
        loop {
            for node in 0..self.nodes.len() {
                while let Some(effect) = self.nodes[node].next_effect() {
                    if let Effect::Send { conn, bytes } = effect {
                        waiting.push((node, usize::try_from(conn.0).unwrap(), bytes));
                    }
                }
            }
            if waiting.is_empty() || self.parts == self.last_part {
                return;
            }
            let (from, to, bytes) = waiting.remove(0);
            self.carry(from, to, &bytes);
        }
    }

    fn carry(&mut self, from: usize, to: usize, bytes: &Bytes) {
        let mut message = Message::read(bytes, self.protocol).unwrap().unwrap();
        if let Message::Proved { delta, .. } = &mut message {
            self.parts += 1;
            if let Some(tamper) = self.tamper
                && (from, delta.owner) == (RELAY, peer(OWNER).id)
            {
                tamper(delta);
            }
        }
        self.say(from, to, &message);
    }

    fn say(&mut self, from: usize, to: usize, message: &Message) {
        let links = self.links(to);
        let from_whom = (peer(from).id, ConnId(from as u64));
        let heard = self.nodes[to].receive(&links, from_whom, &message.bytes());
        if heard.is_err() {
            self.breaches.push((to, from));
        }
        self.nodes[to].finish_step(&links);
    }

    /// All nodes compare with each other, some seconds later.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now.instant = self.now.instant + Duration::from_secs(1);
            for node in 0..self.nodes.len() {
                self.nodes[node].set_now(self.now);
                let others = self.connected.iter().filter(|(of, _)| *of == node);
                for (_, other) in others.copied().collect::<Vec<_>>() {
                    let links = self.links(node);
                    self.nodes[node].round(&links, Some(ConnId(other as u64)));
                    self.nodes[node].finish_step(&links);
                }
            }
            self.deliver();
        }
    }

    fn register(&mut self, node: usize, text: &str) {
        self.write(node, text, State::Live(Arc::new(entry(0))));
    }

    fn write(&mut self, node: usize, text: &str, state: State) {
        self.nodes[node].write_log(name(text), process(), state);
        self.finish(node);
        self.deliver();
    }

    /// How many nodes' processes have that name, as a node knows.
    fn holders(&self, node: usize, text: &str) -> usize {
        let directory = self.nodes[node].names.directory();
        directory.holders(&name(text)).count()
    }

    fn stats(&self, node: usize) -> Stats {
        self.nodes[node].stats()
    }

    /// What a node's replica of the owner's log says of a name.
    fn state(&self, node: usize, text: &str) -> Option<State> {
        let log = self.nodes[node].logs.get(peer(OWNER).id)?;
        log.get(&name(text), process()).cloned()
    }
}

fn registry(now: Now, node: usize, accept_v1: bool) -> Registry {
    let me = peer(node);
    let rng = ChaCha8Rng::from_seed([1; 32]);
    let trust = Trust::new(Arc::new(proofs(node, 1)), accept_v1);
    let mut registry = Registry::new(now, &me, 1, (Settings::default(), rng, trust));
    note_members(&mut registry, Some(1));
    registry
}

fn proofs(node: usize, key: u8) -> In {
    In {
        cluster: CLUSTER,
        me: peer(node),
        key,
    }
}

/// All nodes are known, and by which key what they sign is judged.
fn note_members(registry: &mut Registry, key: Option<u8>) {
    let peers: Vec<Peer> = (0..4).map(peer).collect();
    let sights = peers.iter().enumerate().map(|(node, peer)| Sight {
        node: peer.id,
        name: &peer.name,
        role: peer.role,
        run: 1,
        chain: key.map(|key| proofs(node, key).chain()),
        presence: Presence::Reachable,
    });
    registry.note_members(sights);
}

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn process() -> Process {
    Process {
        boot: [0; 16],
        pid: 7,
        start: 7,
    }
}

/// With so many bytes of metadata.
fn entry(bytes: usize) -> Entry {
    Entry {
        uid: 0,
        user: None,
        exe: None,
        groups: [].into(),
        metadata: (0..bytes / 1_000)
            .map(|n| (n.to_string(), "x".repeat(1_000)))
            .collect(),
        address: None,
        claim: 5,
        since_ms: 0,
    }
}
