//! What a client was told is done stays done: on that node's disk when it is told, in every node's
//! document at the end.

use crate::clients::Request;
use crate::host::Host;
use crate::world::World;
use crdt::entry::Edit;
use crdt::vector::Sums;
use names::{ChangeHash, ListId};
use node::lists::{Confirmations, Edited, Refusal, Reply};
use node::time::Instant;

/// At the moment of an answer: what it promises is on the disks that it names.
pub fn at_reply(
    hosts: &[Host],
    now: Instant,
    request: &Request,
    result: &Result<Reply, Refusal>,
) -> Vec<String> {
    let Ok(Reply::Edited(Edited {
        change,
        entries,
        replicas,
    })) = result
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut wrong = |text: String| {
        found.push(format!(
            "request {} at {:?}: {text}",
            request.number,
            now.since(Instant::default())
        ))
    };
    let image = &hosts[request.host].disk.image;
    match change {
        Some(hash) if !image.has(hash) => wrong(format!(
            "acknowledged, but {hash} is not on the \
            disk of host {}",
            request.host
        )),
        None if matches!(request.edit, Edit::Add(_)) => {
            let list = ListId::of(&request.list);
            // A later write may have deleted the entry meanwhile: its list has moved on then.
            let missing = entries
                .iter()
                .find(|entry| !image.entries.contains_key(&(list, entry.id)));
            if let Some(entry) = missing.filter(|_| {
                image
                    .lists
                    .get(&list)
                    .is_none_or(|row| row.sums == Sums::default())
            }) {
                wrong(format!(
                    "acknowledged as there already, but entry {} is not on the \
                    disk",
                    entry.id
                ));
            }
        }
        Some(_) | None => {}
    }
    let expected = match &request.edit {
        Edit::Add(entries) => entries.len(),
        Edit::Patch(..) => 1,
        Edit::Delete(_) | Edit::DeleteAll => 0,
    };
    if entries.len() != expected {
        wrong(format!(
            "{} entries in the answer, not {expected}",
            entries.len()
        ));
    }
    if request.replicas.is_some() != replicas.is_some() {
        wrong(format!(
            "asked for {:?}, told {replicas:?}",
            request.replicas
        ));
    }
    if let (Some(hash), Some(confirmations)) = (change, replicas) {
        found.extend(confirmed(hosts, request, hash, confirmations));
    }
    found
}

fn confirmed(
    hosts: &[Host],
    request: &Request,
    hash: &ChangeHash,
    told: &Confirmations,
) -> Vec<String> {
    let mut found = Vec::new();
    if told.reached != (told.confirmed.len() >= told.asked) {
        found.push(format!(
            "request {}: {told:?} contradicts itself",
            request.number
        ));
    }
    for host in hosts
        .iter()
        .filter(|host| told.confirmed.contains(&host.peer.name) && !host.restored)
    {
        if !host.disk.image.has(hash) {
            found.push(format!(
                "request {}: {} is said to have {hash}, but its disk has \
                not",
                request.number, host.peer.name
            ));
        }
    }
    found
}

/// At the end: every acknowledged change is on every disk.
pub fn check(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for (request, hash) in world.clients.acknowledged() {
        for (index, host) in world.hosts[..world.scenario.hosts]
            .iter()
            .enumerate()
            .filter(|(_, host)| !host.disk.image.has(&hash))
        {
            let name = &host.peer.name;
            found.push(format!(
                "change {hash} of request {} was acknowledged and is lost on host \
                {index} ({name})",
                request.number
            ));
        }
    }
    found
}
