//! What lists machines say, as it was first written.

use super::wire::{Chunk, Message, Pushed, Tail, decode, encode};
use crate::golden::{check, covers};
use crate::wire::Protocol;
use bytes::Bytes;
use crdt::vector::{Part, Span, Tip, VersionVector};
use names::{Actor, ChangeHash, ChangeId, ListId, ListName, Shard};

const LIST: ListId = ListId([5; 16]);
const SHARDS: (Shard, Shard) = (Shard(3), Shard(200));

fn name() -> ListName {
    ListName::new("gro\u{308}ceries").unwrap()
}

fn vector() -> VersionVector {
    [(Actor([1; 16]), 3), (Actor([2; 16]), 300)]
        .into_iter()
        .map(|(actor, seq)| Tip::of(ChangeId { actor, seq }, ChangeHash([9; 32])))
        .collect()
}

fn part() -> Part {
    let span = Span {
        from: Actor([1; 16]),
        to: Actor([3; 16]),
    };
    let vector = vector();
    Part { span, vector }
}

fn changes() -> Vec<Bytes> {
    vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]
}

fn carrying() -> Vec<(&'static str, Message)> {
    vec![
        (
            "push",
            Message::Push(vec![Pushed {
                name: name(),
                changes: changes(),
                confirm: true,
            }]),
        ),
        (
            "chunk",
            Message::Chunk(Chunk {
                name: name(),
                number: 9,
                index: 1,
                count: 4,
                bytes: Bytes::from_static(b"part"),
            }),
        ),
    ]
}

fn comparing() -> Vec<(&'static str, Message)> {
    vec![
        (
            "root",
            Message::Root {
                sum: 0x0123_4567_89ab_cdef,
                wake: true,
            },
        ),
        ("equal", Message::Equal(4)),
        ("shards", Message::Shards(vec![1, 300, u64::MAX])),
        (
            "buckets",
            Message::Buckets {
                shard: Shard(5),
                sums: vec![0, 7],
            },
        ),
        (
            "leaves",
            Message::Leaves {
                shard: Shard(5),
                buckets: vec![0, 255],
                leaves: vec![(LIST, 8)],
                last: true,
            },
        ),
    ]
}

fn about_one_list() -> Vec<(&'static str, Message)> {
    let answer = |tail| Message::Changes {
        name: name(),
        changes: changes(),
        tail,
    };
    vec![
        (
            "compare",
            Message::compare(Protocol::UNPROVED, LIST, &vector().into()),
        ),
        (
            "pull",
            Message::pull(Protocol::UNPROVED, LIST, &vector().into(), 262_144),
        ),
        ("changes-and-a-message", answer(Tail::Message)),
        ("changes-and-more", answer(Tail::Pull)),
        ("changes-and-no-more", answer(Tail::End)),
        ("nothing", Message::Nothing(LIST)),
        (
            "confirm",
            Message::confirm(Protocol::UNPROVED, LIST, &vector()),
        ),
        ("have", Message::have(Protocol::UNPROVED, LIST, &vector())),
    ]
}

fn about_one_list_marked() -> Vec<(&'static str, Message)> {
    let protocol = Protocol::PROVED;
    vec![
        (
            "compare-marked",
            Message::compared(protocol, LIST, &vector()),
        ),
        (
            "pull-marked",
            Message::pull(protocol, LIST, &vector().into(), 262_144),
        ),
        (
            "confirm-marked",
            Message::confirm(protocol, LIST, &vector()),
        ),
        ("have-marked", Message::have(protocol, LIST, &vector())),
        (
            "left-out",
            Message::LeftOut {
                list: LIST,
                left_out: changes(),
            },
        ),
        ("salts", Message::Salts(changes())),
        (
            "whose-actors",
            Message::WhoseActors {
                list: LIST,
                actors: vec![Actor([1; 16]), Actor([2; 16])],
            },
        ),
        ("compare-part", Message::compare(protocol, LIST, &part())),
        ("pull-part", Message::pull(protocol, LIST, &part(), 262_144)),
        (
            "unlike",
            Message::Unlike {
                list: LIST,
                vector: (&vector()).into(),
            },
        ),
    ]
}

#[test]
fn messages_are_what_they_were() {
    let samples = [
        carrying(),
        comparing(),
        about_one_list(),
        about_one_list_marked(),
    ]
    .concat();
    let write = |message: &Message| encode(SHARDS, message).unwrap().to_vec();
    covers::<Message>(
        "lists",
        2,
        samples.iter().map(|(_, message)| write(message)),
    );
    let read = |bytes: &[u8]| {
        decode(bytes)
            .filter(|(shards, _)| *shards == SHARDS)
            .map(|(_, message)| message)
    };
    check("lists", samples, write, read);
}
