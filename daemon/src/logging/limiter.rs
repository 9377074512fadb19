//! No place in the program can flood the log: a peer that dials for ever, or a disk that fails at
//! every write, is worth some lines and a number.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, callsite};
use tracing_subscriber::layer::{Context, Filter};

/// How long lines are counted before the count begins anew.
const WINDOW: Duration = Duration::from_secs(10);
/// The most lines that one place writes in a window: one of each of 200 members, and some.
const MOST: u64 = 256;

/// Lets the first lines of each place through, and counts the others. Clones share the counts.
///
/// Lines of the levels DEBUG and TRACE are not limited: somebody asked for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limiter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// As many as there are places in the program that log.
    places: Mutex<HashMap<callsite::Identifier, Place>>,
    left_out: AtomicU64,
}

#[derive(Debug)]
struct Place {
    message: String,
    began: Instant,
    lines: u64,
}

/// A place whose lines were left out in the window that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// What the lines said.
    pub(crate) message: String,
    /// How many were left out.
    pub(crate) lines: u64,
}

impl Limiter {
    /// How many lines were left out since the start.
    pub(crate) fn left_out(&self) -> u64 {
        self.0.left_out.load(Ordering::Relaxed)
    }

    /// Tells of what was left out, at the end of each window; for ever.
    pub(crate) async fn tell(self) {
        let mut ticks = tokio::time::interval(WINDOW);
        loop {
            ticks.tick().await;
            for LeftOut { message, lines } in self.ended(Instant::now()) {
                tracing::warn!(of = message, lines, "log lines were left out");
            }
        }
    }

    fn ended(&self, now: Instant) -> Vec<LeftOut> {
        let mut places = self.0.places.lock();
        let ended =
            places.extract_if(|_, place| now.saturating_duration_since(place.began) >= WINDOW);
        let mut left_out: Vec<LeftOut> = ended.filter_map(|(_, place)| place.left_out()).collect();
        left_out.sort_by(|a, b| a.message.cmp(&b.message));
        left_out
    }

    fn admits(&self, event: &Event<'_>, now: Instant) -> bool {
        let mut places = self.0.places.lock();
        let new = || Place {
            message: message(event),
            began: now,
            lines: 0,
        };
        let place = places
            .entry(event.metadata().callsite())
            .or_insert_with(new);
        place.lines += 1;
        let is_admitted = place.lines <= MOST;
        if !is_admitted {
            self.0.left_out.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }
}

impl Place {
    fn left_out(self) -> Option<LeftOut> {
        let lines = self.lines.checked_sub(MOST).filter(|lines| *lines > 0)?;
        Some(LeftOut {
            message: self.message,
            lines,
        })
    }
}

impl<S: Subscriber> Filter<S> for Limiter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        *event.metadata().level() > Level::INFO || self.admits(event, Instant::now())
    }
}

fn message(event: &Event<'_>) -> String {
    let mut found = Message(String::new());
    event.record(&mut found);
    found.0
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    /// Counts the lines that come through, by their message.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<HashMap<String, u64>>>);

    impl<S: Subscriber> Layer<S> for Sink {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().entry(message(event)).or_default() += 1;
        }
    }

    #[test]
    fn a_place_that_floods_is_cut_off_and_others_are_not() {
        let (limiter, sink) = (Limiter::default(), Sink::default());
        let subscriber =
            tracing_subscriber::registry().with(sink.clone().with_filter(limiter.clone()));
        crate::flight::with_subscriber(subscriber, || {
            for n in 0..MOST + 44 {
                tracing::warn!(n, "a flood");
                tracing::debug!(n, "asked for");
            }
            tracing::info!("another place");
        });
        let lines = |message: &str| sink.0.lock().get(message).copied();
        assert_eq!(
            (lines("a flood"), lines("asked for"), lines("another place")),
            (Some(MOST), Some(MOST + 44), Some(1))
        );
        assert_eq!(limiter.left_out(), 44);
        assert_eq!(
            limiter.ended(Instant::now()),
            [],
            "the window has not ended"
        );
        let later = Instant::now() + WINDOW;
        assert_eq!(
            limiter.ended(later),
            [LeftOut {
                message: "a flood".into(),
                lines: 44
            }]
        );
        assert_eq!(limiter.ended(later), [], "it is told once");
    }
}
