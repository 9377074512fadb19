//! What streams carry: server-sent events, each with a name (`event`), mostly an id, and data.

use crate::cluster::{MemberRole, MissingMember, PartitionVerdict};
use crate::lists::TodoEntry;
use crate::page::Snapshot;
use crate::processes::RegisteredProcess;
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

words! {
    /// What something happened to.
    EventKind {
        /// A member of the cluster.
        Member = "member",
        /// A registered process.
        Process = "process",
        /// A to-do list.
        List = "list",
        /// How much of the cluster the node reaches.
        Partition = "partition",
    }

    /// What happened to it.
    EventType {
        /// A host was given a certificate, by an invitation.
        Admitted = "admitted",
        /// A member is new.
        Joined = "joined",
        /// A member did not answer a probe.
        Suspect = "suspect",
        /// A member answers.
        Alive = "alive",
        /// A member does not answer, or a process has ended.
        Down = "down",
        /// A member said that it will be back.
        Restarting = "restarting",
        /// A member was declared away on purpose.
        Away = "away",
        /// A member answers others, and this node has no connection to it.
        Indirect = "indirect",
        /// This node has a connection again to a member that only others reached.
        Direct = "direct",
        /// A member left the cluster.
        Left = "left",
        /// A member was forgotten.
        Forgotten = "forgotten",
        /// A node was shut out for ever.
        Revoked = "revoked",
        /// A list got its first entry.
        Created = "created",
        /// A list has other entries, or the node reaches another part of the cluster.
        Changed = "changed",
        /// A list lost its last entry.
        Deleted = "deleted",
        /// A member has other changes of a list where this node has some: somebody has written a change
        /// that is not his own.
        Forked = "forked",
        /// A member has signed two changes of a list with one number as its own.
        Contradicted = "contradicted",
        /// Changes of a list were moved aside, since another branch of it stays.
        LeftOut = "left_out",
        /// The node reaches all members again.
        Healed = "healed",
        /// A process was registered.
        Up = "up",
        /// The node of a process became unreachable.
        Unreachable = "unreachable",
        /// The node of a process is reachable again, or a member is away on purpose no longer.
        Back = "back",
        /// Another process claims the name.
        Contested = "contested",
        /// The name belongs to another process.
        Lost = "lost",
    }
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Some of member,process,list,partition; all without.
    pub kinds: Option<String>,
    /// Only of the member, process or list of that name.
    pub name: Option<String>,
    /// What is kept from then on comes first: a time such as `2026-03-01T17:00:00Z`, or how long ago,
    /// such as `8h`.
    pub since: Option<String>,
    /// The stream ends with what happened until then; a time, or how long ago: `0s` is now.
    pub until: Option<String>,
    /// So many of the newest of these events that are kept come first, 1 to 1,000.
    pub last: Option<u32>,
}

/// Something that happened in the cluster. Which of the further fields it has follows from its kind
/// and type.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ClusterEvent {
    /// When, by the clock of the node that tells it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
    /// What it happened to.
    pub kind: EventKind,
    /// What happened to it.
    #[serde(rename = "type")]
    pub what: EventType,
    /// Which member, process or list; of a partition the verdict.
    pub name: String,
    /// More about it.
    #[serde(flatten)]
    pub more: EventDetails,
}

/// What an event says beside its kind, type and name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EventDetails {
    /// The id of a member or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// Of a member: why, in words. Of a list that is forked: who has what; of one from which
    /// changes were moved aside: how many, and the hashes of those that clients of this node made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// Of a member: what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub role: Option<MemberRole>,
    /// Of a list: how many entries it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<u64>,
    /// Of a list: how many of them are not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub open: Option<u64>,
    /// Of a partition: what the verdict was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<PartitionVerdict>,
    /// Of a partition: what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub verdict: Option<PartitionVerdict>,
    /// Of a partition: who is not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub missing: Option<MissingMembers>,
    /// Of a partition: the id of the report of this heal, if one is being written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub heal: Option<String>,
    /// Of a process.
    #[serde(flatten)]
    pub process: ProcessDetails,
}

/// Who is not reached: names in events, with times where a stream begins.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum MissingMembers {
    /// In what happens.
    Names(Vec<String>),
    /// In a snapshot.
    Members(Vec<MissingMember>),
}

/// What an event says of a process.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProcessDetails {
    /// Which registration: `name@node#pid.start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handle: Option<String>,
    /// The node that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<String>,
    /// Of `down`: `exited code=1`, `killed signal=9`, `exited`, `unregistered`, `left` or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// The code that it exited with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub signal: Option<i32>,
    /// Of `contested` and `lost`: the other one's handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub other: Option<String>,
}

/// Something that happened to a process, as a monitor is told: its type is the event's name.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProcessEvent {
    /// When, by the clock of the node that tells it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
    /// What is said of the process.
    #[serde(flatten)]
    pub process: ProcessDetails,
}

/// An entry that was added or changed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EntryEvent {
    /// As it is now.
    pub entry: TodoEntry,
}

/// An entry that is gone.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EntryRemoved {
    /// Its id.
    pub id: String,
}

/// An event whose name says it all.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct NoDetails {}

/// The cluster as it is.
pub type ClusterEventSnapshot = Snapshot<ClusterEvent>;

/// A list as it is.
pub type TodoEntrySnapshot = Snapshot<TodoEntry>;

/// Who has a name.
pub type RegisteredProcessSnapshot = Snapshot<RegisteredProcess>;

/// What `/v1/events` sends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
pub enum ClusterStreamEvent {
    /// The cluster as it is, each thing in it written as if it had just happened.
    Snapshot(ClusterEventSnapshot),
    /// Something happened. These events have no name, which means `message`.
    Message(Box<ClusterEvent>),
    /// The reader was too slow; the stream ends.
    Lagged(NoDetails),
}

/// What `/v1/lists/{list}/watch` sends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
pub enum ListStreamEvent {
    /// The list as it is.
    Snapshot(TodoEntrySnapshot),
    /// An entry was added.
    Added(Box<EntryEvent>),
    /// An entry was changed.
    Changed(Box<EntryEvent>),
    /// An entry is gone.
    Removed(EntryRemoved),
    /// The last entry is gone, and with it the list.
    Deleted(NoDetails),
    /// The reader was too slow; the stream ends.
    Lagged(NoDetails),
}

/// What `/v1/processes/{name}/monitor` sends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
pub enum ProcessStreamEvent {
    /// The process that has the name, or none.
    Snapshot(RegisteredProcessSnapshot),
    /// A process was registered.
    Up(ProcessEvent),
    /// It has ended.
    Down(ProcessEvent),
    /// Its node became unreachable.
    Unreachable(ProcessEvent),
    /// Its node is reachable again.
    Back(ProcessEvent),
    /// Another process claims the name.
    Contested(ProcessEvent),
    /// The name belongs to another process.
    Lost(ProcessEvent),
    /// The reader was too slow; the stream ends.
    Lagged(NoDetails),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_has_only_what_its_kind_says() {
        let event = ClusterEvent {
            at: Millis(0),
            kind: EventKind::Process,
            what: EventType::Down,
            name: "web".into(),
            more: EventDetails {
                process: ProcessDetails {
                    reason: Some("exited code=3".into()),
                    code: Some(3),
                    ..ProcessDetails::default()
                },
                ..EventDetails::default()
            },
        };
        let written = json!({
            "at": "1970-01-01T00:00:00.000Z", "kind": "process", "type": "down", "name": "web",
            "reason": "exited code=3", "code": 3,
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), written);
        assert_eq!(
            serde_json::from_value::<ClusterEvent>(written).unwrap(),
            event
        );
    }

    #[test]
    fn an_event_of_a_kind_that_is_not_known_is_read() {
        let newer = json!({
            "at": "2027-01-01T00:00:00.000Z", "kind": "run", "type": "started", "name": "backup",
            "host": "n1",
        });
        let event: ClusterEvent = serde_json::from_value(newer).unwrap();
        assert_eq!(
            (event.kind.as_str(), event.what.as_str()),
            ("run", "started")
        );
    }

    #[test]
    fn a_stream_is_read_by_the_names_of_its_events() {
        let removed = json!({ "event": "removed", "data": { "id": "x" } });
        assert_eq!(
            serde_json::from_value::<ListStreamEvent>(removed).unwrap(),
            ListStreamEvent::Removed(EntryRemoved { id: "x".into() })
        );
    }
}
