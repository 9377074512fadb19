//! How foca's packets become bytes.

use super::Identity;
use crate::codec::{Malformed, decode_prefix, encode_into};
use bytes::{Buf, BufMut};
use foca::{Header, Member};
use serde::Serialize;

/// No header or member is larger: a header has three identities of at most 45 bytes.
pub(super) const MAX_ITEM_BYTES: usize = 256;

/// foca's headers and members in the encoding of all other messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Codec;

/// Encodes to scratch first: foca demands that a member that does not fit leaves no byte in the
/// buffer.
fn write(value: &impl Serialize, mut buf: impl BufMut) -> Result<(), Malformed> {
    let mut scratch = [0; MAX_ITEM_BYTES];
    let bytes = encode_into(value, &mut scratch)?;
    if buf.remaining_mut() < bytes.len() {
        return Err(Malformed::too_large(bytes.len()));
    }
    buf.put_slice(bytes);
    Ok(())
}

pub(super) fn read_header(bytes: &[u8]) -> Result<(Header<Identity>, usize), Malformed> {
    decode_prefix::<_, MAX_ITEM_BYTES>(bytes)
}

/// A packet without updates.
pub(super) fn header_bytes(header: &Header<Identity>) -> Result<Vec<u8>, Malformed> {
    let mut scratch = [0; MAX_ITEM_BYTES];
    encode_into(header, &mut scratch).map(<[u8]>::to_vec)
}

/// A packet, whose header has `read` bytes, with those members alone that are to be kept; `None` if
/// these are all. After the header comes the number of members, then each of them.
pub(super) fn without_members(
    packet: &[u8],
    read: usize,
    mut keep: impl FnMut(&Member<Identity>) -> bool,
) -> Result<Option<Vec<u8>>, Malformed> {
    let (header, rest) = packet.split_at(read.min(packet.len()));
    let Some((count, mut rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let (count, mut kept, mut members) = (u16::from_be_bytes(*count), 0_u16, Vec::new());
    for _ in 0..count {
        let (member, length) = decode_prefix::<Member<Identity>, MAX_ITEM_BYTES>(rest)?;
        let (bytes, others) = rest.split_at(length.min(rest.len()));
        rest = others;
        if keep(&member) {
            kept += 1;
            members.extend_from_slice(bytes);
        }
    }
    let changed = kept < count;
    Ok(changed.then(|| [header, &kept.to_be_bytes(), &members, rest].concat()))
}

impl foca::Codec<Identity> for Codec {
    type Error = Malformed;

    fn encode_header(
        &mut self,
        header: &Header<Identity>,
        buf: impl BufMut,
    ) -> Result<(), Malformed> {
        write(header, buf)
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Identity>, Malformed> {
        let (header, read) = read_header(buf.chunk())?;
        buf.advance(read);
        Ok(header)
    }

    fn encode_member(
        &mut self,
        member: &Member<Identity>,
        buf: impl BufMut,
    ) -> Result<(), Malformed> {
        write(member, buf)
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Identity>, Malformed> {
        let (member, read) = decode_prefix::<_, MAX_ITEM_BYTES>(buf.chunk())?;
        buf.advance(read);
        Ok(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use foca::{Codec as _, Message, State};
    use names::NodeId;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn identities() -> impl Strategy<Value = Identity> {
        let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from);
        let v6 = (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from);
        (any::<[u8; 16]>(), prop_oneof![v4, v6], any::<u64>()).prop_map(
            |(node, addr, generation)| Identity {
                node: NodeId(node),
                addr,
                generation,
            },
        )
    }

    #[test]
    fn packets_are_what_they_were() {
        let id = |n: u8, addr| Identity {
            node: NodeId([n; 16]),
            addr,
            generation: 3 << 32 | u64::from(n),
        };
        let (src, other) = (
            id(7, "[fd00::7]:6878".parse().unwrap()),
            id(8, SocketAddr::from(([10, 0, 0, 8], 6878))),
        );
        let probe_number = 200;
        let messages = [
            ("ping", Message::Ping(probe_number)),
            ("ack", Message::Ack(probe_number)),
            (
                "ping-req",
                Message::PingReq {
                    target: other,
                    probe_number,
                },
            ),
            (
                "indirect-ping",
                Message::IndirectPing {
                    origin: other,
                    probe_number,
                },
            ),
            (
                "indirect-ack",
                Message::IndirectAck {
                    target: other,
                    probe_number,
                },
            ),
            (
                "forwarded-ack",
                Message::ForwardedAck {
                    origin: other,
                    probe_number,
                },
            ),
            ("announce", Message::Announce),
            ("feed", Message::Feed),
            ("gossip", Message::Gossip),
            ("broadcast", Message::Broadcast),
            ("turn-undead", Message::TurnUndead),
        ];
        let header = |message| Header {
            src,
            src_incarnation: 300,
            dst: other,
            message,
        };
        let write = |header: &Header<Identity>| {
            let mut bytes = Vec::new();
            Codec.encode_header(header, &mut bytes).unwrap();
            bytes
        };
        let samples = messages
            .map(|(name, message)| (name, header(message)))
            .to_vec();
        golden::check("swim", samples, write, |bytes| {
            read_header(bytes).ok().map(|(header, _)| header)
        });
    }

    proptest! {
        #[test]
        fn a_header_reads_back_and_leaves_the_rest(src in identities(), dst in identities(), target in identities(), n: u8, inc: u16) {
            let header = Header { src, src_incarnation: inc, dst, message: Message::PingReq { target, probe_number: n } };
            let mut bytes = Vec::new();
            Codec.encode_header(&header, &mut bytes).unwrap();
            bytes.extend([1, 2, 3]);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Codec.decode_header(&mut rest).unwrap(), header);
            prop_assert_eq!(rest, [1, 2, 3]);
        }

        #[test]
        fn a_member_that_does_not_fit_leaves_no_byte(id in identities(), room in 0usize..20) {
            let mut buf = Vec::new().limit(room);
            prop_assert!(Codec.encode_member(&Member::new(id, 7, State::Suspect), &mut buf).is_err());
            prop_assert!(buf.into_inner().is_empty());
        }

        #[test]
        fn hostile_bytes_are_refused_or_read_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok((_, read)) = read_header(&bytes) {
                prop_assert!(read <= bytes.len() && read <= MAX_ITEM_BYTES);
            }
            let mut rest = bytes.as_slice();
            while let Ok(member) = Codec.decode_member(&mut rest) {
                let mut again = Vec::new();
                prop_assert!(Codec.encode_member(&member, &mut again).is_ok());
            }
        }
    }
}
