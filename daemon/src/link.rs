//! What the link to a member is like, in words: a member that is hard to reach over a link that is slow or loses
//! packets is no reason to look for a fault on its host.

use std::fmt;
use std::time::Duration;
use transport::ConnectionStats;

/// From this round trip on a link is called slow.
const SLOW: Duration = Duration::from_millis(250);
/// From this share on packets are lost that a good network delivers.
const LOSSY_PERCENT: u64 = 5;

/// What was measured of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) round_trip: Option<Duration>,
    /// Of the packets that were sent on it of late, in percent; `None` while they were few.
    pub(crate) lost_percent: Option<u64>,
}

impl Link {
    /// Of a connection that stands.
    pub(crate) fn of(stats: &ConnectionStats) -> Self {
        Self {
            round_trip: Some(stats.rtt),
            lost_percent: stats.lost_percent,
        }
    }

    /// Whether so many packets are lost that it shows.
    pub(crate) fn is_lossy(&self) -> bool {
        self.lost_percent.is_some_and(|lost| lost >= LOSSY_PERCENT)
    }

    /// Whether it explains that answers are late or stay away.
    pub(crate) fn is_cause(&self) -> bool {
        self.is_lossy() || self.round_trip.is_some_and(|far| far >= SLOW)
    }
}

/// `round trip 640 ms, 5 % lost`
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(far) = self.round_trip {
            write!(f, "round trip {} ms", far.as_millis())?;
        }
        match self.lost_percent {
            Some(lost) if lost > 0 && self.round_trip.is_some() => write!(f, ", {lost} % lost"),
            Some(lost) if lost > 0 => write!(f, "{lost} % lost"),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ms: u64, lost_percent: Option<u64>) -> Link {
        Link::of(&ConnectionStats {
            rtt: Duration::from_millis(ms),
            lost_percent,
            ..ConnectionStats::default()
        })
    }

    #[test]
    fn a_link_is_told_in_words_and_explains_something_if_it_is_slow_or_loses_packets() {
        let told = |link: Link| (link.to_string(), link.is_cause());
        assert_eq!(
            told(link(640, Some(5))),
            ("round trip 640 ms, 5 % lost".into(), true)
        );
        assert_eq!(
            told(link(2, Some(6))),
            ("round trip 2 ms, 6 % lost".into(), true)
        );
        assert_eq!(told(link(300, None)), ("round trip 300 ms".into(), true));
        assert_eq!(
            told(link(2, Some(1))),
            ("round trip 2 ms, 1 % lost".into(), false)
        );
        assert_eq!(told(Link::default()), (String::new(), false));
    }
}
