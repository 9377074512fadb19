//! New changes on their way to the peers: coalesced, or cut up when they are large.

use super::chunks;
use super::peers::Peers;
use crate::lists::edge::Edge;
use crate::lists::wire::{CHUNK_BYTES, COALESCED_BYTES, Message, Pushed};
use crate::wire::ConnId;
use bytes::Bytes;
use names::{ListId, ListName, Shard};

/// What was committed since the outputs were last drained. Every connected peer gets all of it;
/// what a full queue drops, repair brings.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    items: Vec<Pushed>,
    shards: Option<(Shard, Shard)>,
    bytes: usize,
    number: u64,
}

impl Outbox {
    pub(super) fn push(
        &mut self,
        edge: &mut Edge,
        peers: &Peers,
        name: &ListName,
        change: &Bytes,
        confirm: bool,
    ) {
        if peers.iter().next().is_none() {
            return;
        }
        let shard = ListId::of(name).shard();
        if change.len() > CHUNK_BYTES {
            self.flush(edge, peers);
            let conns: Vec<ConnId> = peers.iter().map(|(_, conn)| conn).collect();
            self.send_large(edge, &conns, name, change);
            return;
        }
        if self.bytes + change.len() > COALESCED_BYTES {
            self.flush(edge, peers);
        }
        self.bytes += change.len() + ListName::MAX_BYTES;
        let (first, last) = self.shards.unwrap_or((shard, shard));
        self.shards = Some((first.min(shard), last.max(shard)));
        match self.items.last_mut() {
            Some(item) if item.name == *name && item.confirm == confirm => {
                item.changes.push(change.clone())
            }
            _ => self.items.push(Pushed {
                name: name.clone(),
                changes: vec![change.clone()],
                confirm,
            }),
        }
    }

    /// Sends a large change in parts.
    pub(super) fn send_large(
        &mut self,
        edge: &mut Edge,
        conns: &[ConnId],
        name: &ListName,
        change: &Bytes,
    ) {
        self.number += 1;
        let shard = ListId::of(name).shard();
        for chunk in chunks::cut(name, self.number, change) {
            edge.send_all(
                conns.iter().copied(),
                (shard, shard),
                &Message::Chunk(chunk),
            );
        }
    }

    /// Sends what has been put in.
    pub(super) fn flush(&mut self, edge: &mut Edge, peers: &Peers) {
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        if let Some(shards) = self.shards.take() {
            edge.send_all(
                peers.iter().map(|(_, conn)| conn),
                shards,
                &Message::Push(items),
            );
        }
    }
}
