//! Who reaches whom, as members tell it.

use super::asking::{OTHER, ask, ask_all};
use super::sight;
use crate::service::Service;
use api::reach::{ReachKind, ReachLink, ReachRow};
use names::NodeId;
use node::cluster::{MemberView, RosterView};
use node::inquiry::{Answer, MAX_SIGHTS, Question, Sight};
use std::collections::BTreeMap;
use transport::Inquiry;

/// How this node sees the members above an id, as many as an answer has room for.
pub(super) fn sights(service: &Service, above: NodeId) -> Vec<(NodeId, Sight)> {
    let view = service.view();
    let others = view.expected().map(|member| member.id);
    let mut others: Vec<NodeId> = others.filter(|id| *id > above && *id != view.me).collect();
    others.sort_unstable();
    others.truncate(MAX_SIGHTS);
    let seen = others.into_iter();
    seen.map(|id| (id, sight(service, id))).collect()
}

/// What this node and all members say of each other.
pub(crate) async fn matrix(service: &Service) -> Vec<ReachRow> {
    let view = service.view();
    let others: Vec<&MemberView> = view.expected().filter(|one| one.id != view.me).collect();
    let most = view.members.len() * 2;
    let mut told = ask_all(service, &others, |inquiry| of(inquiry, most)).await;
    if let Some(me) = view.member(view.me) {
        let sights = others.iter().map(|one| (one.id, sight(service, one.id)));
        told.push((me, Ok(sights.collect())));
    }
    let rows = told.into_iter().map(|(member, answer)| ReachRow {
        id: member.id.to_string(),
        name: member.profile.name.to_string(),
        silent: answer.as_ref().err().cloned(),
        links: links(&view, &answer.unwrap_or_default()),
    });
    let mut rows: Vec<ReachRow> = rows.collect();
    rows.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    rows
}

fn links(view: &RosterView, sights: &BTreeMap<NodeId, Sight>) -> Vec<ReachLink> {
    let members = view.expected();
    let told = members.filter_map(|member| Some((member, sights.get(&member.id)?)));
    told.map(|(member, sight)| {
        let rtt = sight.rtt_us.filter(|_| sight.is_reachable);
        ReachLink {
            name: member.profile.name.to_string(),
            reach: match (sight.is_reachable, rtt) {
                (true, Some(_)) => ReachKind::Direct,
                (true, None) => ReachKind::Indirect,
                (false, _) => ReachKind::None,
            },
            rtt_ms: rtt.map(|micros| micros as f64 / 1e3),
        }
    })
    .collect()
}

/// How a member sees the others, of which there are fewer than so many.
async fn of(inquiry: Inquiry, most: usize) -> Result<BTreeMap<NodeId, Sight>, String> {
    let mut all = BTreeMap::new();
    loop {
        let above = all.last_key_value().map_or(NodeId([0; 16]), |(id, _)| *id);
        let unknown = "its version does not tell whom it reaches";
        match ask(&inquiry, Question::Sights(above), unknown).await? {
            Answer::Sights(sights) => {
                let before = all.len();
                let is_full = sights.len() == MAX_SIGHTS;
                all.extend(sights.into_iter().filter(|(id, _)| *id > above));
                // Whoever repeats itself is asked no more.
                if !is_full || all.len() == before || all.len() > most {
                    return Ok(all);
                }
            }
            Answer::Clock { .. }
            | Answer::Reach(_)
            | Answer::Sight(_)
            | Answer::Relay(_)
            | Answer::Heal(_)
            | Answer::Source(_) => return Err(OTHER.to_owned()),
        }
    }
}
