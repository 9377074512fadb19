use super::KEPT;
use super::collector::Collector;
use super::facts::Fact;
use super::kept::{Past, keep};
use api::heals::{HealConflict, HealReport, HealState, HealTransfer};
use api::time::Millis;
use names::{NodeId, NodeName, Shard};
use node::time::{Instant, Now, Wall};
use std::sync::mpsc::{Receiver, sync_channel};

const B: u8 = 2;
const C: u8 = 3;

fn id(number: u8) -> NodeId {
    NodeId([number; 16])
}

fn name(number: u8) -> NodeName {
    NodeName::new(&format!("n{number}")).unwrap()
}

fn at(seconds: u64) -> Now {
    Now {
        instant: Instant::from_nanos(seconds * 1_000_000_000),
        wall: Wall(i64::try_from(seconds * 1000).unwrap()),
    }
}

fn ms(now: Now) -> Millis {
    Millis(now.wall.0)
}

struct Node(Collector);

impl Node {
    fn new() -> Self {
        Self(Collector::new("n1".to_owned(), Vec::new(), at(0).instant))
    }

    fn lost(&mut self, seconds: u64, member: u8) {
        let now = at(seconds);
        self.0.lost(now.instant, ms(now), id(member), &name(member));
    }

    fn back(&mut self, seconds: u64, member: u8) {
        self.0.back(at(seconds), ms(at(seconds)), id(member));
    }

    fn equal(&mut self, seconds: u64, member: u8) {
        for shards in [(Shard(0), Shard(127)), (Shard(128), Shard(255))] {
            let peer = id(member);
            self.0.take(at(seconds), Fact::Equal { peer, shards });
        }
    }

    fn received(&mut self, seconds: u64, list: &str, is_merged: bool) {
        let fact = Fact::Received {
            list: list.to_owned(),
            is_merged,
            transfer: HealTransfer {
                changes: 2,
                bytes: 300,
            },
            conflicts: vec![HealConflict {
                list: list.to_owned(),
                entry: "e".to_owned(),
                title: "milk".to_owned(),
                field: "title".into(),
                values: Vec::new(),
            }],
        };
        self.0.take(at(seconds), fact);
    }

    fn reports(&mut self, seconds: u64) -> Vec<HealReport> {
        self.0.reports(at(seconds).instant)
    }

    fn only(&mut self, seconds: u64) -> HealReport {
        let mut reports = self.reports(seconds);
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.pop().unwrap()
    }

    fn keep(&mut self) -> Receiver<HealReport> {
        let (sender, kept) = sync_channel(1000);
        self.0.keep_by(Some(sender));
        kept
    }
}

fn away(report: &HealReport) -> Vec<(&str, bool, u64)> {
    let members = report.members.iter();
    members
        .map(|member| (&*member.name, member.back_at.is_some(), member.away_ms))
        .collect()
}

#[test]
fn a_cut_is_one_report_that_is_closed_when_all_lists_are_equal() {
    let mut node = Node::new();
    node.lost(100, C);
    node.lost(101, B);
    assert_eq!(node.only(102).state, HealState::Open);
    node.back(130, B);
    node.received(131, "both", true);
    node.received(131, "one", false);
    node.back(131, C);
    node.equal(133, B);
    assert_eq!(node.only(150).agreed_at, None, "the other one is not equal");
    node.equal(151, C);
    let report = node.only(152);
    assert_eq!(report.state, HealState::Closed);
    assert_eq!(away(&report), [("n2", true, 29_000), ("n3", true, 31_000)]);
    assert_eq!(report.lists, ["both"]);
    assert_eq!(report.conflicts.len(), 1);
    assert_eq!(report.received.changes, 4);
    assert_eq!(report.agreed_at, Some(ms(at(151))));
    assert_eq!(node.0.current(), None);
}

#[test]
fn half_of_the_shards_are_not_all_lists() {
    let mut node = Node::new();
    node.lost(100, B);
    node.back(130, B);
    let (peer, shards) = (id(B), (Shard(0), Shard(127)));
    node.0.take(at(131), Fact::Equal { peer, shards });
    node.0.take(at(132), Fact::Equal { peer, shards });
    assert_eq!(node.only(200).state, HealState::Open);
}

#[test]
fn a_heal_whose_lists_differ_for_ten_minutes_is_closed_and_says_so() {
    let mut node = Node::new();
    node.lost(100, B);
    node.back(130, B);
    assert_eq!(node.only(130 + 599).state, HealState::Open);
    let report = node.only(130 + 600);
    assert_eq!((report.state, report.agreed_at), (HealState::Closed, None));
}

#[test]
fn who_is_lost_again_within_a_minute_is_in_the_same_report() {
    let mut node = Node::new();
    node.lost(100, B);
    node.back(130, B);
    node.equal(131, B);
    assert_eq!(node.only(145).state, HealState::Closed);
    node.lost(189, B);
    assert_eq!(node.only(189).state, HealState::Open);
    node.back(199, B);
    node.equal(200, B);
    let report = node.only(210);
    assert_eq!(report.state, HealState::Closed);
    assert_eq!(away(&report), [("n2", true, 40_000)]);
    assert_eq!(report.members[0].times, 2);
    node.lost(300, B);
    assert_eq!(node.reports(300).len(), 2, "a minute later it is a new one");
}

#[test]
fn a_member_that_stays_away_holds_up_nothing_and_has_a_report_of_its_own() {
    let mut node = Node::new();
    node.lost(100, B);
    node.lost(101, C);
    node.back(130, B);
    node.equal(131, B);
    assert_eq!(
        node.only(180).state,
        HealState::Open,
        "the other may follow"
    );
    let reports = node.reports(191);
    assert_eq!(reports[1].state, HealState::Closed);
    assert_eq!(away(&reports[1]), [("n2", true, 30_000), ("n3", false, 0)]);
    assert_eq!(reports[0].state, HealState::Open);
    assert_eq!(away(&reports[0]), [("n3", false, 0)]);
    node.back(1000, C);
    let report = node.reports(1000).remove(0);
    assert_eq!(away(&report), [("n3", true, 899_000)]);
}

#[test]
fn nothing_is_told_of_who_leaves_for_good() {
    let mut node = Node::new();
    let kept = node.keep();
    node.lost(100, B);
    node.0.gone(at(101).instant, id(B));
    assert_eq!(node.reports(102), []);
    let last = kept.try_iter().last().unwrap();
    assert_eq!(last.members, [], "the disk knows it, too");
}

#[test]
fn what_comes_just_before_a_member_counts_as_alive_is_told() {
    let mut node = Node::new();
    node.lost(100, B);
    node.received(110, "early", true);
    node.received(128, "both", true);
    node.back(130, B);
    assert_eq!(node.only(130).lists, ["both"]);
}

#[test]
fn a_newer_run_says_that_the_daemon_was_started_anew() {
    let mut node = Node::new();
    node.0
        .runs([(id(B), Some(4)), (id(C), Some(7))].into_iter());
    node.lost(100, B);
    node.lost(100, C);
    node.0
        .runs([(id(B), Some(5)), (id(C), Some(7))].into_iter());
    let report = node.only(101);
    let restarted: Vec<bool> = report.members.iter().map(|one| one.restarted).collect();
    assert_eq!(restarted, [true, false]);
}

#[test]
fn a_name_claimed_twice_has_one_that_kept_it() {
    let mut node = Node::new();
    node.lost(100, B);
    node.back(130, B);
    for (kept, lost) in [("web@n1#1.1", "web@n2#2.2"), ("web@n2#2.2", "web@n1#1.1")] {
        let (name, kept, lost) = ("web".to_owned(), kept.to_owned(), lost.to_owned());
        node.0.take(at(131), Fact::Claimed { name, kept, lost });
    }
    let names = node.only(132).names;
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].kept, "web@n2#2.2", "the last word");
    assert_eq!(names[0].lost, ["web@n1#1.1"]);
}

#[test]
fn a_report_has_bounds_and_counts_what_is_beyond() {
    let mut node = Node::new();
    node.lost(100, B);
    node.back(130, B);
    for number in 0..103 {
        node.received(131, &format!("l{number:03}"), true);
        node.received(131, &format!("l{number:03}"), true);
    }
    let report = node.only(132);
    assert_eq!((report.lists.len(), report.conflicts.len()), (100, 50));
    assert_eq!(report.omitted, 53);
    let mut number = 0;
    while number < KEPT as u64 + 5 {
        number += 1;
        node.lost(1000 * number, B);
        node.back(1000 * number + 1, B);
        node.equal(1000 * number + 2, B);
    }
    assert_eq!(node.reports(1000 * number + 100).len(), KEPT);
}

#[test]
fn an_open_report_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::new();
    let kept = node.keep();
    node.lost(100, B);
    node.lost(100, C);
    node.back(130, B);
    node.0.keep_by(None);
    keep(&kept, dir.path());
    let past = Past::read(dir.path()).reports;
    let mut node = Node(Collector::new("n1".to_owned(), past, at(0).instant));
    let now = at(1);
    node.0.back(now, Millis(160_000), id(C));
    let report = node.only(2);
    assert_eq!(away(&report), [("n2", true, 30_000), ("n3", true, 60_000)]);
    node.equal(3, B);
    node.equal(3, C);
    assert_eq!(node.only(12).state, HealState::Closed);
}

#[test]
fn what_is_on_the_disk_is_the_last_that_was_written_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::new();
    let kept = node.keep();
    for number in 1..=KEPT as u64 + 20 {
        node.lost(1000 * number, B);
        node.back(1000 * number + 1, B);
        node.equal(1000 * number + 2, B);
        node.reports(1000 * number + 100);
    }
    let told = node.reports(1_000_000);
    node.0.keep_by(None);
    keep(&kept, dir.path());
    let mut past = Past::read(dir.path()).reports;
    past.reverse();
    assert_eq!(past, told);
}
