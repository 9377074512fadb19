//! What an entry may hold.

use super::Entry;

/// The longest path of an executable, in bytes.
const MAX_EXE_BYTES: usize = 4096;
/// The longest name of a user, in bytes.
const MAX_USER_BYTES: usize = 256;
/// The longest address: a host name, a colon and a port, in bytes.
const MAX_ADDRESS_BYTES: usize = 261;
/// The clock of claims stays below, in milliseconds: nobody can bring it to its end.
const MAX_CLAIM: u64 = 1 << 48;

impl Entry {
    /// The highest claim that a node's clock may come to: what is claimed after it is sound, too.
    pub const MAX_CLOCK: u64 = MAX_CLAIM / 2;
    /// The most groups of one process.
    pub const MAX_GROUPS: usize = 64;
    /// The most keys of its metadata.
    pub const MAX_KEYS: usize = 32;
    /// The longest key, in bytes.
    pub const MAX_KEY_BYTES: usize = 64;
    /// The longest value, in bytes.
    pub const MAX_VALUE_BYTES: usize = 1024;
    /// All keys and values together, in bytes.
    pub const MAX_METADATA_BYTES: usize = 4096;

    /// What there is too much of, and the limit; `None` for an entry that keeps to all of them.
    pub fn excess(&self) -> Option<(&'static str, usize)> {
        let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let bounds = [
            ("groups", self.groups.len(), Self::MAX_GROUPS),
            ("keys of metadata", self.metadata.len(), Self::MAX_KEYS),
            (
                "bytes of a key of metadata",
                longest(&mut self.metadata.keys().map(String::len)),
                Self::MAX_KEY_BYTES,
            ),
            (
                "bytes of a value of \
                metadata",
                longest(&mut self.metadata.values().map(String::len)),
                Self::MAX_VALUE_BYTES,
            ),
            (
                "bytes of metadata",
                self.metadata_bytes(),
                Self::MAX_METADATA_BYTES,
            ),
            (
                "bytes of the executable's \
                path",
                self.exe.as_ref().map_or(0, String::len),
                MAX_EXE_BYTES,
            ),
            (
                "bytes of the user's name",
                self.user.as_ref().map_or(0, String::len),
                MAX_USER_BYTES,
            ),
            (
                "bytes of the address",
                self.address.as_ref().map_or(0, String::len),
                MAX_ADDRESS_BYTES,
            ),
        ];
        bounds
            .into_iter()
            .find(|(_, count, limit)| count > limit)
            .map(|(what, _, limit)| (what, limit))
    }

    /// Whether a peer may say this: within the limits, and with a claim that somebody can have
    /// counted.
    pub fn is_sound(&self) -> bool {
        self.claim < MAX_CLAIM && self.excess().is_none()
    }

    fn metadata_bytes(&self) -> usize {
        self.metadata
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum()
    }

    /// About how many bytes it takes when it is encoded; at most a few too few.
    pub fn weight(&self) -> usize {
        let texts = [&self.user, &self.exe, &self.address];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let groups: usize = self
            .groups
            .iter()
            .map(|group| group.as_str().len() + 2)
            .sum();
        48 + texts + groups + self.metadata_bytes() + 4 * self.metadata.len()
    }
}
