//! How connections live and end: cuts, idleness, duplicates, shutdowns.

use crate::world::{Node, World, connect, settings, soon, until};
use bytes::Bytes;
use std::net::UdpSocket;
use std::time::Duration;
use transport::{DialErrorKind, Event, Patience, Settings};

fn short_lived() -> Settings {
    let mut settings = settings();
    settings.idle = Duration::from_millis(1500);
    settings.keep_alive = Duration::from_millis(250);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_closes_the_connection_and_after_it_a_new_dial_works() {
    let world = World::new();
    let (mut a, mut b) = (
        Node::bind(short_lived(), world.identity("a")),
        Node::bind(short_lived(), world.identity("b")),
    );
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    a.endpoint.fault().block(&[b.endpoint.local_addr()]);
    a.endpoint.datagram(at_a, Bytes::from_static(b"lost"));
    b.endpoint.datagram(at_b, Bytes::from_static(b"lost"));
    assert_eq!(a.closed().await, "nothing received for 1.5 s");
    assert_eq!(b.closed().await, "nothing received for 1.5 s");
    let address = b.address();
    assert_eq!(a.fails(&address, None).await.0, DialErrorKind::Unreachable);
    let address = a.address();
    assert_eq!(b.fails(&address, None).await.0, DialErrorKind::Unreachable);
    assert!(a.endpoint.stats().udp_packets_blocked > 0);
    a.endpoint.fault().clear();
    connect(&mut a, &mut b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_between_two_leaves_the_third_alone() {
    let world = World::new();
    let (mut a, mut b, mut c) = (world.node("a"), world.node("b"), world.node("c"));
    connect(&mut a, &mut b).await;
    let (at_a, at_c) = connect(&mut a, &mut c).await;
    a.endpoint.fault().block(&[b.endpoint.local_addr()]);
    a.endpoint.datagram(at_a, Bytes::from_static(b"still here"));
    assert_eq!(
        c.urgent().await,
        Event::Datagram {
            conn: at_c,
            bytes: Bytes::from_static(b"still here")
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_end_keeps_an_unused_connection_alive_and_none_lets_it_die() {
    let world = World::new();
    let (mut a, mut b) = (
        Node::bind(short_lived(), world.identity("a")),
        Node::bind(short_lived(), world.identity("b")),
    );
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    a.endpoint.keep_alive(at_a, false);
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert_eq!((a.urgent.try_next(), b.urgent.try_next()), (None, None));
    b.endpoint.keep_alive(at_b, false);
    assert_eq!(a.closed().await, "nothing received for 1.5 s");
    assert_eq!(b.closed().await, "nothing received for 1.5 s");
    assert_eq!(
        a.endpoint.stats().messages_received,
        0,
        "a keep-alive is no message"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_dial_each_other_settle_on_the_connection_of_the_smaller_id() {
    const PAIRS: usize = 50;
    let world = World::new();
    let pairs: Vec<_> = (0..PAIRS)
        .map(|i| (world.node(&format!("a{i}")), world.node(&format!("b{i}"))))
        .collect();
    let settling: Vec<_> = pairs
        .into_iter()
        .map(|(a, b)| tokio::spawn(settle(a, b)))
        .collect();
    let mut retired = 0;
    for pair in settling {
        retired += soon(pair).await.unwrap();
    }
    assert_eq!(retired, u64::try_from(PAIRS).unwrap());
}

/// How many duplicates were closed.
async fn settle(mut a: Node, mut b: Node) -> u64 {
    a.endpoint
        .dial(1, b.address(), Some(b.id), Patience::default());
    b.endpoint
        .dial(1, a.address(), Some(a.id), Patience::default());
    let (at_a, at_b) = (settled(&mut a).await, settled(&mut b).await);
    until(|| a.endpoint.stats().connections == 1 && b.endpoint.stats().connections == 1).await;
    a.endpoint.send(at_a, 1, Bytes::from_static(b"to b"));
    b.endpoint.send(at_b, 1, Bytes::from_static(b"to a"));
    for (node, conn, text) in [(&mut a, at_a, "to a"), (&mut b, at_b, "to b")] {
        let arrived = soon(async {
            loop {
                if let Event::Message { conn, bytes, .. } = node.bulk().await {
                    return (conn, bytes);
                }
            }
        });
        assert_eq!(arrived.await, (conn, Bytes::from_static(text.as_bytes())));
    }
    a.endpoint.stats().duplicates_closed + b.endpoint.stats().duplicates_closed
}

/// Of the two connections that are told, the living one with the greatest `(preferred, conn)`,
/// after the other was closed.
async fn settled(node: &mut Node) -> u64 {
    let (mut best, mut closed) = ((false, 0), None);
    while closed.is_none() {
        match node.urgent().await {
            Event::Connected {
                conn, preferred, ..
            } => best = best.max((preferred, conn)),
            Event::Closed { conn, .. } => closed = Some(conn),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        best.0 && closed != Some(best.1),
        "{}: kept {best:?}, closed {closed:?}",
        node.name
    );
    best.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_that_is_in_use_is_not_closed() {
    let world = World::new();
    let mut patient = settings();
    patient.duplicate_quiet = Duration::from_millis(1000);
    let bind = |name: &str| Node::bind(patient.clone(), world.identity(name));
    let (mut a, mut b) = (bind("a"), bind("b"));
    if a.id < b.id {
        std::mem::swap(&mut a, &mut b);
    }
    let (in_use, _) = connect(&mut a, &mut b).await;
    connect(&mut b, &mut a).await;
    for _ in 0..50 {
        a.endpoint
            .send(in_use, 0, Bytes::from_static(b"still here"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(a.endpoint.stats().connections, 2);
    assert_eq!(
        a.closed().await,
        "closed here: the peer's own connection is used instead"
    );
    assert_eq!(b.endpoint.stats().messages_received, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_keeps_dialling_holds_a_bounded_number_of_connections() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    for _ in 0..6 {
        a.endpoint.dial(1, b.address(), None, Patience::default());
        while !matches!(a.urgent().await, Event::Connected { .. }) {}
        while !matches!(b.urgent().await, Event::Connected { .. }) {}
    }
    until(|| b.endpoint.stats().connections == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_delivers_the_last_message_tells_the_peer_and_ends_the_queues() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    a.endpoint.send(at_a, 0, Bytes::from_static(b"goodbye"));
    soon(a.endpoint.shutdown()).await;
    assert_eq!(
        b.urgent().await,
        Event::Message {
            conn: at_b,
            channel: 0,
            bytes: Bytes::from_static(b"goodbye")
        }
    );
    assert_eq!(b.closed().await, "closed by the peer: the node shuts down");
    assert_eq!(a.closed().await, "this node shuts down");
    assert_eq!(
        (soon(a.urgent.next()).await, soon(a.bulk.next()).await),
        (None, None)
    );
    soon(a.endpoint.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_nobody_holds_closes_by_itself() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    connect(&mut a, &mut b).await;
    drop(a.endpoint);
    assert_eq!(b.closed().await, "closed by the peer: the node shuts down");
    assert!(matches!(
        soon(a.urgent.next()).await,
        Some(Event::Closed { .. })
    ));
    assert_eq!(soon(a.urgent.next()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bulk_queue_does_not_delay_the_news_on_the_urgent_one() {
    let world = World::new();
    let mut small = settings();
    small.event_queue_len = 3;
    let (mut a, mut b) = (world.node("a"), Node::bind(small, world.identity("b")));
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    for _ in 0..20 {
        a.endpoint.send(at_a, 1, Bytes::from_static(b"bulk"));
    }
    until(|| b.endpoint.stats().messages_received == 4).await;
    let mut c = world.node("c");
    c.endpoint.dial(1, b.address(), None, Patience::default());
    assert!(matches!(b.urgent().await, Event::Connected { .. }));
    a.endpoint.close(at_a, "done");
    assert_eq!(
        b.urgent().await,
        Event::Closed {
            conn: at_b,
            reason: "closed by the peer: done".into(),
            is_violated: false,
        }
    );
    let mut messages = 0;
    loop {
        match b.bulk().await {
            Event::Message { .. } => messages += 1,
            Event::Closed { .. } => break,
            other => assert!(matches!(other, Event::Connected { .. }), "{other:?}"),
        }
    }
    assert_eq!(messages, 20, "all of them come before");
    c.connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_on_the_socket_does_no_harm() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    let rogue = UdpSocket::bind("127.0.0.1:0").unwrap();
    for i in 0..2000_usize {
        let len = 1 + i * 7 % 1400;
        let bytes: Vec<u8> = (0..len)
            .map(|j| (i * 31 + j * j * 17).to_le_bytes()[0] | if j == 0 { 0x80 } else { 0 })
            .collect();
        rogue.send_to(&bytes, b.endpoint.local_addr()).unwrap();
    }
    a.endpoint.send(at_a, 0, Bytes::from_static(b"unharmed"));
    assert_eq!(
        b.urgent().await,
        Event::Message {
            conn: at_b,
            channel: 0,
            bytes: Bytes::from_static(b"unharmed")
        }
    );
    connect(&mut b, &mut a).await;
}
