//! What a client was told is done stays done: on that node's disk when it is told, in every node's
//! document at the end.

use crate::clients::{Request, request_of};
use crate::disk::Image;
use crate::host::Host;
use crate::liar::exempt;
use crate::world::World;
use crdt::entry::{Bulk, Edit};
use crdt::list::{Document, Standing, Undone, judge};
use crdt::vector::Sums;
use names::{Actor, ChangeHash, ListId};
use node::lists::{Confirmations, Edited, Refusal, Reply};
use node::time::Instant;
use std::collections::BTreeSet;

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
        undone,
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
        Some(hash) if !image.has(hash) && !is_aside(image, hash) => wrong(format!(
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
    if let Edit::Undo(hash) | Edit::Redo(hash) = &request.edit {
        found.extend(taken_back(hash, undone, entries.len()));
    }
    let expected = expected(&request.edit).unwrap_or(entries.len());
    let mut wrong = |text: String| found.push(format!("request {}: {text}", request.number));
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

/// How many entries an answer shows; `None` if that depends on what is there.
fn expected(edit: &Edit) -> Option<usize> {
    match edit {
        Edit::Add(entries) => Some(entries.len()),
        Edit::AddAgain(again) => Some(again.entries.len()),
        Edit::Patch(..) | Edit::Resolve(..) => Some(1),
        Edit::Several(ids, Bulk::Patch { .. }) => Some(ids.len()),
        Edit::Delete(_) | Edit::Several(_, Bulk::Delete) | Edit::Merge(_) | Edit::DeleteAll => {
            Some(0)
        }
        Edit::Undo(_) | Edit::Redo(_) => None,
    }
}

/// What is told of a change that was taken back. Entries that this has ended are not in the answer.
fn taken_back(change: &ChangeHash, told: &Option<Box<Undone>>, shown: usize) -> Option<String> {
    let is_right = |told: &Undone| told.change == *change && told.entries >= shown;
    let is_wrong = !told.as_ref().is_some_and(|told| is_right(told));
    is_wrong.then(|| format!("asked to take {change} back, told {told:?} and {shown} entries"))
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
        let image = &host.disk.image;
        if !image.has(hash) && !is_aside(image, hash) {
            found.push(format!(
                "request {}: {} is said to have {hash}, but its disk has \
                not",
                request.number, host.peer.name
            ));
        }
    }
    found
}

/// Whether a change was in its list, and was moved aside since.
fn is_aside(image: &Image, hash: &ChangeHash) -> bool {
    image.aside.keys().any(|(_, aside)| aside == hash)
}

/// The requests of which changes are on a disk.
fn requests_on(image: &Image) -> BTreeSet<u64> {
    let changes = image.changes.values();
    let judged = changes.filter_map(|bytes| judge(bytes.clone()).ok());
    judged
        .filter_map(|change| request_of(&change.author()))
        .collect()
}

/// Whether a change has left its list, and its node has written it anew: as a change with the same
/// author, which names the request. An addition has nothing left to say where another node has brought
/// its entries back, by an edit of them that it has written anew.
fn is_written_anew(
    world: &World,
    (request, hash): (&Request, ChangeHash),
    (image, there): (&Image, &BTreeSet<u64>),
) -> bool {
    let is_moved = is_aside(&world.hosts[request.host].disk.image, &hash)
        || world.hosts[request.host].restored && world.clients.has_left(hash);
    let is_idle = || world.clients.is_idle(hash) && is_known(world, request, image);
    is_moved && there.contains(&request.number)
        || is_idle()
        || exempt::is_lost_with_a_disk(world, request.host, hash)
}

/// Whether a disk has all entries that a request has added, alive or deleted.
fn is_known(world: &World, request: &Request, image: &Image) -> bool {
    let Edit::Add(entries) = &request.edit else {
        return true;
    };
    let list = ListId::of(&request.list);
    let changes: Vec<_> = image.changes_of(list).cloned().collect();
    let document = Document::load(request.list.clone(), Actor([0; 16]), None, &changes);
    document.is_ok_and(|document| {
        let own = entries.iter().filter_map(|entry| entry.id);
        let mut all = own.chain(world.clients.drawn_id(request));
        all.all(|id| document.standing(id) != Standing::Unknown)
    })
}

/// At the end: every acknowledged change is on every disk, or in a run with a liar what was written anew
/// in its place.
pub fn check(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let hosts = &world.hosts[..world.scenario.hosts];
    let there: Vec<BTreeSet<u64>> = hosts
        .iter()
        .map(|host| match world.liar {
            Some(_) => requests_on(&host.disk.image),
            None => BTreeSet::new(),
        })
        .collect();
    for (request, hash) in world.clients.acknowledged() {
        for ((index, host), there) in hosts.iter().enumerate().zip(&there) {
            if host.disk.image.has(&hash)
                || is_written_anew(world, (request, hash), (&host.disk.image, there))
            {
                continue;
            }
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
