//! A member with a valid certificate that keeps to the protocol only as far as it likes. It speaks
//! by the project's own transport, and says what a test tells it to.

pub(crate) mod authors;
pub(crate) mod changes;
mod scene;
pub(crate) mod wire;

use crate::fleet::{Fleet, Node, PATIENCE};
use anyhow::{Context, ensure};
use bytes::Bytes;
use crdt::registry::{Logs, Position, Process, Progress, ProvedDelta, State};
use crdt::roster::{Author, Line, Profile, RosterEntry, Standing};
use names::{NodeId, NodeName, ProcessName, Role};
use node::proof::Domain;
pub(crate) use scene::Scene;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use transport::{Endpoint, Event, Events, Patience, Settings};
use wire::{CLUSTER, Claimed, Cluster, Identity, LISTS, Lists, Member, REGISTRY, Registry};

/// The rogue, connected to some nodes.
pub(crate) struct Rogue {
    pub(crate) id: NodeId,
    pub(crate) address: SocketAddr,
    pub(crate) run: u64,
    name: NodeName,
    nonce: [u8; 16],
    proofs: pki::Proofs,
    endpoint: Endpoint,
    urgent: Events,
    bulk: Events,
    /// The connections that stand, each with its peer's name.
    pub(crate) peers: BTreeMap<u64, String>,
    /// Why connections were closed.
    pub(crate) closed: Vec<String>,
    /// What nodes have told.
    pub(crate) roster: BTreeMap<NodeId, RosterEntry>,
    /// The lines of which that is read, as their nodes have signed them.
    pub(crate) lines: BTreeMap<NodeId, Line>,
    pub(crate) members: BTreeMap<NodeId, Member>,
    pub(crate) positions: BTreeMap<NodeId, Position>,
    pub(crate) parts: Vec<ProvedDelta>,
    pub(crate) lists: Vec<(u64, Lists)>,
    /// The last question that each node has answered on each channel, by whichever of its connections.
    answered: BTreeMap<(String, u8), u64>,
    asked: u64,
    /// Its own log.
    log: Logs,
    /// Whether it says hello, answers probes and challenges.
    is_polite: bool,
}

impl Rogue {
    /// Joins all running nodes of the fleet, and has heard their rosters.
    pub(crate) async fn join(fleet: &Fleet) -> anyhow::Result<Self> {
        Self::connect(fleet, true, Role::Member).await
    }

    /// Joins all running nodes of the fleet with an observer's certificate.
    pub(crate) async fn observe(fleet: &Fleet) -> anyhow::Result<Self> {
        Self::connect(fleet, true, Role::Observer).await
    }

    /// Connects to all running nodes and says nothing.
    pub(crate) async fn lurk(fleet: &Fleet) -> anyhow::Result<Self> {
        Self::connect(fleet, false, Role::Member).await
    }

    async fn connect(fleet: &Fleet, is_polite: bool, role: Role) -> anyhow::Result<Self> {
        // Each is another node, since one that was cut off is not let in for a while.
        let mut names = (1..).map(|n| format!("mallory{n}"));
        let is_free = |name: &String| !fleet.dir.path().join(name).exists();
        let name = names.find(is_free).context("a name that is free")?;
        let tls = fleet.dir.path().join(&name);
        fleet.issue("ca", (&name, role), &tls)?;
        let identity = pki::Identity::load(
            &tls.join("ca.pem"),
            &tls.join("node.pem"),
            &tls.join("node.key"),
        )?;
        let (id, name) = (NodeId(identity.id()), NodeName::new(identity.name())?);
        let settings = Settings {
            channels: 3,
            urgent_channels: 2,
            send_queue_bytes: 64 << 20,
            ..Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)), ["muster/2"])
        };
        let proofs = pki::Proofs::new(identity.clone());
        let (endpoint, urgent, bulk) = Endpoint::bind(settings, identity)?;
        let mut rogue = Self {
            id,
            address: endpoint.local_addr(),
            run: 1,
            name,
            nonce: rand::random(),
            proofs,
            endpoint,
            urgent,
            bulk,
            peers: BTreeMap::new(),
            closed: Vec::new(),
            roster: BTreeMap::new(),
            lines: BTreeMap::new(),
            members: BTreeMap::new(),
            positions: BTreeMap::new(),
            parts: Vec::new(),
            lists: Vec::new(),
            answered: BTreeMap::new(),
            asked: 0,
            log: Logs::default(),
            is_polite,
        };
        let targets: Vec<&Node> = fleet
            .nodes
            .iter()
            .filter(|node| node.pid().is_some())
            .collect();
        for (dial, node) in (0..).zip(&targets) {
            rogue
                .endpoint
                .dial(dial, node.address.to_string(), None, Patience::default());
        }
        let count = targets.len();
        rogue
            .until("connected to all", |rogue| rogue.peers.len() == count)
            .await?;
        if is_polite {
            // The roster is in the answer to what that asks.
            rogue.heard_everywhere().await?;
            rogue
                .until("the roster", |rogue| rogue.roster.len() > count)
                .await?;
        }
        Ok(rogue)
    }

    fn hello(&self) -> anyhow::Result<Cluster> {
        let profile = Profile {
            name: self.name.clone(),
            address: self.address,
            version: "0.1.0".to_owned(),
            tags: Vec::new(),
        };
        let entry = RosterEntry {
            run: self.run,
            standing: Standing::Member,
            profile,
        };
        let line = self.sign((self.id, self.id), 1, &entry)?;
        Ok(Cluster::Greeting {
            generation: self.run << 32,
            nonce: self.nonce,
            line,
        })
    }

    /// A line of `owner` about `subject`, whoever that is, with the rogue's own proof.
    pub(crate) fn sign(
        &self,
        (owner, subject): (NodeId, NodeId),
        serial: u64,
        entry: &RosterEntry,
    ) -> anyhow::Result<Bytes> {
        let author = Author {
            owner,
            chain: &self.proofs.chain(),
            start: (owner == subject).then_some(self.nonce),
            pace: None,
        };
        let line = Line::write(author, subject, serial, entry)?;
        let cluster = self.proofs.cluster();
        let message = Domain::Line.message(cluster, line.relayed().said());
        let proof = self.proofs.sign(&message).context("it cannot sign")?;
        let line = line.signed(|_| proof.into())?;
        Ok(line.relayed().bytes().clone())
    }

    /// All that may be tried to have a node said to be so in that run: the bare words, with the rogue's
    /// proof, with the node's own proof of something else, and as another node's word.
    pub(crate) fn say_line(
        &self,
        conns: &[u64],
        node: NodeId,
        entry: &RosterEntry,
    ) -> anyhow::Result<()> {
        let answer = false;
        let lines = vec![(node, entry.clone())];
        self.say(conns, &Cluster::Roster { lines, answer })?;
        let mut lines = Vec::new();
        if let Some(known) = self.lines.get(&node) {
            let serial = known.relayed().rank().serial;
            for serial in [serial, serial + 1, (1 << 48) - 1] {
                let line = self.sign((node, node), serial, entry)?;
                let proof = known.relayed().proof().unwrap_or_default();
                let stolen = Line::read(line.clone())?.relayed().with_proof(proof)?;
                lines.extend([line, stolen.bytes().clone()]);
                lines.push(self.sign((self.id, node), serial, entry)?);
            }
        }
        self.say(conns, &Cluster::Lines { lines, answer })
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            node: self.id,
            addr: self.address,
            generation: self.run << 32,
        }
    }

    /// The id and the line of the node of that name.
    pub(crate) fn line(&self, name: &str) -> anyhow::Result<(NodeId, RosterEntry)> {
        self.roster
            .iter()
            .find(|(_, line)| line.profile.name.as_str() == name)
            .map(|(id, line)| (*id, line.clone()))
            .with_context(|| format!("{name} is not on the roster"))
    }

    /// The connections to the node of that name.
    pub(crate) fn to(&self, name: &str) -> Vec<u64> {
        self.peers
            .iter()
            .filter(|(_, peer)| *peer == name)
            .map(|(conn, _)| *conn)
            .collect()
    }

    pub(crate) fn all(&self) -> Vec<u64> {
        self.peers.keys().copied().collect()
    }

    pub(crate) fn say(&self, conns: &[u64], message: &Cluster) -> anyhow::Result<()> {
        self.send(conns, CLUSTER, wire::encode(message)?);
        Ok(())
    }

    /// Signs the head of a log with the rogue's own key.
    pub(crate) fn sign_head(&self, said: &[u8]) -> Bytes {
        let message = Domain::LogHead.message(self.proofs.cluster(), said);
        self.proofs.sign(&message).unwrap_or_default().into()
    }

    /// Registers that on itself, and pushes it to all.
    pub(crate) fn register(
        &mut self,
        records: impl IntoIterator<Item = (ProcessName, Process, State)>,
    ) -> anyhow::Result<()> {
        let mut log = std::mem::take(&mut self.log);
        if log.get(self.id).is_none() {
            log.begin(self.id, self.run, 0);
        }
        let from = Progress::from(log.position(self.id));
        for (name, process, state) in records {
            log.put(self.id, name, process, state);
        }
        log.prove(self.id, |said| self.sign_head(said))?;
        let delta = log.proved_delta(self.id, from, usize::MAX);
        self.log = log;
        let delta = delta.context("there is something to push")?;
        let pushed = true;
        self.say_of_processes(&self.all(), &Registry::Proved { delta, pushed })
    }

    pub(crate) fn say_of_processes(&self, conns: &[u64], message: &Registry) -> anyhow::Result<()> {
        self.send(conns, REGISTRY, wire::encode(message)?);
        Ok(())
    }

    /// To all machines of the lists.
    pub(crate) fn say_of_lists(&self, conns: &[u64], message: &Lists) -> anyhow::Result<()> {
        self.send(conns, LISTS, wire::encode(&(0_u8, 255_u8, message))?);
        Ok(())
    }

    fn send(&self, conns: &[u64], channel: u8, bytes: Bytes) {
        for conn in conns {
            self.endpoint.send(*conn, channel, bytes.clone());
        }
    }

    /// Waits until what was accepted for sending is on its way, but for about 4 MiB.
    pub(crate) async fn drain(&mut self) -> anyhow::Result<()> {
        self.until("the queue drains", |rogue| {
            rogue.peers.is_empty() || rogue.endpoint.stats().queued_bytes < 4 << 20
        })
        .await
    }

    /// Waits until each node has handled all that was said to it, or has closed the connection: the
    /// messages of a channel are handled in their order, so that the answer to a question shows it.
    pub(crate) async fn heard_everywhere(&mut self) -> anyhow::Result<()> {
        self.asked += 1;
        let (asked, begun) = (self.asked, Instant::now());
        // An answer for which the node's queue has no room is lost: the question is put again.
        while !self.is_heard(asked) {
            ensure!(
                begun.elapsed() < PATIENCE,
                "not all is heard; connected: {:?}, closed: {:?}, asked {asked}, answered {:?}",
                self.peers,
                self.closed,
                self.answered
            );
            let conns = self.all();
            self.say(&conns, &Cluster::Ask)?;
            self.say_of_processes(&conns, &Registry::Probe(asked))?;
            self.say_of_lists(
                &conns,
                &Lists::Root {
                    sum: asked,
                    wake: false,
                },
            )?;
            let put = Instant::now();
            while !self.is_heard(asked) && put.elapsed() < Duration::from_secs(1) {
                self.step(Duration::from_millis(20)).await?;
            }
        }
        Ok(())
    }

    fn is_heard(&self, asked: u64) -> bool {
        let has_answered = |node: &String, channel| {
            let last = self.answered.get(&(node.clone(), channel));
            last.is_some_and(|last| *last >= asked)
        };
        let channels = [CLUSTER, REGISTRY, LISTS];
        let mut nodes = self.peers.values();
        nodes.all(|node| channels.iter().all(|channel| has_answered(node, *channel)))
    }

    /// Handles what comes in until that holds.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !holds(self) {
            ensure!(
                begun.elapsed() < PATIENCE,
                "in vain: {what}; connected: {:?}, closed: {:?}",
                self.peers,
                self.closed
            );
            self.step(Duration::from_millis(20)).await?;
        }
        Ok(())
    }

    async fn step(&mut self, limit: Duration) -> anyhow::Result<()> {
        let event = tokio::select! {
            event = self.urgent.next() => event.map(|event| (true, event)),
            event = self.bulk.next() => event.map(|event| (false, event)),
            () = tokio::time::sleep(limit) => None,
        };
        let Some((is_urgent, event)) = event else {
            return Ok(());
        };
        match event {
            Event::Connected { conn, peer, .. } if is_urgent => {
                self.peers.insert(conn, peer.name);
                if self.is_polite {
                    self.say(&[conn], &self.hello()?)?;
                }
            }
            Event::Closed { conn, reason, .. } if is_urgent => {
                self.peers.remove(&conn);
                self.closed.push(reason);
            }
            Event::Datagram { conn, bytes } if self.is_polite => self.answer_probe(conn, &bytes)?,
            Event::Message {
                conn,
                channel,
                bytes,
            } => self.hear(conn, channel, &bytes)?,
            Event::Connected { .. }
            | Event::Closed { .. }
            | Event::Datagram { .. }
            | Event::DialFailed { .. }
            | Event::Overflowed { .. } => {}
        }
        Ok(())
    }

    fn note_answer(&mut self, conn: u64, channel: u8, asked: u64) {
        if let Some(peer) = self.peers.get(&conn) {
            self.answered.insert((peer.clone(), channel), asked);
        }
    }

    fn answer_probe(&self, conn: u64, bytes: &[u8]) -> anyhow::Result<()> {
        let header = wire::decode::<foca::Header<Identity>>(bytes);
        if let Some(foca::Header {
            src,
            message: foca::Message::Ping(number),
            ..
        }) = header
        {
            let answer = foca::Header {
                src: self.identity(),
                src_incarnation: 0,
                dst: src,
                message: foca::Message::Ack(number),
            };
            self.endpoint.datagram(conn, wire::encode(&answer)?);
        }
        Ok(())
    }

    fn hear(&mut self, conn: u64, channel: u8, bytes: &[u8]) -> anyhow::Result<()> {
        match channel {
            CLUSTER => match wire::decode(bytes) {
                Some(message) => self.hear_of_members(conn, message),
                None => Ok(()),
            },
            REGISTRY => match wire::decode(bytes) {
                Some(message) => self.hear_of_processes(conn, message),
                None => Ok(()),
            },
            _ => {
                if let Some((_, _, message)) = wire::decode::<(u8, u8, Lists)>(bytes) {
                    if let Lists::Equal(_) | Lists::Shards(_) = message {
                        self.note_answer(conn, LISTS, self.asked);
                    }
                    self.lists.push((conn, message));
                }
                Ok(())
            }
        }
    }

    fn hear_of_members(&mut self, conn: u64, message: Cluster) -> anyhow::Result<()> {
        match message {
            Cluster::AboveLine(line) if self.is_polite => {
                let run = Line::read(line)?.relayed().rank().run;
                self.run = self.run.max(run + 1);
                self.say(&self.all(), &self.hello()?)?;
            }
            Cluster::Challenge if self.is_polite => self.say(&[conn], &Cluster::Present)?,
            Cluster::Members(members) => {
                let members = members.into_iter().map(|member| (member.id().node, member));
                self.members.extend(members);
                // They follow the lines in the answer to `Ask`.
                self.note_answer(conn, CLUSTER, self.asked);
            }
            Cluster::Lines { lines, .. } => {
                for line in lines {
                    let line = Line::read(line)?;
                    if let (Some(entry), true) =
                        (line.entry()?, line.subject() == line.relayed().owner())
                    {
                        self.roster.insert(line.subject(), entry);
                        self.lines.insert(line.subject(), line);
                    }
                }
            }
            Cluster::Hello(_)
            | Cluster::Greeting { .. }
            | Cluster::LinesHash(_)
            | Cluster::AboveLine(_)
            | Cluster::Roster { .. }
            | Cluster::Above { .. }
            | Cluster::Taken { .. }
            | Cluster::NameTaken { .. }
            | Cluster::Challenge
            | Cluster::Present
            | Cluster::RosterHash(_)
            | Cluster::Ask
            | Cluster::Goodbye { .. } => {}
        }
        Ok(())
    }

    fn hear_of_processes(&mut self, conn: u64, message: Registry) -> anyhow::Result<()> {
        match message {
            Registry::Heads { heads, answer } => {
                let positions = heads.iter().map(|head| (head.owner, head.position));
                self.positions.extend(positions);
                if answer && self.is_polite {
                    let own = self.log.head(self.id).map(|head| Claimed {
                        owner: self.id,
                        position: head.position(),
                        tag: head.tag(),
                    });
                    let (heads, answer) = (own.into_iter().collect(), false);
                    self.say_of_processes(&[conn], &Registry::Heads { heads, answer })?;
                }
            }
            Registry::Proved { delta, pushed } => {
                if pushed && self.is_polite {
                    self.say_of_processes(&[conn], &Registry::Ack(delta.end().into()))?;
                }
                self.parts.push(delta);
            }
            Registry::Probe(probe) if self.is_polite => {
                let position = self.log.position(self.id);
                self.say_of_processes(&[conn], &Registry::Probed { probe, position })?;
            }
            Registry::Probed { probe, .. } => {
                self.note_answer(conn, REGISTRY, probe);
            }
            Registry::Part { .. }
            | Registry::Vector { .. }
            | Registry::Ack(_)
            | Registry::Pull { .. }
            | Registry::Hash(_)
            | Registry::Probe(_) => {}
        }
        Ok(())
    }
}
