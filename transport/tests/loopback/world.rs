//! A cluster's authority in a temporary directory, and nodes that it issued.

use pki::Identity;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;
use transport::{DialErrorKind, Endpoint, Event, Events, Patience, Settings};

/// Longer than anything here takes on a busy machine; reaching it fails the test.
const PATIENCE: Duration = Duration::from_secs(20);
/// A number for dials whose number does not matter.
pub(crate) const DIAL: u64 = 77;

pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            dir: TempDir::new().unwrap(),
        };
        pki::init(&world.ca()).unwrap();
        world
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca")
    }

    /// Where a node's files are.
    pub(crate) fn files(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes the files of a member.
    pub(crate) fn issue(&self, name: &str) {
        let who = (name, pki::Role::Member);
        pki::issue(&self.ca(), who, &self.files(name), pki::NODE_LIFE).unwrap();
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        self.issue(name);
        load(&self.files(name))
    }

    pub(crate) fn node(&self, name: &str) -> Node {
        Node::bind(settings(), self.identity(name))
    }
}

pub(crate) fn load(files: &Path) -> Identity {
    Identity::load(
        &files.join("ca.pem"),
        &files.join("node.pem"),
        &files.join("node.key"),
    )
    .unwrap()
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new("127.0.0.1:0".parse().unwrap(), ["muster/1"]);
    settings.duplicate_quiet = Duration::from_millis(200);
    // The first packets of many handshakes at once may take their time here.
    settings.inquiry_limit = Duration::from_secs(10);
    settings.accept_limit = Duration::from_secs(10);
    settings.flush_limit = Duration::from_secs(10);
    settings
}

pub(crate) struct Node {
    pub(crate) id: [u8; 16],
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) urgent: Events,
    pub(crate) bulk: Events,
}

impl Node {
    pub(crate) fn bind(settings: Settings, identity: Identity) -> Self {
        let (id, name) = (identity.id(), identity.name().to_owned());
        let (endpoint, urgent, bulk) = Endpoint::bind(settings, identity).unwrap();
        Self {
            id,
            name,
            endpoint,
            urgent,
            bulk,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.endpoint.local_addr().to_string()
    }

    pub(crate) async fn urgent(&mut self) -> Event {
        soon(self.urgent.next()).await.unwrap()
    }

    pub(crate) async fn bulk(&mut self) -> Event {
        soon(self.bulk.next()).await.unwrap()
    }

    /// The number of the connection that both queues tell next.
    pub(crate) async fn connected(&mut self) -> u64 {
        let (urgent, bulk) = (self.urgent().await, self.bulk().await);
        assert_eq!(urgent, bulk);
        let Event::Connected { conn, .. } = urgent else {
            panic!("{urgent:?}")
        };
        conn
    }

    /// The reason for which both queues tell next that a connection is gone.
    pub(crate) async fn closed(&mut self) -> String {
        let (urgent, bulk) = (self.urgent().await, self.bulk().await);
        assert_eq!(urgent, bulk);
        let Event::Closed { reason, .. } = urgent else {
            panic!("{urgent:?}")
        };
        reason
    }

    /// A dial that must fail.
    pub(crate) async fn fails(
        &mut self,
        target: &str,
        expect: Option<[u8; 16]>,
    ) -> (DialErrorKind, String) {
        self.fails_within(target, expect, Patience::default()).await
    }

    /// A dial that must fail, with its time.
    pub(crate) async fn fails_within(
        &mut self,
        target: &str,
        expect: Option<[u8; 16]>,
        patience: Patience,
    ) -> (DialErrorKind, String) {
        self.endpoint
            .dial(DIAL, target.to_owned(), expect, patience);
        let event = self.urgent().await;
        let Event::DialFailed {
            dial: DIAL,
            kind,
            reason,
        } = event
        else {
            panic!("{event:?}")
        };
        (kind, reason)
    }
}

/// Connects two nodes; the connection's numbers at both.
pub(crate) async fn connect(dialler: &mut Node, acceptor: &mut Node) -> (u64, u64) {
    dialler.endpoint.dial(
        DIAL,
        acceptor.address(),
        Some(acceptor.id),
        Patience::default(),
    );
    (dialler.connected().await, acceptor.connected().await)
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("nothing happened for {PATIENCE:?}"))
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
