//! Datagrams of all sizes, with everything on one thread: a node gives its endpoint no more.

use crate::world::{Node, World, connect, settings, until};
use bytes::Bytes;
use transport::Event;

#[tokio::test]
async fn a_datagram_of_any_allowed_size_arrives() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    for len in [0, 1, 1150, 5000, 64 << 10] {
        let bytes: Bytes = vec![9; len].into();
        a.endpoint.datagram(at_a, bytes.clone());
        assert_eq!(b.urgent().await, Event::Datagram { conn: at_b, bytes });
    }
    let stats = a.endpoint.stats();
    assert_eq!((stats.datagrams_sent, stats.datagrams_by_stream), (5, 2));
    assert_eq!(b.endpoint.stats().datagrams_received, 5);
}

#[tokio::test]
async fn a_probe_fits_into_a_packet_from_the_start() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, _) = connect(&mut a, &mut b).await;
    let stats = a.endpoint.connection_stats(at_a).unwrap();
    assert!(stats.max_datagram_bytes >= 1150, "{stats:?}");
}

#[tokio::test]
async fn a_datagram_beyond_64_kib_is_counted_and_not_sent() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, _) = connect(&mut a, &mut b).await;
    a.endpoint.datagram(at_a, vec![0; (64 << 10) + 1].into());
    a.endpoint.datagram(999, Bytes::new());
    assert_eq!(a.endpoint.stats().datagrams_unsent, 2);
}

#[tokio::test]
async fn datagrams_for_a_full_queue_are_dropped_and_counted() {
    let world = World::new();
    let mut small = settings();
    small.event_queue_len = 4;
    let (mut a, mut b) = (world.node("a"), Node::bind(small, world.identity("b")));
    let (at_a, _) = connect(&mut a, &mut b).await;
    for i in 0..20_u8 {
        a.endpoint.datagram(at_a, vec![i].into());
    }
    let settled =
        || b.endpoint.stats().datagrams_received + b.endpoint.stats().datagrams_dropped == 20;
    until(settled).await;
    assert_eq!(b.endpoint.stats().datagrams_dropped, 16);
}
