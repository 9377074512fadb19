//! Lists that one machine cannot load.

use super::ask;
use super::harness::{World, name};
use super::io::{Lagging, Refusal, Reply};
use bytes::Bytes;
use names::ListId;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_list_that_a_peer_cannot_take_lags_until_it_can() {
    let mut world = World::new(2);
    world.add(0, "bob", "buy milk");
    world.run(SECOND);
    world.restart(1, |settings| {
        settings.quarantined.push(ListId::of(&name("bob")))
    });
    world.add(0, "bob", "buy bread");
    world.run(20 * SECOND);
    for index in 0..2 {
        let stats = world.stats(index);
        assert!(stats.differing == 1 && stats.lag > 15 * SECOND, "{stats:?}");
        let request = world.request(index, ask::Lagging);
        let Some(Ok(Reply::Lagging(lagging))) = world.reply(request) else {
            panic!()
        };
        assert!(
            matches!(lagging[..], [Lagging { lag, .. }] if lag == stats.lag),
            "{lagging:?}"
        );
    }
    world.cut(0, 1);
    world.run(20 * SECOND);
    assert_eq!(
        world.stats(0).lag,
        Duration::ZERO,
        "nobody is connected whose list could differ"
    );
    world.connect(0, 1);
    world.restart(1, |_| ());
    world.run(5 * SECOND);
    world.assert_agreed();
    assert_eq!(
        (0..2).map(|index| world.stats(index).lag).sum::<Duration>(),
        Duration::ZERO
    );
}

#[test]
fn a_list_that_does_not_load_is_quarantined_alone() {
    let mut world = World::new(2);
    world.run(SECOND);
    world.add(0, "bob", "milk");
    world.add(0, "ann", "bread");
    world.run(SECOND);
    let bob = ListId::of(&name("bob"));
    for (key, bytes) in &mut world.nodes[0].disk.changes {
        if key.0 == bob {
            *bytes = Bytes::from_static(b"rubbish");
        }
    }
    world.restart(0, |_| ());
    let (bad, good) = (world.add(0, "bob", "x"), world.add(0, "ann", "y"));
    world.run(SECOND);
    assert_eq!(world.reply(bad).unwrap(), &Err(Refusal::Quarantined));
    assert!(world.reply(good).unwrap().is_ok());
    assert_eq!(
        world.nodes[0].disk.quarantined.iter().collect::<Vec<_>>(),
        [&bob]
    );
    world.add(1, "bob", "z");
    world.run(3 * SECOND);
    assert!(world.stats(0).changes_refused > 0);
    assert_eq!(world.stats(0).quarantined, 1);
    assert_eq!(world.nodes[1].disk.titles("ann"), ["bread", "y"]);
}
