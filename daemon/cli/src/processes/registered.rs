//! A registered process as the API tells it, and its line.

use crate::table::{Cell, Paint, Table};
use names::Handle;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is shown of a process. A newer daemon may tell more.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Registered {
    pub(crate) handle: String,
    pub(crate) name: String,
    node: String,
    pid: u32,
    uid: u32,
    user: Option<String>,
    exe: Option<String>,
    pub(crate) state: String,
    pub(crate) since: String,
    groups: Vec<String>,
    metadata: BTreeMap<String, String>,
    address: Option<String>,
    others: Vec<String>,
}

impl Registered {
    /// Reads one; what is not as expected is empty.
    pub(crate) fn read(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }

    /// Where it is: a row for the process that has the name, and one for each other that wants it.
    fn places(&self, table: &mut Table) {
        table.row([
            Cell::painted(&self.handle, Paint::Bold),
            self.node.as_str().into(),
            state_cell(&self.state),
            self.address.as_deref().unwrap_or_default().into(),
            self.facts().into(),
        ]);
        for other in &self.others {
            let node = other
                .parse::<Handle>()
                .map(|handle| handle.node.to_string())
                .unwrap_or_default();
            // While one has the name for sure, those who claim it too are out of sight.
            let state = if self.state == "contested" {
                "contested"
            } else {
                "unreachable"
            };
            table.row([
                other.into(),
                node.into(),
                state_cell(state),
                Cell::default(),
                Cell::default(),
            ]);
        }
    }

    fn cells(&self, time: &impl Fn(&str) -> String) -> [Cell; 10] {
        [
            Cell::painted(&self.name, Paint::Bold),
            self.node.as_str().into(),
            self.pid.to_string().into(),
            state_cell(&self.state),
            Cell::painted(&time(&self.since), Paint::Dim),
            self.user
                .clone()
                .unwrap_or_else(|| self.uid.to_string())
                .into(),
            self.groups.join(",").into(),
            self.address.as_deref().unwrap_or_default().into(),
            self.facts().into(),
            Cell::painted(self.exe.as_deref().unwrap_or_default(), Paint::Dim),
        ]
    }

    fn facts(&self) -> String {
        self.metadata
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(",")
    }
}

fn state_cell(state: &str) -> Cell {
    let paint = match state {
        "up" => Paint::Green,
        "unreachable" => Paint::Yellow,
        _ => Paint::Red,
    };
    Cell::painted(state, paint)
}

/// Where one process is: `web@node1#4711.889123  node1  up  port=8080`.
pub(crate) fn places(item: &Value) -> Table {
    let mut table = Table::new(&["HANDLE", "NODE", "STATE", "ADDRESS", "METADATA"])
        .cut(&["METADATA", "ADDRESS"])
        .spare(&["METADATA"]);
    Registered::read(item).places(&mut table);
    table
}

/// Many processes, a line each, by name; `time` writes when they were registered.
pub(crate) fn table(items: &[Value], time: &impl Fn(&str) -> String) -> Table {
    let mut table = Table::new(&[
        "NAME", "NODE", "PID", "STATE", "SINCE", "USER", "GROUPS", "ADDRESS", "METADATA", "EXE",
    ])
    .cut(&["EXE", "METADATA", "GROUPS", "ADDRESS", "NAME"])
    .spare(&["EXE", "METADATA", "GROUPS", "USER", "SINCE"]);
    for item in items {
        table.row(Registered::read(item).cells(time));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Layout;
    use serde_json::json;

    fn web() -> Value {
        json!({
            "handle": "web@node1#4711.889123", "name": "web", "node": "node1", "pid": 4711, "uid": 1000, "user": null,
            "exe": "/usr/bin/py\u{1b}thon3", "state": "contested", "local": true, "since": "2026-10-01T10:01:07Z",
            "groups": ["a", "b"], "metadata": {"port": "8080", "v": "2"}, "address": "10.0.0.1:8080",
            "others": ["web@node3#7.8"], "later": {}
        })
    }

    #[test]
    fn all_who_claim_a_name_are_shown() {
        let plain = places(&web()).render(Layout::Plain);
        assert_eq!(
            plain,
            "web@node1#4711.889123\tnode1\tcontested\t10.0.0.1:8080\tport=8080,v=2\nweb@node3#7.8\tnode3\tcontested\t\t\n"
        );
        let mut healed = web();
        healed["state"] = json!("up");
        assert!(
            places(&healed)
                .render(Layout::Plain)
                .ends_with("\nweb@node3#7.8\tnode3\tunreachable\t\t\n")
        );
    }

    #[test]
    fn a_process_is_one_line_of_ten_fields() {
        let plain = table(&[web()], &str::to_owned).render(Layout::Plain);
        let expected = "web\tnode1\t4711\tcontested\t2026-10-01T10:01:07Z\t1000\ta,b\t10.0.0.1:8080\tport=8080,v=2\t/usr/bin/py\\u{1b}thon3\n";
        assert_eq!(plain, expected);
    }

    #[test]
    fn what_has_only_a_handle_is_still_aligned() {
        let item = json!({"handle": "web@node1#4711.889123", "node": "node1", "state": "up", "metadata": {"port": "8080"}});
        let text = places(&item).render(Layout::Aligned {
            colour: false,
            width: None,
        });
        assert_eq!(
            text,
            "HANDLE                 NODE   STATE  METADATA\nweb@node1#4711.889123  node1  up     port=8080\n"
        );
    }
}
