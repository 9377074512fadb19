//! A hash over a set of byte strings that follows each change of the set at the cost of that change.
//!
//! LtHash, with 1,024 words of 16 bits: M. Bellare and D. Micciancio, "A New Paradigm for
//! Collision-Free Hashing: Incrementality at Reduced Cost" (1997); in these sizes K. Lewi and others,
//! "Securing Update Propagation with Homomorphic Hashing" (2019). The hash of a set is the sum, word by
//! word, of what its members are stretched to. Two sets of one hash would be a short solution of a random
//! lattice problem, which is out of reach (some 200 bits). XOR, or a sum in one number of 256 bits, would
//! be as incremental, but whoever chooses the members finds collisions of these (D. Wagner, "A Generalized
//! Birthday Problem", 2002).
//!
//! A member is stretched so: its SHA-256 is the key of ChaCha20 (nonce and counter 0), whose first 2,048
//! bytes are the words, little end first. A set has each member once: the sum of 65,536 equal ones would
//! be zero.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use std::fmt;

const WORDS: usize = 1_024;

/// The hash of a set of byte strings.
#[derive(Clone, PartialEq, Eq)]
pub struct LtHash(Box<[u16; WORDS]>);

impl Default for LtHash {
    /// That of the empty set.
    fn default() -> Self {
        Self(Box::new([0; WORDS]))
    }
}

impl LtHash {
    /// A member is put in.
    pub fn insert(&mut self, member: &[u8]) {
        self.each(&stretch(member), u16::wrapping_add);
    }

    /// A member is taken out.
    pub fn remove(&mut self, member: &[u8]) {
        self.each(&stretch(member), u16::wrapping_sub);
    }

    /// All members of another set are put in, none of which is in this one.
    pub fn insert_all(&mut self, other: &Self) {
        self.each(&other.0, u16::wrapping_add);
    }

    /// What others need to see that they have the same set: SHA-256 over the words, little end first.
    pub fn digest(&self) -> [u8; 32] {
        let words = self.0.iter().flat_map(|word| word.to_le_bytes());
        let bytes: Vec<u8> = words.collect();
        Sha256::digest(bytes).into()
    }

    fn each(&mut self, words: &[u16; WORDS], change: impl Fn(u16, u16) -> u16) {
        for (word, other) in self.0.iter_mut().zip(words) {
            *word = change(*word, *other);
        }
    }
}

impl fmt::Debug for LtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LtHash(")?;
        for byte in self.digest() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

fn stretch(member: &[u8]) -> [u16; WORDS] {
    let mut bytes = [0; 2 * WORDS];
    ChaCha20Rng::from_seed(Sha256::digest(member).into()).fill_bytes(&mut bytes);
    let mut words = [0; WORDS];
    for (word, pair) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u16::from_le_bytes(*pair);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn of<'a>(members: impl IntoIterator<Item = &'a Vec<u8>>) -> LtHash {
        let mut hash = LtHash::default();
        members.into_iter().for_each(|member| hash.insert(member));
        hash
    }

    fn hex(hash: &LtHash) -> String {
        format!("{hash:?}")
    }

    /// What one node has signed others compute for ever.
    #[test]
    fn the_hash_is_what_it_was() {
        let empty = "LtHash(e5a00aa9991ac8a5ee3109844d84a55583bd20572ad3ffcd42792f3c36b183ad)";
        assert_eq!(hex(&LtHash::default()), empty);
        let words = stretch(b"milk");
        assert_eq!(&words[..4], &[26_100, 15_284, 18_704, 52_010]);
        assert_eq!(&words[1_020..], &[28_237, 28_509, 34_025, 22_853]);
        let two = of([&b"milk".to_vec(), &b"bread".to_vec()]);
        let milk_and_bread =
            "LtHash(cb7836b5bb23ddcbd812de9d01f9898a39de35a17e629682c207c14d46b9faa3)";
        assert_eq!(hex(&two), milk_and_bread);
    }

    fn sets() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
        prop::collection::btree_set(prop::collection::vec(0..4_u8, 0..4), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn neither_order_nor_a_detour_matters(
            members in sets().prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle(),
            others in sets(),
        ) {
            let sorted: BTreeSet<_> = members.iter().cloned().collect();
            prop_assert_eq!(of(&members), of(&sorted));
            let mut detour = of(&others);
            members.iter().for_each(|member| detour.insert(member));
            others.iter().for_each(|other| detour.remove(other));
            prop_assert_eq!(&detour, &of(&members));
            let (some, rest) = members.split_at(members.len() / 2);
            let mut joined = of(some);
            joined.insert_all(&of(rest));
            prop_assert_eq!(joined, of(&members));
        }

        #[test]
        fn unlike_sets_have_unlike_hashes(one in sets(), other in sets()) {
            prop_assert_eq!(of(&one).digest() == of(&other).digest(), one == other);
        }
    }
}
