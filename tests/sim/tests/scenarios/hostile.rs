//! Peers that break the protocol, or say nothing.

use crate::entries::{name, push};
use crate::script::Script;
use bytes::Bytes;
use node::cluster::Input;
use node::lists;
use node::wire::CloseReason;

#[test]
fn rubbish_closes_the_connection_and_is_counted() {
    let mut world = Script::cluster(1, 0.0, 2);
    let rubbish = bytes::Bytes::from_static(&[0xff; 40]);
    world.intrude(0, (7, "node7"), |conn| {
        vec![
            Input::Message {
                conn,
                bytes: rubbish.clone(),
            },
            Input::Message {
                conn,
                bytes: rubbish.clone(),
            },
        ]
    });
    assert_eq!(
        world.stats(0).malformed,
        1,
        "nothing more is heard on a closed connection"
    );
    world.run_ms(10_000);
    assert!(world.is_whole(2) && world.stats(0).connections == 1);
}

#[test]
fn a_connection_without_a_hello_is_not_kept() {
    let mut world = Script::cluster(1, 0.0, 2);
    world.intrude(0, (7, "node7"), |conn| {
        vec![Input::Datagram {
            conn,
            bytes: bytes::Bytes::from_static(&[1, 2, 3]),
        }]
    });
    assert_eq!(
        (world.stats(0).connections, world.stats(0).malformed),
        (2, 0)
    );
    world.run_ms(21_000);
    assert_eq!(world.stats(0).connections, 1);
}

#[test]
fn malformed_bytes_close_the_connection_and_change_nothing() {
    for bytes in [
        &b""[..],
        b"\x05",
        b"\x05\x04",
        b"\x00\xff\xff\xff",
        b"\x00\xff\x04\x01\x02",
    ] {
        let mut world = Script::compared(2);
        let (conn, bytes) = (world.conn(0, 1), Bytes::copy_from_slice(bytes));
        world.tell_lists(0, 1, lists::Input::Message { conn, bytes });
        world.run_ms(1);
        assert_eq!(world.record().closed, [(0, conn, CloseReason::Malformed)]);
        assert_eq!(world.lists_stats(0).malformed, 1);
    }
}

/// An addition of "milk", and an edit of it that says to overwrite an operation that never was.
pub(crate) const ADDITION: &str = concat!(
    "856f4a83a749c5d801bf0101deebea1dff6e54b784a969c23a5def8df3b8baf9bbac7d1657caeb70",
    "5b7e07391001010101010101010101010101010101010281f7c4d5060a75736572406e6f64653101",
    "100000000000000000000000000000000008010402041533340142045606571070027f0104007f01",
    "04027b1a30314d33323530574a51433350474137593642504a4533464153057469746c6503706f73",
    "0763726561746564046c696665057f0004017b00465669146d696c6b6130456642d7e4c1a28c3400",
    "0500"
);
pub(crate) const SPOILER: &str = concat!(
    "856f4a83f900cbb301830101a749c5d8638d87f1a5d875304f6d7340dfe5a6f7c18b4a4b852794d1",
    "5f92ecd01001010101010101010101010101010101020783f7c4d5060a75736572406e6f64653100",
    "0a01020202150c3401420256045709700271027305020002027e057469746c65046c696665020201",
    "7e8601146f6174206d696c6b02020102007ee8079e78"
);

pub(crate) fn unhex(text: &str) -> Bytes {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

#[test]
fn who_sends_a_change_that_spoils_a_list_is_cut_off_and_the_list_lives_on() {
    let mut world = Script::compared_unsigned(2);
    let conn = world.conn(0, 1);
    let list = names::ListId::of(&name("groceries"));
    let owner = world.hosts[0].process.as_ref().unwrap().owner_of(list);
    let changes = vec![unhex(ADDITION), unhex(SPOILER)];
    let bytes = push(name("groceries"), changes, false);
    world.tell_lists(0, owner, lists::Input::Message { conn, bytes });
    world.run_ms(100);
    assert_eq!(world.record().closed, [(0, conn, CloseReason::Abuse)]);
    assert_eq!(world.titles(0, "groceries"), ["milk"]);
    let stats = world.lists_stats(0);
    assert_eq!(
        (stats.changes_refused, stats.loads, stats.quarantined),
        (1, 0, 0)
    );
    world.add(1, "groceries", "bread");
    world.run_until_agreed(20_000);
    assert_eq!(world.titles(0, "groceries").len(), 2);
}
