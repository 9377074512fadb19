//! What a client is told is true at that moment on the node that says so.

use crate::registrants::{Asked, Standing};
use crate::world::World;
use node::cluster::{self, Reply};
use node::registry::{self, Command, Refusal};
use std::time::Duration;

/// An answer that took longer rests on another state than the one that was there when the client
/// asked.
const SOON: Duration = Duration::from_millis(500);

/// At the moment of an answer.
pub fn at_reply(
    world: &World,
    asked: &Asked,
    result: &Result<Reply, cluster::Refusal>,
) -> Vec<String> {
    let name = asked.command.name();
    let wrong = match (&asked.command, result) {
        (Command::Register(_), Ok(Reply::Registry(registry::Reply::Registered { fresh }))) => {
            registered(world, asked, *fresh)
        }
        (Command::Links(_), Ok(Reply::Registry(registry::Reply::Links(_)))) => None,
        (Command::Register(_) | Command::Links(_), Ok(other)) => {
            Some(format!("answered by {other:?}"))
        }
        (_, Ok(Reply::Registry(registry::Reply::Done))) => None,
        (_, Ok(other)) => Some(format!("answered by {other:?}")),
        (_, Err(cluster::Refusal::Registry(refusal))) => refused(world, asked, refusal),
        (_, Err(_)) => None,
    };
    wrong
        .into_iter()
        .map(|text| {
            format!(
                "host {} on {name}, asked {:?}: \
        {text}",
                asked.host, asked.command
            )
        })
        .collect()
}

fn registered(world: &World, asked: &Asked, fresh: bool) -> Option<String> {
    let name = asked.command.name();
    let process = world.hosts[asked.host].process.as_ref()?;
    let found = process.story.directory.whereis(name);
    let rival = asked
        .rival
        .as_ref()
        .filter(|_| fresh && world.now().since(asked.at) < SOON);
    let still = found
        .into_iter()
        .flat_map(super::events::holders)
        .find(|holder| holder.reachable && Some(&holder.handle(name)) == rival);
    still.map(|holder| {
        format!(
            "registered, although {} has it and is in \
        sight",
            holder.handle(name)
        )
    })
}

fn refused(world: &World, asked: &Asked, refusal: &Refusal) -> Option<String> {
    let name = asked.command.name();
    let stands = || {
        let mut here = world.registrants.named(asked.host, name);
        here.any(|((_, _, process), fact)| {
            fact.standing(world.now()) == Standing::Held && world.hosts[asked.host].os.runs(process)
        })
    };
    match refusal {
        Refusal::Held { holder, .. } => {
            let process = world.hosts[asked.host].process.as_ref()?;
            let mut holders = process
                .story
                .directory
                .whereis(name)
                .into_iter()
                .flat_map(super::events::holders);
            let there = asked.overlaps
                || holders.any(|other| other.reachable && other.handle(name) == *holder);
            (!there).then(|| format!("held by {holder}, which is not there"))
        }
        // A link's other end may be what nobody knows.
        Refusal::Unknown(unknown) | Refusal::Elsewhere { name: unknown, .. }
            if unknown == name && !asked.overlaps && stands() =>
        {
            Some(format!("{refusal}, although it is registered there"))
        }
        Refusal::Full { .. } | Refusal::TooMany { .. } => Some(refusal.to_string()),
        Refusal::Unknown(_) | Refusal::Elsewhere { .. } | Refusal::NotYours { .. } => None,
        Refusal::UnknownNode(_) | Refusal::Reported(_) | Refusal::Write(_) => None,
    }
}
