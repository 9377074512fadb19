use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn plan(dir: &Path, nodes: Option<u16>) -> Plan {
    Plan {
        dir: dir.to_path_buf(),
        nodes,
        fresh: false,
    }
}

async fn refused(plan: &Plan) -> u8 {
    prepare(plan).await.unwrap_err().code()
}

#[tokio::test]
async fn a_new_directory_is_private_and_complete() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("dev");
    let prepared = prepare(&plan(&dir, None)).await.unwrap();
    assert_eq!(prepared.mark.names(), ["node1", "node2", "node3"]);
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let node = prepared.layout.node("node2");
    assert!(node.tls().join("node.key").exists() && prepared.layout.ca().join("ca.pem").exists());
    let file: toml::Table =
        toml::from_str(&std::fs::read_to_string(node.config()).unwrap()).unwrap();
    let address = prepared.mark.nodes[1].address().to_string();
    for (table, key) in [("quic", "listen"), ("http", "listen")] {
        assert_eq!(file[table][key].as_str(), Some(address.as_str()), "{table}");
    }
    assert_eq!(file["quic"]["seeds"].as_array().map(Vec::len), Some(2));
    assert_eq!(file["http"]["open"].as_bool(), Some(true));
}

#[tokio::test]
async fn a_second_start_finds_everything_as_it_was() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("dev");
    let first = prepare(&plan(&dir, Some(2))).await.unwrap();
    assert_eq!(
        refused(&plan(&dir, None)).await,
        4,
        "while the first one runs"
    );
    let key = std::fs::read(first.layout.node("node1").tls().join("node.key")).unwrap();
    let mark = first.mark.clone();
    drop(first);
    let second = prepare(&plan(&dir, None)).await.unwrap();
    assert_eq!(second.mark, mark);
    assert_eq!(
        std::fs::read(second.layout.node("node1").tls().join("node.key")).unwrap(),
        key
    );
}

#[tokio::test]
async fn nodes_can_be_added_and_not_taken_away() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("dev");
    let before = prepare(&plan(&dir, Some(2))).await.unwrap().mark;
    let after = prepare(&plan(&dir, Some(4))).await.unwrap();
    assert_eq!(after.mark.nodes[..2], before.nodes[..]);
    let seeds = std::fs::read_to_string(after.layout.node("node1").config()).unwrap();
    assert!(
        seeds.contains(&after.mark.nodes[3].address().to_string()),
        "{seeds}"
    );
    drop(after);
    assert_eq!(refused(&plan(&dir, Some(3))).await, 4);
    let anew = prepare(&Plan {
        fresh: true,
        ..plan(&dir, Some(1))
    })
    .await
    .unwrap();
    assert_eq!(anew.mark.names(), ["node1"]);
    assert!(!anew.layout.node("node2").dir().exists());
}

#[tokio::test]
async fn a_directory_of_others_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    assert_eq!(
        refused(&Plan {
            fresh: true,
            ..plan(dir.path(), None)
        })
        .await,
        2
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let dir: PathBuf = parent.path().join("x".repeat(100));
    assert_eq!(refused(&plan(&dir, None)).await, 2);
}

#[tokio::test]
async fn a_directory_that_others_own_or_write_to_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("dev");
    std::fs::create_dir(&dir).unwrap();
    for mode in [0o777, 0o770, 0o707] {
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(refused(&plan(&dir, None)).await, 2, "{mode:o}");
        assert_eq!(dir.read_dir().unwrap().count(), 0, "nothing was made in it");
    }
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&dir, Some(1001), None).unwrap();
        assert_eq!(refused(&plan(&dir, None)).await, 2);
        std::os::unix::fs::chown(&dir, Some(0), None).unwrap();
    }
    prepare(&plan(&dir, None)).await.unwrap();
}
