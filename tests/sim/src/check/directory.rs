//! When all is mended, all directories are one, and it is the truth: the registered processes that
//! live, in their groups, under their names, each name with the same winner everywhere.

use super::events::holders;
use crate::host::{Host, Process};
use crate::registrants::{Fact, Key, Standing};
use crate::world::World;
use crdt::registry::{self, Entry};
use names::{NodeId, ProcessName};
use node::registry::{Directory, Found, ProcessState};
use std::collections::{BTreeMap, BTreeSet};

type Listed = BTreeMap<(ProcessName, NodeId, registry::Process), std::sync::Arc<Entry>>;

/// Whether all directories are the truth, and if not, what is wrong with them.
///
/// # Errors
/// The differences, in words.
pub fn check(world: &World) -> Result<(), Vec<String>> {
    let hosts = &world.hosts[..world.scenario.hosts];
    let first: BTreeMap<ProcessName, Found> = hosts[0]
        .process
        .as_ref()
        .map(|process| honest(world, all(&process.story.directory)))
        .unwrap_or_default();
    let mut differences = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let Some(process) = &host.process else {
            continue;
        };
        let directory = &process.story.directory;
        let names = all(directory);
        let told = honest(world, names.clone());
        if index == 0 {
            differences.extend(compare_truth(world, &told));
        } else if let Some(text) = difference(&first, &told) {
            differences.push(format!(
                "host {index} has another directory than host 0: {text}"
            ));
        }
        differences.extend(groups(index, directory, &names));
        differences.extend(watches(world, index, host));
        differences.extend(machine(index, host, process));
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences)
    }
}

/// The replica that the news made is the machine's own, and lists all that is registered there.
fn machine(index: usize, host: &Host, process: &Process) -> Option<String> {
    let (own, names) = (
        process.cluster_stats().registry,
        all(&process.story.directory),
    );
    let contested = names
        .values()
        .filter(|found| found.state == ProcessState::Contested)
        .count();
    let registered = names
        .values()
        .flat_map(|found| std::iter::once(&found.holder).chain(&found.others))
        .filter(|holder| holder.owner == host.peer.id)
        .count();
    let replica = (names.len() as u64, contested as u64, registered as u64);
    ((own.names, own.contested, own.registered) != replica)
        .then(|| format!("the machine of host {index} counts {own:?}, its replica {replica:?}"))
}

fn all(directory: &Directory) -> BTreeMap<ProcessName, Found> {
    directory
        .names(None)
        .filter_map(|name| Some((name.clone(), directory.whereis(name)?)))
        .collect()
}

/// What a directory says of those who are honest. Who is the first of a name, and whether others want
/// it, may be the liar's doing where it claims the name, too.
fn honest(world: &World, mut names: BTreeMap<ProcessName, Found>) -> BTreeMap<ProcessName, Found> {
    if world.liar.is_none() {
        return names;
    }
    let owners: BTreeSet<NodeId> = world.honest().iter().map(|host| host.peer.id).collect();
    for found in std::mem::take(&mut names) {
        let (name, found) = found;
        let mut its = holders(found).filter(|holder| owners.contains(&holder.owner));
        let Some(holder) = its.next() else { continue };
        let others: Vec<_> = its.collect();
        let state = if others.is_empty() {
            ProcessState::Up
        } else {
            ProcessState::Contested
        };
        names.insert(
            name,
            Found {
                holder,
                others,
                state,
            },
        );
    }
    names
}

fn difference(
    first: &BTreeMap<ProcessName, Found>,
    other: &BTreeMap<ProcessName, Found>,
) -> Option<String> {
    let name = first
        .keys()
        .chain(other.keys())
        .find(|name| first.get(*name) != other.get(*name))?;
    Some(format!(
        "{name} is {:?}, not {:?}",
        other.get(name),
        first.get(name)
    ))
}

fn compare_truth(world: &World, names: &BTreeMap<ProcessName, Found>) -> Vec<String> {
    let mut found = Vec::new();
    let mut listed = Listed::new();
    for (name, found) in names {
        listed.extend(
            holders(found.clone())
                .map(|holder| ((name.clone(), holder.owner, holder.process), holder.entry)),
        );
        if let Some(hidden) = holders(found.clone()).find(|holder| !holder.reachable) {
            return vec![format!("{name} on {} is out of sight", hidden.node)];
        }
    }
    for ((name, owner, process), entry) in &listed {
        let host = world
            .hosts
            .iter()
            .position(|host| host.peer.id == *owner)
            .unwrap_or_default();
        let key = (host, name.clone(), *process);
        let fact = world.registrants.facts.get(&key);
        found.extend(
            wrong_entry(world, &key, fact, entry)
                .map(|text| format!("{name}#{} on host {host}: {text}", process.pid)),
        );
    }
    for ((host, name, process), _) in held(world) {
        if !listed.contains_key(&(name.clone(), world.hosts[*host].peer.id, *process)) {
            found.push(format!(
                "{name}#{} on host {host} lives and is registered, and is not \
                listed",
                process.pid
            ));
        }
    }
    found
}

fn held(world: &World) -> impl Iterator<Item = (&Key, &Fact)> {
    let (now, hosts) = (world.now(), &world.hosts);
    let holds = move |(key, fact): &(&Key, &Fact)| {
        fact.standing(now) == Standing::Held && hosts[key.0].os.runs(&key.2)
    };
    world.registrants.facts.iter().filter(holds)
}

fn wrong_entry(world: &World, key: &Key, fact: Option<&Fact>, entry: &Entry) -> Option<String> {
    let Some(fact) = fact else {
        return Some("nobody asked for it".into());
    };
    if !world.hosts[key.0].os.runs(&key.2) {
        return Some("its process does not run".into());
    }
    if fact.standing(world.now()) == Standing::Gone {
        return Some("it was taken back".into());
    }
    let wanted = &fact.registration;
    let same = (&wanted.groups, &wanted.metadata, &wanted.address)
        == (&entry.groups, &entry.metadata, &entry.address)
        && (wanted.uid, &wanted.user, &wanted.exe) == (entry.uid, &entry.user, &entry.exe);
    (fact.is_plain && !same).then(|| format!("{entry:?} is not {wanted:?}"))
}

/// The groups are those that the entries name.
fn groups(
    index: usize,
    directory: &Directory,
    names: &BTreeMap<ProcessName, Found>,
) -> Option<String> {
    let mut meant: BTreeMap<&ProcessName, BTreeSet<&ProcessName>> = BTreeMap::new();
    for (name, found) in names {
        for holder in std::iter::once(&found.holder).chain(&found.others) {
            for group in &holder.entry.groups {
                meant.entry(group).or_default().insert(name);
            }
        }
    }
    let told: BTreeMap<_, BTreeSet<_>> = directory
        .groups(None)
        .map(|group| (group, directory.group(group, None).collect()))
        .collect();
    (told != meant).then(|| format!("the groups of host {index} are {told:?}, not {meant:?}"))
}

/// Each node watches the registered processes of its host that live, and no other.
fn watches(world: &World, index: usize, host: &Host) -> Vec<String> {
    let unwatched = held(world)
        .find(|((on, _, process), _)| *on == index && !host.os.watches(process))
        .map(|((_, name, process), _)| {
            format!("host {index} does not watch {name}#{}", process.pid)
        });
    let names = host
        .process
        .iter()
        .flat_map(|daemon| all(&daemon.story.directory));
    let registered: BTreeSet<registry::Process> = names
        .flat_map(|(_, found)| holders(found))
        .filter(|holder| holder.owner == host.peer.id)
        .map(|holder| holder.process)
        .collect();
    let idle = host
        .os
        .watched()
        .find(|process| !registered.contains(process))
        .map(|process| {
            format!(
                "host {index} watches process {}, which nothing names",
                process.pid
            )
        });
    unwatched.into_iter().chain(idle).collect()
}
