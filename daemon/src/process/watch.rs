//! The thread that watches registered processes.
//!
//! It holds a pidfd of each, all in one epoll set: a task or a thread for each process would cost
//! more than the process. Whoever sends it orders never waits; `/proc` is read here only.

use super::exits::{Exit, Exits, Next};
use super::host::Host;
use crdt::registry::{Process, Reason};
use node::registry::Signal;
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

/// What the epoll set says of the two descriptors that are no processes.
const BELL: u64 = 0;
const EXITS: u64 = 1;
/// How many events are taken at once.
const EVENTS: usize = 256;
/// How many orders are carried out before events get their turn.
const ORDERS: usize = 256;
/// How long until it is tried again to watch a process for which no descriptor was left.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_TIMESPEC: Timespec = Timespec {
    tv_sec: RETRY.as_secs().cast_signed(),
    tv_nsec: 0,
};

/// How many ends are remembered of processes that are not watched, and for how long: in less time
/// no pid is used again.
const RECENT_EXITS: usize = 1024;
const RECENT: Duration = Duration::from_secs(1);

/// What is seen of a watched process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It has ended; the watch is over.
    Ended {
        reason: Reason,
        /// Whether it was still there when the watch began.
        was_there: bool,
    },
    /// It was to be signalled as this user's process, and is not his.
    Estranged { uid: u32 },
}

/// Told of each of them, on the watching thread: must be quick.
type Tell = Box<dyn Fn(Process, Sign) + Send>;

/// The way to the watching thread, which ends when all clones of this are gone.
#[derive(Clone)]
pub(crate) struct Watcher {
    wire: Arc<Wire>,
}

struct Wire {
    orders: Sender<Order>,
    bell: Arc<OwnedFd>,
    numbers: Arc<Numbers>,
}

/// Plain numbers; counters run from the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatcherStats {
    /// Processes watched now.
    pub(crate) watched: u64,
    /// Signals sent.
    pub(crate) signals: u64,
}

#[derive(Default)]
struct Numbers {
    watched: AtomicU64,
    signals: AtomicU64,
}

enum Order {
    Watch(Process),
    Unwatch(Process),
    Signal(Process, u32, Signal),
    End,
}

impl Watcher {
    /// Starts the thread; `tell` hears of each watched process's end once, and of each signal that
    /// was not sent because the process is another user's.
    pub(crate) fn start(
        host: Host,
        tell: impl Fn(Process, Sign) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let numbers = Arc::new(Numbers::default());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &bell,
            epoll::EventData::new_u64(BELL),
            epoll::EventFlags::IN,
        )?;
        let exits = Exits::listen().and_then(|exits| {
            epoll::add(
                &epoll,
                &exits.socket,
                epoll::EventData::new_u64(EXITS),
                epoll::EventFlags::IN,
            )?;
            Ok(exits)
        });
        let exits = exits
            .inspect_err(|error| {
                tracing::info!(%error, "the kernel will not tell \
            how processes end")
            })
            .ok();
        let watch = Watch {
            host,
            epoll,
            exits,
            bell: Arc::clone(&bell),
            orders: inbox,
            tell: Box::new(tell),
            processes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            last_token: EXITS,
            unopened: BTreeSet::new(),
            tried: Instant::now(),
            numbers: Arc::clone(&numbers),
            recent: VecDeque::new(),
        };
        std::thread::Builder::new()
            .name("processes".to_owned())
            .spawn(move || watch.run())?;
        Ok(Self {
            wire: Arc::new(Wire {
                orders,
                bell,
                numbers,
            }),
        })
    }

    /// Tells when that process ends; at once if it is not there.
    pub(crate) fn watch(&self, process: Process) {
        self.wire.order(Order::Watch(process));
    }

    /// No longer.
    pub(crate) fn unwatch(&self, process: Process) {
        self.wire.order(Order::Unwatch(process));
    }

    /// Signals a watched process that is registered as that user's, if he could signal it himself;
    /// does nothing if it has ended.
    pub(crate) fn signal(&self, process: Process, uid: u32, signal: Signal) {
        self.wire.order(Order::Signal(process, uid, signal));
    }

    /// Numbers for metrics.
    pub(crate) fn stats(&self) -> WatcherStats {
        let Numbers { watched, signals } = &*self.wire.numbers;
        WatcherStats {
            watched: watched.load(Ordering::Relaxed),
            signals: signals.load(Ordering::Relaxed),
        }
    }
}

impl Wire {
    fn order(&self, order: Order) {
        // Both fail only when there is no need: the thread has ended, or the bell rings already.
        let _ = self.orders.send(order);
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.order(Order::End);
    }
}

struct Watch {
    host: Host,
    epoll: OwnedFd,
    exits: Option<Exits>,
    bell: Arc<OwnedFd>,
    orders: Receiver<Order>,
    tell: Tell,
    processes: BTreeMap<Process, Watched>,
    /// The processes by what the epoll set calls them. Never reused: an event may be on its way
    /// when a watch ends.
    tokens: BTreeMap<u64, Process>,
    last_token: u64,
    /// Those for which no descriptor was left.
    unopened: BTreeSet<Process>,
    /// When it was tried last to watch them.
    tried: Instant,
    numbers: Arc<Numbers>,
    /// The last ends that were told, of any processes.
    recent: VecDeque<(Exit, Instant)>,
}

/// A process that is watched.
struct Watched {
    pidfd: OwnedFd,
    token: u64,
    /// How its last thread has ended, if one has.
    status: Option<i32>,
}

impl Watch {
    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let retry = if self.unopened.is_empty() {
                None
            } else {
                Some(&RETRY_TIMESPEC)
            };
            match epoll::wait(&self.epoll, spare_capacity(&mut events), retry) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return tracing::error!(%error, "processes are watched no longer"),
            }
            // How a process ended is told before its pidfd is readable: whoever is readable now has
            // been told of.
            self.hear_exits();
            // Before the ends: who is to be watched, and has ended since, is told of once.
            if self.obey().is_break() {
                return;
            }
            for event in events.drain(..) {
                self.ended(event.data.u64());
            }
            self.numbers.watched.store(
                u64::try_from(self.processes.len()).unwrap_or(u64::MAX),
                Ordering::Relaxed,
            );
        }
    }

    fn hear_exits(&mut self) {
        while let Some(next) = self.exits.as_ref().and_then(Exits::next) {
            match next {
                Next::Exit(exit) => {
                    let of = |start| Process {
                        boot: self.host.boot(),
                        pid: exit.pid,
                        start,
                    };
                    // Of several with one pid all but the last one have ended before.
                    if let Some((_, watched)) =
                        self.processes.range_mut(of(0)..=of(u64::MAX)).next_back()
                    {
                        watched.status = Some(exit.status);
                    }
                    self.recent.push_back((exit, Instant::now()));
                    self.recent
                        .drain(..self.recent.len().saturating_sub(RECENT_EXITS));
                }
                Next::Lost => {
                    self.processes
                        .values_mut()
                        .for_each(|watched| watched.status = None);
                    self.recent.clear();
                }
                Next::Other => {}
            }
        }
    }

    fn ended(&mut self, token: u64) {
        if token <= EXITS {
            return;
        }
        let Some(process) = self.tokens.get(&token).copied() else {
            return;
        };
        let status = self
            .processes
            .get(&process)
            .and_then(|watched| watched.status)
            .or_else(|| self.zombies_status(process));
        self.unwatch(process);
        let sign = Sign::Ended {
            reason: status.map_or(Reason::Exited, reason),
            was_there: true,
        };
        (self.tell)(process, sign);
    }

    /// Before its parent has asked for it, a process that ended can still be looked at. To those
    /// who may not know, it seems to have ended with 0.
    fn zombies_status(&self, process: Process) -> Option<i32> {
        let stat = self.host.stat_of(process).filter(|stat| stat.is_zombie)?;
        (stat.status != 0 || rustix::process::geteuid().is_root()).then_some(stat.status)
    }

    /// Carries out some orders; breaks at the last one.
    fn obey(&mut self) -> ControlFlow<()> {
        self.retry();
        // Silenced first: an order that comes meanwhile rings again.
        let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        for _ in 0..ORDERS {
            match self.orders.try_recv() {
                Ok(Order::Watch(process)) => self.watch(process),
                Ok(Order::Unwatch(process)) => self.unwatch(process),
                Ok(Order::Signal(process, uid, signal)) => self.signal(process, uid, signal),
                Err(TryRecvError::Empty) => return ControlFlow::Continue(()),
                Ok(Order::End) | Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        ControlFlow::Continue(())
    }

    /// Tries again to watch those that could not be watched, if the last attempt is long enough
    /// ago: orders and events may come at any rate.
    fn retry(&mut self) {
        if self.unopened.is_empty() || self.tried.elapsed() < RETRY {
            return;
        }
        self.tried = Instant::now();
        for process in self.unopened.clone() {
            self.watch(process);
        }
    }

    fn watch(&mut self, process: Process) {
        if self.processes.contains_key(&process) {
            return;
        }
        match self.open(process) {
            Ok(Some(watched)) => {
                self.unopened.remove(&process);
                self.tokens.insert(watched.token, process);
                self.processes.insert(process, watched);
            }
            Ok(None) => {
                self.unopened.remove(&process);
                self.was_not_there(process);
            }
            Err(error) => {
                // Told once, however often it is tried.
                if self.unopened.insert(process) {
                    tracing::warn!(pid = process.pid, %error, "a process cannot be watched yet");
                }
            }
        }
    }

    /// It may have ended between its registration and the order to watch it.
    fn was_not_there(&mut self, process: Process) {
        self.hear_exits();
        let of_pid =
            |exit: &&(Exit, Instant)| exit.0.pid == process.pid && exit.1.elapsed() < RECENT;
        // Of another process that has the pid now, threads may have ended.
        let is_its = self.host.is_of_this_boot(process) && !Host::has_successor(process);
        let recent = self.recent.iter().rev().find(of_pid).filter(|_| is_its);
        let sign = Sign::Ended {
            reason: recent.map_or(Reason::Exited, |(exit, _)| reason(exit.status)),
            was_there: false,
        };
        (self.tell)(process, sign);
    }

    /// Gives nothing if that process is not there.
    fn open(&mut self, process: Process) -> rustix::io::Result<Option<Watched>> {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| self.host.is_of_this_boot(process)) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            // The pid is nobody's, or that of a thread now: which of the latter two errors says so
            // depends on the kernel.
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // Looked at after it was opened: from here on the pid can be reused, the descriptor cannot.
        if self.host.stat_of(process).is_none() {
            return Ok(None);
        }
        self.last_token = self.last_token.saturating_add(1);
        let token = self.last_token;
        epoll::add(
            &self.epoll,
            &pidfd,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?;
        Ok(Some(Watched {
            pidfd,
            token,
            status: None,
        }))
    }

    fn unwatch(&mut self, process: Process) {
        self.unopened.remove(&process);
        if let Some(watched) = self.processes.remove(&process) {
            self.tokens.remove(&watched.token);
            // Closing it would do, if no child that is being started had a copy.
            let _ = epoll::delete(&self.epoll, &watched.pidfd);
        }
    }

    fn signal(&self, process: Process, uid: u32, signal: Signal) {
        let Some(watched) = self.processes.get(&process) else {
            return;
        };
        match self.host.owner_of(process) {
            Some(owner) if owner.may_be_signalled_by(uid) => {}
            Some(owner) => {
                tracing::warn!(
                    pid = process.pid,
                    ?signal,
                    registered = uid,
                    real = owner.real,
                    saved = owner.saved,
                    "a process is not its registrant's any more: it is not signalled"
                );
                return (self.tell)(process, Sign::Estranged { uid });
            }
            // It has ended: its end is about to be told.
            None => return,
        }
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        match pidfd_send_signal(&watched.pidfd, signal) {
            Ok(()) => {
                self.numbers.signals.fetch_add(1, Ordering::Relaxed);
                tracing::info!(pid = process.pid, ?signal, "a process was signalled");
            }
            // It has ended: its end is about to be told.
            Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(pid = process.pid, ?signal, %error, "a process cannot be \
                signalled"),
        }
    }
}

/// What a status of `wait` means.
fn reason(status: i32) -> Reason {
    match status & 0x7f {
        0 => Reason::ExitedWith(status >> 8 & 0xff),
        signal => Reason::Killed(signal),
    }
}

#[cfg(test)]
mod tests;
