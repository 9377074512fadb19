//! `muster top`: a node and its cluster at a terminal, live.
//!
//! | part | does |
//! | --- | --- |
//! | `feed` | asks the daemon once a second and follows its events, whatever becomes of it |
//! | `state` | what was told, as far as it is shown |
//! | `busy` | what happens most often, from numbers that grow |
//! | `draw` | one screen of it |

mod busy;
mod draw;
mod feed;
mod state;

use crate::failure::Failure;
use crate::session::Session;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use state::{Scroll, State};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// How often the screen is drawn at least: the clock on it goes on.
const TICK: Duration = Duration::from_millis(500);
/// What is told when nothing waits to be drawn; more than that waits at its source.
const QUEUE: usize = 256;

/// What a key does that concerns more than what is shown.
enum Act {
    /// All members are asked whom they reach.
    AskReach,
    /// It is over.
    End(End),
}

/// What ends it.
enum End {
    /// The user.
    Quit,
    /// A signal, by its number.
    Signal(u8),
}

/// `muster top`.
pub(crate) async fn run(session: &Session<'_>) -> Result<ExitCode, Failure> {
    if session.output.is_json() {
        return Err(Failure::Usage(
            "muster top is for people; for programs: muster --json status, \
            muster --json events"
                .to_owned(),
        ));
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "muster top needs a terminal; muster status prints the same \
            once (over ssh: ssh -t)"
                .to_owned(),
        ));
    }
    // Whoever cannot be reached at the start is told in the usual way, with nothing drawn.
    let first = feed::poll(session.client())
        .await
        .map_err(|error| session.explain(error))?;
    let mut state = State::new(session.zone.clone(), first);
    let signals = [
        (SignalKind::terminate(), 15),
        (SignalKind::hangup(), 1),
        (SignalKind::interrupt(), 2),
    ];
    let signals = signals
        .into_iter()
        .map(|(kind, number)| Ok((signal(kind)?, number)))
        .collect::<std::io::Result<Vec<_>>>()?;
    // From here on a panic puts the terminal back first, too.
    let mut terminal = ratatui::try_init()?;
    let ended = follow(session, &mut terminal, &mut state, signals).await;
    ratatui::restore();
    match ended? {
        End::Quit => Ok(ExitCode::SUCCESS),
        End::Signal(number) => Ok(ExitCode::from(128 + number)),
    }
}

async fn follow(
    session: &Session<'_>,
    terminal: &mut DefaultTerminal,
    state: &mut State,
    mut signals: Vec<(Signal, u8)>,
) -> Result<End, Failure> {
    let (updates, mut told) = mpsc::channel(QUEUE);
    let client = session.client();
    let feeds = [
        tokio::spawn(feed::polls(client.clone(), updates.clone())),
        tokio::spawn(feed::events(client.clone(), updates.clone())),
    ];
    let mut keys = read_keys();
    let mut ticks = tokio::time::interval(TICK);
    let theme = draw::Theme::new(session.output.has_colour());
    let ended = loop {
        terminal.draw(|frame| draw::draw(frame, state, theme))?;
        let act = tokio::select! {
            Some(update) = told.recv() => {
                state.take(update);
                // What has come meanwhile is drawn together.
                while let Ok(update) = told.try_recv() {
                    state.take(update);
                }
                None
            }
            key = keys.recv() => match key {
                Some(Ok(Event::Key(key))) => press(state, key),
                Some(Ok(_)) => None,
                Some(Err(error)) => return Err(error.into()),
                None => Some(Act::End(End::Quit)),
            },
            number = any(&mut signals) => Some(Act::End(End::Signal(number))),
            _ = ticks.tick() => None,
        };
        match act {
            Some(Act::End(ended)) => break ended,
            Some(Act::AskReach) => {
                // It ends by itself, within the time of a call.
                tokio::spawn(feed::reach(client.clone(), updates.clone()));
            }
            None => {}
        }
    };
    feeds.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(ended)
}

/// The first of the signals to come.
async fn any(signals: &mut [(Signal, u8)]) -> u8 {
    let waiting = signals.iter_mut().map(|(signal, number)| {
        Box::pin(async { signal.recv().await.map_or(*number, |()| *number) })
    });
    futures_util::future::select_all(waiting).await.0
}

/// The terminal is read on a thread that ends with the process: reading it cannot be interrupted.
fn read_keys() -> mpsc::Receiver<std::io::Result<Event>> {
    let (tell, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        loop {
            let event = ratatui::crossterm::event::read();
            let failed = event.is_err();
            if tell.blocking_send(event).is_err() || failed {
                return;
            }
        }
    });
    keys
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most keys do nothing")]
fn press(state: &mut State, key: KeyEvent) -> Option<Act> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            return Some(Act::End(End::Quit));
        }
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => return Some(Act::End(End::Quit)),
        KeyCode::Char('r' | 'R') if state.ask_reach() => return Some(Act::AskReach),
        KeyCode::Char('e' | 'E') => state.reach = None,
        KeyCode::Char(' ') => state.toggle_hold(),
        KeyCode::Up | KeyCode::Char('k') => state.scroll(Scroll::Older(1)),
        KeyCode::Down | KeyCode::Char('j') => state.scroll(Scroll::Newer(1)),
        KeyCode::PageUp => state.scroll(Scroll::Older(10)),
        KeyCode::PageDown => state.scroll(Scroll::Newer(10)),
        KeyCode::End => state.scroll(Scroll::Newest),
        _ => {}
    }
    None
}
