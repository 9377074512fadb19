//! Where things are in the directory of a development cluster.

use std::path::{Path, PathBuf};

/// The directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    dir: PathBuf,
}

/// The directory of one node.
#[derive(Clone, Debug)]
pub(super) struct NodeLayout {
    dir: PathBuf,
}

impl Layout {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.dir.join("muster-dev.toml")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    pub(super) fn control(&self) -> PathBuf {
        self.dir.join("dev.sock")
    }

    pub(super) fn split(&self) -> PathBuf {
        self.dir.join("split.toml")
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.dir.join("ca")
    }

    pub(super) fn node(&self, name: &str) -> NodeLayout {
        NodeLayout {
            dir: self.dir.join(name),
        }
    }
}

impl NodeLayout {
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("muster.toml")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("muster.sock")
    }

    pub(super) fn pid(&self) -> PathBuf {
        self.dir.join("musterd.pid")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn tls(&self) -> PathBuf {
        self.dir.join("tls")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}
