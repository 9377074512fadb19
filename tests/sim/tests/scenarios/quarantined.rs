//! Lists that one machine cannot load.

use crate::entries::name;
use crate::script::Script;
use bytes::Bytes;
use names::{Actor, ListId};
use node::lists::{Command, Holder, Lagging, Refusal, Reply, ask};
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

/// A row of a disk: a change of a list.
type RawRow = ((ListId, Actor, u64), Bytes);

/// Two hosts that have a list, the first of which cannot load it any more; with the changes that it had.
fn with_a_list_in_quarantine() -> (Script, Vec<RawRow>) {
    let mut world = Script::compared(2);
    for title in ["milk", "bread"] {
        world.add(0, "bob", title);
        world.run_until_agreed(1_000);
    }
    let bob = ListId::of(&name("bob"));
    let changes = &mut world.hosts[0].disk.image.changes;
    let of_bob = changes.iter().filter(|((list, ..), _)| *list == bob);
    let kept: Vec<_> = of_bob.map(|(key, bytes)| (*key, bytes.clone())).collect();
    for (key, _) in &kept {
        changes.insert(*key, Bytes::from_static(b"rubbish"));
    }
    world.restart(0);
    world.add(0, "bob", "x");
    world.run_ms(1_000);
    assert_eq!(world.lists_stats(0).quarantined, 1);
    (world, kept)
}

fn asked(world: &mut Script, ask: impl Into<Command>) -> Result<Reply, Refusal> {
    let request = world.ask_lists(0, ListId::of(&name("bob")), ask);
    world.run_ms(1_000);
    world.list_reply(request).unwrap().clone()
}

fn release() -> ask::Release {
    ask::Release {
        list: name("bob"),
        timeout: Duration::from_secs(5),
    }
}

#[test]
fn a_list_is_released_as_soon_as_its_document_can_be_made() {
    let (mut world, kept) = with_a_list_in_quarantine();
    let refused = asked(&mut world, release());
    assert!(
        matches!(refused, Err(Refusal::StillDamaged(_))),
        "{refused:?}"
    );
    world.add(1, "bob", "eggs");
    world.run_ms(1_000);
    world.hosts[0].disk.image.changes.extend(kept);
    assert_eq!(asked(&mut world, release()), Ok(Reply::Done));
    assert!(world.hosts[0].disk.image.quarantined.is_empty());
    world.run_until_agreed(8_000);
    assert_eq!(world.titles(0, "bob"), ["milk", "bread", "eggs"]);
    world.restart(0);
    let added = world.add(0, "bob", "tea");
    world.run_until_agreed(8_000);
    assert!(world.list_reply(added).unwrap().is_ok());
    let refused = asked(&mut world, release());
    assert_eq!(refused, Err(Refusal::NotQuarantined("bob".to_owned())));
}

#[test]
fn a_list_is_replaced_by_what_the_others_have() {
    let (mut world, _) = with_a_list_in_quarantine();
    let holders = ask::Holders {
        list: name("bob"),
        timeout: Duration::from_secs(5),
    };
    let Ok(Reply::Holders(told)) = asked(&mut world, holders) else {
        panic!("nothing was told");
    };
    let theirs = world.hosts[1].disk.image.vector(ListId::of(&name("bob")));
    let peer = world.hosts[1].peer.id;
    assert_eq!(
        told,
        [Holder {
            peer,
            vector: theirs
        }]
    );
    let replace = ask::Replace { list: name("bob") };
    assert_eq!(asked(&mut world, replace), Ok(Reply::Done));
    world.run_until_agreed(8_000);
    assert_eq!(world.titles(0, "bob"), ["milk", "bread"]);
    assert_eq!(world.lists_stats(0).quarantined, 0);
    let added = world.add(0, "bob", "tea");
    world.run_until_agreed(8_000);
    assert!(world.list_reply(added).unwrap().is_ok());
    world.restart(0);
    world.run_until_agreed(8_000);
    assert_eq!(world.titles(1, "bob"), ["milk", "bread", "tea"]);
}

#[test]
fn damage_of_the_disk_puts_a_list_in_quarantine() {
    let mut world = Script::compared(2);
    world.add(0, "bob", "milk");
    world.run_until_agreed(1_000);
    let bob = ListId::of(&name("bob"));
    let ask = ask::Quarantine {
        list: bob,
        reason: "a block went bad".to_owned(),
    };
    let waiting = world.add(0, "bob", "bread");
    assert_eq!(asked(&mut world, ask), Ok(Reply::Done));
    assert_eq!(world.lists_stats(0).quarantined, 1);
    assert!(world.list_reply(waiting).is_some());
    let quarantined = &world.hosts[0].disk.image.quarantined;
    assert_eq!(
        quarantined.get(&bob).map(String::as_str),
        Some("a block went bad")
    );
    assert_eq!(asked(&mut world, release()), Ok(Reply::Done));
    world.run_until_agreed(8_000);
    assert_eq!(world.titles(0, "bob")[0], "milk");
}
