//! Each member, as far as this node can tell: whether packets pass, both ways, and what they say on
//! the other side.
//!
//! A connection that stands proves little about a firewall, which lets answers pass. So each member
//! is asked on a connection from a fresh port, and asked to come back by one of its own. Where none
//! comes to stand, three things tell which way packets are lost: whether the member's own attempts
//! arrive here, whether others reach it, and whether ours arrive there, which one of those others
//! asks it.

mod silence;
mod source;

use super::expiry::{self, Whose};
use super::{Finding, HERE, Level};
use crate::host::{addresses, wall_ms};
use crate::inquiry::{PATIENCE, RELAY_PATIENCE};
use crate::link::Link;
use crate::service::Service;
use api::time::Millis;
use futures_util::future::join_all;
use names::NodeId;
use node::cluster::MemberView;
use node::inquiry::{Answer, Question, Reach, Sight, skew};
use silence::Silence;
use std::net::IpAddr;
use std::time::Duration;
use transport::{ConnectionStats, DialErrorKind, Inquiry, InquiryError};

/// How many members are examined at the same time.
const AT_ONCE: usize = 16;
/// How many members that do answer are asked about one that does not.
const HELPERS: usize = 3;
/// Clocks further apart than this make times in lists and logs misleading.
const SKEW: Duration = Duration::from_secs(1);
/// Certificates may seem to be expired, or not valid yet.
const GRAVE_SKEW: Duration = Duration::from_secs(60);
/// The least that QUIC needs of a path; hardly any network carries so little.
const LEAST_MTU: u64 = 1200;
/// After so many packets the path's real limit is known.
const MANY_PACKETS: u64 = 200;

/// What to do about packets that are lost or late.
const LOOK_AT_LINK: &str = "look at the network between both hosts (mtr, ethtool -S)";

/// A member, and the connection on which it was asked.
struct Met {
    member: MemberView,
    inquiry: Result<Inquiry, InquiryError>,
}

/// Examines all members. Takes some seconds where one does not answer.
pub(crate) async fn examine(service: &Service) -> Vec<Finding> {
    let view = service.view();
    let others = view
        .expected()
        .filter(|member| member.id != view.me)
        .cloned()
        .collect::<Vec<MemberView>>();
    if others.is_empty() && service.search().is_first {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = view.away().filter_map(away).collect();
    if others.is_empty() && !findings.is_empty() {
        return findings;
    }
    if others.is_empty() {
        return vec![Finding::good(
            "members",
            HERE,
            "this node is the only member of its cluster",
        )];
    }
    let mut met: Vec<Met> = Vec::new();
    for some in others.chunks(AT_ONCE) {
        met.extend(join_all(some.iter().map(|member| meet(service, member))).await);
    }
    let helpers: Vec<&Met> = met
        .iter()
        .filter(|met| met.inquiry.is_ok())
        .take(HELPERS)
        .collect();
    for some in met.chunks(AT_ONCE) {
        findings.extend(
            join_all(some.iter().map(|met| judge(service, met, &helpers)))
                .await
                .into_iter()
                .flatten(),
        );
    }
    findings
}

/// A member of which nobody expects an answer.
fn away(member: &MemberView) -> Option<Finding> {
    let until = Millis(member.away.as_ref()?.until?.0);
    let name = member.profile.name.as_str();
    let what = format!("it is away on purpose until {until}, and is not examined");
    Some(Finding::good("away", name, what))
}

async fn meet(service: &Service, member: &MemberView) -> Met {
    let inquiry = service
        .endpoint()
        .inquire(member.profile.address, member.id.0)
        .await;
    Met {
        member: member.clone(),
        inquiry,
    }
}

async fn judge(service: &Service, met: &Met, helpers: &[&Met]) -> Vec<Finding> {
    let (member, name) = (&met.member, met.member.profile.name.as_str());
    let mut findings = match &met.inquiry {
        Ok(inquiry) => answered(service, name, inquiry).await,
        Err(error) if error.is_unknown => {
            let what = "it is reached, but its version answers no examination";
            vec![Finding::warning(
                "udp out",
                name,
                what,
                "upgrade it, then examine again",
            )]
        }
        Err(InquiryError {
            kind: DialErrorKind::Unreachable,
            ..
        }) => {
            let silence = ask_around(service, member, helpers).await;
            vec![silence.judge(name, member.profile.address, service.address())]
        }
        Err(error) => {
            let remedy = "compare cluster and certificates of both (muster doctor there); a \
                certificate of another cluster is issued again";
            vec![Finding::critical(
                "udp out",
                name,
                format!("it answers and refuses: {}", error.reason),
                remedy,
            )]
        }
    };
    // Of one that is down, what was measured last says nothing.
    let conn = member.conn.filter(|_| member.state.is_reachable());
    let stats = conn.and_then(|conn| service.endpoint().connection_stats(conn.0));
    findings.extend(stats.iter().flat_map(|stats| path(name, stats)));
    findings.push(version(name, service.info().version, member));
    findings
}

/// What a member says that answers.
async fn answered(service: &Service, name: &str, inquiry: &Inquiry) -> Vec<Finding> {
    let took = inquiry.handshake.as_secs_f64() * 1e3;
    let mut findings = vec![Finding::good(
        "udp out",
        name,
        format!(
            "this node reaches it: a \
        handshake takes {took:.1} ms"
        ),
    )];
    let asked_ms = wall_ms();
    let (clock, reach) = tokio::join!(
        ask(inquiry, Question::Clock, PATIENCE),
        ask(inquiry, Question::Reach, PATIENCE)
    );
    // A version that does not know the question says nothing.
    if let Some((Answer::Source(seen), _)) = ask(inquiry, Question::Source, PATIENCE).await {
        let own = addresses::all().unwrap_or_default();
        let own: Vec<IpAddr> = own.into_iter().map(|own| own.ip).collect();
        findings.push(source::judge(name, seen, (service.address(), &own)));
    }
    if let Some((Answer::Reach(reach), _)) = reach {
        findings.push(reached(name, &reach, &service.address().to_string()));
    }
    match clock {
        Some((Answer::Clock { wall_ms, .. }, took)) => {
            findings.push(clock_of(name, skew(asked_ms, took, wall_ms)))
        }
        Some(_) | None => {
            let what = "it takes part in a handshake, but answers no question";
            findings.push(Finding::warning(
                "clock",
                name,
                what,
                "see whether its daemon hangs \
                (muster doctor there, its log)",
            ));
        }
    }
    let (level, words) = expiry::judge(
        Whose::Node,
        inquiry.certificate_expires_at,
        wall_ms() / 1000,
    );
    let remedy = format!(
        "muster authority renew on {name}; or, where its files were carried there, issue it again \
         (muster pki issue {name} --renew), bring it to {name}, then restart its musterd"
    );
    findings.push(Finding::of_level(
        level,
        "certificate",
        name,
        format!("its certificate {words}"),
        &remedy,
    ));
    findings
}

async fn ask(inquiry: &Inquiry, question: Question, limit: Duration) -> Option<(Answer, Duration)> {
    let (bytes, took) = inquiry.ask(&question.bytes(), limit).await.ok()?;
    Answer::read(&bytes).ok().map(|answer| (answer, took))
}

fn reached(name: &str, reach: &Reach, own: &str) -> Finding {
    let check = "udp in";
    match reach {
        Reach::Reached => Finding::good(check, name, format!("it reaches this node at {own}")),
        Reach::Silent(reason) => Finding::warning(
            check,
            name,
            format!("it does not reach this node at {own} by itself ({reason})"),
            format!(
                "allow UDP to {own} from {name} (in here, out there); see that [quic] \
                advertise is right"
            ),
        ),
        Reach::Refused(reason) => {
            let remedy = "compare cluster and certificates of both (muster doctor there)";
            Finding::critical(
                check,
                name,
                format!(
                    "it refuses this node at {own}: \
                {reason}"
                ),
                remedy,
            )
        }
        Reach::Unknown => Finding::warning(
            check,
            name,
            "it does not know yet where this node \
            is",
            "examine again in a few seconds",
        ),
    }
}

fn clock_of(name: &str, (ahead_ms, unsure): (i64, Duration)) -> Finding {
    let off = Duration::from_millis(ahead_ms.unsigned_abs());
    let certain = off.saturating_sub(unsure);
    let level = match certain {
        _ if certain >= GRAVE_SKEW => Level::Critical,
        _ if certain >= SKEW => Level::Warning,
        _ => Level::Good,
    };
    let (by, unsure) = (off.as_secs_f64(), unsure.as_secs_f64() * 1e3);
    let what = match (&level, ahead_ms > 0) {
        (Level::Good, _) => format!(
            "its clock is the same, within {:.0} \
            ms",
            unsure + off.as_secs_f64() * 1e3
        ),
        (_, true) => format!("its clock is {by:.1} s ahead of this node's"),
        (_, false) => format!("its clock is {by:.1} s behind this node's"),
    };
    Finding::of_level(
        level,
        "clock",
        name,
        what,
        "see that both hosts keep time by NTP \
        (timedatectl); others' clocks tell which is wrong",
    )
}

fn path(name: &str, stats: &ConnectionStats) -> Vec<Finding> {
    let known = stats.packets_sent >= MANY_PACKETS;
    let (rtt, mtu) = (stats.rtt.as_secs_f64() * 1e3, stats.mtu_bytes);
    let level = if known && mtu <= LEAST_MTU {
        Level::Warning
    } else {
        Level::Good
    };
    let what = format!("round trip {rtt:.1} ms, path MTU {mtu} bytes of UDP payload");
    let remedy = "something on the way drops larger packets: look for a tunnel with a small MTU; \
        it costs throughput only";
    let mtu = Finding::of_level(level, "path", name, what, remedy);
    let link = Link::of(stats);
    let loss = link.is_lossy().then(|| {
        Finding::warning(
            "loss",
            name,
            format!("{link}: packets to it are lost"),
            LOOK_AT_LINK,
        )
    });
    std::iter::once(mtu).chain(loss).collect()
}

fn version(name: &str, own: &str, member: &MemberView) -> Finding {
    let theirs = &member.profile.version;
    let level = if own == theirs {
        Level::Good
    } else {
        Level::Warning
    };
    let protocol = member
        .protocol
        .map_or_else(String::new, |protocol| format!("; protocol {}", protocol.0));
    Finding::of_level(
        level,
        "version",
        name,
        format!("it runs {theirs}, this node {own}{protocol}"),
        "finish the upgrade: run one version on all nodes",
    )
}

/// Why a member may not answer.
async fn ask_around(service: &Service, member: &MemberView, helpers: &[&Met]) -> Silence {
    Silence {
        is_connected: member.conn.is_some() && member.state.is_reachable(),
        link: service.link(member),
        knocked: service.endpoint().knocked(member.profile.address),
        told: join_all(helpers.iter().map(|helper| ask_about(helper, member.id)))
            .await
            .into_iter()
            .flatten()
            .collect(),
    }
}

/// How a helper sees a member, and how that one, asked by the helper, sees this node.
async fn ask_about(helper: &Met, member: NodeId) -> Option<(String, Sight, Option<Sight>)> {
    let inquiry = helper.inquiry.as_ref().ok()?;
    let (Answer::Sight(sight), _) = ask(inquiry, Question::Sight(member), PATIENCE).await? else {
        return None;
    };
    let relayed = ask(inquiry, Question::Relay(member), RELAY_PATIENCE).await;
    let of_us = relayed.and_then(|(answer, _)| {
        if let Answer::Relay(sight) = answer {
            sight
        } else {
            None
        }
    });
    Some((helper.member.profile.name.to_string(), sight, of_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_by_more_than_the_estimate_can_be_is_told() {
        let level = |ahead_ms, unsure_ms| {
            clock_of("n2", (ahead_ms, Duration::from_millis(unsure_ms))).level
        };
        assert_eq!(
            [level(900, 1), level(-999, 0), level(1_500, 600)],
            [Level::Good, Level::Good, Level::Good]
        );
        assert_eq!(
            [level(1_100, 1), level(-59_000, 1)],
            [Level::Warning, Level::Warning]
        );
        assert_eq!(
            [level(-61_000, 1), level(i64::MIN, 0)],
            [Level::Critical, Level::Critical]
        );
        assert!(
            clock_of("n2", (-5_000, Duration::ZERO))
                .what
                .contains("5.0 s behind")
        );
    }

    #[test]
    fn a_narrow_or_lossy_path_is_told_once_it_is_known() {
        let stats = |packets_sent, lost_percent, mtu_bytes| ConnectionStats {
            packets_sent,
            lost_percent,
            mtu_bytes,
            ..ConnectionStats::default()
        };
        let levels = |stats| {
            path("n2", &stats)
                .iter()
                .map(|finding| finding.level.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(levels(stats(10, None, 1200)), [Level::Good]);
        assert_eq!(levels(stats(1000, Some(0), 1452)), [Level::Good]);
        assert_eq!(
            levels(stats(1000, Some(6), 1200)),
            [Level::Warning, Level::Warning]
        );
    }
}
