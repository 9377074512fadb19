//! How many processes can be watched: one open file each.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the daemon needs beside client connections and watched processes: the store's,
/// sockets, threads' own.
const OWN_FILES: usize = 512;

/// Raises this process's limit of open files as far as it may, and gives how many processes can
/// then be watched beside that many client connections.
pub(crate) fn capacity(connections: usize) -> usize {
    let limit = raise();
    let capacity = limit.saturating_sub(connections).saturating_sub(OWN_FILES);
    if capacity == 0 {
        tracing::warn!(
            limit,
            connections,
            "the limit of open files leaves no room to register \
            processes"
        );
    } else {
        tracing::info!(capacity, limit, "processes can be registered");
    }
    capacity
}

fn raise() -> usize {
    let before = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: before.maximum,
            maximum: before.maximum,
        },
    ) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    // No limit at all is more than anybody needs.
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connections_need_is_not_given_to_processes() {
        let all = capacity(0);
        assert!(all > 0);
        assert_eq!(capacity(100), all - 100);
        assert_eq!(capacity(usize::MAX), 0);
    }
}
