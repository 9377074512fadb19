//! One screen, for terminals from 60×16 on.

use super::busy::Rate;
use super::state::{Reach, State};
use crate::cluster::partition::and_away;
use crate::cluster::reach;
use crate::table::padded;
use crate::text::{by_name, local_day, local_time, printable, time_of_day};
use crate::upkeep::status::{bytes, in_words};
use api::cluster::{ClusterMember, MemberRole, MemberState, PartitionVerdict};
use api::node::{AttentionSeverity, StatusOfStore};
use api::time::Millis;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// The smallest terminal on which anything can be read.
const SMALLEST: (u16, u16) = (60, 16);
/// How many things that need attention are shown.
const MAX_ATTENTION: usize = 3;
/// How many of each kind of busy things.
const MAX_BUSY: usize = 3;
/// How many lists that lag.
const MAX_LAGGING: usize = 3;
/// The least that is left for events, with their heading.
const EVENTS_HEIGHT: u16 = 4;

/// How things stand out: by colour, or without by weight alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    colour: bool,
}

impl Theme {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn of(self, colour: Color, without: Modifier) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new().add_modifier(without)
        }
    }

    fn good(self) -> Style {
        self.of(Color::Green, Modifier::empty())
    }

    fn warning(self) -> Style {
        self.of(Color::Yellow, Modifier::BOLD)
    }

    fn bad(self) -> Style {
        if self.colour {
            Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }

    fn dim() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn heading() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn bar() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let words = format!(
            "{}x{} is too small: {}x{} at least (q \
            quits)",
            area.width, area.height, SMALLEST.0, SMALLEST.1
        );
        return frame.render_widget(
            Paragraph::new(words).wrap(ratatui::widgets::Wrap { trim: true }),
            area,
        );
    }
    let (attention, lagging) = (attention(state, theme), lagging(state, theme));
    let (members, busy) = (members(state, theme), busy(state));
    let around = 4 + height(&attention) + height(&lagging) + EVENTS_HEIGHT;
    let middle = height(&members)
        .max(height(&busy))
        .min(area.height.saturating_sub(around).max(2));
    let rows = [
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(height(&attention)),
        Constraint::Length(middle),
        Constraint::Length(height(&lagging)),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [title, summary, attend, middle, lag, events, keys] = Layout::vertical(rows).areas(area);
    frame.render_widget(Paragraph::new(bar(state, area.width)), title);
    frame.render_widget(Paragraph::new(summary_lines(state, theme)), summary);
    frame.render_widget(Paragraph::new(attention), attend);
    let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)])
        .spacing(2)
        .areas(middle);
    frame.render_widget(
        Paragraph::new(cut(members, left.height, "members", state.members.len())),
        left,
    );
    frame.render_widget(Paragraph::new(busy), right);
    frame.render_widget(Paragraph::new(lagging), lag);
    let below = match &state.reach {
        Some(reach) => reach_lines(reach, theme, events),
        None => events_lines(state, theme, events),
    };
    frame.render_widget(Paragraph::new(below), events);
    frame.render_widget(Paragraph::new(footer(state)), keys);
}

fn height(lines: &[Line<'_>]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
}

/// As many lines as there is room for; the last one says that there are more.
fn cut(mut lines: Vec<Line<'static>>, room: u16, what: &str, all: usize) -> Vec<Line<'static>> {
    let room = usize::from(room);
    if lines.len() > room && room > 1 {
        lines.truncate(room - 1);
        let shown = lines.len().saturating_sub(1);
        lines.push(Line::styled(
            format!("… {} more: muster {what}", all.saturating_sub(shown)),
            Theme::dim(),
        ));
    }
    lines
}

fn bar(state: &State, width: u16) -> Line<'static> {
    let node = &state.status.node;
    let (name, version) = (printable(&node.name), printable(&node.version));
    let left = format!(" muster top   {name} ({version})");
    let right = format!(
        "{} ",
        local_time(&Timestamp::now().to_string(), &state.zone)
    );
    let gap = usize::from(width).saturating_sub(left.chars().count() + right.chars().count());
    Line::styled(format!("{left}{}{right}", " ".repeat(gap)), Theme::bar())
}

fn summary_lines(state: &State, theme: Theme) -> Vec<Line<'static>> {
    if let Some(gone) = &state.gone {
        let since = local_time(&gone.since.to_string(), &state.zone);
        let first = Line::styled(
            format!(
                "The daemon does not answer since {since}: \
            {}",
                gone.why
            ),
            theme.bad(),
        );
        return vec![
            first,
            Line::styled(
                "What is shown is from before; it is asked again every \
            second.",
                Theme::dim(),
            ),
        ];
    }
    let status = &state.status;
    let partition = &status.partition;
    let reach = format!(
        "{}: {} of {} members{}",
        printable(partition.verdict.as_str()),
        partition.reachable,
        partition.expected,
        and_away(partition)
    );
    let up = ago(status.node.started_at);
    let known = status.lists.known;
    let lists = match status.lists.differing {
        0 => format!("lists {known}, in step"),
        differing => format!("lists {known}, {differing} not in step"),
    };
    let style = if partition.verdict == PartitionVerdict::Whole {
        theme.good()
    } else {
        theme.bad()
    };
    vec![
        Line::from(vec![
            Span::styled(reach, style),
            Span::raw(format!("   up {up}   {lists}")),
        ]),
        Line::raw(format!(
            "{}   processes {} here, {} names",
            disk(&status.store),
            status.processes.local,
            status.processes.names
        )),
    ]
}

/// How long ago that was.
fn ago(at: Millis) -> String {
    in_words(((Timestamp::now().as_millisecond() - at.0) / 1000).max(0))
}

fn disk(store: &StatusOfStore) -> String {
    let free = store.free_bytes.unwrap_or(0);
    let size = store.size_bytes.unwrap_or(0);
    let percent = free.saturating_mul(100).checked_div(size).unwrap_or(0);
    let sync = store.sync_p99_ms;
    let sync = sync.map_or_else(|| "none yet".to_owned(), |most| format!("{most:.1} ms"));
    format!("disk {} free ({percent} %)   sync {sync}", bytes(free))
}

fn attention(state: &State, theme: Theme) -> Vec<Line<'static>> {
    let all = &state.status.attention;
    let told = all.iter().take(MAX_ATTENTION).map(|finding| {
        let style = if finding.severity == AttentionSeverity::Critical {
            theme.bad()
        } else {
            theme.warning()
        };
        let severity = printable(finding.severity.as_str());
        let what = printable(&finding.what);
        Line::from(vec![
            Span::styled(format!("{severity}: {what}"), style),
            Span::styled("  → muster status", Theme::dim()),
        ])
    });
    let mut lines: Vec<Line<'static>> = told.collect();
    if all.len() > MAX_ATTENTION {
        lines.push(Line::styled(
            format!("… {} more: muster status", all.len() - MAX_ATTENTION),
            Theme::dim(),
        ));
    }
    lines
}

fn members(state: &State, theme: Theme) -> Vec<Line<'static>> {
    let heading = Line::styled(
        format!("{:<16} {:<10} {:>8}  {}", "MEMBER", "STATE", "RTT", "FOR"),
        Theme::heading(),
    );
    let mut members: Vec<&ClusterMember> = state.members.iter().collect();
    // Those in trouble come first: a large cluster does not fit.
    let rank = |member: &ClusterMember| match member.state {
        MemberState::Down => 0,
        MemberState::Suspect => 1,
        MemberState::Restarting => 2,
        MemberState::Alive => 3,
        MemberState::Away | MemberState::Left | MemberState::Other(_) => 4,
    };
    members.sort_by(|a, b| {
        rank(a)
            .cmp(&rank(b))
            .then_with(|| by_name(&a.name, &b.name))
    });
    let lines = members.into_iter().map(|member| {
        let style = match member.state {
            MemberState::Alive => theme.good(),
            MemberState::Suspect | MemberState::Restarting => theme.warning(),
            MemberState::Down => theme.bad(),
            MemberState::Away | MemberState::Left | MemberState::Other(_) => Theme::dim(),
        };
        let rtt = match member.rtt_ms {
            Some(ms) => format!("{ms:.1} ms"),
            None if member.is_self => "self".to_owned(),
            None => "-".to_owned(),
        };
        let since = ago(member.since);
        let role = match member.role {
            MemberRole::Member => String::new(),
            MemberRole::Observer | MemberRole::Other(_) => {
                format!("  {}", printable(member.role.as_str()))
            }
        };
        let state_of = printable(member.state.as_str());
        let name = Span::raw(format!("{} ", padded(&printable(&member.name), 16)));
        Line::from(vec![
            name,
            Span::styled(format!("{state_of:<10} "), style),
            Span::raw(format!("{rtt:>8}  {since}{role}")),
        ])
    });
    std::iter::once(heading).chain(lines).collect()
}

fn busy(state: &State) -> Vec<Line<'static>> {
    let line = |rate: &Rate, unit: &str| {
        Line::raw(format!(
            "{} {:>7.1} {unit}",
            padded(&printable(&rate.name), 14),
            rate.value
        ))
    };
    let mut lines = vec![Line::styled(
        format!("{:<14} {:>7}", "BUSIEST", "RATE"),
        Theme::heading(),
    )];
    lines.extend(
        state
            .busy
            .operations
            .iter()
            .take(MAX_BUSY)
            .map(|rate| line(rate, "calls/s")),
    );
    lines.extend(
        state
            .busy
            .lists()
            .iter()
            .take(MAX_BUSY)
            .map(|rate| line(rate, "edits/s")),
    );
    lines.extend(
        state
            .busy
            .processes
            .iter()
            .take(MAX_BUSY)
            .map(|rate| line(rate, "% cpu")),
    );
    if lines.len() == 1 {
        lines.push(Line::styled("nothing now", Theme::dim()));
    }
    lines
}

fn lagging(state: &State, theme: Theme) -> Vec<Line<'static>> {
    let all = &state.status.lists.lagging;
    let lines = all.iter().take(MAX_LAGGING).map(|list| {
        let name = list.name.as_deref();
        let name = name.map_or_else(|| "(not here yet)".to_owned(), printable);
        let seconds = list.lag_ms / 1000.0;
        Line::from(vec![
            Span::raw(format!("{} ", padded(&name, 30))),
            Span::styled(format!("{seconds:>7.0} s"), theme.warning()),
            Span::raw(format!("  from {}", printable(&list.member))),
        ])
    });
    let heading = (!all.is_empty()).then(|| {
        Line::styled(
            format!("{:<30} {:>9}", "LIST OUT OF STEP", "LAG"),
            Theme::heading(),
        )
    });
    heading.into_iter().chain(lines).collect()
}

fn events_lines(state: &State, theme: Theme, area: Rect) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled("EVENTS", Theme::heading())];
    let room = usize::from(area.height.saturating_sub(1));
    let last = state.events.len().saturating_sub(state.back);
    let today = local_day(&Timestamp::now().to_string(), &state.zone);
    let shown = state
        .events
        .iter()
        .take(last)
        .skip(last.saturating_sub(room));
    lines.extend(shown.map(|event| {
        let style = if event.is_bad {
            theme.bad()
        } else {
            Style::new()
        };
        let times = if event.times > 1 {
            format!(" ({} times)", event.times)
        } else {
            String::new()
        };
        let at = when(&event.time, &today, &state.zone);
        let (at, words) = (
            Span::styled(format!("{at} "), Theme::dim()),
            Span::styled(event.words.clone(), style),
        );
        Line::from(vec![at, words, Span::styled(times, Theme::dim())])
    }));
    if state.events.is_empty() {
        lines.push(Line::styled("nothing since this began", Theme::dim()));
    }
    lines
}

fn reach_lines(reach: &Reach, theme: Theme, area: Rect) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled("WHO REACHES WHOM", Theme::heading())];
    match reach {
        Reach::Asking => lines.push(Line::styled("asking all members …", Theme::dim())),
        Reach::Told(rows) => {
            let told = reach::lines(rows, usize::from(area.width)).into_iter();
            lines.extend(told.map(Line::raw));
        }
        Reach::Failed(why) => lines.push(Line::styled(why.clone(), theme.bad())),
    }
    let (room, all) = (usize::from(area.height), lines.len());
    if all > room && room > 1 {
        lines.truncate(room - 1);
        lines.push(Line::styled(
            format!("… {} more lines: muster reach", all - lines.len()),
            Theme::dim(),
        ));
    }
    lines
}

/// The time of day, with the day unless that is today.
fn when(at: &str, today: &str, zone: &TimeZone) -> String {
    let (day, time) = (local_day(at, zone), time_of_day(at, zone));
    if day == today {
        time
    } else {
        format!("{day} {time}")
    }
}

fn footer(state: &State) -> Line<'static> {
    let hold = if state.hold {
        "go on (held now)"
    } else {
        "hold"
    };
    let mut words =
        format!(" q quit   space {hold}   r who reaches whom   ↑ ↓ PgUp PgDn End events");
    if state.reach.is_some() {
        words = format!(" q quit   space {hold}   r ask again   e events");
    } else if state.back > 0 {
        words = format!(
            " q quit   space {hold}   {} newer events below   ↓ PgDn End",
            state.back
        );
    }
    Line::styled(words, Theme::bar())
}

#[cfg(test)]
mod tests;
