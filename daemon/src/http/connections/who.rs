//! Who calls: the uid and process behind a connection, the name under which they write, and what
//! they may do.

use crate::host::accounts::{self, ACCOUNTS};
use crate::http::Api;
use crate::http::connections::gate::Conn;
use crate::http::problem::{Kind, Problem, refuses};
use crate::reload::Policy;
use crate::tokens::TokenId;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use crdt::entry::Author;
use names::NodeName;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The far end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A process of this host, on the unix socket.
    Process {
        /// Its user.
        uid: u32,
        /// Its process id; 0 when the kernel does not tell.
        pid: i32,
        /// The user's name, if the host's account file has one.
        user: Option<Arc<str>>,
    },
    /// Somebody on the TCP listener.
    Address(IpAddr),
    /// Somebody there who bears a token.
    Bearer {
        /// The user who made the token.
        uid: u32,
        /// That user's name, if the host's account file has one.
        user: Option<Arc<str>>,
        /// The token.
        token: TokenId,
    },
}

/// Whoever calls is a process of this host: its user, and its pid (0 when the kernel does not tell).
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnThisHost {
    pub(crate) uid: u32,
    pub(crate) pid: i32,
}

/// Whoever calls may change the node and the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin;

refuses! {
    Caller: ;
    OnThisHost: Forbidden;
    Admin: Forbidden;
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Conn::of(&parts.extensions)?.caller())
    }
}

impl<S: Sync> FromRequestParts<S> for OnThisHost {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Conn::of(&parts.extensions)?.caller().on_this_host()
    }
}

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let caller = Conn::of(&parts.extensions)?.caller();
        caller.must_be_admin(&api.policy()).map(|()| Self)
    }
}

/// What tells the programs of one user or address apart, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// A process; 0 when the kernel does not tell.
    Process(i32),
    /// Whoever bears that token.
    Token(TokenId),
    /// Nothing does.
    Unknown,
}

/// What bounds are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    User(u32),
    Address(IpAddr),
}

impl Caller {
    pub(crate) fn owner(&self) -> Owner {
        match self {
            Self::Process { uid, .. } | Self::Bearer { uid, .. } => Owner::User(*uid),
            Self::Address(address) => Owner::Address(*address),
        }
    }

    fn on_this_host(&self) -> Result<OnThisHost, Problem> {
        match self {
            Self::Process { uid, pid, .. } => Ok(OnThisHost {
                uid: *uid,
                pid: *pid,
            }),
            Self::Bearer { .. } | Self::Address(_) => Err(Problem::new(
                Kind::Forbidden,
                "only programs of this host may do this, on the \
                    node's unix socket",
            )),
        }
    }

    /// The program, to tell apart those of one user.
    pub(crate) fn program(&self) -> Program {
        match self {
            Self::Process { pid, .. } => Program::Process(*pid),
            Self::Bearer { token, .. } => Program::Token(*token),
            Self::Address(_) => Program::Unknown,
        }
    }

    /// As changes and entries name their author: `alice@node1`, `uid:1000@node1`, `http@node1`.
    pub(crate) fn author(&self, node: &NodeName) -> Author {
        Author(match self {
            Self::Process {
                user: Some(user), ..
            }
            | Self::Bearer {
                user: Some(user), ..
            } => format!("{user}@{node}"),
            Self::Process { uid, .. } | Self::Bearer { uid, .. } => format!("uid:{uid}@{node}"),
            Self::Address(_) => format!("http@{node}"),
        })
    }

    /// Refuses callers that may not change the node or the cluster. A token never makes an
    /// administrator.
    pub(crate) fn must_be_admin(&self, policy: &Policy) -> Result<(), Problem> {
        let named = |uid: &u32, user: &Option<Arc<str>>| {
            policy
                .admins
                .iter()
                .any(|admin| user.as_deref() == Some(admin.as_str()) || *admin == uid.to_string())
        };
        match self {
            Self::Process { uid, user, .. } if is_operator(*uid) || named(uid, user) => Ok(()),
            Self::Process { .. } | Self::Bearer { .. } | Self::Address(_) => Err(Problem::new(
                Kind::Forbidden,
                "only root, the daemon's own user and those in \
                    [api] admins may do this",
            )),
        }
    }

    /// Refuses all but root and the daemon's own user.
    pub(crate) fn must_be_operator(&self) -> Result<(), Problem> {
        match self {
            Self::Process { uid, .. } if is_operator(*uid) => Ok(()),
            Self::Process { .. } | Self::Bearer { .. } | Self::Address(_) => Err(Problem::new(
                Kind::Forbidden,
                "only root and the daemon's own user may do \
                    this",
            )),
        }
    }
}

fn is_operator(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// The names of the host's users, as its account file tells.
///
/// The file is read rather than the C library asked: `getpwuid` loads modules that may ask a
/// directory server over the network and block for seconds, and needs unsafe code. Users known only
/// to such a server are named by uid.
#[derive(Debug, Default)]
pub(crate) struct Users {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When the file was last changed, when it was read.
    version: Option<SystemTime>,
    names: BTreeMap<u32, Arc<str>>,
}

impl Users {
    /// A user's name. The file is read again when it has changed.
    pub(crate) fn name(&self, uid: u32) -> Option<Arc<str>> {
        let version = Path::new(ACCOUNTS)
            .metadata()
            .and_then(|file| file.modified())
            .ok();
        let mut known = self.known.lock();
        if known.version != version || version.is_none() {
            known.names = std::fs::read_to_string(ACCOUNTS)
                .map(|text| accounts::parse(&text))
                .unwrap_or_default();
            known.version = version;
        }
        known.names.get(&uid).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, user: Option<&str>) -> Caller {
        Caller::Process {
            uid,
            pid: 1,
            user: user.map(Arc::from),
        }
    }

    fn bearer(uid: u32, user: Option<&str>) -> Caller {
        Caller::Bearer {
            uid,
            user: user.map(Arc::from),
            token: TokenId([1; 8]),
        }
    }

    #[test]
    fn an_author_is_named_by_user_and_node() {
        let node = NodeName::new("node1").unwrap();
        assert_eq!(caller(1000, Some("alice")).author(&node).0, "alice@node1");
        assert_eq!(caller(1000, None).author(&node).0, "uid:1000@node1");
        assert_eq!(
            Caller::Address([127, 0, 0, 1].into()).author(&node).0,
            "http@node1"
        );
        assert_eq!(bearer(1000, Some("alice")).author(&node).0, "alice@node1");
        assert_eq!(bearer(1000, None).author(&node).0, "uid:1000@node1");
    }

    #[test]
    fn admins_are_root_the_daemon_and_those_that_are_configured() {
        let policy = Policy {
            admins: vec!["alice".into(), "4001".into()],
            ..Policy::default()
        };
        let own = rustix::process::geteuid().as_raw();
        for allowed in [
            caller(0, None),
            caller(own, None),
            caller(4000, Some("alice")),
            caller(4001, None),
        ] {
            assert!(allowed.must_be_admin(&policy).is_ok(), "{allowed:?}");
        }
        for refused in [
            caller(4002, Some("bob")),
            caller(4002, None),
            Caller::Address([127, 0, 0, 1].into()),
        ] {
            assert_eq!(
                refused.must_be_admin(&policy).unwrap_err().status(),
                403,
                "{refused:?}"
            );
        }
        assert!(caller(4000, Some("alice")).must_be_operator().is_err());
    }

    #[test]
    fn a_token_of_root_makes_no_administrator() {
        let policy = Policy {
            admins: vec!["root".into(), "0".into()],
            ..Policy::default()
        };
        let root = bearer(0, Some("root"));
        assert_eq!(root.must_be_admin(&policy).unwrap_err().status(), 403);
        assert_eq!(root.must_be_operator().unwrap_err().status(), 403);
        assert_eq!(root.on_this_host().unwrap_err().status(), 403);
    }
}
