//! What the machines log: an ERROR fails the run, and a replay can print the rest.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    static ERRORS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects what this thread logs until it is dropped.
#[derive(Debug)]
pub struct Logs {
    _guard: DefaultGuard,
    // The guard is of this thread.
    _thread: Rc<()>,
}

impl Logs {
    /// Begins to collect; prints what is at least as grave as `print`.
    pub fn collect(print: Option<Level>) -> Self {
        ERRORS.with_borrow_mut(Vec::clear);
        let guard = tracing::subscriber::set_default(Collector {
            print,
            spans: AtomicU64::new(1),
        });
        Self {
            _guard: guard,
            _thread: Rc::new(()),
        }
    }

    /// The errors logged since the last time.
    pub fn errors(&self) -> Vec<String> {
        ERRORS.with_borrow_mut(std::mem::take)
    }
}

struct Collector {
    print: Option<Level>,
    spans: AtomicU64,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.print.unwrap_or(Level::ERROR)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!(
            "{} {}:",
            event.metadata().level(),
            event.metadata().target()
        ));
        event.record(&mut line);
        if *event.metadata().level() == Level::ERROR {
            ERRORS.with_borrow_mut(|errors| errors.push(line.0.clone()));
        }
        if self.print.is_some() {
            println!("             {}", line.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}
