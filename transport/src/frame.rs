//! The framing of messages on a channel's stream. The table is in the crate's documentation.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// First byte of a stream that carries one large datagram.
pub(crate) const ONE_DATAGRAM: u8 = 0xff;
/// The largest datagram that such a stream may carry, in bytes.
pub(crate) const MAX_DATAGRAM_BYTES: usize = 64 << 10;
/// The length that stands for a keep-alive.
const KEEP_ALIVE: u32 = u32::MAX;
/// Bodies up to this size are copied together; larger ones are handed on as they are.
const COPY_BYTES: usize = 4096;
/// What is reserved for a body at once: the rest only as its bytes arrive, so that a length alone
/// costs nothing.
const RESERVE_BYTES: usize = 64 << 10;

/// What stands on a channel's stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    KeepAlive,
    Message(Bytes),
}

/// A frame announced more bytes than allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes is larger than allowed")]
pub(crate) struct TooLarge(usize);

/// The bytes of a keep-alive: [`KEEP_ALIVE`] as a length.
pub(crate) fn keep_alive() -> Bytes {
    Bytes::from_static(&[0xff; 4])
}

/// Frames messages for writing, small ones copied together. Each is shorter than 4 GiB: the send
/// queue sees to that.
pub(crate) fn encode(messages: &[Bytes]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut small = BytesMut::new();
    for message in messages {
        small.put_u32(u32::try_from(message.len()).unwrap_or(KEEP_ALIVE));
        if message.len() <= COPY_BYTES {
            small.put_slice(message);
        } else {
            chunks.push(small.split().freeze());
            chunks.push(message.clone());
        }
    }
    if !small.is_empty() {
        chunks.push(small.freeze());
    }
    chunks
}

/// Puts the frames of a stream together from pieces of any size. Holds at most one message.
#[derive(Debug)]
pub(crate) struct Assembler {
    max_bytes: usize,
    header: BytesMut,
    body: BytesMut,
    /// The bytes that the body still lacks; `None` while the header is incomplete.
    lacking: Option<usize>,
}

impl Assembler {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            header: BytesMut::with_capacity(4),
            body: BytesMut::new(),
            lacking: None,
        }
    }

    /// Takes bytes from the front of `input`, as many as belong to the next frame; `None` when the
    /// frame is not complete.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Frame>, TooLarge> {
        let Some(lacking) = self.lacking else {
            return self.take_header(input);
        };
        if self.body.is_empty() && input.len() >= lacking {
            self.lacking = None;
            return Ok(Some(Frame::Message(own(input.split_to(lacking)))));
        }
        let piece = input.split_to(lacking.min(input.len()));
        self.body.put_slice(&piece);
        if piece.len() < lacking {
            self.lacking = Some(lacking - piece.len());
            return Ok(None);
        }
        self.lacking = None;
        Ok(Some(Frame::Message(
            std::mem::take(&mut self.body).freeze(),
        )))
    }

    /// Whether the stream may end here.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.lacking.is_none() && self.header.is_empty()
    }

    fn take_header(&mut self, input: &mut Bytes) -> Result<Option<Frame>, TooLarge> {
        let wanted = 4_usize.saturating_sub(self.header.len()).min(input.len());
        self.header.put_slice(&input.split_to(wanted));
        if self.header.len() < 4 {
            return Ok(None);
        }
        let length = self.header.get_u32();
        self.header.clear();
        if length == KEEP_ALIVE {
            return Ok(Some(Frame::KeepAlive));
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.max_bytes {
            return Err(TooLarge(length));
        }
        self.lacking = Some(length);
        if length > input.len() {
            self.body.reserve(length.min(RESERVE_BYTES));
        }
        self.next(input)
    }
}

/// A copy of its own: a slice would keep the whole received packet buffer alive.
fn own(bytes: Bytes) -> Bytes {
    Bytes::copy_from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn frames(
        pieces: impl IntoIterator<Item = Bytes>,
        max_bytes: usize,
    ) -> Result<(Vec<Frame>, bool), TooLarge> {
        let mut assembler = Assembler::new(max_bytes);
        let mut found = Vec::new();
        for mut piece in pieces {
            while !piece.is_empty() {
                found.extend(assembler.next(&mut piece)?);
            }
        }
        Ok((found, assembler.is_between_frames()))
    }

    fn cut(bytes: &[u8], rng: &mut ChaCha8Rng) -> Vec<Bytes> {
        let mut rest = Bytes::copy_from_slice(bytes);
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            pieces.push(rest.split_to(rng.random_range(1..=rest.len().min(9000))));
        }
        pieces
    }

    #[test]
    fn messages_come_back_however_the_stream_is_cut() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let messages: Vec<Bytes> = (0..rng.random_range(0..20))
                .map(|_| {
                    (0..rng.random_range(0..12_000_u32))
                        .map(|_| rng.random())
                        .collect::<Vec<u8>>()
                        .into()
                })
                .collect();
            let stream = encode(&messages).concat();
            let (found, whole) = frames(cut(&stream, &mut rng), 12_000).unwrap();
            assert!(whole);
            assert_eq!(
                found,
                messages.into_iter().map(Frame::Message).collect::<Vec<_>>(),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn an_empty_message_is_not_a_keep_alive() {
        let mut stream = encode(&[Bytes::new()]).concat();
        stream.extend(keep_alive());
        let pieces = stream.iter().map(|byte| Bytes::copy_from_slice(&[*byte]));
        assert_eq!(
            frames(pieces, 10).unwrap().0,
            [Frame::Message(Bytes::new()), Frame::KeepAlive]
        );
    }

    #[test]
    fn a_stream_cut_within_a_frame_is_not_whole() {
        let stream = encode(&[Bytes::from_static(b"message")]).concat();
        for end in 1..stream.len() {
            assert!(
                !frames([Bytes::copy_from_slice(&stream[..end])], 10)
                    .unwrap()
                    .1,
                "{end}"
            );
        }
    }

    #[test]
    fn rubbish_never_holds_more_than_one_message() {
        for seed in 0..500 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let bytes: Vec<u8> = (0..2000)
                .map(|_| {
                    if rng.random_bool(0.7) {
                        0
                    } else {
                        rng.random()
                    }
                })
                .collect();
            match frames(cut(&bytes, &mut rng), 500) {
                Ok((found, _)) => assert!(
                    found
                        .iter()
                        .all(|frame| matches!(frame, Frame::Message(m) if m.len() <= 500))
                ),
                Err(TooLarge(length)) => assert!(length > 500),
            }
        }
    }
}
