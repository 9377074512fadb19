//! What can be typed about hosts that become nodes.

use clap::{Args, Subcommand, ValueEnum};
use names::Role;
use std::path::PathBuf;

/// `muster init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The node's name, unique in the cluster [default: the host's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The configuration to write or to extend [default: that of musterd]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `muster join`.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// host:port
    #[arg(required = true, value_name = "ADDR")]
    pub(crate) addresses: Vec<String>,
    /// Make this host a node, by a token that "muster invite" has printed; - reads it from standard
    /// input
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// The new node's name, unique in the cluster [default: the host's name]
    #[arg(long, requires = "token")]
    pub(crate) name: Option<String>,
    /// Give the node of this host that name (--name) instead; its id and its data stay
    #[arg(long, requires_all = ["token", "name"])]
    pub(crate) rename: bool,
    /// The configuration to write or to extend [default: that of musterd]
    #[arg(long, value_name = "FILE", requires = "token")]
    pub(crate) config: Option<PathBuf>,
    /// Wait until the daemon is a member, also where something else than systemd starts it
    #[arg(long, requires = "token")]
    pub(crate) wait: bool,
}

/// What a new node can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NodeRole {
    /// Counts in verdicts and majorities
    Member,
    /// Sees all that members see, counts nowhere and changes nothing
    Observer,
}

impl From<NodeRole> for Role {
    fn from(role: NodeRole) -> Self {
        match role {
            NodeRole::Member => Self::Member,
            NodeRole::Observer => Self::Observer,
        }
    }
}

/// `muster invite`.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// How long the token is valid, such as 90s, 10m or 2h [default: 10m]
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: Option<String>,
    /// How many hosts may join by it [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) uses: Option<u32>,
    /// The name that the new node must have
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What the new node becomes [default: member]
    #[arg(long)]
    pub(crate) role: Option<NodeRole>,
    /// What the new node says of itself
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub(crate) tags: Vec<String>,
}

/// `muster authority`.
#[derive(Debug, Subcommand)]
pub(crate) enum Authority {
    /// Have this node's own certificate renewed now
    ///
    /// It does so by itself at two thirds of the certificate's life.
    Renew,
    /// Draft the withdrawal of an authority whose key was stolen
    ///
    /// Writes a file to be signed with the key of the cluster's own authority (muster pki sign), and then
    /// published. Changes nothing.
    Withdraw(Withdraw),
    /// Publish a withdrawal that the cluster's own authority has signed
    ///
    /// What it does not name is good no longer: nodes with other certificates of that authority are shut
    /// out of the cluster at once.
    Publish {
        /// The signed file
        file: PathBuf,
    },
}

/// `muster authority withdraw`.
#[derive(Debug, Args)]
pub(crate) struct Withdraw {
    /// The name of the node that signs with it, or its key
    pub(crate) authority: String,
    /// Why, for all who are told
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// A node whose certificate by it, or revocation by it, is good no longer
    #[arg(long, value_name = "NODE")]
    pub(crate) without: Vec<String>,
    /// Where to write the draft; what is there stays
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}
