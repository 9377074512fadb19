//! Who may connect to whom, and what both ends read when one of them may not.

use crate::world::{Node, World, connect, load, settings, until};
use std::net::UdpSocket;
use std::time::Duration;
use transport::{DialErrorKind, Event, Patience, PeerName};

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_learn_who_the_other_is() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    a.endpoint.dial(
        5,
        format!("localhost:{}", b.endpoint.local_addr().port()),
        None,
        Patience::default(),
    );
    let Event::Connected {
        peer,
        dial,
        remote,
        preferred,
        ..
    } = a.urgent().await
    else {
        panic!()
    };
    assert_eq!(
        (peer, dial, remote),
        (
            PeerName {
                id: b.id,
                name: "b".into(),
                role: pki::Role::Member
            },
            Some(5),
            b.endpoint.local_addr()
        )
    );
    assert_eq!(preferred, a.id < b.id);
    let Event::Connected {
        peer,
        dial,
        remote,
        preferred,
        ..
    } = b.urgent().await
    else {
        panic!()
    };
    assert_eq!(
        (peer, dial, remote),
        (
            PeerName {
                id: a.id,
                name: "a".into(),
                role: pki::Role::Member
            },
            None,
            a.endpoint.local_addr()
        )
    );
    assert_eq!(preferred, a.id < b.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_refused_in_words() {
    let (mut ours, mut stranger) = (World::new().node("ours"), World::new().node("stranger"));
    is_refused(&mut ours, &stranger).await;
    is_refused(&mut stranger, &ours).await;
}

async fn is_refused(dialler: &mut Node, stranger: &Node) {
    let (kind, reason) = dialler.fails(&stranger.address(), None).await;
    assert_eq!(kind, DialErrorKind::Refused);
    assert!(
        reason.starts_with("its certificate is of another cluster ("),
        "{reason}"
    );
    until(|| stranger.endpoint.stats().refused_by_peer == 1).await;
    assert_eq!(dialler.endpoint.stats().refused_other_cluster, 1);
    assert_eq!(stranger.endpoint.stats().connected, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_that_the_other_end_refuses_is_never_connected() {
    let world = World::new();
    let mut old = world.node("old");
    pki::rotate(&world.ca()).unwrap();
    let mut new = world.node("new");
    let (kind, reason) = new.fails(&old.address(), None).await;
    assert_eq!(kind, DialErrorKind::Refused);
    assert_eq!(
        reason,
        "the peer refused: this node's certificate is not signed by the peer's \
        cluster's CA"
    );
    let (kind, reason) = old.fails(&new.address(), None).await;
    assert_eq!(kind, DialErrorKind::Refused);
    assert_eq!(reason, "its certificate is not signed by this cluster's CA");
    assert_eq!(old.endpoint.stats().refused_untrusted, 2);
    assert_eq!(
        (
            old.endpoint.stats().connected,
            new.endpoint.stats().connected
        ),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_two_authorities_connect_while_both_trust_both() {
    let world = World::new();
    world.issue("old");
    pki::rotate(&world.ca()).unwrap();
    std::fs::copy(world.ca().join("ca.pem"), world.files("old").join("ca.pem")).unwrap();
    let mut old = Node::bind(settings(), load(&world.files("old")));
    let mut new = world.node("new");
    connect(&mut old, &mut new).await;
    connect(&mut new, &mut old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_counts_for_new_handshakes() {
    let world = World::new();
    let mut old = world.node("old");
    pki::rotate(&world.ca()).unwrap();
    let mut new = world.node("new");
    assert_eq!(
        new.fails(&old.address(), None).await.0,
        DialErrorKind::Refused
    );
    std::fs::copy(world.ca().join("ca.pem"), world.files("old").join("ca.pem")).unwrap();
    old.endpoint.reload(load(&world.files("old"))).unwrap();
    connect(&mut new, &mut old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_cannot_make_another_node() {
    let world = World::new();
    let a = world.node("a");
    let refused = a
        .endpoint
        .reload(world.identity("b"))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("node b") && refused.contains("node a"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_than_the_expected_one_is_refused() {
    let world = World::new();
    let (mut a, b) = (world.node("a"), world.node("b"));
    let (kind, reason) = a.fails(&b.address(), Some([7; 16])).await;
    assert_eq!(kind, DialErrorKind::Refused);
    assert!(
        reason.ends_with(
            "but node 07070707070707070707070707070707 was expected \
        there"
        ),
        "{reason}"
    );
    until(|| b.endpoint.stats().refused_by_peer == 1).await;
    assert_eq!(b.endpoint.stats().connected, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_version_is_refused_in_words() {
    let world = World::new();
    let a = world.node("a");
    let mut other = settings();
    other.alpn = vec![b"muster/2".to_vec()];
    let mut b = Node::bind(other, world.identity("b"));
    let (kind, reason) = b.fails(&a.address(), None).await;
    assert_eq!(
        (kind, reason.as_str()),
        (
            DialErrorKind::Refused,
            "it speaks another protocol \
        version"
        )
    );
    until(|| a.endpoint.stats().refused_protocol == 1).await;
    assert_eq!(b.endpoint.stats().refused_protocol, 1);
}

/// The version that a connection to `b` speaks, as either end is told.
async fn agreed(dialler: &[&str], acceptor: &[&str]) -> [String; 2] {
    let world = World::new();
    let speaking = |alpn: &[&str]| {
        let mut settings = settings();
        settings.alpn = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        settings
    };
    let mut a = Node::bind(speaking(dialler), world.identity("a"));
    let mut b = Node::bind(speaking(acceptor), world.identity("b"));
    a.endpoint.dial(1, b.address(), None, Patience::default());
    let told = async |node: &mut Node| match node.urgent().await {
        Event::Connected { alpn, .. } => String::from_utf8(alpn).unwrap(),
        other => panic!("{other:?}"),
    };
    [told(&mut a).await, told(&mut b).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_meet_at_the_newest_that_both_speak() {
    assert_eq!(
        agreed(&["muster/2", "muster/1"], &["muster/1"]).await,
        ["muster/1", "muster/1"]
    );
    assert_eq!(
        agreed(&["muster/1"], &["muster/2", "muster/1"]).await,
        ["muster/1", "muster/1"]
    );
    assert_eq!(
        agreed(
            &["muster/2", "muster/1"],
            &["muster/3", "muster/2", "muster/1"]
        )
        .await,
        ["muster/2", "muster/2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dials_itself_is_told_so() {
    let world = World::new();
    let mut a = world.node("a");
    let address = a.address();
    assert_eq!(a.fails(&address, None).await.0, DialErrorKind::Itself);
    // A dial that nobody disturbs shows that both ends of the first one are done with.
    let mut b = Node::bind(settings(), world.identity("b"));
    connect(&mut b, &mut a).await;
    until(|| a.endpoint.stats().connected == 1).await;
    let stats = a.endpoint.stats();
    assert_eq!((stats.dials, stats.dial_failures), (1, 0));
    assert!(
        stats.refusals().iter().all(|(_, times)| *times == 0),
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_a_dial_fails_at_its_limit() {
    let world = World::new();
    let mut a = world.node("a");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for (limit_ms, expect, told) in [
        (200, None, "no answer within 0.2 s"),
        (300, Some([7; 16]), "no answer within 0.3 s"),
    ] {
        let patience = Patience {
            limit: Duration::from_millis(limit_ms),
            ..Patience::default()
        };
        let (kind, reason) = a.fails_within(&silent, expect, patience).await;
        assert_eq!((kind, reason.as_str()), (DialErrorKind::Unreachable, told));
    }
    a.endpoint
        .dial(9, silent.clone(), None, Patience::default());
    a.endpoint.give_up(9);
    let event = a.urgent().await;
    assert!(
        matches!(&event, Event::DialFailed { dial: 9, reason, .. } if reason == "given up"),
        "{event:?}"
    );
    assert_eq!(
        a.fails("a name without a port", None).await.0,
        DialErrorKind::Unreachable
    );
    let (_, reason) = a.fails("[::1]:6878", None).await;
    assert_eq!(
        reason,
        "the name has no address that a socket on 127.0.0.1 can reach"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_socket_serves_ipv4_and_names_it_so() {
    let world = World::new();
    let mut wildcard = settings();
    wildcard.listen = "[::]:0".parse().unwrap();
    let (mut a, mut b) = (Node::bind(wildcard, world.identity("a")), world.node("b"));
    a.endpoint.dial(1, b.address(), None, Patience::default());
    let Event::Connected { remote, .. } = a.urgent().await else {
        panic!()
    };
    assert_eq!(remote, b.endpoint.local_addr());
    b.connected().await;
    b.endpoint.dial(
        1,
        format!("127.0.0.1:{}", a.endpoint.local_addr().port()),
        None,
        Patience::default(),
    );
    b.connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_connections_are_refused_in_words() {
    let world = World::new();
    let mut small = settings();
    small.max_connections = 1;
    let mut a = Node::bind(small, world.identity("a"));
    let (mut b, mut c) = (world.node("b"), world.node("c"));
    connect(&mut b, &mut a).await;
    let (kind, reason) = c.fails(&a.address(), None).await;
    assert_eq!(
        (kind, reason.as_str()),
        (
            DialErrorKind::Refused,
            "the peer refused: it takes no \
        more connections now"
        )
    );
    assert!(a.endpoint.stats().refused_limit >= 1);
}

/// A node with a certificate that an authority below the cluster's own has signed, and that authority's key.
fn below(world: &World, name: &str, id: u8) -> (pki::Identity, [u8; 16]) {
    let (authority, key) = (world.files("authority"), pki::NodeKey::generate().unwrap());
    pki::delegate(&world.ca(), "direct", &authority, pki::SIGNER_LIFE).unwrap();
    let signer = pki::Signer::load(&authority).unwrap().unwrap();
    let direct = world.identity(&format!("beside-{name}"));
    let bearer = pki::Bearer {
        id: [id; 16],
        name,
        role: pki::Role::Member,
    };
    let certified = signer
        .certify(bearer, key.public(), pki::NODE_LIFE, &direct)
        .unwrap();
    let authorities = direct.authorities_pem();
    let files = world.files(name);
    let identity = pki::install(&files, &key, &certified.pem, &authorities).unwrap();
    (identity, signer.key_mark())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_withdrawn_authority_is_refused_unless_it_stays_good() {
    let world = World::new();
    let mut a = world.node("a");
    let (good, key) = below(&world, "good", 5);
    let (bad, same) = below(&world, "bad", 6);
    assert_eq!(key, same);
    let marks = pki::marks(&good.chain()).unwrap();
    assert_eq!(marks.issuers, [key]);
    let (mut good, mut bad) = (Node::bind(settings(), good), Node::bind(settings(), bad));
    connect(&mut a, &mut good).await;
    connect(&mut a, &mut bad).await;
    let mut withdrawn = pki::Withdrawn::default();
    withdrawn.add(key, [marks.certificate]);
    a.endpoint.revoke([], withdrawn);
    // What stands goes at once, and comes again in neither direction.
    assert!(bad.closed().await.contains("is withdrawn"));
    a.closed().await;
    let (kind, _) = a.fails(&bad.address(), None).await;
    assert_eq!(kind, DialErrorKind::Refused);
    let (_, reason) = bad.fails(&a.address(), None).await;
    assert!(reason.contains("has revoked this node"), "{reason}");
    assert_eq!(a.endpoint.stats().connections, 1);
    connect(&mut good, &mut a).await;
}
