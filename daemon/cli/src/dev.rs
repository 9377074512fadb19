//! `muster dev`: a cluster on this machine, to develop with.
//!
//! Its nodes are child processes: this same program, executed as `muster daemon`. They hold the
//! other end of a pipe as their standard input (`--parent-pipe`) and end in order when it closes,
//! so also when this process is killed with SIGKILL. (`PR_SET_PDEATHSIG` would fire when the
//! *thread* that forked ends.)
//!
//! | in its directory (0700, its user's own) | holds |
//! | --- | --- |
//! | `muster-dev.toml` | the mark: by it the directory is known as ours, and which nodes with which ports it has |
//! | `lock` | held while a cluster runs here |
//! | `dev.sock` | takes orders from `muster dev split` and the like, while a cluster runs here |
//! | `split.toml` | the present split, while a cluster runs here |
//! | `ca/` | the cluster's certificate authority |
//! | `nodeN/` | `muster.toml`, `muster.sock`, `musterd.pid`, `data/`, `tls/`, `log` of a node |

mod child;
pub(crate) mod command;
mod control;
mod fresh;
mod hints;
mod layout;
mod mark;
mod news;
mod order;
mod ports;
mod prepare;
mod ready;
mod split;
mod supervisor;

pub(crate) use control::ask;
pub(crate) use order::Order;

use crate::failure::Failure;
use layout::Layout;
use mark::Mark;
use std::path::{Path, PathBuf};

/// What `muster dev` is to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) dir: PathBuf,
    /// How many nodes; without, as many as there were, or 3.
    pub(crate) nodes: Option<u16>,
    /// Whether to delete what an earlier cluster left there.
    pub(crate) fresh: bool,
}

/// Runs a cluster until it is told to end.
pub(crate) async fn run(plan: Plan) -> Result<(), Failure> {
    let prepared = prepare::prepare(&plan).await?;
    supervisor::run(prepared).await
}

/// The directory of the development cluster: the given one, else `$MUSTER_DEV_DIR`, else
/// `./muster-dev`.
pub(crate) fn directory(given: Option<&Path>) -> PathBuf {
    let variable = || {
        std::env::var_os("MUSTER_DEV_DIR")
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from)
    };
    given
        .map(Path::to_path_buf)
        .or_else(variable)
        .unwrap_or_else(|| PathBuf::from("muster-dev"))
}

/// A node of a development cluster.
#[derive(Clone, Debug)]
pub(crate) struct NodeRef {
    /// Its name.
    pub(crate) name: String,
    /// The cluster's directory.
    pub(crate) dir: PathBuf,
    /// Its socket.
    pub(crate) socket: PathBuf,
}

/// Looks a node up by its name; whether it runs is not asked.
pub(crate) fn node(dir: Option<&Path>, name: &str) -> Result<NodeRef, Failure> {
    let layout = Layout::new(directory(dir));
    let Some(mark) = Mark::read(&layout)? else {
        let dir = layout.dir().display();
        return Err(Failure::Unreachable(format!(
            "there is no development cluster in {dir}; start \
            one with: muster dev"
        )));
    };
    mark.find(name)?;
    Ok(NodeRef {
        name: name.to_owned(),
        socket: layout.node(name).socket(),
        dir: layout.dir().to_path_buf(),
    })
}

/// A development cluster that runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Its nodes' names.
    pub(crate) nodes: Vec<String>,
}

/// The cluster in that directory, if one runs there.
pub(crate) fn running(dir: Option<&Path>) -> Option<Running> {
    let layout = Layout::new(directory(dir));
    std::os::unix::net::UnixStream::connect(layout.control()).ok()?;
    let mark = Mark::read(&layout).ok()??;
    Some(Running {
        dir: layout.dir().to_path_buf(),
        nodes: mark.names(),
    })
}
