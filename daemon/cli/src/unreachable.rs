//! Why no daemon answers, and what the user can do about it.

use crate::dev;
use client::{SYSTEM, Search};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where packages put the unit.
const UNITS: [&str; 2] = [
    "/usr/lib/systemd/system/muster.service",
    "/etc/systemd/system/muster.service",
];

/// The whole story: what was refused where, which other places were considered, and hints.
pub(crate) fn explain(search: &Search, node: Option<&dev::NodeRef>, error: &Error) -> String {
    if let Some(node) = node {
        return of_node(node, error);
    }
    let is_refused = error.kind() == ErrorKind::PermissionDenied;
    let is_installed = UNITS.iter().any(|unit| Path::new(unit).exists());
    let mut lines = vec![if is_refused {
        refused(&search.socket)
    } else {
        format!(
            "no daemon answers at {}: {}",
            search.socket.display(),
            reason(error)
        )
    }];
    if search.considered.len() > 1 {
        lines.push("places tried:".to_owned());
        lines.extend(search.considered.iter().map(|place| format!("  {place}")));
    }
    if search.socket == Path::new(SYSTEM) && is_installed {
        lines.push(
            "why the service of this host does not answer: systemctl status \
            muster"
                .to_owned(),
        );
    }
    lines.extend(match dev::running(None) {
        Some(cluster) => {
            let first = cluster.nodes.first().map_or("node1", String::as_str);
            Some(format!(
                "a development cluster runs in {}: to ask one of its nodes, use --node {first}",
                cluster.dir.display()
            ))
        }
        // The daemon is there.
        None if is_refused => None,
        None => Some(how_to_start(is_installed).to_owned()),
    });
    lines.join("\n")
}

/// What starts a daemon on this host.
fn how_to_start(is_installed: bool) -> &'static str {
    if is_installed {
        "to start the daemon of this host: systemctl start muster"
    } else {
        "to start a daemon: musterd (man musterd); to try things out: muster dev runs a cluster on \
            this machine"
    }
}

fn of_node(node: &dev::NodeRef, error: &Error) -> String {
    let (name, dir) = (&node.name, node.dir.display());
    if dev::running(Some(&node.dir)).is_none() {
        return format!("the development cluster in {dir} does not run; start it with: muster dev");
    }
    format!(
        "{name} of the development cluster in {dir} does not answer ({}); if it was killed: \
        muster dev start {name}",
        reason(error)
    )
}

fn reason(error: &Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        return "there is no such socket".to_owned();
    }
    if kind == ErrorKind::ConnectionRefused {
        "nobody listens there (any \
        more)"
            .to_owned()
    } else {
        error.to_string()
    }
}

/// The socket may be used by a group: which one is what the user needs to know.
fn refused(socket: &Path) -> String {
    let group = std::fs::metadata(socket).ok().map(|socket| socket.gid());
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = group.map(|gid| group_name(&groups, gid).unwrap_or_else(|| gid.to_string()));
    match name {
        Some(name) => format!(
            "permission to use {} is refused: it is for members of the group \
            {name}",
            socket.display()
        ),
        None => {
            format!(
                "permission to use {} is refused: ask its owner to add you to the group of \
                musterd, usually muster",
                socket.display()
            )
        }
    }
}

/// The name of a group in the text of `/etc/group`.
fn group_name(groups: &str, gid: u32) -> Option<String> {
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    };
    groups.lines().find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_number() {
        let groups = "root:x:0:\n# comment\nmuster:x:990:alice,bob\n";
        assert_eq!(group_name(groups, 990).as_deref(), Some("muster"));
        assert_eq!(group_name(groups, 99), None);
    }

    #[test]
    fn a_refused_socket_names_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let search = Search {
            socket: dir.path().to_path_buf(),
            considered: vec![String::new()],
        };
        let words = explain(&search, None, &Error::from(ErrorKind::PermissionDenied));
        assert!(words.contains("is for members of the group "), "{words}");
    }

    #[test]
    fn the_places_that_were_tried_are_listed() {
        let search = Search {
            socket: "/x/s".into(),
            considered: vec!["/a (not there)".to_owned(), "/x/s".to_owned()],
        };
        let words = explain(&search, None, &Error::from(ErrorKind::ConnectionRefused));
        assert!(
            words.starts_with(
                "no daemon answers at /x/s: nobody listens there (any more)\nplaces \
                tried:\n  /a (not there)\n  /x/s\nto start "
            ),
            "{words}"
        );
    }
}
