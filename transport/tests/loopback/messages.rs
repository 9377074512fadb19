//! Messages: order, sizes, and what happens when one end does not read.

use crate::world::{Node, World, connect, settings, soon, until};
use bytes::Bytes;
use std::time::Duration;
use transport::Event;

fn numbered(number: u32, len: usize) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(len.max(4), 0);
    bytes.into()
}

fn number(event: &Event) -> u32 {
    let Event::Message { bytes, .. } = event else {
        panic!("{event:?}")
    };
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_arrive_in_order_on_each_channel_and_both_ways() {
    const COUNT: u32 = 10_000;
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    for i in 0..COUNT {
        for channel in 0..2 {
            a.endpoint.send(at_a, channel, numbered(i, 100));
            b.endpoint.send(at_b, channel, numbered(i, 20));
        }
    }
    for i in 0..COUNT {
        for event in [
            a.urgent().await,
            a.bulk().await,
            b.urgent().await,
            b.bulk().await,
        ] {
            assert_eq!(number(&event), i);
        }
    }
    until(|| a.endpoint.stats().messages_sent == 20_000).await;
    assert_eq!(b.endpoint.stats().messages_received, 20_000);
    assert_eq!(b.endpoint.stats().message_bytes_received, 2_000_000);
    assert_eq!(a.endpoint.stats().messages_dropped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_any_allowed_size_arrives_whole() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, _) = connect(&mut a, &mut b).await;
    for len in [0, 1, 4095, 4096, 4097, 65_535, 300_000, 1 << 20] {
        let bytes: Bytes = (0..len).map(|i: usize| i.to_le_bytes()[0]).collect();
        a.endpoint.send(at_a, 1, bytes.clone());
        let Event::Message {
            channel: 1,
            bytes: got,
            ..
        } = b.bulk().await
        else {
            panic!()
        };
        assert!(got == bytes, "{len}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_told_as_an_overflow() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, _) = connect(&mut a, &mut b).await;
    a.endpoint.send(at_a, 0, vec![0; (1 << 20) + 1].into());
    assert_eq!(
        a.urgent().await,
        Event::Overflowed {
            conn: at_a,
            channel: 0
        }
    );
    a.endpoint.send(at_a, 0, numbered(1, 4));
    assert_eq!(number(&b.urgent().await), 1);
    assert_eq!(a.endpoint.stats().messages_dropped, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_read_bulk_costs_bounded_memory_and_no_urgency() {
    let world = World::new();
    let mut small = settings();
    small.send_queue_bytes = 1 << 20;
    small.event_queue_bytes = 1 << 20;
    let (mut a, mut b) = (
        Node::bind(small.clone(), world.identity("a")),
        Node::bind(small, world.identity("b")),
    );
    let (at_a, at_b) = connect(&mut a, &mut b).await;

    // Sender: 1 MiB queued; on the way: one stream's window; receiver: 1 MiB of events and one
    // message at hand.
    let bound = (1 << 20) + (256 << 10) + (1 << 20) + (64 << 10);
    let mut sent = 0;
    let overflow = soon(async {
        loop {
            a.endpoint.send(at_a, 1, numbered(sent, 10_000));
            sent += 1;
            if let Some(event) = a.bulk.try_next() {
                return event;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    })
    .await;
    assert_eq!(
        overflow,
        Event::Overflowed {
            conn: at_a,
            channel: 1
        }
    );
    let taken = u64::from(sent) - a.endpoint.stats().messages_dropped;
    assert!(taken * 10_000 <= bound, "{taken} messages were taken");
    assert!(a.endpoint.stats().queued_bytes <= 1 << 20);

    a.endpoint.send(at_a, 0, numbered(7, 4));
    a.endpoint.datagram(at_a, Bytes::from_static(b"probe"));
    let urgent = [b.urgent().await, b.urgent().await];
    assert!(
        urgent.contains(&Event::Datagram {
            conn: at_b,
            bytes: Bytes::from_static(b"probe")
        }),
        "{urgent:?}"
    );
    assert!(
        urgent.contains(&Event::Message {
            conn: at_b,
            channel: 0,
            bytes: numbered(7, 4)
        }),
        "{urgent:?}"
    );

    for i in 0..100 {
        assert_eq!(
            number(&b.bulk().await),
            i,
            "what was taken before the overflow arrives in \
            order"
        );
    }
    assert_eq!(a.bulk.try_next(), None, "an overflow is told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_a_close_arrives() {
    let world = World::new();
    let (mut a, mut b) = (world.node("a"), world.node("b"));
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    for i in 0..50 {
        a.endpoint.send(at_a, 1, numbered(i, 1000));
    }
    a.endpoint.close(at_a, "enough");
    a.endpoint.send(at_a, 1, numbered(50, 1000));
    for i in 0..50 {
        assert_eq!(number(&b.bulk().await), i);
    }
    assert_eq!(
        b.bulk().await,
        Event::Closed {
            conn: at_b,
            reason: "closed by the peer: enough".into(),
            is_violated: false,
        }
    );
    assert_eq!(a.closed().await, "closed here: enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_the_peer_does_not_know_costs_its_own_messages_only() {
    let world = World::new();
    let mut later = settings();
    later.channels = 3;
    let mut a = Node::bind(later, world.identity("a"));
    let mut b = world.node("b");
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    until(|| {
        a.endpoint.send(at_a, 2, numbered(0, 100));
        a.endpoint.stats().messages_dropped > 0
    })
    .await;
    a.endpoint.send(at_a, 1, numbered(1, 100));
    b.endpoint.send(at_b, 1, numbered(2, 100));
    assert_eq!(number(&b.bulk().await), 1);
    assert_eq!(number(&a.bulk().await), 2);
    let violations = [&a, &b].map(|node| node.endpoint.stats().violations);
    assert_eq!(violations, [0, 0]);
}
