//! Registered processes, their groups and links.

use crate::page::Page;
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

words! {
    /// How a name stands.
    ProcessState {
        /// A process on a reachable node has it.
        Up = "up",
        /// No node of those that have it is reachable.
        Unreachable = "unreachable",
        /// Several reachable ones claim it.
        Contested = "contested",
    }

    /// How long a registration lasts.
    RegistrationLifetime {
        /// As long as the process (the default).
        Process = "process",
        /// Until the connection closes by which it was registered, or the process ends.
        Connection = "connection",
    }

    /// What becomes of a process whose name turns out to belong to an earlier claim.
    ConflictAction {
        /// It is left alone, and takes the name back when the other one goes (the default).
        Notify = "notify",
        /// It is sent SIGTERM, then SIGKILL.
        Terminate = "terminate",
    }
}

/// A registered process.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct RegisteredProcess {
    /// `name@node#pid.start`: this very registration, the same on every node.
    pub handle: String,
    /// The name.
    pub name: String,
    /// The node that it runs on.
    pub node: String,
    /// Its process id there.
    pub pid: u32,
    /// Its user there.
    #[schema(value_type = u64, maximum = 4_294_967_295u64)]
    pub uid: u32,
    /// That user's name; null without.
    #[schema(required = true)]
    pub user: Option<String>,
    /// The executable that its node saw when it was registered; null where the kernel does not
    /// tell. The process may run another one since.
    #[schema(required = true)]
    pub exe: Option<String>,
    /// How the name stands. Where it is contested this one has it, unless the call was about
    /// another one.
    pub state: ProcessState,
    /// Whether it runs on the node that answers.
    pub local: bool,
    /// When it claimed the name.
    #[schema(value_type = String, format = DateTime)]
    pub since: Millis,
    /// The groups that it is in, sorted; as its registrant says.
    pub groups: Vec<String>,
    /// What its registrant says of it.
    pub metadata: BTreeMap<String, String>,
    /// Where it serves, as its registrant says; null if it does not say.
    #[schema(required = true)]
    pub address: Option<String>,
    /// The handles of all others that claim the name, also of those on unreachable nodes, the earliest
    /// claim first.
    pub others: Vec<String>,
}

/// Which processes: those that pass all of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcessesQuery {
    /// Only names that begin so.
    pub prefix: Option<String>,
    /// Only processes of the node of that name.
    pub node: Option<String>,
    /// Only members of that group.
    pub group: Option<String>,
    /// `true` for processes of the node that answers only.
    pub local: Option<bool>,
    /// Some of `up`, `unreachable` and `contested`, with commas between them; all without.
    pub state: Option<String>,
}

/// Which members of a group.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GroupQuery {
    /// `true` for processes of the node that answers only.
    pub local: Option<bool>,
    /// Some of `up`, `unreachable` and `contested`, with commas between them; `up,contested`
    /// without.
    pub state: Option<String>,
}

/// When a link fires.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinkQuery {
    /// Also when the other's node is merely unreachable.
    pub unreachable: Option<bool>,
}

/// How a name is monitored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MonitorQuery {
    /// Also of a name that nobody has yet.
    pub wait: Option<bool>,
}

/// Which processes are scraped.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TargetsQuery {
    /// Only members of that group.
    pub group: Option<String>,
}

/// A page of processes.
pub type RegisteredProcessPage = Page<RegisteredProcess>;

/// What a process is registered with. All of it may be left out, also the whole body.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// A process of this host, of the caller's user unless that is root; the caller's own without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// At most 32 keys `[A-Za-z_][A-Za-z0-9_.-]{0,63}`, each with one line of text of at most 1
    /// KiB; 4 KiB in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// At most 64 names of groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 64)]
    pub groups: Option<Vec<String>>,
    /// How long it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<RegistrationLifetime>,
    /// Where the process serves: `host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What becomes of the process when the name turns out to belong to an earlier claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<ConflictAction>,
    /// Whether somebody will report how the process ends: `POST …/exit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports_exit: Option<bool>,
}

/// How a process ended: one of these.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitReport {
    /// It exited with this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// This signal ended it: 1 to 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 64)]
    pub signal: Option<i32>,
}

/// A group that somebody is in.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProcessGroup {
    /// Its name.
    pub name: String,
    /// How many names are in it, also those of processes on unreachable nodes.
    pub members: u64,
}

/// A page of groups.
pub type ProcessGroupPage = Page<ProcessGroup>;

/// A link of a process.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProcessLink {
    /// The handle of the one whose end it waits for.
    pub other: String,
    /// Whether it also fires when that one's node is merely unreachable.
    pub unreachable: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub since: Millis,
}

/// A page of links.
pub type ProcessLinkPage = Page<ProcessLink>;

/// One process that Prometheus can scrape.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScrapeTarget {
    /// Its `host:port`: one.
    pub targets: Vec<String>,
    /// What is known of it: `__meta_muster_name`, `…_handle`, `…_node`, `…_state`, `…_groups`
    /// (`,eu,web,`), `…_group` (the one that was asked for), `…_metadata_<key>`.
    pub labels: BTreeMap<String, String>,
}
