//! When all is mended, all nodes agree: on who is there, on what the lists are, and that nothing is
//! left to do.

use crate::clients::Outcome;
use crate::disk::Image;
use crate::host::{Host, Process};
use crate::world::World;
use crdt::roster::Profile;
use names::NodeId;
use node::cluster::{MemberState, Verdict};
use std::time::Duration;

/// How much later than its deadline a request may be answered.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a member may be suspect before it is cleared or down.
const SUSPICION: Duration = Duration::from_secs(6);
/// How long a command to a cluster machine may take.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);

/// Whether all nodes agree with the first one, and if not, on what they do not.
///
/// # Errors
/// The differences, in words.
pub fn check(world: &World) -> Result<(), Vec<String>> {
    let hosts = &world.hosts[..world.scenario.hosts];
    let liar = world
        .liar
        .as_ref()
        .map(|liar| world.hosts[liar.host].peer.id);
    let mut differences: Vec<String> = hosts
        .iter()
        .enumerate()
        .filter_map(|(index, host)| members(index, host, hosts, liar).err())
        .collect();
    for (index, host) in hosts.iter().enumerate().skip(1) {
        differences.extend(lists(index, host, &hosts[0]));
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences)
    }
}

/// Whether a host knows all others, and nobody else but the liar, if there is one: whether that is to be
/// seen, and how it stands, is its own affair.
fn members(index: usize, host: &Host, hosts: &[Host], liar: Option<NodeId>) -> Result<(), String> {
    let process = host.process.as_ref().ok_or_else(|| {
        format!(
            "host {index} does not run \
        ({:?})",
            host.stopped
        )
    })?;
    let view = process.view.as_ref().ok_or_else(|| {
        format!(
            "host {index} has no view of the \
        cluster"
        )
    })?;
    let is_judged = |id: NodeId| liar != Some(id);
    if view.verdict != Verdict::Whole && liar.is_none() {
        return Err(format!("host {index} says {:?}", view.verdict));
    }
    // A suspicion is no disagreement: it comes and goes wherever packets are lost.
    let bad = view
        .members
        .iter()
        .find(|member| is_judged(member.id) && !member.state.is_reachable());
    if let Some(member) = bad {
        return Err(format!(
            "host {index} takes {} for {:?}",
            member.profile.name, member.state
        ));
    }
    let honest_of = |process| {
        let mut roster = roster_of(process);
        roster.retain(|(id, ..)| is_judged(*id));
        roster
    };
    let roster = honest_of(process);
    let first = hosts[0].process.as_ref().map(honest_of).unwrap_or_default();
    if roster.len() != hosts.len() || roster != first {
        return Err(format!("host {index} knows {roster:?}, host 0 {first:?}"));
    }
    Ok(())
}

fn roster_of(process: &Process) -> Vec<(NodeId, u64, &Profile)> {
    let members = process.view.iter().flat_map(|view| &view.members);
    members
        .map(|member| (member.id, member.run, &member.profile))
        .collect()
}

fn lists(index: usize, host: &Host, first: &Host) -> Vec<String> {
    let (ours, theirs) = (&host.disk.image, &first.disk.image);
    let mut differences = Vec::new();
    if ours.changes != theirs.changes {
        let lacking = |a: &Image, b: &Image| {
            let missing: Vec<_> = b
                .changes
                .keys()
                .filter(|key| !a.changes.contains_key(*key))
                .collect();
            format!("{} changes, such as {:?}", missing.len(), missing.first())
        };
        differences.push(format!(
            "host {index} lacks {}; host 0 lacks \
            {}",
            lacking(ours, theirs),
            lacking(theirs, ours)
        ));
    }
    let unequal_rows = theirs
        .lists
        .iter()
        .find(|(list, row)| ours.lists.get(list) != Some(row));
    if ours.lists.len() != theirs.lists.len() || unequal_rows.is_some() {
        let other = unequal_rows.map(|(list, _)| ours.lists.get(list));
        differences.push(format!(
            "host {index} has another line of a list: {other:?}, host 0 \
            {unequal_rows:?}"
        ));
    }
    let unequal_entry = theirs
        .entries
        .iter()
        .find(|(key, entry)| ours.entries.get(key) != Some(entry));
    if ours.entries.len() != theirs.entries.len() || unequal_entry.is_some() {
        let other = unequal_entry.map(|(key, _)| ours.entries.get(key));
        differences.push(format!(
            "host {index} shows another entry: {other:?}, host 0 \
            {unequal_entry:?}"
        ));
    }
    differences
}

/// Some time after convergence: nothing is left to do, nobody waits for an answer.
pub fn check_rest(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for (index, host) in world.honest().iter().enumerate() {
        let Some(process) = &host.process else {
            continue;
        };
        let wall = host.now(world.now()).wall.0;
        for member in process
            .view
            .iter()
            .flat_map(|view| &view.members)
            .filter(|member| member.state == MemberState::Suspect)
            .filter(|member| world.honest().iter().any(|host| host.peer.id == member.id))
        {
            if u128::from(wall.abs_diff(member.since.0)) > SUSPICION.as_millis() {
                found.push(format!(
                    "host {index} has suspected {} for {} \
                    ms",
                    member.profile.name,
                    wall - member.since.0
                ));
            }
        }
        for (machine, stats) in process.lists_stats().iter().enumerate() {
            // Who lies on says that it has what others lack, and keeps them asking for it.
            let asked = match world.liar_goes_on() {
                true => 0,
                false => stats.orphans + stats.in_line + stats.repairs,
            };
            let left = asked + stats.writes_pending + stats.requests_waiting;
            // What the liar sends is refused, and is not the fault of who refuses it.
            let refused = match world.liar {
                Some(_) => 0,
                None => stats.malformed + stats.changes_refused,
            };
            if left + stats.quarantined + refused > 0 {
                found.push(format!(
                    "lists machine {machine} of host {index} is not at rest: \
                    {stats:?}"
                ));
            }
        }
        if process.cluster_stats().malformed > 0 && world.liar.is_none() {
            found.push(format!(
                "host {index} got malformed messages: \
                {:?}",
                process.cluster_stats()
            ));
        }
    }
    let now = world.now();
    let late = world
        .clients
        .requests
        .iter()
        .filter(|request| request.outcome == Outcome::Waiting);
    for request in late.filter(|request| now.since(request.at) > request.timeout + PATIENCE) {
        found.push(format!(
            "request {} to host {} was never \
            answered",
            request.number, request.host
        ));
    }
    for (number, (host, _, at)) in &world.commands {
        if now.since(*at) > COMMAND_PATIENCE {
            found.push(format!(
                "command {number} to host {host} was never answered"
            ));
        }
    }
    found
}
