//! Peers that break the protocol, or say nothing.

use crate::script::Script;
use node::cluster::Input;

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
    world.run_ms(6_000);
    assert_eq!(world.stats(0).connections, 1);
}
