//! Repairs whose questions go in parts, and peers that do not answer.

use super::*;
use crdt::vector::Tip;
use names::{Actor, ChangeHash, ChangeId};

const PEERS: [NodeId; 2] = [NodeId([1; 16]), NodeId([2; 16])];
const LIST: ListId = ListId([7; 16]);
/// By then an answer is late on whatever link.
const LATE_MS: u64 = 60_000;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(1) + Duration::from_millis(ms)
}

/// A vector of so many actors.
fn vector(actors: u8) -> VersionVector {
    let tip = |actor: u8| {
        let actor = Actor([actor; 16]);
        Tip::of(ChangeId { actor, seq: 1 }, ChangeHash([1; 32]))
    };
    (1..=actors).map(tip).collect()
}

/// A repair that has begun with that peer.
fn begun(peer: NodeId) -> Pulls {
    let mut pulls = Pulls::default();
    assert!(pulls.queue(peer, LIST, Newness::OLD));
    assert_eq!(pulls.next(at(0), &Flows::default()), Some((peer, LIST)));
    pulls
}

/// Asks about the next part of two actors; gives the first and the last actor of it.
fn ask(pulls: &mut Pulls, ours: &VersionVector) -> (u8, u8) {
    let (part, _) = pulls
        .ask(at(0), &mut Flows::default(), (PEERS[0], LIST), (ours, 2))
        .unwrap();
    assert!(part.is_sound());
    (part.span.from.0[0], part.span.to.0[15])
}

fn answer(pulls: &mut Pulls, tail: Tail) -> Step {
    let answered = pulls.answered(at(0), (PEERS[0], LIST), &[100], tail);
    assert_eq!(answered, Ok(()));
    pulls.all_committed(at(0), LIST)
}

#[test]
fn a_vector_within_a_part_is_asked_about_once() {
    for actors in 0..=2 {
        let mut pulls = begun(PEERS[0]);
        let ours = vector(actors);
        let (part, _) = pulls
            .ask(at(0), &mut Flows::default(), (PEERS[0], LIST), (&ours, 2))
            .unwrap();
        assert!(part.is_whole() && part.vector == ours);
        assert_eq!(answer(&mut pulls, Tail::End), Step::Over);
    }
}

#[test]
fn each_part_is_asked_about_until_it_has_no_more() {
    let mut pulls = begun(PEERS[0]);
    let ours = vector(5);
    assert_eq!(ask(&mut pulls, &ours), (0, 2));
    pulls.advanced(at(0), LIST);
    assert_eq!(answer(&mut pulls, Tail::Pull), Step::Look(PEERS[0]));
    assert_eq!(
        ask(&mut pulls, &ours),
        (0, 2),
        "there was more of this part"
    );
    assert_eq!(answer(&mut pulls, Tail::End), Step::Look(PEERS[0]));
    assert_eq!(ask(&mut pulls, &ours), (3, 4));
    assert_eq!(answer(&mut pulls, Tail::End), Step::Look(PEERS[0]));
    assert_eq!(ask(&mut pulls, &ours), (5, 255));
    assert_eq!(answer(&mut pulls, Tail::End), Step::Over);
}

#[test]
fn what_waits_for_another_part_is_asked_for_on_another_way() {
    let mut pulls = begun(PEERS[0]);
    let ours = vector(3);
    ask(&mut pulls, &ours);
    // What came depends on changes of the other part.
    assert_eq!(answer(&mut pulls, Tail::Pull), Step::Look(PEERS[0]));
    ask(&mut pulls, &ours);
    pulls.advanced(at(0), LIST);
    assert_eq!(answer(&mut pulls, Tail::End), Step::Look(PEERS[0]));
    assert_eq!(ask(&mut pulls, &ours), (0, 2), "there was more");
    assert_eq!(answer(&mut pulls, Tail::Pull), Step::Look(PEERS[0]));
    ask(&mut pulls, &ours);
    assert_eq!(
        answer(&mut pulls, Tail::End),
        Step::Over,
        "it brought nothing"
    );
}

#[test]
fn a_repair_that_broke_off_is_taken_up_where_it_was() {
    let mut pulls = begun(PEERS[0]);
    let ours = vector(5);
    ask(&mut pulls, &ours);
    assert_eq!(answer(&mut pulls, Tail::End), Step::Look(PEERS[0]));
    assert_eq!(ask(&mut pulls, &ours), (3, 4));
    pulls.gone(at(0), PEERS[0]);
    assert!(pulls.queue(PEERS[0], LIST, Newness::OLD));
    assert_eq!(pulls.next(at(0), &Flows::default()), Some((PEERS[0], LIST)));
    let mut asked = Vec::new();
    loop {
        asked.push(ask(&mut pulls, &ours));
        if answer(&mut pulls, Tail::End) == Step::Over {
            break;
        }
    }
    assert_eq!(asked, [(3, 4), (5, 255), (0, 2)]);
}

#[test]
fn an_answer_without_end_is_told() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    let mut answers = 0;
    while pulls.answered(at(0), (PEERS[0], LIST), &[], Tail::Message) == Ok(()) {
        answers += 1;
        assert!(answers < 10_000, "it may go on for ever");
    }
    assert!(pulls.is_idle(PEERS[0]));
}

#[test]
fn parts_of_large_changes_keep_a_repair_alive_for_so_long_as_an_answer_may_be() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    let (mut chunks, mut now) = (0, 0);
    while pulls.expire(at(now), &mut Flows::default()) == 0 {
        now += 4_000;
        chunks += 1;
        pulls.is_alive(at(now), (PEERS[0], LIST), CHUNK_BYTES);
        assert!(chunks < 1_000, "it may go on for ever");
    }
    assert!(chunks >= MAX_CHANGE_BYTES / CHUNK_BYTES);
}

#[test]
fn who_did_not_answer_is_asked_last() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    assert_eq!(pulls.expire(at(4_999), &mut Flows::default()), 0);
    assert_eq!(pulls.expire(at(LATE_MS), &mut Flows::default()), 1);
    let all = PEERS.map(|peer| pulls.queue(peer, LIST, Newness::OLD));
    assert_eq!(all, [true; 2]);
    assert_eq!(
        pulls.next(at(LATE_MS), &Flows::default()),
        Some((PEERS[1], LIST))
    );
}

#[test]
fn a_repair_with_who_did_not_answer_makes_way_for_another_one() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    pulls.expire(at(LATE_MS), &mut Flows::default());
    pulls.queue(PEERS[0], LIST, Newness::OLD);
    assert_eq!(
        pulls.next(at(LATE_MS), &Flows::default()),
        Some((PEERS[0], LIST)),
        "there is no other one"
    );
    pulls.queue(PEERS[1], LIST, Newness::OLD);
    assert_eq!(
        pulls.next(at(LATE_MS), &Flows::default()),
        Some((PEERS[1], LIST))
    );
}

#[test]
fn who_answers_is_asked_as_any_other() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    pulls.expire(at(LATE_MS), &mut Flows::default());
    pulls.queue(PEERS[0], LIST, Newness::OLD);
    pulls.next(at(LATE_MS), &Flows::default());
    ask(&mut pulls, &vector(1));
    let answered = pulls.answered(at(LATE_MS), (PEERS[0], LIST), &[], Tail::End);
    assert_eq!(answered, Ok(()));
    assert_eq!(pulls.all_committed(at(LATE_MS), LIST), Step::Over);
    let all = PEERS.map(|peer| pulls.queue(peer, LIST, Newness::OLD));
    assert_eq!(all, [true; 2]);
    assert_eq!(
        pulls.next(at(LATE_MS), &Flows::default()),
        Some((PEERS[0], LIST))
    );
}

#[test]
fn who_goes_without_an_answer_and_comes_back_is_asked_last() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    pulls.gone(at(100), PEERS[0]);
    let all = PEERS.map(|peer| pulls.queue(peer, LIST, Newness::OLD));
    assert_eq!(all, [true; 2]);
    assert_eq!(
        pulls.next(at(200), &Flows::default()),
        Some((PEERS[1], LIST))
    );
}

/// The links to a far peer, of which nothing is known but its round trip.
fn far() -> Flows {
    let mut flows = Flows::default();
    flows.answered(PEERS[0], Duration::from_secs(1));
    flows
}

#[test]
fn a_question_was_lost_if_a_much_later_one_is_answered() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    assert!(pulls.silent(at(3_999)).is_empty());
    assert!(pulls.silent(at(4_000)).contains(&PEERS[0]));
    pulls.overtaken(PEERS[0], at(3_999));
    assert_eq!(pulls.expire(at(5_000), &mut far()), 0);
    pulls.overtaken(PEERS[0], at(4_000));
    let mut flows = far();
    assert_eq!(pulls.expire(at(4_999), &mut flows), 0);
    assert_eq!(pulls.expire(at(5_000), &mut flows), 1);
    let before = far().limit(PEERS[0], STALL, 64 << 10);
    let limit = flows.limit(PEERS[0], STALL, 64 << 10);
    assert_eq!(limit, before, "the link is no slower for that");
    let all = PEERS.map(|peer| pulls.queue(peer, LIST, Newness::OLD));
    assert_eq!(all, [true; 2]);
    assert_eq!(pulls.next(at(5_000), &flows), Some((PEERS[1], LIST)));
}

#[test]
fn a_link_on_which_nothing_is_answered_has_become_slow() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    let mut flows = far();
    let before = flows.limit(PEERS[0], STALL, 64 << 10);
    assert_eq!(pulls.expire(at(LATE_MS), &mut flows), 1);
    assert!(flows.limit(PEERS[0], STALL, 64 << 10) > before);
}

#[test]
fn an_answer_that_goes_on_is_not_lost() {
    let mut pulls = begun(PEERS[0]);
    ask(&mut pulls, &vector(1));
    let answered = pulls.answered(at(4_500), (PEERS[0], LIST), &[100], Tail::Message);
    assert_eq!(answered, Ok(()));
    pulls.overtaken(PEERS[0], at(4_400));
    assert_eq!(pulls.expire(at(9_400), &mut far()), 0);
}

#[test]
fn the_newest_list_is_repaired_first() {
    let [old, newer, newest] = [1, 2, 3].map(|number| ListId([number; 16]));
    let mut pulls = Pulls::default();
    for (list, newness) in [
        (old, Newness::OLD),
        (newest, Newness::UNKNOWN),
        (newer, Newness(5)),
    ] {
        assert!(pulls.queue(PEERS[0], list, newness));
    }
    let mut next = || pulls.next(at(0), &Flows::default()).map(|(_, list)| list);
    assert_eq!(
        [next(), next(), next()],
        [Some(newest), Some(newer), Some(old)]
    );
}
