//! The flight recorder: the decisions of the last minutes, kept in memory whatever is logged.
//!
//! It is a layer of the log that hears DEBUG of this program's own crates: what members,
//! connections, registrations and repairs came to. The ring is bounded in bytes; the oldest go. No
//! text of people is in it: nothing logs any, and fields that could name a list are left out.

use crate::host::wall_ms;
use crate::version::OUR_CRATES;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// What is kept, in bytes of text and a little more for each line.
const KEPT_BYTES: usize = 1 << 20;
/// What a line takes beside its text, about.
const LINE_BYTES: usize = 64;
/// The longest line.
const MAX_LINE_BYTES: usize = 400;
/// Fields that are left out.
const LEFT_OUT: [&str; 2] = ["list", "token"];

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Milliseconds since the epoch, by this node's clock.
    pub(crate) at_ms: i64,
    /// How much it matters.
    pub(crate) level: Level,
    /// The part of the program.
    pub(crate) target: &'static str,
    /// What, with its fields.
    pub(crate) text: String,
}

/// The recorder. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Recorder {
    /// The layer that fills it.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let ours: FilterFn = filter_fn(is_ours);
        Tap(self.clone()).with_filter(ours)
    }

    /// All lines, the oldest first.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.lock().lines.iter().cloned().collect()
    }

    fn push(&self, line: Line) {
        let mut ring = self.0.lock();
        ring.bytes += LINE_BYTES + line.text.len();
        ring.lines.push_back(line);
        while ring.bytes > KEPT_BYTES {
            let Some(oldest) = ring.lines.pop_front() else {
                return;
            };
            ring.bytes -= LINE_BYTES + oldest.text.len();
        }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let part = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::DEBUG && OUR_CRATES.contains(&part)
}

struct Tap(Recorder);

impl<S: Subscriber> Layer<S> for Tap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let mut text = format!("{}{}", words.message, words.fields);
        let end = (0..=MAX_LINE_BYTES.min(text.len()))
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        self.0.push(Line {
            at_ms: wall_ms(),
            level,
            target,
            text,
        });
    }
}

/// The message, and the fields as ` name=value`.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if LEFT_OUT.contains(&name) => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// Logs to that subscriber only.
///
/// Whether a place in the program logs at all is remembered for the whole process. While there is
/// one subscriber only, it is found out by asking that of the thread which happens to ask
/// (tracing-core 0.1.36, `callsite::dispatchers`): a test on another thread, which has none, would
/// silence this one. With a second subscriber all are asked.
#[cfg(test)]
pub(crate) fn with_subscriber(
    subscriber: impl tracing::Subscriber + Send + Sync + 'static,
    log: impl FnOnce(),
) {
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, log);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn recorded(log: impl FnOnce()) -> Vec<Line> {
        let recorder = Recorder::default();
        let subscriber = tracing_subscriber::registry().with(recorder.layer());
        with_subscriber(subscriber, log);
        recorder.lines()
    }

    #[test]
    fn decisions_are_kept_and_packets_and_libraries_are_not() {
        let lines = recorded(|| {
            tracing::debug!(target: "node::cluster", peer = %"n2", run = 3, "a hello is accepted");
            tracing::trace!(target: "node::cluster", "a packet");
            tracing::debug!(target: "quinn::connection", "a library");
        });
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a hello is accepted peer=n2 run=3"]);
    }

    #[test]
    fn nothing_that_could_name_a_list_or_be_a_token_is_kept() {
        let lines = recorded(
            || tracing::info!(target: "node::lists", list = "secret plans", token = "abc", peer = 1, "a repair"),
        );
        assert_eq!(
            lines.first().map(|line| line.text.as_str()),
            Some("a repair peer=1")
        );
    }

    #[test]
    fn the_oldest_go_when_the_bytes_are_used_up() {
        let recorder = Recorder::default();
        for number in 0..20_000 {
            let text = format!("{number:0>100}");
            recorder.push(Line {
                at_ms: number,
                level: Level::DEBUG,
                target: "node",
                text,
            });
        }
        let lines = recorder.lines();
        assert_eq!(lines.len(), KEPT_BYTES / (LINE_BYTES + 100));
        assert_eq!(lines.last().map(|line| line.at_ms), Some(19_999));
    }

    #[test]
    fn a_long_line_is_cut_where_a_character_ends() {
        let lines =
            recorded(|| tracing::warn!(target: "muster", error = "é".repeat(500), "broken"));
        assert!(
            lines
                .first()
                .is_some_and(|line| line.text.len() <= MAX_LINE_BYTES),
            "{lines:?}"
        );
    }
}
