//! Lines of the roster as they go in one message: a certificate that stands in several of their chains
//! goes once, and the lines name it by its hash.
//!
//! A line is the very bytes that its author has signed. What is cut out of them is put in again at the
//! same place, so that the receiver has these bytes.

use super::message::Message;
use crate::codec::Malformed;
use crate::proof::Proofs;
use bytes::Bytes;
use crdt::roster::{Line, Mark, mark};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// About how many bytes of lines go in one message, and what they come to at most when they are whole.
const BYTES_PER_MESSAGE: usize = 256 << 10;
const WHOLE_BYTES_PER_MESSAGE: usize = 4 << 20;

/// A line without the certificates above its author's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut {
    pub(super) rest: Bytes,
    /// After how many bytes of the rest the certificates stand.
    pub(super) at: u32,
    /// Which ones, in their order, by the first bytes of their hashes.
    pub(super) above: Vec<Mark>,
}

/// What of a line is the same in others: the certificates above its author's own, and where they end.
fn issuers<'a>(
    line: &'a Bytes,
    chain: &'a [u8],
    proofs: &dyn Proofs,
) -> Option<(usize, Vec<Bytes>)> {
    let issuers = proofs.issuers(chain);
    let bytes: usize = issuers.iter().map(|issuer| issuer.len()).sum();
    let end = chain.as_ptr().addr() - line.as_ptr().addr() + chain.len();
    let is_last = chain.ends_with(&issuers.concat());
    let start = end.checked_sub(bytes).filter(|_| is_last && bytes > 0)?;
    let issuers = issuers.iter().map(|issuer| line.slice_ref(issuer));
    Some((start, issuers.collect()))
}

/// Some lines on their way into a message.
#[derive(Debug, Default)]
struct Part {
    issuers: BTreeMap<Mark, Bytes>,
    lines: Vec<Cut>,
    bytes: usize,
    whole_bytes: usize,
}

impl Part {
    /// How many bytes more it has with those certificates.
    fn added(&self, issuers: &[(Mark, Bytes)]) -> usize {
        let new = issuers
            .iter()
            .filter(|(mark, _)| !self.issuers.contains_key(mark));
        new.map(|(_, issuer)| issuer.len()).sum()
    }

    fn has_room(&self, cut: &Cut, whole_bytes: usize, issuers: &[(Mark, Bytes)]) -> bool {
        let bytes = self.bytes + cut.rest.len() + self.added(issuers);
        self.lines.is_empty()
            || bytes <= BYTES_PER_MESSAGE
                && self.whole_bytes + whole_bytes <= WHOLE_BYTES_PER_MESSAGE
    }

    fn put(&mut self, cut: Cut, whole_bytes: usize, issuers: Vec<(Mark, Bytes)>) {
        self.bytes += cut.rest.len() + self.added(&issuers);
        self.whole_bytes += whole_bytes;
        self.issuers.extend(issuers);
        self.lines.push(cut);
    }

    fn message(self, answer: bool) -> Message {
        if self.issuers.is_empty() {
            let lines = self.lines.into_iter().map(|line| line.rest).collect();
            return Message::Lines { lines, answer };
        }
        Message::Bundle {
            issuers: self.issuers.into_values().collect(),
            lines: self.lines,
            answer,
        }
    }
}

/// Lines with proofs in as many messages as it takes; the last one asks for the other's, if an answer is
/// wanted.
pub(super) fn messages(
    lines: impl IntoIterator<Item = Bytes>,
    answer: bool,
    proofs: &dyn Proofs,
) -> Vec<Message> {
    let (mut parts, mut part) = (Vec::new(), Part::default());
    for line in lines {
        let whole_bytes = line.len();
        let (cut, issuers) = cut(line, proofs);
        if !part.has_room(&cut, whole_bytes, &issuers) {
            parts.push(std::mem::take(&mut part));
        }
        part.put(cut, whole_bytes, issuers);
    }
    if !part.lines.is_empty() || answer {
        parts.push(part);
    }
    let last = parts.len();
    let numbered = (1..).zip(parts);
    numbered
        .map(|(number, part)| part.message(answer && number == last))
        .collect()
}

fn cut(line: Bytes, proofs: &dyn Proofs) -> (Cut, Vec<(Mark, Bytes)>) {
    let read = Line::read(line.clone()).ok();
    let found = read
        .as_ref()
        .and_then(|read| issuers(read.relayed().bytes(), read.chain(), proofs));
    let Some((start, issuers)) = found else {
        let (at, above) = (0, Vec::new());
        let rest = line;
        return (Cut { rest, at, above }, Vec::new());
    };
    let issuers: Vec<(Mark, Bytes)> = issuers
        .into_iter()
        .map(|issuer| (mark(&issuer), issuer))
        .collect();
    let bytes: usize = issuers.iter().map(|(_, issuer)| issuer.len()).sum();
    let rest = [line.slice(..start), line.slice(start + bytes..)].concat();
    let cut = Cut {
        rest: rest.into(),
        at: u32::try_from(start).unwrap_or(u32::MAX),
        above: issuers.iter().map(|(mark, _)| *mark).collect(),
    };
    (cut, issuers)
}

/// The lines of a message, whole.
pub(super) fn whole(issuers: Vec<Bytes>, lines: Vec<Cut>) -> Result<Vec<Bytes>, Malformed> {
    let issuers: BTreeMap<Mark, Bytes> = issuers
        .into_iter()
        .map(|issuer| (mark(&issuer), issuer))
        .collect();
    let (mut whole, mut bytes) = (Vec::new(), 0);
    for cut in lines {
        let above: Option<Vec<&Bytes>> = cut.above.iter().map(|mark| issuers.get(mark)).collect();
        let above =
            above.ok_or_else(|| Malformed::rule("a certificate that does not go with it"))?;
        bytes += cut.rest.len() + above.iter().map(|issuer| issuer.len()).sum::<usize>();
        if bytes > WHOLE_BYTES_PER_MESSAGE {
            return Err(Malformed::too_large(bytes));
        }
        let at = usize::try_from(cut.at).unwrap_or(usize::MAX);
        let (before, after) = cut
            .rest
            .split_at_checked(at)
            .ok_or_else(|| Malformed::rule("certificates behind the end of a line"))?;
        let above = above.into_iter().flatten().copied();
        let line = before
            .iter()
            .copied()
            .chain(above)
            .chain(after.iter().copied());
        whole.push(line.collect::<Vec<u8>>().into());
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Domain;
    use crate::proof::testing::{Cheap, below};
    use crate::wire::Peer;
    use crdt::roster::{Author, Profile, RosterEntry, Standing};
    use names::{NodeId, NodeName, Role};
    use proptest::prelude::*;

    fn node(number: u8) -> Cheap {
        Cheap(Peer {
            id: NodeId([number; 16]),
            name: NodeName::new(&format!("node{number}")).unwrap(),
            role: Role::Member,
        })
    }

    /// The line of a node whose certificate that authority has signed; none below the cluster's own.
    fn line(number: u8, authority: &str) -> Bytes {
        let node = node(number);
        let chain = match authority {
            "" => node.chain(),
            below_it => below(&node.chain(), below_it),
        };
        let author = Author {
            owner: node.0.id,
            chain: &chain,
            start: Some([1; 16]),
            pace: None,
        };
        let entry = RosterEntry {
            run: 1,
            standing: Standing::Member,
            profile: Profile {
                name: node.0.name.clone(),
                address: ([10, 0, 0, number], 6878).into(),
                version: "0.1.0".to_owned(),
                tags: Vec::new(),
            },
        };
        let line = Line::write(author, node.0.id, 1, &entry).unwrap();
        let line = line.signed(|said| node.sign(Domain::Line, said)).unwrap();
        line.relayed().bytes().clone()
    }

    fn arrived(messages: &[Message]) -> Vec<Bytes> {
        let mut arrived = Vec::new();
        for message in messages {
            let read = Message::read(&message.bytes()).unwrap();
            if let Message::Bundle { issuers, lines, .. } = read {
                arrived.extend(whole(issuers, lines).unwrap());
            } else if let Message::Lines { lines, .. } = read {
                arrived.extend(lines);
            }
        }
        arrived
    }

    /// The name of an authority as long as a certificate is.
    fn long(name: char) -> String {
        std::iter::repeat_n(name, 500).collect()
    }

    proptest! {
        #[test]
        fn lines_arrive_as_they_were_signed(of in proptest::collection::vec((any::<u8>(), 0usize..3), 0..40)) {
            let authorities = [String::new(), long('a'), long('b')];
            let lines: Vec<Bytes> = of.iter().map(|(number, by)| line(*number, &authorities[*by])).collect();
            prop_assert_eq!(arrived(&messages(lines.clone(), false, &node(1))), lines);
        }

        #[test]
        fn what_is_no_line_goes_as_it_is(lines in proptest::collection::vec(any::<Vec<u8>>(), 1..9)) {
            let lines: Vec<Bytes> = lines.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(arrived(&messages(lines.clone(), true, &node(1))), lines);
        }
    }

    #[test]
    fn an_issuer_goes_once_in_each_message() {
        let lines: Vec<Bytes> = (0..100).map(|number| line(number, &long('a'))).collect();
        let all: usize = lines.iter().map(Bytes::len).sum();
        let messages = messages(lines, true, &node(1));
        let [message] = messages.as_slice() else {
            panic!("{} messages", messages.len());
        };
        let bytes = message.bytes().len();
        assert!(bytes < all - 99 * 500 + 100 * 24 + 100, "{bytes} of {all}");
        assert!(
            matches!(message, Message::Bundle { issuers, answer: true, .. } if issuers.len() == 1)
        );
    }

    #[test]
    fn many_lines_go_in_several_messages_of_which_the_last_asks() {
        let lines: Vec<Bytes> = (0..2_000)
            .map(|number| line((number % 250) as u8, &long('a')))
            .collect();
        let messages = messages(lines.clone(), true, &node(1));
        let sizes: Vec<usize> = messages
            .iter()
            .map(|message| message.bytes().len())
            .collect();
        assert!(
            messages.len() > 1 && sizes.iter().all(|size| *size < 512 << 10),
            "{sizes:?}"
        );
        let asks = |message: &Message| matches!(message, Message::Bundle { answer: true, .. });
        let asking: Vec<bool> = messages.iter().map(asks).collect();
        assert_eq!(asking.iter().filter(|asks| **asks).count(), 1);
        assert_eq!(asking.last(), Some(&true));
        assert_eq!(arrived(&messages), lines);
    }

    #[test]
    fn nothing_is_asked_for_by_an_empty_message() {
        let asking = messages([], true, &node(1));
        assert!(matches!(
            asking.as_slice(),
            [Message::Lines { answer: true, .. }]
        ));
        assert_eq!(messages([], false, &node(1)), []);
    }

    #[test]
    fn what_does_not_make_lines_is_malformed() {
        let issuer = Bytes::from(vec![7; 100 << 10]);
        let cut = |at, above: Vec<Mark>| Cut {
            rest: Bytes::from_static(b"line"),
            at,
            above,
        };
        let unknown = vec![cut(0, vec![[0; 16]])];
        assert!(whole(vec![issuer.clone()], unknown).is_err());
        let behind = vec![cut(5, vec![mark(&issuer)])];
        assert!(whole(vec![issuer.clone()], behind).is_err());
        // A small message never comes to very much.
        let bomb = vec![cut(0, vec![mark(&issuer); 4]); 1_000];
        assert!(whole(vec![issuer], bomb).is_err());
    }
}
