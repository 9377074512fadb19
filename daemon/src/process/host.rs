//! What the host says of its processes, read from `/proc`.

use crdt::registry::Process;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Longer paths of programs are not told.
const MAX_EXE_BYTES: usize = 1024;

/// A host from one boot to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    boot: [u8; 16],
}

/// A process that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) process: Process,
    /// Its real user: the one who may signal it, by the kernel's own rule.
    pub(crate) uid: u32,
    /// Its executable, where the kernel tells.
    pub(crate) exe: Option<String>,
}

/// Why there is no process with a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Absent {
    #[error("there is no process with that pid")]
    NoPid,
    #[error("that process has ended")]
    Ended,
    #[error("that is a thread; the pid of its process is right")]
    Thread,
}

/// What `/proc/PID/stat` says, as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Whether it has ended and only its parent has not asked for it yet.
    pub(super) is_zombie: bool,
    /// When it started, in clock ticks since the boot.
    pub(super) start: u64,
    /// How it ended, as `wait` tells it; 0 also where this process may not know.
    pub(super) status: i32,
}

impl Host {
    /// This host.
    pub(crate) fn read() -> std::io::Result<Self> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let boot = parse_boot_id(&text)
            .ok_or_else(|| std::io::Error::other(format!("the boot id is {text:?}")))?;
        Ok(Self { boot })
    }

    /// Which boot this is.
    pub(super) fn boot(self) -> [u8; 16] {
        self.boot
    }

    /// Whether a process was started since this host's last boot.
    pub(super) fn is_of_this_boot(self, process: Process) -> bool {
        process.boot == self.boot
    }

    /// The process that has this pid now.
    pub(crate) fn sight(self, pid: u32) -> Result<Sighting, Absent> {
        let before = stat(pid).ok_or(Absent::NoPid)?;
        let ids = std::fs::read_to_string(path(pid, "status"))
            .ok()
            .and_then(|text| Ids::parse(&text))
            .ok_or(Absent::NoPid)?;
        let exe = exe(pid);
        // The pid may have gone to another process between the reads.
        let after = stat(pid)
            .filter(|after| after.start == before.start)
            .ok_or(Absent::Ended)?;
        if after.is_zombie {
            return Err(Absent::Ended);
        }
        if ids.leader != pid {
            return Err(Absent::Thread);
        }
        Ok(Sighting {
            process: Process {
                boot: self.boot,
                pid,
                start: before.start,
            },
            uid: ids.uid,
            exe,
        })
    }

    /// Whose that very process is now; `None` if it is not there.
    pub(super) fn owner_of(self, process: Process) -> Option<Owner> {
        let text = std::fs::read_to_string(path(process.pid, "status")).ok()?;
        let owner = Owner::parse(&text)?;
        // Read after it: the pid may have gone to another process.
        self.stat_of(process).map(|_| owner)
    }

    /// Whether another process has its pid now.
    pub(super) fn has_successor(process: Process) -> bool {
        stat(process.pid).is_some_and(|stat| stat.start != process.start)
    }

    /// What is left of that very process, if anything.
    pub(super) fn stat_of(self, process: Process) -> Option<Stat> {
        stat(process.pid)
            .filter(|stat| self.is_of_this_boot(process) && stat.start == process.start)
    }
}

fn path(pid: u32, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(file)
}

fn parse_boot_id(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    (digits.len() == 32).then(|| {
        u128::from_str_radix(&digits, 16)
            .ok()
            .map(u128::to_be_bytes)
    })?
}

fn stat(pid: u32) -> Option<Stat> {
    match std::fs::read_to_string(path(pid, "stat")) {
        Ok(text) => Stat::parse(&text),
        Err(error) => {
            // ESRCH: it ended while it was being read.
            let is_gone = error.kind() == ErrorKind::NotFound
                || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
            if !is_gone {
                tracing::warn!(pid, %error, "a process cannot be looked at");
            }
            None
        }
    }
}

impl Stat {
    /// Reads the line of proc_pid_stat(5). The name in parentheses may hold spaces and parentheses
    /// of its own.
    fn parse(text: &str) -> Option<Self> {
        const STATE: usize = 3;
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number.checked_sub(STATE)?).copied();
        let is_zombie = matches!(field(STATE)?, "Z" | "X");
        Some(Self {
            is_zombie,
            start: field(22)?.parse().ok()?,
            status: field(52)?.parse().ok()?,
        })
    }
}

/// What `/proc/PID/status` says, as far as it is needed.
struct Ids {
    leader: u32,
    uid: u32,
}

impl Ids {
    fn parse(text: &str) -> Option<Self> {
        let first = |name: &str| {
            text.lines().find_map(|line| {
                line.strip_prefix(name)?
                    .split_ascii_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
        };
        Some(Self {
            leader: first("Tgid:")?,
            uid: first("Uid:")?,
        })
    }
}

/// Whose a process is, as far as signals are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Its real user.
    pub(super) real: u32,
    /// The user that it can become again.
    pub(super) saved: u32,
}

impl Owner {
    /// The line has the real, effective, saved and file system's user (proc_pid_status(5)).
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let mut uids = line.split_ascii_whitespace().map(str::parse);
        let (real, saved) = (uids.next()?.ok()?, uids.nth(1)?.ok()?);
        Some(Self { real, saved })
    }

    /// Root may signal all; others what is theirs altogether. kill(2) would be content with one of
    /// the two, but a process that is half another user's may be his a moment later.
    pub(super) fn may_be_signalled_by(self, uid: u32) -> bool {
        uid == 0 || self.real == uid && self.saved == uid
    }
}

fn exe(pid: u32) -> Option<String> {
    let path = std::fs::read_link(path(pid, "exe")).ok()?;
    path.into_os_string()
        .into_string()
        .ok()
        .filter(|exe| exe.len() <= MAX_EXE_BYTES && !exe.chars().any(names::is_unprintable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_fields() {
        let head = "4764 (a) Z) (b) Z 4762 4762 23260 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 \
            197925";
        let text = format!("{head} {} 9", vec!["0"; 29].join(" "));
        assert_eq!(
            Stat::parse(&text),
            Some(Stat {
                is_zombie: true,
                start: 197_925,
                status: 9
            })
        );
        for bad in ["", "1 (x", "1 (x) R 1 2 3", &text.replace("197925", "-1")] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_boot_id_has_sixteen_bytes() {
        let id = parse_boot_id("6f2a9c1e-0000-4000-8000-0000000000ff\n").unwrap();
        assert_eq!((id[0], id[15]), (0x6f, 0xff));
        for bad in [
            "",
            "6f2a",
            "6f2a9c1e-0000-4000-8000-0000000000fg",
            "6f2a9c1e-0000-4000-8000-0000000000ff00",
        ] {
            assert_eq!(parse_boot_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_is_seen_with_its_user_and_program() {
        let host = Host::read().unwrap();
        let seen = host.sight(std::process::id()).unwrap();
        assert_eq!(seen.uid, rustix::process::getuid().as_raw());
        assert_eq!(
            seen.exe.as_deref(),
            std::env::current_exe().unwrap().to_str()
        );
        assert_eq!(
            host.stat_of(seen.process).map(|stat| stat.is_zombie),
            Some(false)
        );
        assert_eq!(
            host.stat_of(Process {
                start: seen.process.start + 1,
                ..seen.process
            }),
            None
        );
        assert_eq!(
            host.stat_of(Process {
                boot: [0; 16],
                ..seen.process
            }),
            None
        );
    }

    #[test]
    fn what_is_no_process_is_told_apart() {
        let host = Host::read().unwrap();
        assert_eq!(host.sight(u32::MAX), Err(Absent::NoPid));
        let own_id = || {
            std::fs::read_link("/proc/thread-self")
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        };
        let thread = std::thread::spawn(move || host.sight(own_id()));
        assert_eq!(thread.join().unwrap(), Err(Absent::Thread));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while host.sight(child.id()).is_ok() {
            std::thread::yield_now();
        }
        assert_eq!(
            host.sight(child.id()),
            Err(Absent::Ended),
            "its parent has not waited yet"
        );
        child.wait().unwrap();
        assert_eq!(host.sight(child.id()), Err(Absent::NoPid));
    }
}
