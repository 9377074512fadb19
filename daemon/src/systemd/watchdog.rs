//! Feeds the service manager's watchdog for as long as the node really works.
//!
//! A timer that feeds it would only prove that a timer runs. So before each feeding every part
//! proves that it makes progress by a round trip of its own: the threads of the machines and of the
//! store answer a call that passes their queue, and the API answers a request on its socket. One
//! that does not, and the manager is not told; when that goes on for the time that it allows, it
//! kills the daemon and starts it again.

use super::tell;
use crate::metrics;
use sd_notify::NotifyState;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

type Call = Box<dyn FnOnce() + Send>;

/// A thread that can be asked to call something.
pub(crate) struct Part {
    name: &'static str,
    post: Box<dyn Fn(Call) + Send>,
}

impl Part {
    pub(crate) fn new(name: &'static str, post: impl Fn(Call) + Send + 'static) -> Self {
        Self {
            name,
            post: Box::new(post),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Calls that on the thread, when it comes to it.
    pub(crate) fn call(&self, call: Call) {
        (self.post)(call);
    }
}

/// The watchdog; none is fed once this is dropped.
pub(crate) struct Watchdog {
    _end: Option<Sender<()>>,
}

impl Watchdog {
    /// Starts to feed it, if the manager wants that.
    pub(crate) fn start(parts: Vec<Part>, socket: Option<PathBuf>) -> Self {
        let Some(allowed) = sd_notify::watchdog_enabled() else {
            return Self { _end: None };
        };
        let (end, ended) = channel();
        let feeder = Feeder {
            parts,
            socket,
            allowed,
        };
        match std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || feeder.run(&ended))
        {
            Ok(_) => Self { _end: Some(end) },
            Err(error) => {
                tracing::error!(%error, "the watchdog cannot be fed: there is no thread for it");
                Self { _end: None }
            }
        }
    }
}

struct Feeder {
    parts: Vec<Part>,
    socket: Option<PathBuf>,
    /// The longest time between two feedings.
    allowed: Duration,
}

impl Feeder {
    fn run(&self, ended: &Receiver<()>) {
        let pause = self.allowed / 4;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let hung = self.hung();
            if hung.is_empty() {
                tell(&[NotifyState::Watchdog]);
                metrics::watchdog_fed();
            } else if ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                tracing::error!(
                    parts = hung.join(","),
                    "no progress: the watchdog is not fed"
                );
                hung.into_iter().for_each(metrics::watchdog_withheld);
            }
        }
    }

    /// Those that do not answer in half of the time.
    fn hung(&self) -> Vec<&'static str> {
        let deadline = Instant::now() + self.allowed / 2;
        let asked: Vec<(&Part, Receiver<()>)> =
            self.parts.iter().map(|part| (part, ask(part))).collect();
        let is_served = self
            .socket
            .as_deref()
            .is_none_or(|socket| is_served(socket, self.allowed / 2));
        let left = || deadline.saturating_duration_since(Instant::now());
        let silent = asked
            .iter()
            .filter(|(_, answer)| answer.recv_timeout(left()).is_err())
            .map(|(part, _)| part.name);
        let mut hung: Vec<_> = silent.chain((!is_served).then_some("api")).collect();
        hung.dedup();
        hung
    }
}

fn ask(part: &Part) -> Receiver<()> {
    let (tell, told) = channel();
    // Nobody waits any more if it comes too late.
    part.call(Box::new(move || {
        let _ = tell.send(());
    }));
    told
}

/// Whether a request on the socket is answered. Where the socket was removed nothing can be asked,
/// which is no hang: a restart would not bring back one that the manager made.
fn is_served(socket: &Path, limit: Duration) -> bool {
    match request(socket, limit) {
        Ok(answer) => answer.starts_with(b"HTTP/1.1 200"),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

fn request(socket: &Path, limit: Duration) -> std::io::Result<[u8; 12]> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: muster\r\nconnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    const LIMIT: Duration = Duration::from_millis(200);

    #[test]
    fn a_part_that_does_not_answer_is_named_once() {
        let works = || Part::new("store", |call| call());
        let hangs = || Part::new("lists", drop);
        let feeder = Feeder {
            parts: vec![works(), hangs(), hangs()],
            socket: None,
            allowed: LIMIT,
        };
        assert_eq!(feeder.hung(), ["lists"]);
        let feeder = Feeder {
            parts: vec![works()],
            socket: None,
            allowed: LIMIT,
        };
        assert!(feeder.hung().is_empty());
    }

    #[test]
    fn a_socket_that_nobody_serves_is_a_hang_and_a_removed_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        assert!(is_served(&socket, LIMIT));
        let listener = UnixListener::bind(&socket).unwrap();
        assert!(!is_served(&socket, LIMIT));
        drop(listener);
        assert!(!is_served(&socket, LIMIT), "it refuses");
    }
}
