//! The mark of a directory that `muster dev` made, and the nodes it has there.

use super::layout::Layout;
use crate::failure::Failure;
use anyhow::Context;
use names::NodeName;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

/// What `muster-dev.toml` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    /// The nodes in their order.
    pub(super) nodes: Vec<Marked>,
}

/// One node: its name, checked when it is read, as it becomes part of paths, and its port on
/// 127.0.0.1, on UDP for QUIC and on TCP for HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marked {
    pub(super) name: NodeName,
    pub(super) port: u16,
}

impl Marked {
    /// Where it listens, on UDP and on TCP.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

const HEADER: &str = "# Made by `muster dev`: by this file it knows the directory as its own.\n";

impl Mark {
    /// The directory's mark; `None` where there is none.
    pub(super) fn read(layout: &Layout) -> Result<Option<Self>, Failure> {
        let path = layout.mark();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(Failure::Failed(format!(
                    "cannot read {}: {error}",
                    path.display()
                )));
            }
        };
        let mark = toml::from_str(&text).map_err(|error| {
            Failure::Failed(format!(
                "{} is not as muster dev wrote it: \
                {}",
                path.display(),
                error.message().replace('\n', " ")
            ))
        })?;
        Ok(Some(mark))
    }

    /// Replaces the directory's mark, at once or not at all.
    pub(super) fn write(&self, layout: &Layout) -> anyhow::Result<()> {
        let text = format!("{HEADER}\n{}", toml::to_string(self)?);
        let path = layout.mark();
        let new = path.with_extension("new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The node of that name.
    pub(super) fn find(&self, name: &str) -> Result<&Marked, Failure> {
        let found = self.nodes.iter().find(|node| node.name.as_str() == name);
        found.ok_or_else(|| {
            Failure::NotFound(format!(
                "the development cluster has no node \
            {name:?}; it has {}",
                self.names().join(", ")
            ))
        })
    }

    /// The nodes' names.
    pub(super) fn names(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| node.name.to_string())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_names_its_nodes() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_path_buf());
        assert_eq!(Mark::read(&layout).unwrap(), None);
        let mark = Mark {
            nodes: vec![Marked {
                name: NodeName::new("node1").unwrap(),
                port: 20001,
            }],
        };
        mark.write(&layout).unwrap();
        assert_eq!(Mark::read(&layout).unwrap(), Some(mark.clone()));
        assert_eq!(
            mark.find("node1").unwrap().address().to_string(),
            "127.0.0.1:20001"
        );
        assert_eq!(mark.find("node2").unwrap_err().code(), 3);
    }

    #[test]
    fn a_name_that_would_leave_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_path_buf());
        std::fs::write(layout.mark(), "[[nodes]]\nname = \"../x\"\nport = 1\n").unwrap();
        assert_eq!(Mark::read(&layout).unwrap_err().code(), 1);
    }
}
