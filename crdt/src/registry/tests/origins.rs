//! Two logs of one run, as a node writes them whose disk was restored from a backup.

use super::*;

#[test]
fn the_later_of_two_logs_of_one_run_has_the_higher_numbers() {
    let long_ago = Log::origin(0, u64::MAX);
    let today = Log::origin(1_800_000_000_000, 31);
    let a_millisecond_later = Log::origin(1_800_000_000_001, 0);
    let far = Log::origin(u64::MAX, u64::MAX);
    assert!(long_ago < today && today < a_millisecond_later && a_millisecond_later < far);

    // A clock that is far ahead leaves room for changes that all replicas take.
    let mut owner = Logs::default();
    owner.begin(OWNER, 1, far);
    owner.put(OWNER, name(1), process(1), State::Live(entry(1, "text")));
    let log = owner.get(OWNER).unwrap();
    let from = Progress::default();
    assert!(log.delta(OWNER, from, ALL).is_sound());
}

#[test]
fn of_two_logs_of_one_run_a_replica_keeps_the_later_one() {
    let replica_of = |log: &Logs| {
        let mut replica = Logs::default();
        let part = log
            .get(OWNER)
            .unwrap()
            .delta(OWNER, Progress::default(), ALL);
        replica.merge(part).unwrap();
        replica
    };
    let (mut earlier, mut later) = (Logs::default(), Logs::default());
    earlier.begin(OWNER, 1, Log::origin(1_000, 0));
    later.begin(OWNER, 1, Log::origin(1_020, 0));
    for (log, claim) in [(&mut earlier, 1), (&mut later, 2)] {
        log.put(
            OWNER,
            name(1),
            process(1),
            State::Live(entry(claim, "text")),
        );
    }
    let (mut behind, ahead) = (replica_of(&earlier), replica_of(&later));
    assert!(behind.position(OWNER) < ahead.position(OWNER));
    let ahead_says = ahead.get(OWNER).unwrap();
    let part = ahead_says.delta(OWNER, behind.progress(OWNER), ALL);
    behind.merge(part).unwrap();
    let log = behind.get(OWNER).unwrap();
    let kept = log.get(&name(1), process(1)).unwrap().entry().unwrap();
    assert_eq!(kept.claim, 2);
}
