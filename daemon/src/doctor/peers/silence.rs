//! A member that does not answer: which way packets are lost.

use super::super::Finding;
use crate::link::Link;
use node::inquiry::Sight;
use std::net::SocketAddr;
use std::time::Duration;

/// A node dials those whom it misses each second or so: attempts that are older were made before
/// something changed.
const RECENT: Duration = Duration::from_secs(60);

/// The check of packets that go out from here.
const OUT: &str = "udp out";

/// What can be known of it.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Whether a connection to it stands all the same.
    pub(super) is_connected: bool,
    /// What is known of the link to it.
    pub(super) link: Link,
    /// How long ago an attempt of it arrived here that was never finished.
    pub(super) knocked: Option<Duration>,
    /// Members that were asked: how each sees it, and how it sees this node, if it answered them.
    pub(super) told: Vec<(String, Sight, Option<Sight>)>,
}

impl Silence {
    /// What the silence of the member `name` at `theirs` means for this node at `own`.
    pub(super) fn judge(&self, name: &str, theirs: SocketAddr, own: SocketAddr) -> Finding {
        self.slow(name)
            .or_else(|| self.one_way(name, theirs, own))
            .or_else(|| self.both_ways(name, theirs))
            .unwrap_or_else(|| self.is_down(name, theirs))
    }

    /// A connection stands, and the link is such that another one may not come to stand in time.
    fn slow(&self, name: &str) -> Option<Finding> {
        (self.is_connected && self.link.is_cause()).then(|| {
            let link = self.link;
            let what = format!("a new connection got no answer in time; it is the link: {link}");
            Finding::warning(OUT, name, what, super::LOOK_AT_LINK)
        })
    }

    /// Packets pass in one direction only.
    fn one_way(&self, name: &str, theirs: SocketAddr, own: SocketAddr) -> Option<Finding> {
        if self.is_connected {
            let what = "it has reached this node, but a new connection from here gets no answer: a \
                firewall lets packets pass only when it begins";
            let remedy = format!("allow UDP to {theirs} (out here, in at {name})");
            return Some(Finding::warning(OUT, name, what, remedy));
        }
        if self.knocked.is_some_and(|ago| ago < RECENT) {
            let what = "it reaches this node, but this node does not reach it: its packets arrive \
                here, the answers do not arrive there";
            let from = own.ip();
            let remedy = format!("allow UDP from {from} to {theirs} (out here, in at {name})");
            return Some(Finding::critical(OUT, name, what, remedy));
        }
        let hear_us = |(_, _, of_us): &&(String, Sight, Option<Sight>)| of_us.is_some_and(hears_us);
        let (helper, ..) = self.told.iter().find(hear_us)?;
        let what = format!(
            "this node reaches it, but it does not reach this node: packets from here arrive there \
             ({helper} asked it), its answers do not arrive here"
        );
        let remedy = format!("allow UDP from {theirs} to {own} (out at {name}, in here)");
        Some(Finding::critical("udp in", name, what, remedy))
    }

    /// Another member reaches it, and this node does not.
    fn both_ways(&self, name: &str, theirs: SocketAddr) -> Option<Finding> {
        let mut told = self.told.iter();
        let (helper, sight, _) = told.find(|(_, sight, _)| sight.is_reachable)?;
        let rtt = sight
            .rtt_us
            .map_or_else(String::new, |us| format!(" in {:.1} ms", us as f64 / 1e3));
        let what = format!(
            "no packet passes between this node and it, in neither direction; {helper} reaches \
             it{rtt}"
        );
        let remedy =
            format!("look for a firewall or a missing route between this host and {theirs}");
        Some(Finding::critical(OUT, name, what, remedy))
    }

    /// Nobody who was asked reaches it.
    fn is_down(&self, name: &str, theirs: SocketAddr) -> Finding {
        let remedy = if self.link.is_cause() {
            format!(
                "look at the link to it first, which was slow when it last answered ({}); if it is gone \
                 for good: muster forget {name}",
                self.link
            )
        } else {
            format!(
                "see whether its host is up, musterd runs there and UDP {} is open; if it is gone for \
                 good: muster forget {name}",
                theirs.port()
            )
        };
        if self.told.is_empty() {
            let what = "it does not answer, and no other member can be asked about it";
            return Finding::critical(OUT, name, what, remedy);
        }
        let asked: Vec<&str> = self
            .told
            .iter()
            .map(|(helper, ..)| helper.as_str())
            .collect();
        let what = format!(
            "it does not answer, and {} does not reach it either: it is down, or cut off from all",
            asked.join(" and ")
        );
        Finding::critical(OUT, name, what, remedy)
    }
}

fn hears_us(sight: Sight) -> bool {
    sight
        .knocked_ms
        .is_some_and(|ago| Duration::from_millis(ago) < RECENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(silence: &Silence) -> Finding {
        silence.judge(
            "n2",
            ([10, 0, 0, 2], 6878).into(),
            ([10, 0, 0, 1], 6878).into(),
        )
    }

    fn told(is_reachable: bool, of_us: Option<Sight>) -> Vec<(String, Sight, Option<Sight>)> {
        vec![(
            "n3".to_owned(),
            Sight {
                is_reachable,
                rtt_us: Some(400),
                knocked_ms: None,
            },
            of_us,
        )]
    }

    #[test]
    fn a_cut_in_one_direction_is_told_from_one_in_the_other() {
        let theirs_arrive = judged(&Silence {
            knocked: Some(Duration::from_secs(1)),
            told: told(true, None),
            ..Silence::default()
        });
        assert!(
            theirs_arrive.what.starts_with(
                "it reaches this node, but this node does not \
            reach it"
            ),
            "{theirs_arrive:?}"
        );
        let of_us = Sight {
            knocked_ms: Some(900),
            ..Sight::default()
        };
        let ours_arrive = judged(&Silence {
            told: told(true, Some(of_us)),
            ..Silence::default()
        });
        assert!(
            ours_arrive.what.starts_with(
                "this node reaches it, but it does not reach this \
            node"
            ),
            "{ours_arrive:?}"
        );
        let old = Silence {
            knocked: Some(2 * RECENT),
            told: told(true, Some(Sight::default())),
            ..Silence::default()
        };
        assert!(
            judged(&old).what.ends_with("n3 reaches it in 0.4 ms"),
            "{:?}",
            judged(&old)
        );
    }

    #[test]
    fn a_link_that_is_slow_is_named_instead_of_a_firewall_or_the_host() {
        let link = Link {
            round_trip: Some(Duration::from_millis(640)),
            lost_percent: Some(5),
        };
        let connected = judged(&Silence {
            is_connected: true,
            link,
            ..Silence::default()
        });
        assert!(
            connected
                .what
                .ends_with("it is the link: round trip 640 ms, 5 % lost"),
            "{connected:?}"
        );
        let down = judged(&Silence {
            link,
            ..Silence::default()
        });
        let remedy = down.remedy.unwrap();
        assert!(
            remedy.contains("round trip 640 ms") && !remedy.contains("host is up"),
            "{remedy}"
        );
    }

    #[test]
    fn a_member_that_nobody_reaches_is_down() {
        let down = judged(&Silence {
            told: told(false, None),
            ..Silence::default()
        });
        assert!(
            down.what.contains("n3 does not reach it either")
                && down.remedy.is_some_and(|r| r.contains("muster forget n2")),
            "{}",
            down.what
        );
        assert!(
            judged(&Silence::default())
                .what
                .contains("no other member can be asked")
        );
    }
}
