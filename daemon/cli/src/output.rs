//! Standard output and standard error, in the form that their reader wants.

use crate::failure::Failure;
use crate::table::{Layout, Paint, Table};
use crate::text::{harmless_json, local_time, printable, printable_lines};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal, Write};

/// The width of a terminal that does not tell it.
const UNTOLD_COLUMNS: usize = 80;

/// Where results go.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    layout: Layout,
}

impl Output {
    /// This process's, as its standard output and environment want it.
    pub(crate) fn of_process(json: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let layout = match std::io::stdout().is_terminal() {
            true => Layout::Aligned {
                colour: !set("NO_COLOR") && !dumb,
                width: columns(),
            },
            false => Layout::Plain,
        };
        Self { json, layout }
    }

    /// Whether the API's answers are wanted as they are.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person reads it.
    pub(crate) fn is_for_people(&self) -> bool {
        !self.json && matches!(self.layout, Layout::Aligned { .. })
    }

    /// Whether the reader wants colours.
    pub(crate) fn has_colour(&self) -> bool {
        matches!(self.layout, Layout::Aligned { colour: true, .. })
    }

    /// Prints records.
    pub(crate) fn table(&self, table: &Table) -> Result<(), Failure> {
        write(&table.render(self.layout))
    }

    /// Prints a line, which must have been made of [printable] text.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        write(&format!("{line}\n"))
    }

    /// Prints what happened: its fields with tabs between them for programs, `words` (made of
    /// [printable] text) for people.
    pub(crate) fn record(
        &self,
        fields: &[&str],
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.layout {
            Layout::Plain => self.line(
                &fields
                    .iter()
                    .map(|field| printable(field))
                    .collect::<Vec<_>>()
                    .join("\t"),
            ),
            Layout::Aligned { .. } => self.line(&words()),
        }
    }

    /// Prints what happened at a time, both made of [printable] text: a tab between them for
    /// programs.
    pub(crate) fn happened(&self, at: &str, words: &str) -> Result<(), Failure> {
        match self.layout {
            Layout::Plain => self.line(&format!("{at}\t{words}")),
            Layout::Aligned { .. } => self.line(&format!("{at} {words}")),
        }
    }

    /// A time of the API (RFC 3339) as its reader wants it: as it is in a pipe, for people in their
    /// zone.
    pub(crate) fn time(&self, text: &str, zone: &TimeZone) -> String {
        match self.layout {
            Layout::Plain => printable(text),
            Layout::Aligned { .. } => local_time(text, zone),
        }
    }

    /// Prints a JSON value on one line.
    pub(crate) fn json(&self, value: &Value) -> Result<(), Failure> {
        let line = value.to_string();
        match self.layout {
            Layout::Plain => write(&format!("{line}\n")),
            Layout::Aligned { .. } => write(&format!("{}\n", harmless_json(&line))),
        }
    }

    /// Says on standard error what went wrong: the problem where JSON is wanted, else its words.
    pub(crate) fn problem(&self, words: &str, problem: impl FnOnce() -> Value) {
        let line = if self.json {
            harmless_json(&problem().to_string())
        } else {
            format!("muster: {}", printable_lines(words))
        };
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// Prints text as it is.
    pub(crate) fn raw(&self, text: &str) -> Result<(), Failure> {
        write(text)
    }

    /// Writes what is no text.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        write_bytes(bytes)
    }

    /// The text, coloured if the reader wants colours.
    pub(crate) fn paint(&self, text: &str, paint: Paint) -> String {
        match self.layout {
            Layout::Aligned { colour: true, .. } => paint.on(text),
            Layout::Aligned { colour: false, .. } | Layout::Plain => text.to_owned(),
        }
    }
}

/// How wide the terminal is, in columns. Some say that they have none at all (a serial line, `script`
/// in a pipe): those are taken for as wide as terminals are by custom.
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    let told = usize::from(size.ws_col);
    Some(if told > 0 { told } else { UNTOLD_COLUMNS })
}

fn write(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes())
}

fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::OutputClosed),
        Err(error) => Err(Failure::Failed(format!(
            "the output cannot be written: {error}"
        ))),
    }
}
