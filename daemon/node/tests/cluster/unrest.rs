//! Registrations come and go while all goes wrong; then all is healed, and all nodes must agree on
//! the truth.

use crate::chaos::disturb;
use crate::world::World;
use crate::world::processes::{name, registration};
use crdt::registry::{Process, Reason};
use names::Handle;
use node::cluster::registry::{Command, EventKind, Reply, ask};
use std::collections::{BTreeMap, BTreeSet};

const NODES: usize = 5;
const NAMES: usize = 8;

/// A registration that was asked for.
struct Wish {
    request: u64,
    host: usize,
    name: String,
    process: Process,
}

#[derive(Default)]
struct Clients {
    wishes: Vec<Wish>,
    /// Somebody ended it, or asked for that.
    over: BTreeSet<(usize, Process)>,
}

impl Clients {
    fn act(&mut self, world: &mut World) {
        let (host, text) = (world.draw(NODES), format!("p{}", world.draw(NAMES)));
        match world.draw(6) {
            0..=2 => {
                let process = world.spawn(host);
                let request = world.ask(
                    host,
                    Command::Register(Box::new(registration(&text, process))),
                );
                self.wishes.push(Wish {
                    request,
                    host,
                    name: text,
                    process,
                });
            }
            3 | 4 if !self.wishes.is_empty() => {
                let wish = &self.wishes[world.draw(self.wishes.len())];
                let (host, process) = (wish.host, wish.process);
                self.over.insert((host, process));
                world.end(host, process, Reason::Killed(9));
            }
            5 => {
                let held = world
                    .found(host, &text)
                    .filter(|found| found.holder.node.as_str() == world.hosts[host].name);
                if let Some(found) = held {
                    self.over.insert((host, found.holder.process));
                    world.ask(
                        host,
                        Command::Unregister(ask::Unregister {
                            name: name(&text),
                            uid: 0,
                        }),
                    );
                }
            }
            _ => world.hosts[host].disk_works ^= true,
        }
    }

    /// What must be registered in the end: what was granted, and is not over.
    fn granted(&self, world: &World) -> BTreeSet<Line> {
        let is_granted = |wish: &&Wish| {
            matches!(
                world.answer(wish.request),
                Some(Ok(Reply::Registered { .. }))
            )
        };
        let stays = |wish: &&Wish| !self.over.contains(&(wish.host, wish.process));
        let granted = self
            .wishes
            .iter()
            .filter(|wish| world.replies.contains_key(&wish.request))
            .filter(is_granted)
            .filter(stays);
        granted
            .map(|wish| (wish.name.clone(), wish.host, wish.process))
            .collect()
    }
}

/// Name, host and process of a registration.
type Line = (String, usize, Process);

/// All registrations that a host knows and reaches, and for each name who has it.
fn seen(world: &World, host: usize) -> (BTreeSet<Line>, BTreeMap<String, Handle>) {
    let directory = &world.hosts[host].processes.directory;
    let found = directory
        .names(None)
        .filter_map(|name| Some((name.clone(), directory.whereis(name)?)));
    let (mut all, mut winners) = (BTreeSet::new(), BTreeMap::new());
    for (name, found) in found {
        winners.insert(name.to_string(), found.holder.handle(&name));
        for holder in std::iter::once(found.holder)
            .chain(found.others)
            .filter(|holder| holder.reachable)
        {
            let node = world
                .hosts
                .iter()
                .position(|host| host.name == holder.node.as_str())
                .unwrap();
            all.insert((name.to_string(), node, holder.process));
        }
    }
    (all, winners)
}

fn agrees(world: &World, clients: &Clients) -> bool {
    let (all, winners) = seen(world, 0);
    let none_is_dead = all
        .iter()
        .all(|(_, host, process)| world.hosts[*host].processes.lives(*process));
    none_is_dead
        && clients.granted(world).is_subset(&all)
        && (1..NODES).all(|host| seen(world, host) == (all.clone(), winners.clone()))
}

/// Each end is told once: never a second one of a registration that is not up again.
fn expect_single_ends(world: &World, context: &str) {
    for host in &world.hosts {
        let mut down = BTreeSet::new();
        for event in &host.processes.events {
            match event.kind {
                EventKind::Up => drop(down.remove(&event.handle)),
                EventKind::Down(_) => {
                    assert!(
                        down.insert(event.handle.clone()),
                        "{} ended twice on {}, \
                        {context}",
                        event.handle,
                        host.name
                    )
                }
                EventKind::Unreachable
                | EventKind::Back
                | EventKind::Contested { .. }
                | EventKind::Lost { .. } => {}
            }
        }
    }
}

fn storm(seed: u64, loss: f64) {
    let context = format!("seed {seed}, loss {loss}");
    let mut world = World::cluster(seed, loss, NODES);
    let mut clients = Clients::default();
    for _ in 0..40 {
        disturb(&mut world, NODES);
        world.lossy_registry = world.draw(3) == 0;
        for _ in 0..world.draw(12) {
            clients.act(&mut world);
            let pause = world.draw(100) as u64;
            world.run_ms(pause);
        }
        let pause = 100 + world.draw(2_000) as u64;
        world.run_ms(pause);
    }
    world.heal();
    world.lossy_registry = false;
    (0..NODES).for_each(|host| world.resume(host));
    world
        .hosts
        .iter_mut()
        .for_each(|host| host.disk_works = true);
    world.run_ms(300);
    for host in (0..NODES)
        .filter(|host| !world.is_running(*host))
        .collect::<Vec<_>>()
    {
        world.start(host, &[]);
    }
    world.run_until(12_000, &format!("all see all, {context}"), |world| {
        world.is_whole(NODES)
    });
    world.run_until(12_000, &format!("all agree, {context}"), |world| {
        agrees(world, &clients)
    });
    world.run_ms(5_000);
    assert!(agrees(&world, &clients), "it stays so, {context}");
    expect_single_ends(&world, &context);
}

#[test]
fn whatever_happened_a_healed_world_agrees_on_who_is_registered() {
    (0..30).for_each(|seed| storm(seed, 0.02));
}
