//! What can be typed about certificates.

use super::NodeRole;
use clap::Subcommand;
use std::path::PathBuf;

/// `muster pki`.
#[derive(Debug, Subcommand)]
pub(crate) enum Pki {
    /// Make a new cluster's certificate authority
    Init {
        /// Where to keep it
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
    },
    /// Make a new authority of the same cluster, before the old one expires
    ///
    /// ca.pem then holds both. Bring it to all nodes and reload them; only then renew their
    /// certificates, and end the trust in the old one by muster pki retire.
    Rotate {
        /// Where the certificate authority is
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
    },
    /// End the trust in the authorities that were replaced
    ///
    /// ca.pem keeps them as former ones: nobody gets in by them, but nodes that join later can still
    /// check who wrote what to lists. Bring it to all nodes and reload them, once all have new
    /// certificates.
    Retire {
        /// Where the certificate authority is
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
        /// Also if nodes that have no new certificate, as far as DIR knows, are shut out
        #[arg(long)]
        force: bool,
    },
    /// Make or renew the key with which a node signs for hosts that join
    ///
    /// Bring the directory to that node as authority/ in its data directory, for the daemon's user only.
    /// To renew it, give the directory with the key that is there already: it stays.
    Authority {
        /// The name of the node that will sign
        name: String,
        /// Where the certificate authority is
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
        /// Where to write authority.pem and authority.key
        #[arg(long, value_name = "DIR", default_value = "authority")]
        out: PathBuf,
        /// For how many days it is valid; it never outlives the certificate authority
        #[arg(long, value_name = "DAYS", default_value_t = 1825, value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
    },
    /// Sign the withdrawal of an authority with the key of the cluster's own
    ///
    /// Shows what the file of muster authority withdraw says, and signs it. Publish it by muster
    /// authority publish.
    Sign {
        /// The draft
        file: PathBuf,
        /// Where the certificate authority is
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
        /// Where to write the signed statement [default: in the place of the draft]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show whom an authority has given certificates, and who is revoked
    ///
    /// The node of this host knows who is revoked; without one it is not known.
    List {
        /// Where the authority is: that of the cluster, or authority/ in the data directory of a node
        /// that signs
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
    },
    /// Make a node's certificate and key
    Issue {
        /// The node's name, unique in the cluster
        name: String,
        /// Where the certificate authority is
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
        /// Where to write ca.pem, node.pem and node.key [default: ./NAME]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Issue a new certificate for a node that has one; it keeps its id
        #[arg(long)]
        renew: bool,
        /// Issue a certificate for the node that was issued under this name; it keeps its id and its
        /// data under the new one
        #[arg(long, value_name = "OLD", conflicts_with = "renew")]
        rename: Option<String>,
        /// What the node is; one that has a certificate keeps it [default: member]
        #[arg(long, conflicts_with_all = ["renew", "rename"])]
        role: Option<NodeRole>,
        /// For how many days it is valid; it never outlives its authority
        #[arg(long, value_name = "DAYS", default_value_t = 730, value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
    },
}
