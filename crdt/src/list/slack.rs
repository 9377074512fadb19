//! Room that a document's columns hold in vain, and giving it back.
//!
//! Automerge keeps the values of all operations in pieces. A value that comes between others cuts the piece
//! into which it falls, and the part before it keeps the room of the whole (hexane 1.0.0-alpha.5,
//! `Vec::split_off`): a list with 2 MB of notes took 20 MB after it was deleted. How much that is cannot be
//! asked for, so it is counted as the most that it can be. A copy of the document has no such room.

use automerge::Automerge;

/// Pieces are cut until they have no more bytes than so many.
const PIECE_BYTES: usize = 4096;
/// Less than that is not worth a copy.
const WORTH_BYTES: usize = 16 << 20;

/// What values that were written between others since the last copy can have left behind, at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slack(usize);

impl Slack {
    /// So many values came between others in a document with that much content.
    pub(super) fn cut(&mut self, values: u64, content: usize) {
        let values = usize::try_from(values).unwrap_or(usize::MAX);
        self.0 = self.0.saturating_add(values.saturating_mul(content));
    }

    /// The bytes that are held in vain, at most: each cut leaves no more than all of the content, and on
    /// average half of it until everything is in small pieces.
    pub(super) fn bytes(self, content: usize) -> usize {
        let cuts = (content / PIECE_BYTES / 2).saturating_add(1);
        self.0.min(content.saturating_mul(cuts))
    }

    /// Gives the room back where that is worth a copy.
    pub(super) fn trim(&mut self, doc: &mut Automerge, content: usize) {
        if self.bytes(content) > WORTH_BYTES.saturating_add(content.saturating_mul(4)) {
            *doc = doc.clone();
            *self = Self::default();
        }
    }
}
