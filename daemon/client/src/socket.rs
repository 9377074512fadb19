//! Which socket to speak to.

use std::path::{Path, PathBuf};

/// The system's daemon listens here.
pub const SYSTEM: &str = "/run/muster/muster.sock";

/// The socket that was chosen, and where else one was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The socket to try.
    pub socket: PathBuf,
    /// All places that were considered, in their order, each with why it was or was not taken.
    pub considered: Vec<String>,
}

/// Chooses the socket: `explicit`, else `$MUSTER_SOCKET`, else the system's where it exists, else
/// the one in `$XDG_RUNTIME_DIR`. `var` reads the environment, `exists` the file system.
pub fn search(
    explicit: Option<&Path>,
    var: impl Fn(&str) -> Option<PathBuf>,
    exists: impl Fn(&Path) -> bool,
) -> Search {
    let found = |socket: PathBuf, considered| Search { socket, considered };
    if let Some(socket) = explicit {
        return found(socket.to_path_buf(), vec![socket.display().to_string()]);
    }
    if let Some(socket) = var("MUSTER_SOCKET") {
        let place = format!("{} ($MUSTER_SOCKET)", socket.display());
        return found(socket, vec![place]);
    }
    let system = PathBuf::from(SYSTEM);
    if exists(&system) {
        return found(system, vec![SYSTEM.to_owned()]);
    }
    let considered = [
        "$MUSTER_SOCKET (not set)".to_owned(),
        format!("{SYSTEM} (not there)"),
    ];
    let with = |last: String| considered.iter().cloned().chain([last]).collect();
    match var("XDG_RUNTIME_DIR") {
        Some(dir) => {
            let socket = dir.join("muster.sock");
            let last = with(socket.display().to_string());
            found(socket, last)
        }
        None => found(
            system,
            with(
                "$XDG_RUNTIME_DIR/muster.sock (XDG_RUNTIME_DIR is not \
            set)"
                    .to_owned(),
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(explicit: Option<&str>, vars: &[(&str, &str)], system: bool) -> Search {
        let var = |name: &str| {
            vars.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| PathBuf::from(value))
        };
        search(explicit.map(Path::new), var, |_| system)
    }

    #[test]
    fn the_places_are_searched_in_order() {
        let all = [("MUSTER_SOCKET", "/m"), ("XDG_RUNTIME_DIR", "/x")];
        assert_eq!(choose(Some("/s"), &all, true).socket, Path::new("/s"));
        assert_eq!(choose(None, &all, true).socket, Path::new("/m"));
        assert_eq!(choose(None, &all[1..], true).socket, Path::new(SYSTEM));
        assert_eq!(
            choose(None, &all[1..], false).socket,
            Path::new("/x/muster.sock")
        );
        assert_eq!(choose(None, &[], false).socket, Path::new(SYSTEM));
    }

    #[test]
    fn the_places_tried_can_be_told() {
        assert_eq!(
            choose(None, &[("XDG_RUNTIME_DIR", "/x")], false)
                .considered
                .len(),
            3
        );
        assert_eq!(choose(Some("/s"), &[], true).considered, ["/s"]);
    }
}
