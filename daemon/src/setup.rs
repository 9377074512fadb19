//! Making a host a node: the first one of a cluster (`muster init`), or a further one (`muster join`
//! with a token); and giving a node another name (`--rename`), which replaces its certificate only. No daemon runs meanwhile. Whatever fails leaves nothing behind,
//! and only one attempt at a time works in a data directory, which it locks (flock).
//!
//! | made | where | whose |
//! | --- | --- | --- |
//! | the node's key, certificate and authorities | `tls/` in the data directory | the daemon's user |
//! | the key that signs for others (`init` only) | `authority/` in the data directory | the daemon's user |
//! | the cluster's authority (`init` only) | `ca/` beside the configuration | root |
//! | `[tls]`, and what else the node needs to know | the configuration; what stands there stays | root |

mod join;
mod leftovers;
mod owner;
mod place;

pub(crate) use join::{join, rename};

use crate::authority::LIFE;
use cli::{Founded, Placing, SetupError};
use leftovers::Leftovers;
use names::NodeId;
use place::{Making, Place};

/// Why something could not be made, in words.
fn failed(error: impl std::fmt::Display) -> SetupError {
    SetupError::Failed(error.to_string())
}

/// Makes this host the first node of a new cluster.
///
/// # Errors
/// It is a node already, or something cannot be made; then nothing was.
pub(crate) fn init(placing: &Placing) -> Result<Founded, SetupError> {
    let name = place::node_name(placing.name.as_deref())?;
    let mut made = Leftovers::default();
    let place = Place::begin(placing, Making::First, &mut made)?;
    let ca = place.authority_of_cluster();
    made.note(&ca);
    let cluster = pki::init(&ca).map_err(failed)?.cluster;
    made.note(&place.authority());
    let signer = pki::delegate(&ca, name.as_str(), &place.authority(), pki::SIGNER_LIFE);
    signer.map_err(failed)?;
    made.note(&place.tls());
    let issued =
        pki::issue(&ca, (name.as_str(), pki::Role::Member), &place.tls(), LIFE).map_err(failed)?;
    place.hand_over()?;
    place.configure(&[], &[])?;
    made.keep();
    Ok(Founded {
        name: name.to_string(),
        id: NodeId(issued.id).to_string(),
        cluster: NodeId(cluster).to_string(),
        config: place.config.clone(),
        is_default: place.is_default,
        key: place.tls().join("node.key"),
        socket: place.socket()?,
        authority_key: ca.join("ca.key"),
    })
}
