//! One node: what it is, how it does, what it logs, and what its administrators ask of it.

use crate::cluster::{MemberRole, PartitionView};
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// How much something that needs attention matters.
    AttentionSeverity {
        /// Something does not work now, or is about to stop.
        Critical = "critical",
        /// It works, but not for ever, or not as it should.
        Warning = "warning",
    }

    /// Which certificate.
    CertificateKind {
        /// The node's own.
        Node = "node",
        /// Of the authorities in use the one that expires last.
        Authority = "authority",
        /// That of the TCP listener, where it speaks TLS.
        Http = "http",
    }

    /// How bad a finding is.
    FindingLevel {
        /// As it should be.
        Good = "good",
        /// It works, but not for ever, or not as it should.
        Warning = "warning",
        /// It does not work now, or is about to stop.
        Critical = "critical",
    }

    /// A part of the daemon that can be held up on purpose.
    DaemonPart {
        /// Membership and the registry of processes.
        Cluster = "cluster",
        /// The machine that holds documents, one for each shard.
        Lists = "lists",
        /// The disk.
        Store = "store",
        /// This API.
        Api = "api",
    }
}

/// A node.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct NodeInfo {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where its peers reach it (QUIC).
    pub address: String,
    /// Where its TCP listener is; null without.
    #[schema(required = true)]
    pub http: Option<String>,
    /// The same with the scheme that it speaks, `http://` or `https://`; null without.
    #[schema(required = true)]
    pub http_url: Option<String>,
    /// Its process id.
    pub pid: u32,
    /// The version of its program.
    pub version: String,
    /// The version of the protocol between nodes.
    pub protocol: u32,
    /// Its role.
    pub role: MemberRole,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Millis,
    /// The id of its cluster: 32 hexadecimal digits.
    pub cluster: String,
}

/// A node on one page.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct NodeStatus {
    /// This node.
    pub node: NodeInfo,
    /// How much of the cluster it reaches.
    pub partition: PartitionView,
    /// How many members are in which state, this node among them.
    pub members: MemberCounts,
    /// Its to-do lists.
    pub lists: StatusOfLists,
    /// Registered processes.
    pub processes: StatusOfProcesses,
    /// Where it keeps its data.
    pub store: StatusOfStore,
    /// The certificates in use.
    pub certificates: Vec<CertificateStatus>,
    /// What needs attention, the worst first; empty when all is well.
    pub attention: Vec<Attention>,
    /// Whether the node has come to its cluster: `false` for one that has seeds, was never in a
    /// cluster, and has been answered by nobody.
    #[serde(default = "is_joined")]
    pub joined: bool,
}

/// What is not told by older daemons.
fn is_joined() -> bool {
    true
}

/// Members by state.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MemberCounts {
    /// They answer.
    pub alive: u64,
    /// They did not answer a probe.
    pub suspect: u64,
    /// They do not answer.
    pub down: u64,
    /// They said that they will be back.
    pub restarting: u64,
    /// They do not answer, and were declared away on purpose.
    #[serde(default)]
    pub away: u64,
    /// They said that they leave the cluster; they are not expected.
    pub left: u64,
    /// Observers, which are in none of the other counts, as long as they have not left.
    #[serde(default)]
    pub observers: u64,
}

/// To-do lists.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct StatusOfLists {
    /// How many this node has.
    pub known: u64,
    /// How many of them differed from some connected member's at the last comparison.
    pub differing: u64,
    /// How long the list that is furthest behind has differed from a member's copy, counted while
    /// one of the two made no progress.
    pub lag_ms: f64,
    /// The lists that are behind so, the furthest first; at most 20.
    pub lagging: Vec<LaggingList>,
    /// Where a connected member has other changes than this node, which nobody honest writes: nothing
    /// of such a list is confirmed between the two. At most 20.
    #[serde(default)]
    pub forked: Vec<ForkedList>,
    /// Members which have signed two changes with one number as their own, as this daemon has seen since
    /// it started. At most 20.
    #[serde(default)]
    pub contradicted: Vec<ContradictedList>,
    /// How many cannot be loaded and are in quarantine.
    pub quarantined: u64,
}

/// A list of which two nodes have unlike changes with one number.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ForkedList {
    /// The list's name; null as long as nothing of it is here.
    #[schema(required = true)]
    pub name: Option<String>,
    /// The member that has another change than this node.
    pub member: String,
    /// The actor that both changes say to be of.
    pub actor: String,
    /// The node whose actor that is; null where this node cannot tell.
    #[schema(required = true)]
    pub node: Option<String>,
    /// The number of both changes, or of a later one where that is not known.
    pub change: u64,
}

/// A list in which a member has signed two changes with one number as its own.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ContradictedList {
    /// The list's name, or its id as long as nothing of it is here.
    pub name: String,
    /// The member.
    pub member: String,
}

/// A list that is behind: it still differs from a member's copy.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LaggingList {
    /// The list's name; null as long as nothing of it is here.
    #[schema(required = true)]
    pub name: Option<String>,
    /// The member whose copy differs.
    pub member: String,
    /// For how long.
    pub lag_ms: f64,
}

/// Registered processes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct StatusOfProcesses {
    /// How many names of processes are registered on this node.
    pub local: u64,
    /// How many names there are on all nodes.
    pub names: u64,
    /// How many names several claim.
    pub contested: u64,
    /// How many processes this node can watch.
    pub capacity: u64,
}

/// The disk.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct StatusOfStore {
    /// Whether it takes writes.
    pub writable: bool,
    /// What the database takes.
    pub disk_bytes: u64,
    /// What the file system has left; null where it does not say.
    #[schema(required = true)]
    pub free_bytes: Option<u64>,
    /// The size of the file system; null where it does not say.
    #[schema(required = true)]
    pub size_bytes: Option<u64>,
    /// The time of a sync that half of the latest ones took at most; null before the first.
    #[schema(required = true)]
    pub sync_p50_ms: Option<f64>,
    /// The time that 99 of 100 took at most.
    #[schema(required = true)]
    pub sync_p99_ms: Option<f64>,
}

/// A certificate.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct CertificateStatus {
    /// Whose certificate it is.
    pub which: CertificateKind,
    /// When it expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
}

/// Something that needs attention.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attention {
    /// How much it matters.
    pub severity: AttentionSeverity,
    /// What is the matter, in words.
    pub what: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub remedy: String,
}

/// What came of reading the configuration again.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ReloadResult {
    /// Keys that have changed since the last reload, and whose new values are in force;
    /// `http.tls_cert` also when another certificate lies at the same path.
    pub applied: Vec<String>,
    /// Keys that have changed since the start, and whose new values count only after a restart.
    pub restart: Vec<String>,
    /// When the certificate in force expires: the files of `[tls]` are read again every time.
    #[schema(value_type = String, format = DateTime)]
    pub certificate_expires_at: Millis,
}

/// What came of rebuilding lists.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct RebuildResult {
    /// How many lists were rebuilt.
    pub lists: u64,
}

/// What is to be logged for now.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLogLevel {
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,node=debug`.
    pub level: String,
    /// For how long: a whole number with `ms`, `s`, `m` or `h`, up to `24h`; without it, until it
    /// is changed or the daemon ends.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9]+(ms|s|m|h)$")]
    pub time: Option<String>,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LoggedLevel {
    /// What is logged now.
    pub level: String,
    /// What the configuration says, which is logged again at the end.
    pub configured: String,
    /// When that is, if it was said.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub until: Option<Millis>,
}

/// What the node decided lately: its flight recorder.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct FlightRecording {
    /// The oldest first; about 1 MiB at most.
    pub items: Vec<RecordedDecision>,
}

/// A decision of the last minutes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct RecordedDecision {
    /// When, by this node's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// The part of the program.
    pub target: String,
    /// What, with its fields.
    pub text: String,
}

/// The configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct NodeConfiguration {
    /// Every key, in the order of the manual.
    pub items: Vec<ConfiguredValue>,
}

/// A key and its value.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ConfiguredValue {
    /// Such as `quic.listen`.
    pub key: String,
    /// Its value; of files the path only.
    pub value: String,
}

/// What an examination of a node found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Examination {
    /// Which node was examined.
    pub node: String,
    /// Whether all findings are good.
    pub healthy: bool,
    /// This host first, then each member by name.
    pub items: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What was examined, such as `clock` or `key file`.
    pub check: String,
    /// Whose: a member's name, or `here`.
    pub of: String,
    /// How bad it is.
    pub level: FindingLevel,
    /// What was found, in words.
    pub what: String,
    /// What to do about it; null when it is good.
    #[serde(rename = "do")]
    #[schema(required = true)]
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn good(check: &str, of: &str, what: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            of: of.to_owned(),
            level: FindingLevel::Good,
            what: what.into(),
            remedy: None,
        }
    }

    /// Something that works, but not for ever.
    pub fn warning(
        check: &str,
        of: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: FindingLevel::Warning,
            remedy: Some(remedy.into()),
            ..Self::good(check, of, what)
        }
    }

    /// Something that does not work.
    pub fn critical(
        check: &str,
        of: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: FindingLevel::Critical,
            remedy: Some(remedy.into()),
            ..Self::good(check, of, what)
        }
    }

    /// With a remedy only where it is bad.
    pub fn of_level(
        level: FindingLevel,
        check: &str,
        of: &str,
        what: impl Into<String>,
        remedy: &str,
    ) -> Self {
        let remedy = (level != FindingLevel::Good).then(|| remedy.to_owned());
        Self {
            level,
            remedy,
            ..Self::good(check, of, what)
        }
    }
}

/// The peers that are to be cut off.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InjectedFault {
    /// The addresses of all peers whose packets are dropped in both directions; none heals.
    #[schema(max_items = 1024)]
    pub block: Vec<String>,
}

/// The part of the daemon that is to be held up.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InjectedHang {
    /// Which threads.
    pub part: DaemonPart,
    /// For how long: up to 60000.
    #[schema(maximum = 60_000)]
    pub ms: u64,
}
