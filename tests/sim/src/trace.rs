//! What happened, in order: as a running hash (equal for equal runs), and as text for whoever
//! replays a seed.

use crate::queue::Input;
use node::cluster;
use node::lists;
use node::time::Instant;
use std::fmt::{self, Write};

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
/// The longest line that is printed, in characters.
const LINE: usize = 400;

/// The record of one run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    inputs: u64,
    print: bool,
}

impl Trace {
    /// An empty record, which also prints if told so.
    pub fn new(print: bool) -> Self {
        Self {
            hash: FNV_START,
            inputs: 0,
            print,
        }
    }

    /// The hash of all that was recorded.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many inputs the machines have handled.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Records an input of a machine.
    pub fn input(&mut self, at: Instant, host: usize, machine: usize, input: &Input) {
        self.inputs += 1;
        let mut hash = Hash(self.hash);
        hash.word(at.as_nanos());
        hash.word((host as u64) << 8 | machine as u64);
        let body = body(input);
        // Bytes are hashed as they are; their text is made for people only.
        let _ = match body {
            Some(bytes) => bytes
                .chunks(8)
                .try_for_each(|chunk| hash.write_chunk(chunk)),
            None => write_input(&mut hash, input),
        };
        self.hash = hash.0;
        if self.print && !is_routine(input) {
            let mut text = String::new();
            let _ = write_input(&mut text, input);
            self.line(at, &format!("{} <- {text}", machine_name(host, machine)));
        }
    }

    /// Records anything else worth a line.
    pub fn note(&mut self, at: Instant, text: &dyn fmt::Display) {
        let mut hash = Hash(self.hash);
        hash.word(at.as_nanos());
        let _ = write!(hash, "{text}");
        self.hash = hash.0;
        if self.print {
            self.line(at, &text.to_string());
        }
    }

    /// Prints without recording: for what a machine says, which its inputs decide.
    pub fn aside(&self, at: Instant, text: &dyn Fn() -> String) {
        if self.print {
            self.line(at, &text());
        }
    }

    fn line(&self, at: Instant, text: &str) {
        let short: String = text.chars().take(LINE).collect();
        println!(
            "{:>12.6} {short}",
            at.since(Instant::default()).as_secs_f64()
        );
    }
}

/// How lines name a machine: `n2` for host 2's cluster machine, `n2.1` for its first lists machine.
pub fn machine_name(host: usize, machine: usize) -> String {
    if machine == 0 {
        format!("n{host}")
    } else {
        format!("n{host}.{machine}")
    }
}

fn body(input: &Input) -> Option<&[u8]> {
    match input {
        Input::Cluster(
            cluster::Input::Message { bytes, .. } | cluster::Input::Datagram { bytes, .. },
        )
        | Input::Lists(lists::Input::Message { bytes, .. }) => Some(bytes),
        Input::Cluster(_) | Input::Lists(_) | Input::Wake => None,
    }
}

fn is_routine(input: &Input) -> bool {
    matches!(
        input,
        Input::Cluster(cluster::Input::Datagram { .. }) | Input::Wake
    )
}

fn write_input(to: &mut impl Write, input: &Input) -> fmt::Result {
    match input {
        Input::Cluster(cluster::Input::Message { conn, bytes }) => {
            write!(to, "Message {conn:?} {} bytes", bytes.len())
        }
        Input::Cluster(cluster::Input::Datagram { conn, bytes }) => {
            write!(to, "Datagram {conn:?} {} bytes", bytes.len())
        }
        Input::Cluster(other) => write!(to, "{other:?}"),
        Input::Lists(lists::Input::Message { conn, bytes }) => {
            write!(
                to,
                "Message {conn:?} {} bytes \
                {:02x?}",
                bytes.len(),
                bytes.iter().take(4).collect::<Vec<_>>()
            )
        }
        Input::Lists(lists::Input::Worked { list, done }) => {
            write!(to, "Worked {list} {}", done_name(done))
        }
        Input::Lists(lists::Input::Cluster(view)) => write!(
            to,
            "Cluster {:?} {} members",
            view.verdict,
            view.members.len()
        ),
        Input::Lists(other) => write!(to, "{other:?}"),
        Input::Wake => write!(to, "Timeout"),
    }
}

fn done_name(done: &lists::Done) -> &'static str {
    match done {
        lists::Done::Loaded(Ok(_)) => "loaded",
        lists::Done::Loaded(Err(_)) => "not loaded",
        lists::Done::CaughtUp(Ok(_)) => "caught up",
        lists::Done::CaughtUp(Err(_)) => "not caught up",
        lists::Done::Applied(Ok(_)) => "applied",
        lists::Done::Applied(Err(_)) => "not applied",
        lists::Done::Saved(_) => "saved",
        lists::Done::Rebuilt(Ok(_)) => "rebuilt",
        lists::Done::Rebuilt(Err(_)) => "not rebuilt",
        lists::Done::LeftOut(_) => "left out",
        lists::Done::Vector(_) => "vector",
        lists::Done::Changes { .. } => "changes",
        lists::Done::Looked { .. } => "looked",
    }
}

struct Hash(u64);

impl Hash {
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(FNV_PRIME).rotate_left(23);
    }

    fn write_chunk(&mut self, chunk: &[u8]) -> fmt::Result {
        self.word(
            chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        );
        Ok(())
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.as_bytes()
            .chunks(8)
            .try_for_each(|chunk| self.write_chunk(chunk))
    }
}
