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
    prop_oneof![
        (about(), any::<bool>()).prop_map(|((list, vector, protocol), answer)| {
            Message::compare(protocol, list, &vector, answer)
        }),
        (about(), any::<u32>()).prop_map(|((list, vector, protocol), most_bytes)| {
            Message::pull(protocol, list, &vector, most_bytes)
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
