//! Parts of a vector. A list may have more actors than a message has room for, so replicas compare
//! their vectors part by part: each says of some actors, from one to another, all that a replica has
//! of them. So a part is judged by itself: none has to be kept until another one comes, and where one
//! is lost, only these actors are not compared.

use super::{Last, VersionVector};
use names::Actor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most actors of which a part says something.
pub const PART_ROWS: usize = 4_096;

const FIRST: Actor = Actor([0; 16]);
const LAST: Actor = Actor([0xff; 16]);

/// The actors that a part is about: from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first one.
    pub from: Actor,
    /// The last one, at least `from`.
    pub to: Actor,
}

impl Span {
    /// All actors.
    pub const ALL: Self = Self {
        from: FIRST,
        to: LAST,
    };

    fn contains(self, actor: Actor) -> bool {
        (self.from..=self.to).contains(&actor)
    }
}

/// All that a replica has of the actors of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which actors it is about.
    pub span: Span,
    /// What is there of them; of the others nothing.
    pub vector: VersionVector,
}

impl Part {
    /// Whether it says no more than a part may, of its own actors alone.
    pub fn is_sound(&self) -> bool {
        let is_within = |actor: &Actor| self.span.contains(*actor);
        self.span.from <= self.span.to
            && self.vector.len() <= PART_ROWS
            && self.vector.0.keys().all(is_within)
    }

    /// Whether it is a whole vector.
    pub fn is_whole(&self) -> bool {
        self.span == Span::ALL
    }
}

impl From<VersionVector> for Part {
    fn from(vector: VersionVector) -> Self {
        let span = Span::ALL;
        Self { span, vector }
    }
}

impl VersionVector {
    /// What it says of the actors of a span.
    pub fn within(&self, span: Span) -> Self {
        if span.from > span.to {
            return Self::default();
        }
        let rows = self.0.range(span.from..=span.to);
        Self(rows.map(|(actor, last)| (*actor, *last)).collect())
    }

    /// What of it another replica lacks that has said this of itself, or has otherwise; the first
    /// `most` actors of these.
    pub fn apart_from(&self, theirs: &Part, most: usize) -> Self {
        let rows = self.within(theirs.span).0.into_iter();
        let is_apart = |(actor, ours): &(Actor, Last)| {
            let theirs = theirs.vector.0.get(actor);
            theirs.is_none_or(|theirs| {
                theirs.seq != ours.seq || ours.tip(*actor).is_unlike(&theirs.tip(*actor))
            })
        };
        Self(rows.filter(is_apart).take(most).collect())
    }

    /// What of it is not covered by another one, by the numbers; the first `most` actors of these.
    pub fn ahead_of(&self, other: &Self, most: usize) -> Self {
        let rows = self.0.iter().map(|(actor, last)| (*actor, *last));
        let is_ahead = |(actor, last): &(Actor, Last)| last.seq > other.seq(*actor);
        Self(rows.filter(is_ahead).take(most).collect())
    }
}

/// A way through all parts of a vector, that may begin anywhere and ends where it began. The vector
/// may change meanwhile: each part is made when it is its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    began: Actor,
    from: Actor,
    is_round: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self::from(FIRST)
    }
}

impl From<Actor> for Walk {
    /// Begins with that actor.
    fn from(began: Actor) -> Self {
        Self {
            began,
            from: began,
            is_round: false,
        }
    }
}

impl Walk {
    /// The actor with which the next part begins.
    pub fn at(&self) -> Actor {
        self.from
    }

    /// The next part, of at most `most` actors and at least one, out of the vector as it is now.
    pub fn part(&self, vector: &VersionVector, most: usize) -> Part {
        let to = if self.is_round {
            before(self.began)
        } else {
            LAST
        };
        let all = Span {
            from: self.from,
            to,
        };
        let mut rows: BTreeMap<Actor, Last> = BTreeMap::new();
        let mut span = all;
        for (actor, last) in vector.0.range(all.from..=all.to.max(all.from)) {
            if rows.len() >= most.max(1) {
                span.to = before(*actor);
                break;
            }
            rows.insert(*actor, *last);
        }
        let vector = VersionVector(rows);
        Part { span, vector }
    }

    /// Goes on behind a part. `None` when that was the last one.
    pub fn after(&self, span: Span) -> Option<Self> {
        let is_end = span.to == LAST || (self.is_round && span.to >= before(self.began));
        if !is_end {
            let from = after(span.to);
            return Some(Self { from, ..*self });
        }
        let is_to_go_round = !self.is_round && self.began > FIRST;
        is_to_go_round.then_some(Self {
            from: FIRST,
            is_round: true,
            ..*self
        })
    }
}

/// The actor before another one that is not the first.
fn before(Actor(actor): Actor) -> Actor {
    Actor(u128::from_be_bytes(actor).saturating_sub(1).to_be_bytes())
}

/// The actor behind another one that is not the last.
fn after(Actor(actor): Actor) -> Actor {
    Actor(u128::from_be_bytes(actor).saturating_add(1).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::{Mark, Tip};
    use super::*;
    use names::ChangeId;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn tip(actor: u16, seq: u64) -> Tip {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&actor.to_be_bytes());
        Tip {
            id: ChangeId {
                actor: Actor(bytes),
                seq,
            },
            mark: Some(Mark([u8::try_from(seq).unwrap(); 16])),
        }
    }

    fn actors(count: u16) -> VersionVector {
        (1..=count).map(|actor| tip(actor, 1)).collect()
    }

    fn vectors() -> impl Strategy<Value = VersionVector> {
        vec((any::<u16>(), 1u64..5), 0..60).prop_map(|tips| {
            tips.into_iter()
                .map(|(actor, seq)| tip(actor, seq))
                .collect()
        })
    }

    fn parts(vector: &VersionVector, walk: Walk, most: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut next = Some(walk);
        while let Some(walk) = next {
            let part = walk.part(vector, most);
            next = walk.after(part.span);
            parts.push(part);
        }
        parts
    }

    /// Takes what a replica lacks of another one, asking part by part; what the other one gets
    /// meanwhile comes between the parts.
    fn pull(
        ours: &mut VersionVector,
        theirs: &mut VersionVector,
        (began, most): (Walk, usize),
        meanwhile: &[Tip],
    ) {
        let mut meanwhile = meanwhile.iter();
        let mut next = Some(began);
        while let Some(walk) = next {
            let asked = walk.part(ours, most);
            for tip in theirs
                .within(asked.span)
                .ahead_of(&asked.vector, usize::MAX)
                .iter()
            {
                ours.insert(tip);
            }
            next = walk.after(asked.span);
            meanwhile
                .next()
                .into_iter()
                .for_each(|tip| theirs.insert(*tip));
        }
    }

    proptest! {
        #[test]
        fn parts_make_the_whole_wherever_one_begins(vector in vectors(), began: u16, most in 1usize..70) {
            let parts = parts(&vector, tip(began, 1).id.actor.into(), most);
            let together: VersionVector = parts.iter().flat_map(|part| part.vector.iter()).collect();
            prop_assert_eq!(&together, &vector);
            prop_assert!(parts.iter().all(|part| part.is_sound() && part.vector.len() <= most));
            let told: usize = parts.iter().map(|part| part.vector.len()).sum();
            prop_assert_eq!(told, vector.len(), "nothing is said twice");
            for actor in [0, 1, began, u16::MAX] {
                let about = parts.iter().filter(|part| part.span.contains(tip(actor, 1).id.actor));
                prop_assert_eq!(about.count(), 1);
            }
        }

        #[test]
        fn replicas_come_equal_in_parts_of_any_size(
            (mut a, mut b) in (vectors(), vectors()),
            (of_a, of_b) in (1usize..70, 1usize..70),
            began: u16,
        ) {
            let began = Walk::from(tip(began, 1).id.actor);
            pull(&mut a, &mut b, (began, of_a), &[]);
            prop_assert!(a.covers(&b));
            pull(&mut b, &mut a, (began, of_b), &[]);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn what_was_there_at_the_beginning_comes_though_vectors_change(
            (mut a, b) in (vectors(), vectors()),
            meanwhile in vec((any::<u16>(), 5u64..9), 0..60),
            (began, most) in (any::<u16>(), 1usize..70),
        ) {
            let began = Walk::from(tip(began, 1).id.actor);
            let meanwhile: Vec<Tip> = meanwhile.into_iter().map(|(actor, seq)| tip(actor, seq)).collect();
            pull(&mut a, &mut b.clone(), (began, most), &meanwhile);
            prop_assert!(b.iter().all(|tip| a.seq(tip.id.actor) >= tip.id.seq));
        }

        #[test]
        fn the_rest_comes_where_a_part_is_lost(vector in vectors(), most in 1usize..70, lost: prop::sample::Index) {
            let mut parts = parts(&vector, Walk::default(), most);
            let lost = parts.remove(lost.index(parts.len()));
            let rest: VersionVector = parts.iter().flat_map(|part| part.vector.iter()).collect();
            let missing = vector.ahead_of(&rest, usize::MAX);
            prop_assert_eq!(missing, lost.vector);
        }

        #[test]
        fn what_is_apart_makes_one_the_other((ours, theirs) in (vectors(), vectors())) {
            let apart = ours.apart_from(&theirs.clone().into(), usize::MAX);
            let mut both = theirs.clone();
            apart.iter().for_each(|tip| both.insert(tip));
            prop_assert!(both.covers(&ours));
            prop_assert_eq!(apart.is_empty(), theirs.covers(&ours) && ours.iter().all(|tip| theirs.tip(tip.id.actor) == Some(tip)));
        }
    }

    #[test]
    fn a_vector_is_cut_where_a_part_is_full() {
        let count = |actors: &VersionVector| parts(actors, Walk::default(), 4).len();
        let of = [0, 1, 3, 4, 5, 8, 9].map(actors);
        assert_eq!(of.map(|actors| count(&actors)), [1, 1, 1, 1, 2, 2, 3]);
        let whole = &parts(&actors(4), Walk::default(), 4)[0];
        assert!(whole.is_whole() && !parts(&actors(5), Walk::default(), 4)[0].is_whole());
    }

    #[test]
    fn a_part_speaks_of_its_own_actors_only() {
        let part = Walk::default().part(&actors(5), 2);
        assert!(part.is_sound());
        let rows = actors(5);
        assert!(
            !Part {
                vector: rows,
                ..part.clone()
            }
            .is_sound()
        );
        let (from, to) = (part.span.to, part.span.from);
        let turned = Span { from, to };
        assert!(
            !Part {
                span: turned,
                ..part
            }
            .is_sound()
        );
        let full = actors(u16::try_from(PART_ROWS).unwrap());
        assert!(Part::from(full).is_sound());
        let more = actors(u16::try_from(PART_ROWS + 1).unwrap());
        assert!(!Part::from(more).is_sound());
    }
}
