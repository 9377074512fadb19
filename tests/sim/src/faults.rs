//! What breaks, and when: drawn from the seed before the run begins.

use crate::chance::Chance;
use crate::disk::Survival;
use node::time::Instant;
use node::wire::WriteError;
use std::time::Duration;

/// Something that breaks or is mended.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A daemon starts.
    Start {
        /// On which host.
        host: usize,
    },
    /// A daemon is killed; of what was not synced, so much survives.
    Kill {
        /// On which host.
        host: usize,
        /// How much.
        survival: Survival,
    },
    /// A whole host loses its power: its daemon is killed, its processes end, its next boot has
    /// another id.
    Reboot {
        /// The index of the host.
        host: usize,
        /// What of what was not synced survives.
        survival: Survival,
    },
    /// A daemon is killed, its data directory replaced by the backup, if there is one.
    Restore {
        /// On which host.
        host: usize,
    },
    /// A backup of a data directory is taken (of a running daemon: as a file system snapshot).
    Backup {
        /// On which host.
        host: usize,
    },
    /// A daemon is asked to end, and to come back later.
    Shutdown {
        /// On which host.
        host: usize,
    },
    /// A daemon is asked to leave the cluster.
    Leave {
        /// On which host.
        host: usize,
    },
    /// Somebody asks a host to forget a member.
    Forget {
        /// Who is asked.
        host: usize,
        /// The host of the member.
        member: usize,
    },
    /// Somebody declares on a host that a member is away on purpose, though it may see no majority.
    Away {
        /// Who is asked.
        host: usize,
        /// The host of the member.
        member: usize,
        /// For how long.
        span: Duration,
    },
    /// Somebody says on a host that a member is away no longer.
    Back {
        /// Who is asked.
        host: usize,
        /// The host of the member.
        member: usize,
    },
    /// The next commit of a host fails.
    FailCommit {
        /// On which host.
        host: usize,
        /// How its writes fail.
        error: WriteError,
        /// What of it is on the disk all the same.
        survival: Survival,
    },
    /// A host's disk takes so long for each batch.
    SlowDisk {
        /// On which host.
        host: usize,
        /// At most.
        most: Duration,
    },
    /// A daemon is stopped for so long (SIGSTOP).
    Pause {
        /// On which host.
        host: usize,
        /// For how long.
        span: Duration,
    },
    /// A thread of a daemon does not get the processor for so long.
    Stall {
        /// On which host.
        host: usize,
        /// Which machine's thread: 0 is the cluster machine's.
        machine: usize,
        /// For how long.
        span: Duration,
    },
    /// The hosts are parted in two: those in the set and the others.
    Split {
        /// The set.
        side: Vec<usize>,
    },
    /// One direction between two hosts is cut.
    CutOneWay {
        /// Whose packets are lost.
        from: usize,
        /// On their way to whom.
        to: usize,
    },
    /// Both directions between two hosts are cut.
    Cut {
        /// One host.
        a: usize,
        /// The other.
        b: usize,
    },
    /// All cuts are mended.
    Heal,
    /// So many packets are lost from now on.
    Loss {
        /// Of 1.
        share: f64,
    },
    /// A wall clock jumps by so many milliseconds.
    Jump {
        /// On which host.
        host: usize,
        /// Forward, or back if it is negative.
        ms: i64,
    },
    /// A daemon that is down gets another address.
    Move {
        /// The host.
        host: usize,
    },
}

impl Fault {
    /// Its kind, in words for a summary.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Kill { .. } => "kill",
            Self::Reboot { .. } => "reboot",
            Self::Restore { .. } => "restored backup",
            Self::Backup { .. } => "backup",
            Self::Shutdown { .. } => "shutdown",
            Self::Leave { .. } => "leave",
            Self::Forget { .. } => "forget",
            Self::Away { .. } => "away",
            Self::Back { .. } => "back",
            Self::FailCommit { .. } => "failed commit",
            Self::SlowDisk { .. } => "disk's pace",
            Self::Pause { .. } => "stopped daemon",
            Self::Stall { .. } => "stalled thread",
            Self::Split { .. } => "partition",
            Self::CutOneWay { .. } => "cut one way",
            Self::Cut { .. } => "cut both ways",
            Self::Heal => "heal",
            Self::Loss { .. } => "packet loss",
            Self::Jump { .. } => "clock jump",
            Self::Move { .. } => "new address",
        }
    }

    /// Whether a healthy member may be taken for down because of it. Disks, wall clocks and lists
    /// machines may do what they like: membership does not depend on them.
    pub fn disturbs_membership(&self) -> bool {
        match self {
            Self::Away { .. }
            | Self::Back { .. }
            | Self::Backup { .. }
            | Self::FailCommit { .. }
            | Self::SlowDisk { .. }
            | Self::Jump { .. }
            | Self::Move { .. } => false,
            Self::Stall { machine, .. } => *machine == 0,
            Self::Start { .. }
            | Self::Kill { .. }
            | Self::Reboot { .. }
            | Self::Restore { .. }
            | Self::Shutdown { .. }
            | Self::Leave { .. }
            | Self::Forget { .. } => true,
            Self::Pause { .. }
            | Self::Split { .. }
            | Self::CutOneWay { .. }
            | Self::Cut { .. }
            | Self::Heal
            | Self::Loss { .. } => true,
        }
    }

    /// Cuts a fault that lasts down to so long.
    fn end_by(&mut self, most: Duration) {
        if let Self::Pause { span, .. } | Self::Stall { span, .. } = self {
            *span = most.min(*span);
        }
    }
}

/// Which kinds of faults a run has, and how often: a run with few kinds goes deeper into each.
#[derive(Clone, Debug)]
pub struct Mix {
    weights: [u32; KINDS],
    /// The mean time between two faults.
    pub every: Duration,
}

const KINDS: usize = 12;

impl Mix {
    /// No faults at all.
    pub fn none() -> Self {
        Self {
            weights: [0; KINDS],
            every: Duration::from_secs(3600),
        }
    }

    /// Draws which kinds this run has: each with an even chance, and seldom none.
    pub fn draw(chance: &mut Chance) -> Self {
        let weights = std::array::from_fn(|_| {
            if chance.happens(0.45) {
                1 + u32::try_from(chance.below(4)).unwrap_or(0)
            } else {
                0
            }
        });
        Self {
            weights,
            every: chance.millis(1_500, 8_000),
        }
    }

    /// Everything that breaks in a run of `hosts` hosts until `end`.
    pub fn plan(&self, chance: &mut Chance, hosts: usize, end: Instant) -> Vec<(Instant, Fault)> {
        let mut plan = Vec::new();
        if self.weights.iter().all(|weight| *weight == 0) {
            return plan;
        }
        let mut at = Instant::default() + chance.millis(3_000, 8_000);
        while at < end {
            let first = chance.below(hosts);
            let second = (first + 1 + chance.below(hosts - 1)) % hosts;
            plan.extend(self.draw_one(chance, at, (first, second, hosts)));
            at = at + chance.span(self.every / 3, self.every * 5 / 3);
        }
        plan.retain(|(at, _)| *at < end);
        plan.iter_mut()
            .for_each(|(at, fault)| fault.end_by(end.since(*at)));
        plan.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The hosts of that run that lose their power, drawn apart from all else: in one run of three.
    pub fn plan_reboots(
        &self,
        chance: &mut Chance,
        hosts: usize,
        end: Instant,
    ) -> Vec<(Instant, Fault)> {
        let mut plan = Vec::new();
        if self.weights.iter().all(|weight| *weight == 0) || chance.happens(0.65) {
            return plan;
        }
        for _ in 0..1 + chance.below(3) {
            let at = Instant::default()
                + chance.span(Duration::from_secs(5), end.since(Instant::default()));
            let (host, survival) = (
                chance.below(hosts),
                if chance.happens(0.5) {
                    Survival::Nothing
                } else {
                    Survival::Prefix
                },
            );
            plan.extend([
                (at, Fault::Reboot { host, survival }),
                (at + chance.millis(200, 8_000), Fault::Start { host }),
            ]);
        }
        plan.retain(|(at, _)| *at < end);
        plan
    }

    /// The hosts of that run that are declared away while they are down, drawn apart from all else: in one
    /// run of three. Some are back before their time is over, some later, and of some it is said.
    pub fn plan_aways(
        &self,
        chance: &mut Chance,
        hosts: usize,
        end: Instant,
    ) -> Vec<(Instant, Fault)> {
        let mut plan = Vec::new();
        if self.weights.iter().all(|weight| *weight == 0) || chance.happens(0.65) {
            return plan;
        }
        for _ in 0..1 + chance.below(3) {
            let at = Instant::default()
                + chance.span(Duration::from_secs(5), end.since(Instant::default()));
            let member = chance.below(hosts);
            let mut another = || (member + 1 + chance.below(hosts - 1)) % hosts;
            let (host, other) = (another(), another());
            let span = [3, 20, 30 * 24 * 3_600].map(Duration::from_secs)[chance.below(3)];
            let survival = Survival::Everything;
            let declared = at + chance.millis(1_500, 6_000);
            plan.extend([
                (
                    at,
                    Fault::Kill {
                        host: member,
                        survival,
                    },
                ),
                (declared, Fault::Away { host, member, span }),
                (
                    declared + chance.millis(200, 10_000),
                    Fault::Start { host: member },
                ),
            ]);
            if chance.happens(0.3) {
                let back = Fault::Back {
                    host: other,
                    member,
                };
                plan.push((declared + chance.millis(100, 5_000), back));
            }
        }
        plan.retain(|(at, _)| *at < end);
        plan
    }

    fn draw_one(
        &self,
        chance: &mut Chance,
        at: Instant,
        (host, other, hosts): (usize, usize, usize),
    ) -> Vec<(Instant, Fault)> {
        let later = at + chance.millis(200, 15_000);
        let survival = [Survival::Nothing, Survival::Everything, Survival::Prefix][chance.below(3)];
        let error = if chance.happens(0.5) {
            WriteError::Full
        } else {
            WriteError::Failed
        };
        match chance.weighted(&self.weights) {
            0 => vec![
                (at, Fault::Kill { host, survival }),
                (later, Fault::Start { host }),
            ],
            1 => vec![
                (at, Fault::Backup { host }),
                (later, Fault::Restore { host }),
                (later + chance.millis(10, 5_000), Fault::Start { host }),
            ],
            2 => vec![
                (at, Fault::Shutdown { host }),
                (later, Fault::Start { host }),
            ],
            3 => vec![
                (at, Fault::Leave { host }),
                (later + Duration::from_secs(3), Fault::Start { host }),
            ],
            4 => {
                let (forget, member) = (at + chance.millis(100, 8_000), host);
                vec![
                    (at, Fault::Kill { host, survival }),
                    (
                        forget,
                        Fault::Forget {
                            host: other,
                            member,
                        },
                    ),
                    (forget.max(later), Fault::Start { host }),
                ]
            }
            5 => failing_commits(chance, at, host, error, survival),
            6 => {
                let span = chance.millis(1_000, 20_000);
                vec![(at, Fault::Pause { host, span })]
            }
            7 => {
                let side = (0..hosts).filter(|_| chance.happens(0.5)).collect();
                vec![(at, Fault::Split { side }), (later, Fault::Heal)]
            }
            8 => {
                let (from, to) = (host, other);
                let cut = if chance.happens(0.5) {
                    Fault::CutOneWay { from, to }
                } else {
                    Fault::Cut { a: from, b: to }
                };
                vec![(at, cut), (later, Fault::Heal)]
            }
            9 => {
                let share = [0.05, 0.1, 0.2, 0.3][chance.below(4)];
                vec![
                    (at, Fault::Loss { share }),
                    (later, Fault::Loss { share: 0.0 }),
                ]
            }
            10 => strange_clock_and_disk(chance, (at, later), host, other),
            _ => moved_past_a_stall(chance, (at, later), (host, survival), other),
        }
    }
}

/// One to three commits of a host that fail, a moment apart.
fn failing_commits(
    chance: &mut Chance,
    at: Instant,
    host: usize,
    error: WriteError,
    survival: Survival,
) -> Vec<(Instant, Fault)> {
    let fault = Fault::FailCommit {
        host,
        error,
        survival,
    };
    (0..1 + chance.below(3))
        .map(|n| (at + Duration::from_millis(n as u64 * 300), fault.clone()))
        .collect()
}

/// The clock of a host jumps while another one's disk is slow.
fn strange_clock_and_disk(
    chance: &mut Chance,
    (at, later): (Instant, Instant),
    host: usize,
    slow: usize,
) -> Vec<(Instant, Fault)> {
    let ms = [3_600_000, -3_600_000, 86_400_000, -40_000, 1_500][chance.below(5)];
    let disk = |most| Fault::SlowDisk { host: slow, most };
    let most = chance.millis(20, 800);
    vec![
        (at, Fault::Jump { host, ms }),
        (at, disk(most)),
        (later, disk(Duration::ZERO)),
    ]
}

/// A host comes back at another address while a machine of another host is held up.
fn moved_past_a_stall(
    chance: &mut Chance,
    (at, later): (Instant, Instant),
    (host, survival): (usize, Survival),
    other: usize,
) -> Vec<(Instant, Fault)> {
    let stall = Fault::Stall {
        host: other,
        machine: chance.below(3),
        span: chance.millis(50, 2_500),
    };
    vec![
        (at, Fault::Kill { host, survival }),
        (at, stall),
        (at, Fault::Move { host }),
        (later, Fault::Start { host }),
    ]
}
