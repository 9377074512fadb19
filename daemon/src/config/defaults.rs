//! Where things are when nobody says otherwise.

use super::Surroundings;
use std::path::PathBuf;

/// The UDP port of nodes.
pub(super) const QUIC_PORT: u16 = 6878;
/// Where nodes listen.
pub(super) const QUIC_LISTEN: &str = "[::]:6878";
/// Where metrics are served.
pub(super) const HTTP_LISTEN: &str = "127.0.0.1:6879";
/// How long a linked process may take to end by itself.
pub(super) const KILL_AFTER: &str = "10s";
/// What is logged.
pub(super) const LOG_LEVEL: &str = "info";

/// `data_dir`. Never a directory that others can write, such as `/tmp`.
pub(super) fn data_dir(surroundings: &Surroundings) -> Result<PathBuf, String> {
    if surroundings.root {
        return Ok(PathBuf::from("/var/lib/muster"));
    }
    let state = home(surroundings, "XDG_STATE_HOME", ".local/state");
    state.map(|dir| dir.join("muster")).ok_or_else(|| needs("data_dir", "XDG_STATE_HOME or HOME"))
}

/// `api.socket`.
pub(super) fn socket(surroundings: &Surroundings) -> Result<PathBuf, String> {
    if surroundings.root {
        return Ok(PathBuf::from("/run/muster/muster.sock"));
    }
    surroundings
        .var("XDG_RUNTIME_DIR")
        .map(|dir| PathBuf::from(dir).join("muster.sock"))
        .ok_or_else(|| needs("api.socket", "XDG_RUNTIME_DIR"))
}

/// A file of `[tls]`.
pub(super) fn tls(surroundings: &Surroundings, key: &str, file: &str) -> Result<PathBuf, String> {
    if surroundings.root {
        return Ok(PathBuf::from("/etc/muster/tls").join(file));
    }
    let config = home(surroundings, "XDG_CONFIG_HOME", ".config");
    config.map(|dir| dir.join("muster/tls").join(file)).ok_or_else(|| needs(key, "XDG_CONFIG_HOME or HOME"))
}

fn home(surroundings: &Surroundings, variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = surroundings.var(variable).map(PathBuf::from);
    named.or_else(|| surroundings.var("HOME").map(|home| PathBuf::from(home).join(below_home)))
}

fn needs(key: &str, variables: &str) -> String {
    format!("{key} is not given and has no default here, as this is not root and {variables} is not set: give {key}")
}
