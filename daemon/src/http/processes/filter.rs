//! Which processes a client wants to see, and finding them without keeping the registry waiting.

use super::shown::{self, state};
use crate::http::Api;
use crate::http::page::{PageWriter, Room};
use crate::http::problem::Problem;
use crate::http::query::Group;
use api::processes::ProcessesQuery;
use names::{NodeId, NodeName, ProcessName};
use node::registry::{Directory, Found, ProcessState};

/// How many names are looked at before others get their turn at the directory.
const SLICE: usize = 256;

const STATES: [ProcessState; 3] = [
    ProcessState::Up,
    ProcessState::Unreachable,
    ProcessState::Contested,
];

/// The filters of a call, all of which a process must pass. What is asked of a name with several
/// claims is asked of the one that has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(super) prefix: Option<ProcessName>,
    pub(super) node: Option<NodeName>,
    pub(super) group: Option<ProcessName>,
    /// Whether it runs on this node.
    pub(super) local: Option<bool>,
    /// All without.
    pub(super) states: Option<Vec<ProcessState>>,
}

impl Group for Filter {
    type Written = ProcessesQuery;

    fn check(written: ProcessesQuery) -> Result<Self, Problem> {
        let name = |name: String| ProcessName::new(&name).map_err(Problem::invalid);
        let node = |name: String| NodeName::new(&name).map_err(Problem::invalid);
        Ok(Self {
            prefix: written.prefix.map(name).transpose()?,
            node: written.node.map(node).transpose()?,
            group: written.group.map(name).transpose()?,
            local: written.local.filter(|local| *local),
            states: written.state.as_deref().map(parse_states).transpose()?,
        })
    }
}

impl Filter {
    fn admits(&self, name: &ProcessName, found: &Found, me: NodeId) -> bool {
        let holder = &found.holder;
        self.prefix
            .as_ref()
            .is_none_or(|prefix| name.as_str().starts_with(prefix.as_str()))
            && self.node.as_ref().is_none_or(|node| *node == holder.node)
            && self
                .group
                .as_ref()
                .is_none_or(|group| holder.entry.groups.contains(group))
            && self.local.is_none_or(|local| local == (holder.owner == me))
            && self
                .states
                .as_ref()
                .is_none_or(|states| states.contains(&found.state))
    }

    /// Writes the processes after `after` that pass; `key` is what a cursor holds to begin after
    /// one. Tells whether there is room for more.
    pub(super) async fn scan(
        &self,
        api: &Api,
        source: &Source,
        after: Option<ProcessName>,
        writer: &mut PageWriter,
        key: impl Fn(&ProcessName) -> Vec<u8>,
    ) -> Result<Room, Problem> {
        let (replica, me) = (api.service().processes(), api.service().info().id);
        let mut after = after;
        loop {
            let slice = replica.read(|directory| source.slice(directory, after.as_ref()));
            for (name, found) in slice
                .iter()
                .filter(|(name, found)| self.admits(name, found, me))
            {
                if writer.push(&shown::holder(name, found, me), || key(name))? == Room::Full {
                    return Ok(Room::Full);
                }
            }
            if slice.len() < SLICE {
                return Ok(Room::Left);
            }
            after = slice.into_iter().next_back().map(|(name, _)| name);
            tokio::task::yield_now().await;
        }
    }
}

/// Reads states with commas between them.
pub(super) fn parse_states(text: &str) -> Result<Vec<ProcessState>, Problem> {
    let known = |word: &str| {
        STATES
            .into_iter()
            .find(|known| state(*known).as_str() == word)
    };
    let states: Option<Vec<ProcessState>> = text.split(',').map(known).collect();
    let right = "it must be up, unreachable or contested, or several of them with commas between";
    states.ok_or_else(|| Problem::invalid(format!("\"state\" is {text:?}; {right}")))
}

/// Which names are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    All,
    Prefix(ProcessName),
    Group(ProcessName),
}

impl Source {
    /// Enough to find all that pass.
    pub(super) fn of(filter: &Filter) -> Self {
        match (&filter.group, &filter.prefix) {
            (Some(group), _) => Self::Group(group.clone()),
            (None, Some(prefix)) => Self::Prefix(prefix.clone()),
            (None, None) => Self::All,
        }
    }

    /// Up to [`SLICE`] names after `after`; fewer only at the end.
    pub(super) fn slice(
        &self,
        directory: &Directory,
        after: Option<&ProcessName>,
    ) -> Vec<(ProcessName, Found)> {
        let found = |name: &ProcessName| Some((name.clone(), directory.whereis(name)?));
        match self {
            Self::All => directory
                .names(after)
                .filter_map(found)
                .take(SLICE)
                .collect(),
            Self::Group(group) => directory
                .group(group, after)
                .filter_map(found)
                .take(SLICE)
                .collect(),
            Self::Prefix(prefix) => {
                // The names after the prefix do not have itself among them.
                let itself =
                    Some(prefix).filter(|prefix| after.is_none_or(|after| after < *prefix));
                let names = directory.names(Some(after.map_or(prefix, |after| after.max(prefix))));
                let names = names.take_while(|name| name.as_str().starts_with(prefix.as_str()));
                itself
                    .into_iter()
                    .chain(names)
                    .filter_map(found)
                    .take(SLICE)
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::query::Query;
    use crdt::registry::{Entry, Process};
    use node::registry::Change;
    use std::sync::Arc;

    const ME: NodeId = NodeId([1; 16]);

    fn name(text: &str) -> ProcessName {
        ProcessName::new(text).unwrap()
    }

    fn directory(processes: &[(&str, u8, &str)]) -> Directory {
        let mut directory = Directory::default();
        for owner in [1, 2] {
            let name = NodeName::new(&format!("n{owner}")).unwrap();
            directory.apply(&Change::Node {
                owner: NodeId([owner; 16]),
                name,
                reachable: owner == 1,
            });
        }
        for (text, owner, group) in processes {
            let entry = Entry {
                uid: 0,
                user: None,
                exe: None,
                groups: [name(group)].into(),
                metadata: Default::default(),
                address: None,
                claim: 1,
                since_ms: 0,
            };
            let process = Process {
                boot: [0; 16],
                pid: 7,
                start: 8,
            };
            directory.apply(&Change::Holder {
                name: name(text),
                owner: NodeId([*owner; 16]),
                process,
                entry: Some(Arc::new(entry)),
            });
        }
        directory
    }

    fn read(text: &str) -> Result<Filter, Problem> {
        Query::<(Filter,)>::parse(Some(text)).map(|Query((filter,))| filter)
    }

    fn passing(directory: &Directory, query: &str) -> Vec<String> {
        let filter = read(query).unwrap();
        let slice = Source::of(&filter).slice(directory, None);
        slice
            .iter()
            .filter(|(name, found)| filter.admits(name, found, ME))
            .map(|(name, _)| name.to_string())
            .collect()
    }

    #[test]
    fn all_filters_must_be_passed() {
        let directory = directory(&[
            ("db", 1, "eu"),
            ("web", 1, "eu"),
            ("web:1", 2, "eu"),
            ("web:2", 1, "us"),
            ("x", 2, "us"),
        ]);
        assert_eq!(passing(&directory, "").len(), 5);
        assert_eq!(passing(&directory, "prefix=web"), ["web", "web:1", "web:2"]);
        assert_eq!(passing(&directory, "prefix=web:"), ["web:1", "web:2"]);
        assert_eq!(passing(&directory, "prefix=web&node=n2"), ["web:1"]);
        assert_eq!(passing(&directory, "group=eu&local=true"), ["db", "web"]);
        assert_eq!(
            passing(&directory, "group=eu&prefix=w&local=false"),
            ["web", "web:1"]
        );
        assert_eq!(passing(&directory, "state=unreachable"), ["web:1", "x"]);
        assert_eq!(
            passing(&directory, "state=up,contested&group=us"),
            ["web:2"]
        );
        assert!(passing(&directory, "group=nobody").is_empty());
    }

    #[test]
    fn a_prefix_goes_on_where_it_was() {
        let directory = directory(&[
            ("a", 1, "g"),
            ("web", 1, "g"),
            ("web:1", 1, "g"),
            ("x", 1, "g"),
        ]);
        let after = |after: Option<&str>| {
            let slice = Source::Prefix(name("web")).slice(&directory, after.map(name).as_ref());
            slice
                .into_iter()
                .map(|(name, _)| name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(after(None), ["web", "web:1"]);
        assert_eq!(after(Some("a")), ["web", "web:1"]);
        assert_eq!(after(Some("web")), ["web:1"]);
        assert!(after(Some("x")).is_empty());
    }

    #[test]
    fn what_cannot_be_a_name_or_state_is_refused() {
        for query in [
            "prefix=a+b",
            "group=",
            "node=UP",
            "state=down",
            "state=",
            "local=1",
        ] {
            assert_eq!(read(query).unwrap_err().status(), 422, "{query}");
        }
    }
}
