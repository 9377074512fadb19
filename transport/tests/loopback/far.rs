//! Links on which each packet takes its time: limits that are short on a near link are long enough there.

use crate::world::{DIAL, Node, World, settings, soon};
use bytes::Bytes;
use pki::Fingerprint;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use transport::{Newcomer, Patience, Settings};

/// How long a packet takes each way.
const WAY: Duration = Duration::from_millis(400);
/// What an answer has on a near link: a part of one way of this one.
const SHORT: Duration = Duration::from_millis(100);
const NEWCOMERS: &[u8] = b"join/1";

/// A way to a node of which each packet takes its time in both directions, and some of those to the node
/// are lost.
struct Detour {
    address: SocketAddr,
    task: JoinHandle<()>,
    /// Of how many packets one is lost; 0: none.
    one_lost_of: Arc<AtomicU64>,
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Detour {
    async fn to(node: SocketAddr, way: Duration) -> Self {
        let one_lost_of = Arc::new(AtomicU64::new(0));
        let lost_of = one_lost_of.clone();
        let front = socket().await;
        let address = front.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut backs: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
            let mut buffer = vec![0; 65_536];
            let mut packets = 0;
            while let Ok((length, from)) = front.recv_from(&mut buffer).await {
                packets += 1;
                if is_multiple(packets, lost_of.load(Relaxed)) {
                    continue;
                }
                if let Entry::Vacant(empty) = backs.entry(from) {
                    let back = empty.insert(socket().await);
                    tokio::spawn(answers(back.clone(), front.clone(), (from, way)));
                }
                late(&backs[&from], &buffer[..length], (node, way));
            }
        });
        Self {
            address,
            task,
            one_lost_of,
        }
    }
}

fn is_multiple(packets: u64, of: u64) -> bool {
    of > 0 && packets.is_multiple_of(of)
}

async fn socket() -> Arc<UdpSocket> {
    Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap())
}

/// Carries what comes for whoever sends from an address.
async fn answers(back: Arc<UdpSocket>, front: Arc<UdpSocket>, to: (SocketAddr, Duration)) {
    let mut buffer = vec![0; 65_536];
    while let Ok((length, _)) = back.recv_from(&mut buffer).await {
        late(&front, &buffer[..length], to);
    }
}

fn late(by: &Arc<UdpSocket>, packet: &[u8], (to, way): (SocketAddr, Duration)) {
    let (by, packet) = (by.clone(), packet.to_vec());
    tokio::spawn(async move {
        sleep(way).await;
        // The other end may have gone meanwhile.
        let _ = by.send_to(&packet, to).await;
    });
}

fn answering() -> Settings {
    Settings {
        inquiry_alpn: b"inquiry/1".to_vec(),
        join_alpn: NEWCOMERS.to_vec(),
        join_exporter: b"exporter".to_vec(),
        inquiry_limit: SHORT,
        ..settings()
    }
}

/// A node that answers all questions and all that want to join.
fn answerer(world: &World) -> Node {
    let node = Node::bind(answering(), world.identity("b"));
    let (tell, mut questions) = mpsc::channel(4);
    node.endpoint.answer_by(tell);
    let (admit, mut applicants) = mpsc::channel(4);
    node.endpoint.admit_by(admit);
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            let _ = question.reply.send(question.bytes);
        }
    });
    tokio::spawn(async move {
        while let Some(applicant) = applicants.recv().await {
            let _ = applicant.reply.send(applicant.bytes);
        }
    });
    node
}

#[tokio::test]
async fn a_question_to_a_far_peer_has_the_time_that_the_link_needs() {
    let world = World::new();
    let (mut a, mut b) = (
        Node::bind(answering(), world.identity("a")),
        answerer(&world),
    );
    let detour = Detour::to(b.endpoint.local_addr(), WAY).await;
    let nobody = soon(a.endpoint.inquire(detour.address, b.id)).await;
    assert!(
        nobody.is_err(),
        "how far it is, is known from a connection only"
    );
    let (to, patience) = (detour.address.to_string(), Patience::default());
    a.endpoint.dial(DIAL, to, Some(b.id), patience);
    a.connected().await;
    b.connected().await;
    let inquiry = soon(a.endpoint.inquire(detour.address, b.id))
        .await
        .unwrap();
    let (answer, _) = soon(inquiry.ask(b"?", SHORT)).await.unwrap();
    assert_eq!(&answer[..], b"?");
}

#[tokio::test]
async fn a_newcomer_that_is_far_has_the_time_that_the_link_needs() {
    let world = World::new();
    let node = answerer(&world);
    let identity = node.endpoint.identity();
    let pin = Fingerprint::of(&identity.authorities()[0]);
    let detour = Detour::to(node.endpoint.local_addr(), WAY).await;
    let address = detour.address.to_string();
    let newcomer = soon(Newcomer::dial(&address, NEWCOMERS, b"exporter", pin))
        .await
        .unwrap();
    let answer = soon(newcomer.ask(b"?", SHORT)).await.unwrap();
    assert_eq!(&answer[..], b"?");
}

/// What is lost shows also on a connection that has lost nothing for long, and is forgotten again.
#[tokio::test]
async fn the_share_of_packets_that_are_lost_is_that_of_late() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let near = Duration::from_millis(1);
    let detour = Detour::to(b.endpoint.local_addr(), near).await;
    let (to, patience) = (detour.address.to_string(), Patience::default());
    a.endpoint.dial(DIAL, to, Some(b.id), patience);
    let conn = a.connected().await;
    b.connected().await;
    let lost = |a: &Node| a.endpoint.connection_stats(conn).unwrap().lost_percent;
    assert_eq!(lost(&a), None, "too few were sent");
    let mut ping = async |packets: usize| {
        for _ in 0..packets {
            a.endpoint.datagram(conn, Bytes::from_static(b"ping"));
            sleep(near).await;
            while b.urgent.try_next().is_some() {}
        }
        lost(&a).unwrap()
    };
    assert_eq!(ping(1_200).await, 0);
    detour.one_lost_of.store(5, Relaxed);
    let lossy = ping(700).await;
    assert!(lossy >= 8, "{lossy} % of late");
    detour.one_lost_of.store(0, Relaxed);
    let again = ping(2_000).await;
    assert!(again < 3, "{again} % of late");
}
