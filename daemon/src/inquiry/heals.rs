//! Reports of heals, as members tell them to each other.

use super::asking::{OTHER, ask, ask_all};
use crate::service::Service;
use api::heals::{HealReport, SilentMember};
use node::cluster::MemberView;
use node::inquiry::{Answer, MAX_REPORT_BYTES, Question};
use transport::Inquiry;

/// How many of its newest reports a member is asked for.
const OF_EACH: u16 = 5;

/// The report of this node that has so many newer ones before it; nothing if there is none.
pub(super) fn told(service: &Service, newer: u16) -> Vec<u8> {
    let mut reports = service.heals().reports().into_iter();
    let report = reports.nth(usize::from(newer));
    report.map(fitted).unwrap_or_default()
}

/// A report as bytes that an answer has room for: without some of what it tells, if need be.
fn fitted(mut report: HealReport) -> Vec<u8> {
    loop {
        let bytes = serde_json::to_vec(&report).unwrap_or_default();
        if bytes.len() <= MAX_REPORT_BYTES {
            return bytes;
        }
        let HealReport {
            conflicts,
            names,
            lists,
            members,
            ..
        } = &mut report;
        let gone = if conflicts.len() > 1 {
            halve(conflicts)
        } else if names.len() > 1 {
            halve(names)
        } else if lists.len() > 1 {
            halve(lists)
        } else if members.len() > 1 {
            halve(members)
        } else {
            return Vec::new();
        };
        report.omitted = report.omitted.saturating_add(gone);
    }
}

/// Leaves half of them; gives the number of those that are gone.
fn halve<T>(some: &mut Vec<T>) -> u64 {
    let gone = some.split_off(some.len() / 2);
    u64::try_from(gone.len()).unwrap_or(u64::MAX)
}

/// The newest reports of this node and of all that it reaches, and who told none.
pub(crate) async fn of_all(service: &Service) -> (Vec<HealReport>, Vec<SilentMember>) {
    let view = service.view();
    let others: Vec<&MemberView> = view.expected().filter(|one| one.id != view.me).collect();
    let mut reports = service.heals().reports();
    reports.truncate(usize::from(OF_EACH));
    let mut silent = Vec::new();
    for (member, answer) in ask_all(service, &others, of).await {
        let name = member.profile.name.to_string();
        match answer {
            // What a member says is said by it, whatever name it writes.
            Ok(told) => reports.extend(told.into_iter().map(|report| HealReport {
                node: name.clone(),
                ..report
            })),
            Err(reason) => silent.push(SilentMember { name, reason }),
        }
    }
    reports.sort_by(|a, b| (b.began_at, &a.node).cmp(&(a.began_at, &b.node)));
    (reports, silent)
}

/// What a member tells.
async fn of(inquiry: Inquiry) -> Result<Vec<HealReport>, String> {
    let mut reports = Vec::new();
    for newer in 0..OF_EACH {
        let question = Question::Heal(newer);
        match ask(&inquiry, question, "its version tells no reports").await? {
            Answer::Heal(report) if report.is_empty() => break,
            Answer::Heal(report) => match serde_json::from_slice(&report) {
                Ok(report) => reports.push(report),
                Err(error) => return Err(format!("its report cannot be read: {error}")),
            },
            Answer::Clock { .. }
            | Answer::Reach(_)
            | Answer::Sight(_)
            | Answer::Relay(_)
            | Answer::Sights(_)
            | Answer::Source(_) => return Err(OTHER.to_owned()),
        }
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_that_is_too_large_is_told_with_less_in_it() {
        let conflict = json!({
            "list": "l", "entry": "e", "title": "t".repeat(200), "field": "title",
            "values": [{ "value": "v".repeat(200), "by": "ann@n1", "at": "2026-03-01T00:00:00Z" }],
        });
        let report: HealReport = serde_json::from_value(json!({
            "id": "19a", "node": "n1", "state": "closed", "began_at": "2026-03-01T00:00:00Z",
            "healed_at": null, "agreed_at": null, "members": [], "lists": ["l", "m"],
            "conflicts": vec![conflict; 50], "names": [], "omitted": 3,
            "received": { "changes": 0, "bytes": 0 }, "sent": { "changes": 0, "bytes": 0 },
        }))
        .unwrap();
        let bytes = fitted(report.clone());
        assert!(bytes.len() <= MAX_REPORT_BYTES);
        let told: HealReport = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(told.conflicts.len() as u64 + told.omitted, 53);
        assert!(!told.conflicts.is_empty());
        assert_eq!(told.lists, report.lists);
    }
}
