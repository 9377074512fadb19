//! Lines about registered processes.

use crate::table::{Cell, Paint, Table};
use api::processes::{ProcessState, RegisteredProcess};
use names::Handle;

fn cells(process: &RegisteredProcess, time: &impl Fn(&str) -> String) -> [Cell; 10] {
    let user = process.user.clone();
    [
        Cell::painted(&process.name, Paint::Bold),
        process.node.as_str().into(),
        process.pid.to_string().into(),
        state_cell(&process.state),
        Cell::painted(&time(&process.since.to_string()), Paint::Dim),
        user.unwrap_or_else(|| process.uid.to_string()).into(),
        process.groups.join(",").into(),
        process.address.as_deref().unwrap_or_default().into(),
        facts(process).into(),
        Cell::painted(process.exe.as_deref().unwrap_or_default(), Paint::Dim),
    ]
}

fn facts(process: &RegisteredProcess) -> String {
    let facts = process.metadata.iter();
    facts
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

fn state_cell(state: &ProcessState) -> Cell {
    let paint = match state {
        ProcessState::Up => Paint::Green,
        ProcessState::Unreachable => Paint::Yellow,
        ProcessState::Contested | ProcessState::Other(_) => Paint::Red,
    };
    Cell::painted(state.as_str(), paint)
}

/// Where one process is: `web@node1#4711.889123  node1  up  port=8080`; a row for the one that has
/// the name, and one for each other that wants it.
pub(crate) fn places(process: &RegisteredProcess) -> Table {
    let mut table = Table::new(&["HANDLE", "NODE", "STATE", "ADDRESS", "METADATA"])
        .cut(&["METADATA", "ADDRESS"])
        .spare(&["METADATA"]);
    table.row([
        Cell::painted(&process.handle, Paint::Bold),
        process.node.as_str().into(),
        state_cell(&process.state),
        process.address.as_deref().unwrap_or_default().into(),
        facts(process).into(),
    ]);
    for other in &process.others {
        let handle = other.parse::<Handle>();
        let node = handle.map(|handle| handle.node.to_string());
        // While one has the name for sure, those who claim it too are out of sight.
        let state = if process.state == ProcessState::Contested {
            ProcessState::Contested
        } else {
            ProcessState::Unreachable
        };
        table.row([
            other.into(),
            node.unwrap_or_default().into(),
            state_cell(&state),
            Cell::default(),
            Cell::default(),
        ]);
    }
    table
}

/// Many processes, a line each, by name; `time` writes when they were registered.
pub(crate) fn table(processes: &[RegisteredProcess], time: &impl Fn(&str) -> String) -> Table {
    let mut table = Table::new(&[
        "NAME", "NODE", "PID", "STATE", "SINCE", "USER", "GROUPS", "ADDRESS", "METADATA", "EXE",
    ])
    .cut(&["EXE", "METADATA", "GROUPS", "ADDRESS", "NAME"])
    .spare(&["EXE", "METADATA", "GROUPS", "USER", "SINCE"]);
    for process in processes {
        table.row(cells(process, time));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Layout;
    use serde_json::json;

    fn web() -> RegisteredProcess {
        serde_json::from_value(json!({
            "handle": "web@node1#4711.889123", "name": "web", "node": "node1", "pid": 4711, "uid": 1000, "user": null,
            "exe": "/usr/bin/py\u{1b}thon3", "state": "contested", "local": true, "since": "2026-10-01T10:01:07Z",
            "groups": ["a", "b"], "metadata": {"port": "8080", "v": "2"}, "address": "10.0.0.1:8080",
            "others": ["web@node3#7.8"], "later": {}
        }))
        .unwrap()
    }

    #[test]
    fn all_who_claim_a_name_are_shown() {
        let plain = places(&web()).render(Layout::Plain);
        assert_eq!(
            plain,
            "web@node1#4711.889123\tnode1\tcontested\t10.0.0.1:8080\tport=8080,v=2\nweb@node3#7.8\tnode3\tcontested\t\t\n"
        );
        let mut healed = web();
        healed.state = ProcessState::Up;
        assert!(
            places(&healed)
                .render(Layout::Plain)
                .ends_with("\nweb@node3#7.8\tnode3\tunreachable\t\t\n")
        );
    }

    #[test]
    fn a_process_is_one_line_of_ten_fields() {
        let plain = table(&[web()], &str::to_owned).render(Layout::Plain);
        let expected = "web\tnode1\t4711\tcontested\t2026-10-01T10:01:07.000Z\t1000\ta,b\t10.0.0.1:8080\tport=8080,v=2\t/usr/bin/py\\u{1b}thon3\n";
        assert_eq!(plain, expected);
    }

    #[test]
    fn what_has_no_address_is_still_aligned() {
        let item = RegisteredProcess {
            state: ProcessState::Up,
            address: None,
            others: vec![],
            ..web()
        };
        let text = places(&item).render(Layout::Aligned {
            colour: false,
            width: None,
        });
        assert_eq!(
            text,
            "HANDLE                 NODE   STATE  METADATA\nweb@node1#4711.889123  node1  up     port=8080,v=2\n"
        );
    }
}
