//! A host's operating system, as far as the registry sees it: processes that outlive daemons and
//! end with the host.
//!
//! Pids are few and given out again soon; a process is told from a later one with its pid by its
//! start and the boot.

use crate::chance::Chance;
use crdt::registry::{Process, Reason};
use node::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many processes a host can have at once; so many pids it gives out, over and over.
const PIDS: usize = 60;
/// One tick of the clock in which starts are counted.
const TICK: Duration = Duration::from_millis(10);

/// What a process does when it gets SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// It dies of it.
    Plain,
    /// It ends in order after so long.
    Tidy(Duration),
    /// It takes no notice.
    Stubborn,
}

/// A process that runs.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// Its user.
    pub uid: u32,
    /// How it takes SIGTERM.
    pub manners: Manners,
}

/// One host's operating system.
#[derive(Debug)]
pub struct Os {
    boot: [u8; 16],
    booted: Instant,
    running: BTreeMap<Process, Running>,
    /// Of those that ended: when, and how.
    ended: BTreeMap<Process, (Instant, Reason)>,
    /// Whose ends the daemon that runs wants to hear of: it holds their pidfds.
    watched: BTreeSet<Process>,
    /// Whether this kernel tells others than the parent how a process ended.
    pub tells: bool,
    /// How many processes have got a pid of their own.
    plain: u32,
    chance: Chance,
}

impl Os {
    /// A host that was just switched on.
    pub fn new(mut chance: Chance) -> Self {
        let (boot, tells) = (chance.bytes(), chance.happens(0.5));
        let (booted, running, ended, watched) = Default::default();
        Self {
            boot,
            booted,
            running,
            ended,
            watched,
            tells,
            plain: 0,
            chance,
        }
    }

    /// Starts a process of an ordinary user that dies of SIGTERM, with a pid that nobody else gets.
    pub fn spawn_plain(&mut self, now: Instant) -> Process {
        self.plain += 1;
        let process = Process {
            boot: self.boot,
            pid: 1_000 + self.plain,
            start: u64::try_from(now.since(self.booted).as_nanos() / TICK.as_nanos())
                .unwrap_or(u64::MAX),
        };
        let running = Running {
            uid: 1000,
            manners: Manners::Plain,
        };
        self.running.insert(process, running);
        process
    }

    /// From now on a process takes no notice of SIGTERM.
    pub fn make_stubborn(&mut self, process: Process) {
        if let Some(running) = self.running.get_mut(&process) {
            running.manners = Manners::Stubborn;
        }
    }

    /// Starts a process; `None` if there are too many.
    pub fn spawn(&mut self, now: Instant, running: Running) -> Option<Process> {
        let taken: BTreeSet<u32> = self.running.keys().map(|process| process.pid).collect();
        let free: Vec<u32> = (0..PIDS)
            .map(|n| 300 + n as u32)
            .filter(|pid| !taken.contains(pid))
            .collect();
        let pid = *self.chance.pick(&free)?;
        let mut start =
            u64::try_from(now.since(self.booted).as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
        // Handles do not tell boots apart; that two boots give one handle is too unlikely to be
        // modelled.
        while self
            .ended
            .keys()
            .any(|other| (other.pid, other.start) == (pid, start))
        {
            start += 1;
        }
        let process = Process {
            boot: self.boot,
            pid,
            start,
        };
        self.running.insert(process, running);
        Some(process)
    }

    /// The process, if it runs.
    pub fn running(&self, process: &Process) -> Option<Running> {
        self.running.get(process).copied()
    }

    /// Whether a process runs.
    pub fn runs(&self, process: &Process) -> bool {
        self.running.contains_key(process)
    }

    /// A process becomes that user's.
    pub fn change_user(&mut self, process: Process, uid: u32) {
        if let Some(running) = self.running.get_mut(&process) {
            running.uid = uid;
        }
    }

    /// When and how a process ended.
    pub fn ended(&self, process: &Process) -> Option<(Instant, Reason)> {
        self.ended.get(process).copied()
    }

    /// A process ends. What the daemon hears of it, if it watches.
    pub fn end(&mut self, now: Instant, process: Process, how: Reason) -> Option<Reason> {
        self.running.remove(&process)?;
        self.ended.insert(process, (now, how));
        self.watched
            .remove(&process)
            .then_some(if self.tells { how } else { Reason::Exited })
    }

    /// The daemon opens a pidfd. What it hears at once if the process is not there.
    pub fn watch(&mut self, process: Process) -> Option<Reason> {
        if self.runs(&process) {
            self.watched.insert(process);
            return None;
        }
        Some(Reason::Exited)
    }

    /// The daemon closes a pidfd.
    pub fn unwatch(&mut self, process: &Process) {
        self.watched.remove(process);
    }

    /// Whether the daemon holds a process's pidfd.
    pub fn watches(&self, process: &Process) -> bool {
        self.watched.contains(process)
    }

    /// The processes whose pidfds the daemon holds.
    pub fn watched(&self) -> impl Iterator<Item = &Process> {
        self.watched.iter()
    }

    /// The daemon has ended, its pidfds with it.
    pub fn daemon_ended(&mut self) {
        self.watched.clear();
    }

    /// The host loses its power and starts again. The processes that ended.
    pub fn reboot(&mut self, now: Instant) -> Vec<Process> {
        let killed: Vec<Process> = self.running.keys().copied().collect();
        for process in &killed {
            self.end(now, *process, Reason::Unknown);
        }
        (self.boot, self.booted) = (self.chance.bytes(), now);
        self.watched.clear();
        killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Running {
        Running {
            uid: 1000,
            manners: Manners::Plain,
        }
    }

    #[test]
    fn a_pid_comes_again_and_never_as_the_same_process() {
        let mut os = Os::new(Chance::new(1, "os"));
        let (mut pids, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..500 {
            let process = os.spawn(Instant::default(), plain()).expect("a free pid");
            assert!(seen.insert(process));
            pids.insert(process.pid);
            os.end(Instant::default(), process, Reason::Exited);
        }
        assert!(pids.len() <= PIDS);
    }

    #[test]
    fn a_daemon_hears_of_the_ends_that_it_watches_once() {
        let mut os = Os::new(Chance::new(1, "os"));
        let process = os.spawn(Instant::default(), plain()).expect("a free pid");
        assert_eq!(os.watch(process), None);
        assert!(
            os.end(Instant::default(), process, Reason::Killed(9))
                .is_some()
        );
        assert_eq!(os.end(Instant::default(), process, Reason::Killed(9)), None);
        assert_eq!(os.watch(process), Some(Reason::Exited));
    }

    #[test]
    fn no_process_survives_its_host() {
        let mut os = Os::new(Chance::new(1, "os"));
        let process = os.spawn(Instant::default(), plain()).expect("a free pid");
        assert_eq!(os.reboot(Instant::default()), [process]);
        assert!(!os.runs(&process));
        assert_ne!(
            os.spawn(Instant::default(), plain())
                .map(|later| later.boot),
            Some(process.boot)
        );
    }
}
