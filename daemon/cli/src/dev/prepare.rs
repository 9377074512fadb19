//! The directory of a development cluster, made or found: locked, with certificates, ports and a
//! configuration for each node.

use super::layout::{Layout, NodeLayout};
use super::mark::{Mark, Marked};
use super::split::Split;
use super::{Plan, fresh, ports};
use crate::failure::Failure;
use anyhow::Context;
use names::NodeName;
use pki::PkiError;
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// How many nodes a new cluster gets when nobody says.
const DEFAULT_NODES: u16 = 3;
/// The longest path of a unix socket.
const MAX_SOCKET_BYTES: usize = 107;

/// A directory that is ready, and ours as long as this value lives.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) layout: Layout,
    pub(super) mark: Mark,
    _lock: File,
}

/// Makes the directory ready.
pub(super) async fn prepare(plan: &Plan) -> Result<Prepared, Failure> {
    make_private(&plan.dir)?;
    refuse_shared(&plan.dir)?;
    // Nodes and messages name it by one absolute path, wherever they were started.
    let dir = plan
        .dir
        .canonicalize()
        .with_context(|| format!("cannot use {}", plan.dir.display()))?;
    let layout = Layout::new(dir);
    let found = Mark::read(&layout)?;
    if found.is_none() {
        refuse_foreign(&layout)?;
    }
    let lock = lock(&layout)?;
    // Another one may have been quicker, and be done by now.
    let mut found = Mark::read(&layout)?;
    if let Some(mark) = &found {
        ports::released(&mark.nodes).await?;
        if plan.fresh {
            fresh::delete(&layout, mark)?;
            found = None;
        }
    }
    let mark = enough_nodes(found.unwrap_or_default(), plan, &layout)?;
    Split::forget(&layout)?;
    furnish(&layout, &mark)?;
    Ok(Prepared {
        layout,
        mark,
        _lock: lock,
    })
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))
}

/// Whoever can write to the directory, or owns it, can put other configurations, keys or
/// sockets there.
fn refuse_shared(dir: &Path) -> Result<(), Failure> {
    let about = std::fs::metadata(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let me = rustix::process::geteuid().as_raw();
    let why = if about.uid() != me {
        format!("belongs to uid {}, not to uid {me}", about.uid())
    } else if about.mode() & 0o022 != 0 {
        format!(
            "can be written by others (mode {:04o})",
            about.mode() & 0o7777
        )
    } else {
        return Ok(());
    };
    Err(Failure::Usage(format!(
        "{} {why}: it will hold the keys of the cluster; choose another directory with --dir, or make \
         it yours alone (chmod 700)",
        dir.display()
    )))
}

/// A directory with anything in it that is not marked as ours is left alone.
fn refuse_foreign(layout: &Layout) -> Result<(), Failure> {
    let dir = layout.dir();
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let foreign = entries
        .filter_map(Result::ok)
        .find(|entry| entry.path() != layout.lock());
    match foreign {
        None => Ok(()),
        Some(_) => Err(Failure::Usage(format!(
            "{} is not empty and was not made by muster dev; choose another directory with --dir",
            dir.display()
        ))),
    }
}

fn lock(layout: &Layout) -> Result<File, Failure> {
    let path = layout.lock();
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Conflict(format!(
            "a development cluster runs in {} \
                already",
            layout.dir().display()
        ))),
        Err(TryLockError::Error(error)) => Err(Failure::Failed(format!(
            "cannot lock {}: {error}",
            path.display()
        ))),
    }
}

/// The mark with as many nodes as were asked for; new ones get ports.
fn enough_nodes(mut mark: Mark, plan: &Plan, layout: &Layout) -> Result<Mark, Failure> {
    let there = mark.nodes.len();
    let wanted = plan.nodes.map_or(
        if there == 0 {
            usize::from(DEFAULT_NODES)
        } else {
            there
        },
        usize::from,
    );
    if wanted < there {
        return Err(Failure::Conflict(format!(
            "the cluster in {} has {there} nodes; to begin anew with {wanted}: --fresh",
            layout.dir().display()
        )));
    }
    let taken: Vec<u16> = mark.nodes.iter().map(|node| node.port).collect();
    let ports = ports::choose(wanted - there, &taken, rand::random())?;
    for (port, number) in ports.into_iter().zip(there + 1..) {
        let name = NodeName::new(&format!("node{number}"))
            .map_err(|error| Failure::Failed(error.to_string()))?;
        refuse_long_sockets(&layout.node(name.as_str()))?;
        mark.nodes.push(Marked { name, port });
    }
    if wanted > there {
        mark.write(layout)?;
        // The configurations name all nodes as seeds: they are written anew.
        mark.nodes.iter().for_each(|node| {
            drop(std::fs::remove_file(
                layout.node(node.name.as_str()).config(),
            ))
        });
    }
    Ok(mark)
}

fn refuse_long_sockets(node: &NodeLayout) -> Result<(), Failure> {
    let socket = node.socket();
    let bytes = socket.as_os_str().len();
    if bytes <= MAX_SOCKET_BYTES {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "the socket {} would have a path of {bytes} bytes, but {MAX_SOCKET_BYTES} are allowed; \
            choose a shorter directory with --dir",
        socket.display()
    )))
}

/// Makes whatever is missing; what is there stays, also what its user has changed in a
/// configuration.
fn furnish(layout: &Layout, mark: &Mark) -> anyhow::Result<()> {
    if !layout.ca().join("ca.pem").exists() {
        pki::init(&layout.ca())?;
    }
    for node in &mark.nodes {
        let files = layout.node(node.name.as_str());
        make_private(files.dir())?;
        if !files.tls().join("node.pem").exists() {
            certify(layout, &files, node)?;
        }
        if !files.config().exists() {
            let text = configuration(node, mark);
            std::fs::write(files.config(), text)
                .with_context(|| format!("cannot write {}", files.config().display()))?;
        }
    }
    Ok(())
}

/// A name that was issued by a start that was interrupted keeps its id.
fn certify(layout: &Layout, files: &NodeLayout, node: &Marked) -> Result<(), PkiError> {
    let (ca, out, name) = (layout.ca(), files.tls(), node.name.as_str());
    match pki::issue(&ca, (name, pki::Role::Member), &out, pki::NODE_LIFE) {
        Err(PkiError::Issued { .. }) => pki::renew(&ca, name, &out, pki::NODE_LIFE).map(drop),
        other => other.map(drop),
    }
}

fn configuration(node: &Marked, mark: &Mark) -> String {
    let seeds = mark
        .nodes
        .iter()
        .filter(|other| *other != node)
        .map(|other| format!("\"{}\"", other.address()));
    let (address, seeds) = (node.address(), seeds.collect::<Vec<String>>().join(", "));
    format!(
        "# Made by `muster dev` for {name}. Changes are kept until nodes are added.\n\
         data_dir = \"data\"\n\n\
         [api]\nsocket = \"muster.sock\"\n\n\
         [quic]\nlisten = \"{address}\"\nseeds = [{seeds}]\n\n\
         [tls]\nca = \"tls/ca.pem\"\ncert = \"tls/node.pem\"\nkey = \"tls/node.key\"\n\n\
         [http]\nlisten = \"{address}\"\nopen = true\n",
        name = node.name,
    )
}

#[cfg(test)]
mod tests;
