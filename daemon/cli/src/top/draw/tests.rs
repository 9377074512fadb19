use super::super::feed::{Polled, Update};
use super::super::state::Scroll;
use super::*;
use crate::cluster::events::sample as event;
use crate::cluster::sample as member;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};
use std::time::Instant;

fn polled(members: Vec<ClusterMember>, attention: Value) -> Polled {
    let status = json!({
        "node": {
            "id": "0", "name": "node1", "address": "127.0.0.1:1", "http": null, "pid": 1, "version": "0.1.0",
            "protocol": 1, "role": "member", "started_at": "2026-01-01T00:00:00Z", "cluster": "0",
        },
        "partition": {
            "verdict": "majority", "expected": 3, "reachable": 2, "missing": [], "since": "2026-01-01T00:00:00Z",
        },
        "members": { "alive": 2, "suspect": 0, "down": 1, "restarting": 0, "left": 0 },
        "lists": {
            "known": 3, "differing": 1, "lag_ms": 72_000.0, "quarantined": 0,
            "lagging": [{ "name": "groceries", "member": "node2", "lag_ms": 72_000.0 }],
        },
        "store": { "writable": true, "disk_bytes": 1, "free_bytes": 1u64 << 30, "size_bytes": 4u64 << 30, "sync_p99_ms": 1.25 },
        "processes": { "local": 1, "names": 2, "contested": 0, "capacity": 9 },
        "certificates": [], "attention": attention,
    });
    Polled {
        at: Instant::now(),
        status: serde_json::from_value(status).unwrap(),
        members,
        processes: Vec::new(),
        metrics: String::new(),
    }
}

fn state() -> State {
    let attention = json!([{ "severity": "warning", "what": "node3 is down", "do": "look" }]);
    State::new(
        TimeZone::UTC,
        polled(
            vec![
                member("node2", "alive", false),
                member("node3", "down", false),
            ],
            attention,
        ),
    )
}

fn screen(state: &State, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw(frame, state, Theme::new(false)))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y: u16| {
        (0..width)
            .filter_map(|x| buffer.cell((x, y)))
            .map(|cell| cell.symbol().to_owned())
            .collect::<String>()
    };
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

#[test]
fn all_is_on_a_screen_of_80_by_24() {
    let mut state = state();
    let down = event(json!({ "kind": "member", "type": "down", "name": "node3" }));
    state.take(Update::Happened(Box::new(down)));
    let screen = screen(&state, 80, 24);
    for expected in [
        "muster top   node1 (0.1.0)",
        "majority: 2 of 3 members",
        "disk 1.0 GiB free (25 %)   sync 1.2 ms",
        "warning: node3 is down",
        "groceries",
        "72 s  from node2",
        "2026-01-01 10:00:00 node3 is down",
        "q quit",
    ] {
        assert!(
            screen.iter().any(|line| line.contains(expected)),
            "{expected:?} is not in \
            {screen:#?}"
        );
    }
    let at = |words: &str| screen.iter().position(|line| line.starts_with(words));
    assert!(
        at("node3            down") < at("node2            alive"),
        "who is in trouble comes \
        first: {screen:#?}"
    );
}

#[test]
fn more_members_than_fit_are_counted() {
    let members = (0..100)
        .map(|n| member(&format!("node{n}"), "alive", false))
        .collect();
    let state = State::new(TimeZone::UTC, polled(members, json!([])));
    let screen = screen(&state, 80, 24);
    let shown = screen.iter().filter(|line| line.contains("alive")).count();
    assert!(
        screen
            .iter()
            .any(|line| line.starts_with(&format!("… {} more: muster members", 100 - shown))),
        "{screen:#?}"
    );
    assert!(
        screen.iter().any(|line| line == "EVENTS"),
        "there is room for events: {screen:#?}"
    );
}

#[test]
fn a_terminal_that_is_too_small_is_told_so_and_none_panics() {
    assert!(screen(&state(), 59, 24).join(" ").contains("too small"));
    for width in 1..90 {
        for height in 1..30 {
            screen(&state(), width, height);
        }
    }
}

#[test]
fn a_daemon_that_is_gone_is_told_and_what_was_known_stays() {
    let mut state = state();
    state.take(Update::Failed(client::ClientError::Broken(
        "it ended".to_owned(),
    )));
    let gone = screen(&state, 80, 24);
    assert!(
        gone.iter()
            .any(|line| line.contains("does not answer since"))
            && gone.iter().any(|line| line.starts_with("node2")),
        "{gone:#?}"
    );
    state.take(Update::Polled(Box::new(polled(Vec::new(), json!([])))));
    let back = screen(&state, 80, 24);
    assert!(
        back.iter()
            .any(|line| line.ends_with("the daemon answers again")),
        "{back:#?}"
    );
}

#[test]
fn old_events_stay_in_sight_while_new_ones_come() {
    let mut state = state();
    let happen = |state: &mut State, name: &str| {
        let changed = event(json!({ "kind": "list", "type": "changed", "name": name }));
        state.take(Update::Happened(Box::new(changed)));
    };
    (0..50).for_each(|n| happen(&mut state, &format!("l{n}.")));
    happen(&mut state, "l49.");
    assert!(screen(&state, 80, 24).iter().any(|line| line.ends_with(
        "list l49. was changed (2 \
        times)"
    )));
    state.scroll(Scroll::Older(20));
    let before = screen(&state, 80, 24);
    assert!(
        before.iter().any(|line| line.contains("l29."))
            && !before.iter().any(|line| line.contains("l30.")),
        "{before:#?}"
    );
    happen(&mut state, "l50.");
    assert!(
        screen(&state, 80, 24)
            .iter()
            .any(|line| line.contains("l29."))
    );
    state.scroll(Scroll::Newest);
    state.toggle_hold();
    happen(&mut state, "held");
    assert!(
        !screen(&state, 80, 24)
            .iter()
            .any(|line| line.contains("held was"))
    );
    state.toggle_hold();
    assert!(
        screen(&state, 80, 24)
            .iter()
            .any(|line| line.contains("held was"))
    );
}

#[test]
fn who_reaches_whom_is_shown_in_the_place_of_the_events() {
    let mut state = state();
    let rows = json!([
        { "id": "1", "name": "node1", "silent": null, "links": [{ "name": "node2", "reach": "indirect", "rtt_ms": null }] },
        { "id": "2", "name": "node2", "silent": "no answer", "links": [] },
    ]);
    let rows = || serde_json::from_value(rows.clone()).unwrap();
    state.take(Update::Reach(Ok(rows())));
    let shows = |state: &State, part: &str| screen(state, 80, 30).join("\n").contains(part);
    assert!(shows(&state, "EVENTS"), "nobody has asked");
    assert!(
        state.ask_reach() && !state.ask_reach(),
        "one question at a time"
    );
    assert!(shows(&state, "asking all members"));
    state.take(Update::Reach(Ok(rows())));
    for part in [
        "WHO REACHES WHOM",
        "node1 cannot reach node2, but nobody who was asked does",
        "node2 told nothing: no answer",
        "e events",
    ] {
        assert!(shows(&state, part), "{part}");
    }
    state.reach = None;
    assert!(shows(&state, "EVENTS"));
}
