//! Every message reads as it was written, and rubbish is refused.

use super::*;
use crdt::vector::Tip;
use names::{ChangeHash, ChangeId};
use proptest::collection::vec;
use proptest::prelude::*;

fn vectors() -> impl Strategy<Value = VersionVector> {
    vec((any::<[u8; 16]>(), any::<u64>(), any::<[u8; 32]>()), 0..5).prop_map(|tips| {
        let tip = |(actor, seq, hash)| {
            let actor = Actor(actor);
            Tip::of(ChangeId { actor, seq }, ChangeHash(hash))
        };
        tips.into_iter().map(tip).collect()
    })
}

fn parts() -> impl Strategy<Value = Part> {
    let whole = vectors().prop_map(Part::from);
    let span = (any::<[u8; 16]>(), any::<[u8; 16]>());
    let some = (vectors(), span).prop_map(|(vector, (one, other))| {
        let (from, to) = (Actor(one.min(other)), Actor(one.max(other)));
        let span = Span { from, to };
        Part { span, vector }
    });
    prop_oneof![whole, some]
}

fn names() -> impl Strategy<Value = ListName> {
    "[a-zé0-9]{1,30}".prop_map(|text| ListName::new(&text).unwrap())
}

fn blobs() -> impl Strategy<Value = Vec<Bytes>> {
    vec(vec(any::<u8>(), 0..50).prop_map(Bytes::from), 0..5)
}

fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![carrying(), comparing(), asking()]
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::UNPROVED), Just(Protocol::PROVED)]
}

/// What carries changes.
fn carrying() -> impl Strategy<Value = Message> {
    let tail = prop_oneof![Just(Tail::Message), Just(Tail::Pull), Just(Tail::End)];
    prop_oneof![
        vec((names(), blobs(), any::<bool>()), 0..4).prop_map(|items| Message::Push(
            items
                .into_iter()
                .map(|(name, changes, confirm)| Pushed {
                    name,
                    changes,
                    confirm
                })
                .collect()
        )),
        (
            names(),
            any::<u64>(),
            any::<u32>(),
            any::<u32>(),
            vec(any::<u8>(), 0..99)
        )
            .prop_map(|(name, number, index, count, bytes)| Message::Chunk(Chunk {
                name,
                number,
                index,
                count,
                bytes: bytes.into()
            })),
        (names(), blobs(), tail).prop_map(|(name, changes, tail)| Message::Changes {
            name,
            changes,
            tail
        }),
    ]
}

/// What compares all lists.
fn comparing() -> impl Strategy<Value = Message> {
    let list = any::<[u8; 16]>().prop_map(ListId);
    let sums = vec(any::<u64>(), 0..256);
    prop_oneof![
        (any::<u64>(), any::<bool>()).prop_map(|(sum, wake)| Message::Root { sum, wake }),
        any::<u64>().prop_map(Message::Equal),
        sums.clone().prop_map(Message::Shards),
        (any::<u8>(), sums).prop_map(|(shard, sums)| Message::Buckets {
            shard: Shard(shard),
            sums
        }),
        (
            any::<u8>(),
            vec(any::<u8>(), 0..9),
            vec((list, any::<u64>()), 0..9),
            any::<bool>()
        )
            .prop_map(|(shard, buckets, leaves, last)| Message::Leaves {
                shard: Shard(shard),
                buckets,
                leaves,
                last
            }),
    ]
}

/// What is asked and told of one list.
fn asking() -> impl Strategy<Value = Message> {
    let list = any::<[u8; 16]>().prop_map(ListId);
    let about = || (any::<[u8; 16]>().prop_map(ListId), vectors(), protocols());
    let about_part = || (any::<[u8; 16]>().prop_map(ListId), parts(), protocols());
    prop_oneof![
        about_part().prop_map(|(list, part, protocol)| Message::compare(protocol, list, &part)),
        about().prop_map(|(list, apart, protocol)| Message::compared(protocol, list, &apart)),
        (about_part(), any::<u32>()).prop_map(|((list, part, protocol), most_bytes)| {
            Message::pull(protocol, list, &part, most_bytes)
        }),
        list.prop_map(Message::Nothing),
        (any::<[u8; 16]>().prop_map(ListId), blobs())
            .prop_map(|(list, left_out)| Message::LeftOut { list, left_out }),
        blobs().prop_map(Message::Salts),
        (
            any::<[u8; 16]>().prop_map(ListId),
            vec(any::<[u8; 16]>().prop_map(Actor), 0..5)
        )
            .prop_map(|(list, actors)| Message::WhoseActors { list, actors }),
        about().prop_map(|(list, vector, protocol)| Message::confirm(protocol, list, &vector)),
        about().prop_map(|(list, vector, protocol)| Message::have(protocol, list, &vector)),
        about().prop_map(|(list, vector, _)| Message::Unlike {
            list,
            vector: (&vector).into()
        }),
    ]
}

proptest! {
    #[test]
    fn a_message_reads_back(message in messages(), a: u8, b: u8) {
        let shards = (Shard(a.min(b)), Shard(a.max(b)));
        let bytes = encode(shards, &message).unwrap();
        prop_assert_eq!(shards_of(&bytes), Some(shards));
        prop_assert_eq!(decode(&bytes).unwrap(), (shards, message));
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        if let Some((shards, message)) = decode(&bytes) {
            prop_assert!(encode(shards, &message).is_ok());
        }
    }

    #[test]
    fn a_damaged_message_does_not_panic(message in messages(), at: prop::sample::Index, to: u8, cut: prop::sample::Index) {
        let mut bytes = encode((Shard(0), Shard(255)), &message).unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = decode(&bytes);
    }
}

#[test]
fn a_full_part_fits_a_message_beside_others() {
    let row = |number: u16| {
        let mut actor = [0xff; 16];
        actor[..2].copy_from_slice(&number.to_be_bytes());
        let id = ChangeId {
            actor: Actor(actor),
            seq: u64::MAX,
        };
        Tip::of(id, ChangeHash([0xff; 32]))
    };
    let rows = u16::try_from(PART_ROWS).unwrap();
    let vector: VersionVector = (0..rows).map(row).collect();
    let span = Span {
        to: Actor([0xff; 16]),
        from: Actor([0; 16]),
    };
    let list = ListId([7; 16]);
    let part = Part { span, vector };
    let message = Message::pull(Protocol::PROVED, list, &part, u32::MAX);
    let bytes = encode((Shard(7), Shard(7)), &message).unwrap();
    assert!(bytes.len() <= ANSWER_BYTES, "{}", bytes.len());
    assert_eq!(decode(&bytes).unwrap().1, message);
}

#[test]
fn kinds_that_this_program_does_not_know_are_told_apart() {
    let kind = |kind: u8| is_unknown(&[0, 9, kind, 0]);
    assert!(kind(KINDS) && kind(250) && !kind(KINDS - 1) && !kind(255));
    assert!(!is_unknown(&[9, 0, KINDS, 0]) && !is_unknown(&[0, 9]));
    let known = |kind: u8| {
        let bytes: Vec<u8> = [0, 9, kind].into_iter().chain([0; 80]).collect();
        codec::decode::<(u8, u8, Message)>(&bytes)
            .is_err_and(|error| error.to_string().contains("expected variant index"))
    };
    assert!(known(KINDS) && !known(KINDS - 1), "it counts its kinds");
}

#[test]
fn leaves_and_chunks_of_full_size_fit_a_frame() {
    let leaves = vec![(ListId([255; 16]), u64::MAX); MAX_LEAVES];
    let message = Message::Leaves {
        shard: Shard(7),
        buckets: (0..=255).collect(),
        leaves,
        last: true,
    };
    let bytes = encode((Shard(7), Shard(7)), &message).unwrap();
    assert_eq!(decode(&bytes).unwrap().1, message);
    let name = ListName::new("bob").unwrap();
    let chunk = Chunk {
        name,
        number: 1,
        index: 0,
        count: 16,
        bytes: vec![7; CHUNK_BYTES].into(),
    };
    let bytes = encode((Shard(7), Shard(7)), &Message::Chunk(chunk.clone())).unwrap();
    assert_eq!(decode(&bytes).unwrap().1, Message::Chunk(chunk));
}

#[test]
fn a_header_out_of_order_is_none() {
    assert_eq!(shards_of(&[3, 2, 0]), None);
    assert_eq!(shards_of(&[3]), None);
}
