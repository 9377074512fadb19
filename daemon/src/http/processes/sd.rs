//! `/v1/sd/prometheus`: registered processes as targets of Prometheus (HTTP service discovery).
//!
//! | label | is |
//! | --- | --- |
//! | `__meta_muster_name` | the name |
//! | `__meta_muster_handle` | the handle: another process under the same name has another one |
//! | `__meta_muster_node` | the node that it runs on |
//! | `__meta_muster_node_id` | the id of that node: it stays when the name is given to another one |
//! | `__meta_muster_uid` | whose process it is, by the word of its node; its name, groups, address and metadata are that user's word |
//! | `__meta_muster_state` | `up`; `down` of a process that is expected and has ended within the last hour |
//! | `__meta_muster_groups` | its groups with commas around each, such as `,eu,web,`: `.*,web,.*` matches a whole group |
//! | `__meta_muster_group` | the group that was asked for, if one was |
//! | `__meta_muster_metadata_<key>` | the value of that key, in which what a label's name cannot have became `_` |

use super::filter::Source;
use crate::http::Api;
use crate::http::json;
use crate::http::operations::openapi::Problems;
use crate::http::problem::Problem;
use crate::http::query::{Group, Query};
use api::processes::{ScrapeTarget, TargetsQuery};
use axum::extract::State;
use axum::response::Response;
use names::{NodeId, ProcessName};
use node::cluster::RosterView;
use node::registry::{Found, Holder, ProcessState};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The metadata that makes a target of a process without an address.
const PORT: &str = "port";
/// The state of one that has ended.
const DOWN: &str = "down";

/// The group whose members are asked for; all processes without.
pub(crate) struct Only(Option<ProcessName>);

impl Group for Only {
    type Written = TargetsQuery;

    fn check(written: TargetsQuery) -> Result<Self, Problem> {
        let name = |name: String| ProcessName::new(&name).map_err(Problem::invalid);
        written.group.map(name).transpose().map(Self)
    }
}

/// Targets for Prometheus' `http_sd_configs`: the processes that are `up` and say where they serve; and
/// those that are expected and ended within the last hour, with `__meta_muster_state="down"`, so that they do
/// not vanish in silence. Expected is what `[processes] expect` names, and what ended with failure.
///
/// That is their `address`, or else metadata `port` at the host of their node. An address without a
/// certain host, such as `0.0.0.0:8080`, means that of their node, too.
///
/// Any user may register any free name, group and address: who scrapes with credentials keeps those
/// of users that it trusts by `__meta_muster_uid`.
#[utoipa::path(
    get, path = "/v1/sd/prometheus", tag = "processes", operation_id = "prometheus_sd",
    params(Query<(Only,)>),
    responses((status = 200, description = "All targets, by name", body = Vec<ScrapeTarget>), Problems<Query<(Only,)>>)
)]
pub(crate) async fn targets(
    State(api): State<Api>,
    Query((Only(group),)): Query<(Only,)>,
) -> Result<Response, Problem> {
    let hosts = Hosts::of(&api.service().view());
    let source = group.clone().map_or(Source::All, Source::Group);
    let (mut body, mut after) = (vec![b'['], None);
    loop {
        let slice = api
            .service()
            .processes()
            .read(|directory| source.slice(directory, after.as_ref()));
        for target in slice
            .iter()
            .filter_map(|(name, found)| target_of(name, found, group.as_ref(), &hosts))
        {
            put(&mut body, &target)?;
        }
        // A name may be the last one and its slice full: the next one is empty then.
        let Some((name, _)) = slice.into_iter().next_back() else {
            break;
        };
        after = Some(name);
        tokio::task::yield_now().await;
    }
    let expected = api.service().expected(&api.policy().expected);
    let down = expected.into_iter();
    let down = down.filter_map(|(name, expected)| Some((name, expected.fall?.holder)));
    for (name, holder) in down {
        if let Some(target) = target(&name, (&holder, DOWN), group.as_ref(), &hosts) {
            put(&mut body, &target)?;
        }
    }
    body.push(b']');
    Ok(json::ok(body))
}

fn put(body: &mut Vec<u8>, target: &ScrapeTarget) -> Result<(), Problem> {
    if body.len() > 1 {
        body.push(b',');
    }
    serde_json::to_writer(body, target).map_err(Problem::internal)
}

/// Where the nodes are, as far as that is known.
struct Hosts(BTreeMap<NodeId, IpAddr>);

impl Hosts {
    fn of(view: &RosterView) -> Self {
        let known = view
            .members
            .iter()
            .map(|member| (member.id, member.profile.address.ip()));
        Self(known.filter(|(_, ip)| !ip.is_unspecified()).collect())
    }

    fn at(&self, node: NodeId, port: u16) -> Option<String> {
        self.0
            .get(&node)
            .map(|ip| SocketAddr::new(*ip, port).to_string())
    }
}

/// Nothing for a process that cannot be scraped, or is not what was asked for.
fn target_of(
    name: &ProcessName,
    found: &Found,
    group: Option<&ProcessName>,
    hosts: &Hosts,
) -> Option<ScrapeTarget> {
    if found.state != ProcessState::Up {
        return None;
    }
    let state = super::shown::state(found.state).to_string();
    target(name, (&found.holder, &state), group, hosts)
}

fn target(
    name: &ProcessName,
    (holder, state): (&Holder, &str),
    group: Option<&ProcessName>,
    hosts: &Hosts,
) -> Option<ScrapeTarget> {
    let is_asked_for = group.is_none_or(|group| holder.entry.groups.contains(group));
    if !is_asked_for {
        return None;
    }
    Some(ScrapeTarget {
        targets: vec![address(holder, hosts)?],
        labels: labels(name, (holder, state), group),
    })
}

fn address(holder: &Holder, hosts: &Hosts) -> Option<String> {
    match &holder.entry.address {
        Some(address) => match address.parse::<SocketAddr>() {
            Ok(any) if any.ip().is_unspecified() => hosts.at(holder.owner, any.port()),
            Ok(_) | Err(_) => Some(address.clone()),
        },
        None => {
            let port = holder.entry.metadata.get(PORT)?;
            let is_plain = port.bytes().all(|byte| byte.is_ascii_digit());
            hosts.at(
                holder.owner,
                port.parse().ok().filter(|port| is_plain && *port > 0)?,
            )
        }
    }
}

fn labels(
    name: &ProcessName,
    (holder, state): (&Holder, &str),
    group: Option<&ProcessName>,
) -> BTreeMap<String, String> {
    let groups: String = holder
        .entry
        .groups
        .iter()
        .map(|group| format!("{group},"))
        .collect();
    let groups = if groups.is_empty() {
        groups
    } else {
        format!(",{groups}")
    };
    let fixed = [
        ("name", name.to_string()),
        ("handle", holder.handle(name).to_string()),
        ("node", holder.node.to_string()),
        ("node_id", holder.owner.to_string()),
        ("uid", holder.entry.uid.to_string()),
        ("state", state.to_owned()),
        ("groups", groups),
    ];
    let asked = group.map(|group| ("group", group.to_string()));
    let label = |(label, value)| (format!("__meta_muster_{label}"), value);
    let mut labels: BTreeMap<String, String> = fixed.into_iter().chain(asked).map(label).collect();
    for (key, value) in &holder.entry.metadata {
        // Of two keys that become one, the first counts.
        labels
            .entry(format!("__meta_muster_metadata_{}", sanitized(key)))
            .or_insert_with(|| value.clone());
    }
    labels
}

/// Replaces what the name of a label cannot have.
fn sanitized(key: &str) -> String {
    key.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::registry::{Entry, Process};
    use names::NodeName;
    use std::sync::Arc;

    const NODE: NodeId = NodeId([1; 16]);

    fn name(text: &str) -> ProcessName {
        ProcessName::new(text).unwrap()
    }

    fn found(address: Option<&str>, metadata: &[(&str, &str)], state: ProcessState) -> Found {
        let metadata = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let entry = Entry {
            uid: 0,
            user: None,
            exe: None,
            groups: [name("web"), name("eu")].into(),
            metadata: metadata.collect(),
            address: address.map(str::to_owned),
            claim: 1,
            since_ms: 0,
        };
        let process = Process {
            boot: [0; 16],
            pid: 7,
            start: 8,
        };
        let node = NodeName::new("n1").unwrap();
        Found {
            state,
            holder: Holder {
                owner: NODE,
                node,
                process,
                entry: Arc::new(entry),
                reachable: true,
            },
            others: vec![],
        }
    }

    fn hosts(ip: &str) -> Hosts {
        Hosts(BTreeMap::from([(NODE, ip.parse().unwrap())]))
    }

    fn served(address: Option<&str>, metadata: &[(&str, &str)]) -> Option<String> {
        let found = found(address, metadata, ProcessState::Up);
        target_of(&name("api"), &found, None, &hosts("10.0.0.7"))
            .map(|shown| shown.targets[0].clone())
    }

    #[test]
    fn an_address_goes_before_a_port() {
        assert_eq!(
            served(Some("api.example:80"), &[("port", "9100")]).as_deref(),
            Some("api.example:80")
        );
        assert_eq!(
            served(None, &[("port", "9100")]).as_deref(),
            Some("10.0.0.7:9100")
        );
        assert_eq!(served(None, &[]), None);
        for port in ["0", "65536", "+80", "http", "", "80 "] {
            assert_eq!(served(None, &[("port", port)]), None, "{port}");
        }
    }

    #[test]
    fn an_address_on_all_interfaces_is_one_on_its_node() {
        assert_eq!(
            served(Some("0.0.0.0:8080"), &[]).as_deref(),
            Some("10.0.0.7:8080")
        );
        let found = found(Some("[::]:8080"), &[], ProcessState::Up);
        let shown = |hosts| {
            target_of(&name("api"), &found, None, &hosts).map(|shown| shown.targets[0].clone())
        };
        assert_eq!(shown(hosts("fd00::7")).as_deref(), Some("[fd00::7]:8080"));
        assert_eq!(
            shown(Hosts(BTreeMap::new())),
            None,
            "a node whose address is not known"
        );
    }

    #[test]
    fn only_what_is_up_and_in_the_group_is_a_target() {
        let shown = |state, group: Option<&str>| {
            let found = found(Some("a:1"), &[], state);
            target_of(
                &name("api"),
                &found,
                group.map(name).as_ref(),
                &hosts("10.0.0.7"),
            )
            .is_some()
        };
        assert!(shown(ProcessState::Up, None) && shown(ProcessState::Up, Some("web")));
        assert!(!shown(ProcessState::Up, Some("db")));
        assert!(!shown(ProcessState::Unreachable, None) && !shown(ProcessState::Contested, None));
    }

    #[test]
    fn what_has_ended_is_a_target_that_is_down() {
        let found = found(Some("a:1"), &[], ProcessState::Up);
        let shown = |group: Option<&str>| {
            let group = group.map(name);
            let ended = (&found.holder, DOWN);
            target(&name("api"), ended, group.as_ref(), &hosts("10.0.0.7"))
        };
        let target = shown(Some("web")).unwrap();
        assert_eq!(target.targets, ["a:1"]);
        assert_eq!(target.labels["__meta_muster_state"], "down");
        assert!(shown(Some("db")).is_none());
    }

    #[test]
    fn labels_say_what_is_known() {
        let found = found(
            Some("a:1"),
            &[("team", "deck"), ("a.b", "1"), ("a-b", "2")],
            ProcessState::Up,
        );
        let shown =
            target_of(&name("api"), &found, Some(&name("web")), &hosts("10.0.0.7")).unwrap();
        let expected = serde_json::json!({ "targets": ["a:1"], "labels": {
            "__meta_muster_name": "api", "__meta_muster_handle": "api@n1#7.8", "__meta_muster_node": "n1", "__meta_muster_node_id": "01".repeat(16), "__meta_muster_uid": "0", "__meta_muster_state": "up",
            "__meta_muster_groups": ",eu,web,", "__meta_muster_group": "web",
            "__meta_muster_metadata_team": "deck", "__meta_muster_metadata_a_b": "2",
        } });
        assert_eq!(serde_json::to_value(&shown).unwrap(), expected);
    }
}
