//! The one configuration for clusters of 3 to 200 nodes. What it says of probes is never used, since
//! foca's own probing does not begin.

use foca::{Config, PeriodicParams};
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();
const TRANSMISSIONS: NonZeroU8 = NonZeroU8::new(15).unwrap();
/// Equal everywhere, as a longer packet is refused; fits a QUIC datagram at an MTU of 1200.
const PACKET_BYTES: NonZeroUsize = NonZeroUsize::new(1150).unwrap();

/// How often one member that is alive is asked whom it knows.
pub(in crate::cluster) const ANNOUNCE_EACH: Duration = Duration::from_secs(10);

pub(super) fn config() -> Config {
    Config {
        probe_period: Duration::from_millis(250),
        probe_rtt: Duration::from_millis(110),
        num_indirect_probes: THREE,
        max_transmissions: TRANSMISSIONS,
        suspect_to_down_after: Duration::from_secs(1),
        remove_down_after: Some(Duration::from_secs(24 * 3600)),
        max_packet_size: PACKET_BYTES,
        notify_down_members: true,
        periodic_announce: Some(PeriodicParams {
            frequency: ANNOUNCE_EACH,
            num_members: NonZeroUsize::MIN,
        }),
        periodic_announce_to_down_members: every(2_000, THREE),
        periodic_gossip: every(100, THREE),
    }
}

fn every(ms: u64, num_members: NonZeroUsize) -> Option<PeriodicParams> {
    Some(PeriodicParams {
        frequency: Duration::from_millis(ms),
        num_members,
    })
}
