//! Joining: what a host without a certificate may say, and to whom it speaks.

use crate::world::{Node, World, connect, settings, soon, until};
use bytes::Bytes;
use pki::{Fingerprint, Identity, PinError};
use quinn::ConnectionError;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use transport::{Applicant, Newcomer, NewcomerError, Patience, Settings};

const LIMIT: Duration = Duration::from_secs(10);
const ALPN: &[u8] = b"join/1";
const LABEL: &[u8] = b"EXPORTER-test";

fn joining() -> Settings {
    Settings {
        inquiry_alpn: b"inquiry/1".to_vec(),
        join_alpn: ALPN.to_vec(),
        join_exporter: LABEL.to_vec(),
        ..settings()
    }
}

fn fingerprint(identity: &Identity) -> Fingerprint {
    Fingerprint::of(&identity.authorities()[0])
}

/// Answers each request with who asks, the exporter and the request.
fn answer(node: &Node) {
    let (tell, mut applicants) = mpsc::channel::<Applicant>(4);
    node.endpoint.admit_by(tell);
    tokio::spawn(async move {
        while let Some(applicant) = applicants.recv().await {
            let peer = applicant.peer.map_or_else(String::new, |peer| peer.name);
            let answer = [peer.as_bytes(), &applicant.exporter, &applicant.bytes].concat();
            let _ = applicant.reply.send(answer.into());
        }
    });
}

fn member(id: [u8; 16], name: &str) -> pki::Bearer<'_> {
    let role = pki::Role::Member;
    pki::Bearer { id, name, role }
}

#[tokio::test]
async fn a_newcomer_and_a_node_share_what_nobody_else_knows() {
    let world = World::new();
    let mut node = Node::bind(joining(), world.identity("node"));
    answer(&node);
    let pin = fingerprint(&node.endpoint.identity());
    let mut exporters = Vec::new();
    for request in ["x", "?".repeat(1000).as_str()] {
        let newcomer = soon(Newcomer::dial(&node.address(), ALPN, LABEL, pin))
            .await
            .unwrap();
        assert_eq!(
            (newcomer.peer.id, newcomer.peer.name.as_str()),
            (node.id, "node")
        );
        let told = soon(newcomer.ask(request.as_bytes(), LIMIT)).await.unwrap();
        let expected = [&newcomer.exporter[..], request.as_bytes()].concat();
        assert_eq!(told, Bytes::from(expected));
        let again = soon(newcomer.ask(b"again", LIMIT)).await;
        assert!(again.is_err(), "a connection carries one request");
        exporters.push(newcomer.exporter);
        newcomer.end().await;
    }
    assert_ne!(exporters[0], exporters[1], "each session has its own");
    assert!(node.urgent.try_next().is_none(), "it is no connection");
}

#[tokio::test]
async fn a_member_that_asks_is_known_by_its_certificate() {
    let world = World::new();
    let (a, b) = (
        Node::bind(joining(), world.identity("a")),
        Node::bind(joining(), world.identity("b")),
    );
    answer(&b);
    let asking = soon(a.endpoint.apply(b.endpoint.local_addr(), b.id))
        .await
        .unwrap();
    let (told, _) = soon(asking.ask(b"x", LIMIT)).await.unwrap();
    assert!(told.starts_with(b"a") && told.ends_with(b"x") && told.len() == 34);
}

/// Connects without a certificate and with that protocol, and says something at once; gives how the
/// connection ended.
async fn speak(world: &World, node: &Node, alpn: &[u8]) -> ConnectionError {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(world.ca().join("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(pki::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, name) = (
        node.endpoint.local_addr(),
        format!("{}.name.muster", node.name),
    );
    let connecting = endpoint.connect_with(config, address, &name).unwrap();
    let quic = match soon(connecting).await {
        Ok(quic) => quic,
        Err(error) => return error,
    };
    if let Ok(mut stream) = quic.open_uni().await {
        // The greeting of the protocol between members.
        let _ = stream.write_all(&[0, 0xff, 0xff, 0xff, 0xff]).await;
    }
    soon(quic.closed()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_every_other_protocol_closes_before_a_byte_is_read() {
    let world = World::new();
    let mut node = Node::bind(joining(), world.identity("node"));
    let (tell, mut questions) = mpsc::channel(4);
    node.endpoint.answer_by(tell);
    for (index, alpn) in [&b"muster/1"[..], b"inquiry/1"].into_iter().enumerate() {
        let ConnectionError::ApplicationClosed(close) = speak(&world, &node, alpn).await else {
            panic!("{alpn:?}")
        };
        assert_eq!(close.reason, "it got no certificate from this node");
        let refused = u64::try_from(index).unwrap() + 1;
        until(|| node.endpoint.stats().refused_certificate == refused).await;
    }
    let stats = node.endpoint.stats();
    assert_eq!((stats.connected, stats.messages_received), (0, 0));
    assert!(node.urgent.try_next().is_none() && node.bulk.try_next().is_none());
    assert!(questions.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn members_connect_as_before_where_hosts_may_join() {
    let world = World::new();
    let (mut a, mut b) = (
        Node::bind(joining(), world.identity("a")),
        Node::bind(settings(), world.identity("b")),
    );
    connect(&mut a, &mut b).await;
    let mut c = Node::bind(settings(), world.identity("c"));
    c.endpoint
        .dial(1, a.address(), Some(a.id), Patience::default());
    c.connected().await;
    a.connected().await;
}

#[tokio::test]
async fn a_newcomer_tells_nothing_to_another_cluster() {
    let (world, other) = (World::new(), World::new());
    let node = Node::bind(joining(), world.identity("node"));
    answer(&node);
    let pin = fingerprint(&other.identity("node"));
    let refused = soon(Newcomer::dial(&node.address(), ALPN, LABEL, pin)).await;
    assert_eq!(
        refused.err(),
        Some(NewcomerError::Pin(PinError::OtherCluster))
    );
}

#[tokio::test]
async fn who_knows_no_joining_is_told_from_who_refuses() {
    let world = World::new();
    let earlier = world.node("earlier");
    let pin = fingerprint(&earlier.endpoint.identity());
    let dialled = soon(Newcomer::dial(&earlier.address(), ALPN, LABEL, pin)).await;
    assert_eq!(dialled.err(), Some(NewcomerError::Unknown));
    let closed = Node::bind(joining(), world.identity("closed"));
    let newcomer = soon(Newcomer::dial(&closed.address(), ALPN, LABEL, pin))
        .await
        .unwrap();
    let asked = soon(newcomer.ask(b"x", LIMIT)).await;
    assert_eq!(
        asked.err(),
        Some(NewcomerError::Refused(
            "nobody can join here now".to_owned()
        ))
    );
}

#[tokio::test]
async fn one_address_has_few_places_to_join() {
    let world = World::new();
    let node = Node::bind(joining(), world.identity("node"));
    answer(&node);
    let pin = fingerprint(&node.endpoint.identity());
    let dial = async || {
        soon(Newcomer::dial(&node.address(), ALPN, LABEL, pin))
            .await
            .unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(dial().await);
    }
    // The places are taken as the node sees these handshakes end.
    let refusal = NewcomerError::Refused("too many hosts want to join at once".to_owned());
    while soon(dial().await.ask(b"x", LIMIT)).await.err() != Some(refusal.clone()) {}
    for newcomer in held.drain(..) {
        newcomer.end().await;
    }
    while soon(dial().await.ask(b"x", LIMIT)).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_below_an_authority_of_a_node_connect_with_all_others() {
    let world = World::new();
    let direct = world.identity("direct");
    let (authority, key) = (world.files("authority"), pki::NodeKey::generate().unwrap());
    pki::delegate(&world.ca(), "direct", &authority, pki::SIGNER_LIFE).unwrap();
    let signer = pki::Signer::load(&authority).unwrap().unwrap();
    let certified = signer
        .certify(
            member([5; 16], "joined"),
            key.public(),
            pki::NODE_LIFE,
            &direct,
        )
        .unwrap();
    let files = world.files("joined");
    let authorities = direct.authorities_pem();
    let joined = pki::install(&files, &key, &certified.pem, &authorities).unwrap();
    let (mut a, mut b) = (Node::bind(joining(), direct), Node::bind(joining(), joined));
    connect(&mut a, &mut b).await;
    let mut c = Node::bind(settings(), world.identity("c"));
    connect(&mut b, &mut c).await;
    let pin = fingerprint(&b.endpoint.identity());
    answer(&b);
    let newcomer = soon(Newcomer::dial(&b.address(), ALPN, LABEL, pin)).await;
    assert_eq!(newcomer.unwrap().peer.name, "joined");
}
