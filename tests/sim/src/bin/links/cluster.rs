//! A cluster whose links are of one kind.

use crdt::entry::{Edit, NewEntry};
use names::{ListId, ListName, NodeId, Role};
use node::lists::ask;
use sim::disk::Survival;
use sim::faults::Fault;
use sim::network::{Link, Weather};
use sim::world::World;
use std::time::Duration;

/// How often it is looked whether something is so.
const LOOK_MS: u64 = 10;

/// Which links are far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of them.
    AllFar,
    /// Those of the last host.
    OneFar,
}

/// What the links of a cluster are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub(crate) shape: Shape,
    pub(crate) round_trip_ms: u64,
    /// How many packets of a hundred are lost on those that are far.
    pub(crate) lost_percent: u32,
}

impl Links {
    /// All of them near.
    pub(crate) const NEAR: Self = Self {
        shape: Shape::AllFar,
        round_trip_ms: 0,
        lost_percent: 0,
    };

    /// All that are tried.
    pub(crate) fn all(shapes: &[Shape]) -> Vec<Self> {
        let mut all = vec![Self::NEAR];
        for shape in shapes {
            for round_trip_ms in [60, 300, 640, 1_500] {
                all.extend([0, 5].map(|lost_percent| Self {
                    shape: *shape,
                    round_trip_ms,
                    lost_percent,
                }));
            }
        }
        all
    }

    pub(crate) fn words(self) -> String {
        let Self {
            shape,
            round_trip_ms,
            lost_percent,
        } = self;
        let which = match shape {
            Shape::AllFar if round_trip_ms == 0 => return "all near".to_owned(),
            Shape::AllFar => "all",
            Shape::OneFar => "one",
        };
        format!("{which} {round_trip_ms} ms, {lost_percent} % lost")
    }

    fn set(self, world: &mut World, hosts: usize) {
        let link = Link {
            loss: f64::from(self.lost_percent) / 100.0,
            jitter: Duration::from_millis(self.round_trip_ms / 50),
            ..Link::of_round_trip(Duration::from_millis(self.round_trip_ms))
        };
        for a in 0..hosts {
            for b in 0..a {
                if self.shape == Shape::AllFar || a == hosts - 1 {
                    world.network.links.set(a, b, link);
                }
            }
        }
    }
}

/// Such a cluster, with its world.
pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) hosts: usize,
    pub(crate) links: Links,
}

impl Cluster {
    /// Hosts of which none runs.
    pub(crate) fn new(seed: u64, hosts: usize, links: Links) -> Self {
        let mut world = World::scripted(seed, Weather::fair());
        for host in 0..hosts {
            let id = u8::try_from(host + 1).expect("fewer hosts than that");
            world.add_host(&format!("node{id}"), NodeId([id; 16]), Role::Member);
        }
        links.set(&mut world, hosts);
        Self {
            world,
            hosts,
            links,
        }
    }

    /// Starts all hosts; gives the milliseconds until all see all, if they do within two minutes.
    pub(crate) fn join(&mut self) -> Option<u64> {
        for host in 0..self.hosts {
            self.world.hosts[host].seeds = vec![self.world.hosts[0].address.to_string()];
            self.world.strike(Fault::Start { host });
        }
        let hosts = self.hosts;
        self.until(120_000, |world| world.is_whole(hosts))
    }

    /// Such a cluster that has been quiet for a while.
    pub(crate) fn quiet(seed: u64, hosts: usize, links: Links) -> Self {
        let mut cluster = Self::new(seed, hosts, links);
        cluster.join();
        // The seeds shall not find all clusters at the same point of their rounds.
        cluster.run_ms(20_000 + seed * 37 % 1_000);
        cluster
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.world.run(Duration::from_millis(ms));
    }

    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.hosts).collect()
    }

    /// Runs until it is so; gives the milliseconds that took, if it is so in time.
    pub(crate) fn until(&mut self, limit_ms: u64, is_so: impl Fn(&World) -> bool) -> Option<u64> {
        let looks = (0..limit_ms).step_by(usize::try_from(LOOK_MS).unwrap_or(1));
        for ms in looks {
            if is_so(&self.world) {
                return Some(ms);
            }
            self.run_ms(LOOK_MS);
        }
        None
    }

    /// As `kill -9` of a daemon, or as the end of its host.
    pub(crate) fn kill(&mut self, host: usize) {
        let survival = Survival::Nothing;
        self.world.strike(Fault::Kill { host, survival });
    }

    /// Nothing passes between the hosts before that one and the others.
    pub(crate) fn cut_before(&mut self, border: usize) {
        for a in 0..border {
            for b in border..self.hosts {
                self.world.strike(Fault::Cut { a, b });
            }
        }
    }

    /// Adds an entry to a list.
    pub(crate) fn add(&mut self, host: usize, list: u64, title: &str) {
        let list = ListName::new(&format!("list {list}")).expect("a valid name");
        let entry = NewEntry {
            title: title.to_owned(),
            ..NewEntry::default()
        };
        let id = ListId::of(&list);
        let edit = ask::Edit {
            list,
            edit: Edit::Add(vec![entry]),
            expect: None,
            replicas: None,
            timeout: Duration::from_secs(5),
        };
        self.world.ask_lists(host, id, edit);
    }
}
