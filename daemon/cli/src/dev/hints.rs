//! What `muster dev` prints at its start: where things are, and what to try.

use super::layout::Layout;
use super::mark::Mark;
use std::path::{Path, PathBuf};

/// All of it. `program` is this program's file; `cwd` and `path` (the directories of `$PATH`) say
/// how to call it.
pub(super) fn text(
    layout: &Layout,
    mark: &Mark,
    program: &Path,
    cwd: &Path,
    path: &[PathBuf],
) -> String {
    let muster = call(program, cwd, path);
    let mut lines = vec![format!(
        "a cluster of {} nodes runs in {}; Ctrl-C ends \
        it",
        mark.nodes.len(),
        layout.dir().display()
    )];
    for node in &mark.nodes {
        let socket = layout.node(node.name.as_str()).socket();
        lines.push(format!(
            "  {}  http://{}  {}",
            node.name,
            node.address(),
            socket.display()
        ));
    }
    lines.push(String::new());
    lines.push("their pages, each with a link of its own:".to_owned());
    for node in &mark.nodes {
        lines.push(format!("  {muster} --node {} web", node.name));
    }
    lines.push(String::new());
    lines.push("try in another terminal:".to_owned());
    if layout.dir() != cwd.join("muster-dev") {
        lines.push(format!(
            "  export MUSTER_DEV_DIR={}",
            quoted(&layout.dir().display().to_string())
        ));
    }
    let (Some(first), Some(last)) = (mark.nodes.first(), mark.nodes.last()) else {
        return lines.join("\n");
    };
    lines.push(format!(
        "  {muster} --node {} add groceries 'oat milk' --due tomorrow",
        first.name
    ));
    lines.push(format!("  {muster} --node {} show groceries", last.name));
    lines.push(format!("  {muster} --node {} members", first.name));
    lines.push(format!(
        "  {muster} --node {} run web --meta port=8080 -- python3 -m http.server \
        8080",
        first.name
    ));
    lines.push(format!("  {muster} --node {} whereis web", last.name));
    lines.push(format!("  {muster} --node {} monitor web", last.name));
    if mark.nodes.len() > 1 {
        lines.push(format!("  {muster} dev split {}", last.name));
        lines.push(format!(
            "  {muster} --node {} add groceries coffee",
            last.name
        ));
        lines.push(format!("  {muster} --node {} partition", last.name));
        lines.push(format!("  {muster} dev heal"));
    }
    lines.push(format!("  {muster} dev kill {}", last.name));
    lines.push(format!("  {muster} dev start {}", last.name));
    lines.push(format!("  curl http://{}/metrics", first.address()));
    lines.join("\n")
}

/// How to call the program from here: by its name where a shell finds it, else by its path.
fn call(program: &Path, cwd: &Path, path: &[PathBuf]) -> String {
    if let Some(name) = program.file_name().and_then(std::ffi::OsStr::to_str) {
        let first = path
            .iter()
            .map(|dir| dir.join(name))
            .find(|file| file.exists());
        if first
            .and_then(|file| file.canonicalize().ok())
            .is_some_and(|file| file == program)
        {
            return name.to_owned();
        }
    }
    let shown = match program.strip_prefix(cwd) {
        Ok(inside) if inside.components().count() == 1 => Path::new(".").join(inside),
        Ok(inside) => inside.to_path_buf(),
        Err(_) => program.to_path_buf(),
    };
    quoted(&shown.display().to_string())
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c));
    if plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::mark::Marked;
    use super::*;
    use names::NodeName;

    #[test]
    fn the_program_is_called_as_it_can_be_found() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(home.join("target/release")).unwrap();
        let program = home.join("target/release/muster");
        std::fs::write(&program, "").unwrap();
        assert_eq!(call(&program, &home, &[]), "target/release/muster");
        assert_eq!(
            call(&program, &home.join("target/release"), &[]),
            "./muster"
        );
        assert_eq!(
            call(&program, Path::new("/elsewhere"), &[]),
            quoted(&program.display().to_string())
        );
        assert_eq!(
            call(&program, &home, &[home.join("target/release")]),
            "muster"
        );
        std::fs::write(home.join("muster"), "another one").unwrap();
        assert_eq!(
            call(
                &program,
                &home,
                &[home.clone(), home.join("target/release")]
            ),
            "target/release/muster"
        );
    }

    #[test]
    fn a_directory_elsewhere_has_to_be_exported() {
        let mark = Mark {
            nodes: vec![Marked {
                name: NodeName::new("node1").unwrap(),
                port: 20_000,
            }],
        };
        let text = |dir: &str| {
            text(
                &Layout::new(dir.into()),
                &mark,
                Path::new("/x/muster"),
                Path::new("/w"),
                &[],
            )
        };
        assert!(
            text("/a b").contains("export MUSTER_DEV_DIR='/a b'\n"),
            "{}",
            text("/a b")
        );
        assert!(!text("/w/muster-dev").contains("export"));
        assert!(
            !text("/a").contains("split"),
            "a single node cannot be split off"
        );
    }
}
