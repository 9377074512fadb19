//! Clients that write to lists which all of them share, and note what they were told.

use super::journal;
use super::ledger::{Choice, Deed, Fate, Ledger, Write};
use crate::fleet::Node;
use crate::http::{Answer, Client};
use names::EntryId;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How many lists there are.
pub(crate) const LISTS: usize = 4;
/// Clients of each node.
const CLIENTS: u64 = 2;
/// How long a client rests between two requests, in milliseconds.
const RESTS: std::ops::Range<u64> = 50..400;
/// How long it waits for an answer: longer than the daemon itself does.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn name_of(list: usize) -> String {
    format!("list{list}")
}

/// Clients at work.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    pub(crate) fn start(nodes: &[Node], seed: u64, ledger: &Ledger) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (node, at) in nodes.iter().zip(0..) {
            for client in 0..CLIENTS {
                let number = at * CLIENTS + client;
                let writer = Writer {
                    socket: node.socket(),
                    name: format!("{}-{client}", node.name),
                    chance: ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000) + number),
                    ledger: ledger.clone(),
                    client: None,
                    drawn: 0,
                };
                tasks.push(tokio::spawn(writer.run(Arc::clone(&stop))));
            }
        }
        Self { stop, tasks }
    }

    /// Lets all finish what they are at.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        Ok(())
    }
}

struct Writer {
    socket: PathBuf,
    name: String,
    chance: ChaCha8Rng,
    ledger: Ledger,
    client: Option<Client>,
    drawn: usize,
}

impl Writer {
    async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let rest = self.chance.random_range(RESTS);
            tokio::time::sleep(Duration::from_millis(rest)).await;
            if self.client.is_none() {
                self.client = Client::connect(&self.socket).await.ok();
            }
            if self.client.is_none() {
                continue;
            }
            let write = self.draw();
            let number = self.ledger.begin(write.clone());
            let mut fate = self.ask(&write).await;
            let may_ask_again = matches!(write.deed, Deed::Add { .. });
            // An entry's id makes it harmless to ask again: so it is known in the end.
            while fate == Fate::Doubtful && may_ask_again && !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(rest)).await;
                self.client = Client::connect(&self.socket).await.ok();
                if self.client.is_some() {
                    fate = self.ask_again(&write).await;
                }
            }
            self.ledger.end(number, fate);
        }
    }

    fn draw(&mut self) -> Write {
        self.drawn += 1;
        let list = self.chance.random_range(0..LISTS);
        let title = format!("{} {}", self.name, self.drawn);
        let (entry, deed) = self.draw_deed(list, &title).unwrap_or_else(|| {
            let id = EntryId::from_parts(journal::now(), self.chance.random());
            (id.to_string(), Deed::Add { title })
        });
        Write {
            list,
            entry,
            deed,
            fate: Fate::Doubtful,
        }
    }

    /// Something other than a new entry, where there is something to do it to.
    fn draw_deed(&mut self, list: usize, title: &str) -> Option<(String, Deed)> {
        let number = self.chance.next_u32() as usize;
        let pick = |of: Choice| self.ledger.pick(list, of, number);
        let entry = pick(Choice::Entry);
        let deed = match self.chance.random_range(0..100) {
            0..30 => return None,
            30..50 => Deed::Rename {
                title: title.to_owned(),
            },
            50..65 => Deed::Tick {
                done: self.chance.random_bool(0.7),
            },
            65..78 => {
                let other = self.chance.next_u32() as usize;
                let after = self.ledger.pick(list, Choice::Entry, other);
                let after = after.filter(|after| Some(after) != entry.as_ref())?;
                Deed::Move { after }
            }
            78..92 => Deed::Delete,
            92..97 => {
                let change = pick(Choice::Change)?;
                return Some((String::new(), Deed::Undo { change }));
            }
            _ => {
                let change = pick(Choice::Undoing)?;
                return Some((String::new(), Deed::Redo { change }));
            }
        };
        Some((entry?, deed))
    }

    async fn ask(&mut self, write: &Write) -> Fate {
        let Some(answer) = self.answer(write).await else {
            return Fate::Doubtful;
        };
        let is_unknown = answer.json()["type"] == "/problems/outcome-unknown";
        match answer.status {
            200 | 201 | 204 => {
                let change = answer.header("muster-change");
                Fate::Acknowledged((!change.is_empty()).then(|| change.to_owned()))
            }
            _ if is_unknown => Fate::Doubtful,
            status => {
                self.ledger.refused(write.deed.kind(), status);
                Fate::Refused
            }
        }
    }

    /// What is already there is answered with 200; deleted since, it stays in doubt which change it was.
    async fn ask_again(&mut self, write: &Write) -> Fate {
        match self.ask(write).await {
            Fate::Refused => Fate::Doubtful,
            known @ (Fate::Doubtful | Fate::Acknowledged(_)) => known,
        }
    }

    async fn answer(&mut self, write: &Write) -> Option<Answer> {
        let (method, path, body) = request(write);
        let client = self.client.as_mut()?;
        let call = client.call(method, &path, body.as_ref());
        let answer = tokio::time::timeout(PATIENCE, call).await;
        let answer = answer.ok().and_then(Result::ok);
        if answer.is_none() {
            self.client = None;
        }
        answer
    }
}

fn request(write: &Write) -> (&'static str, String, Option<Value>) {
    let list = format!("/v1/lists/{}", name_of(write.list));
    let entries = format!("{list}/entries");
    let entry = format!("{entries}/{}", write.entry);
    match &write.deed {
        Deed::Add { title } => {
            let body = json!({ "id": write.entry, "title": title });
            ("POST", entries, Some(body))
        }
        Deed::Rename { title } => ("PATCH", entry, Some(json!({ "title": title }))),
        Deed::Tick { done } => ("PATCH", entry, Some(json!({ "done": done }))),
        Deed::Move { after } => ("PATCH", entry, Some(json!({ "after": after }))),
        Deed::Delete => ("DELETE", entry, None),
        Deed::Undo { change } => {
            let body = json!({ "change": change });
            ("POST", format!("{list}/undo"), Some(body))
        }
        Deed::Redo { change } => {
            let body = json!({ "change": change });
            ("POST", format!("{list}/redo"), Some(body))
        }
    }
}
