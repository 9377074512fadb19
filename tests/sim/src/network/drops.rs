//! Messages that do not get through although their connection stands.

use node::wire::Channel;

/// Which messages of a channel do not get through, as a scenario asks for.
#[derive(Clone, Copy, Debug)]
pub struct Drops {
    channel: Channel,
    /// Of each this many messages the first one is dropped.
    one_of: u64,
    /// Whether the sender is told, as when its queue is full.
    pub(super) told: bool,
    seen: u64,
}

impl Drops {
    /// One of so many messages of a channel is dropped as if its queue were full, and its sender is
    /// told.
    pub fn told(channel: Channel, one_of: u64) -> Self {
        Self {
            channel,
            one_of,
            told: true,
            seen: 0,
        }
    }

    /// The same, but nobody is told, although the transport promises that.
    pub fn silent(channel: Channel, one_of: u64) -> Self {
        Self {
            told: false,
            ..Self::told(channel, one_of)
        }
    }

    /// Whether the next message of a channel is dropped.
    pub(super) fn next(&mut self, channel: Channel) -> bool {
        if channel != self.channel {
            return false;
        }
        self.seen += 1;
        self.seen % self.one_of == 1 % self.one_of
    }
}
