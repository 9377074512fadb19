//! Lists that one machine cannot load.

use crate::entries::name;
use crate::script::Script;
use bytes::Bytes;
use names::ListId;
use node::lists::{Lagging, Refusal, Reply, ask};
use std::time::Duration;

#[test]
fn a_list_that_a_peer_cannot_take_lags_until_it_can() {
    let mut world = Script::compared(2);
    let bob = ListId::of(&name("bob"));
    world.add(0, "bob", "buy milk");
    world.run_until_agreed(50);
    let image = &mut world.hosts[1].disk.image;
    image.quarantined.insert(bob, "as a test has it".to_owned());
    world.restart(1);
    world.add(0, "bob", "buy bread");
    world.run_ms(20_000);
    for host in 0..2 {
        let stats = world.lists_stats(host);
        assert!(
            stats.differing == 1 && stats.lag > Duration::from_secs(15),
            "{stats:?}"
        );
        let request = world.ask_lists(host, bob, ask::Lagging);
        world.run_ms(1);
        let Some(Ok(Reply::Lagging(lagging))) = world.list_reply(request) else {
            panic!()
        };
        assert!(
            matches!(lagging[..], [Lagging { lag, .. }] if lag == stats.lag),
            "{lagging:?}"
        );
    }
    world.cut(&[0], &[1]);
    world.run_ms(20_000);
    assert_eq!(
        world.lists_stats(0).lag,
        Duration::ZERO,
        "nobody is connected whose list could differ"
    );
    world.heal();
    world.hosts[1].disk.image.quarantined.clear();
    world.restart(1);
    world.run_until_agreed(8_000);
    let lags: Duration = (0..2).map(|host| world.lists_stats(host).lag).sum();
    assert_eq!(lags, Duration::ZERO);
}

#[test]
fn a_list_that_does_not_load_is_quarantined_alone() {
    let mut world = Script::compared(2);
    world.add(0, "bob", "milk");
    world.add(0, "ann", "bread");
    world.run_ms(1_000);
    let bob = ListId::of(&name("bob"));
    for (key, bytes) in &mut world.hosts[0].disk.image.changes {
        if key.0 == bob {
            *bytes = Bytes::from_static(b"rubbish");
        }
    }
    world.restart(0);
    let (bad, good) = (world.add(0, "bob", "x"), world.add(0, "ann", "y"));
    world.run_ms(1_000);
    assert_eq!(world.list_reply(bad), Some(&Err(Refusal::Quarantined)));
    assert!(world.list_reply(good).unwrap().is_ok());
    let quarantined = world.hosts[0].disk.image.quarantined.keys();
    assert_eq!(quarantined.collect::<Vec<_>>(), [&bob]);
    world.add(1, "bob", "z");
    world.run_ms(3_000);
    assert!(world.lists_stats(0).changes_refused > 0);
    assert_eq!(world.lists_stats(0).quarantined, 1);
    assert_eq!(world.titles(1, "ann"), ["bread", "y"]);
}
