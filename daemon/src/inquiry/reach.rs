//! Who reaches whom, as members tell it.

use super::{PATIENCE, sight};
use crate::service::Service;
use api::reach::{ReachKind, ReachLink, ReachRow};
use futures_util::future::join_all;
use names::NodeId;
use node::cluster::{MemberView, RosterView};
use node::inquiry::{Answer, MAX_SIGHTS, Question, Sight};
use std::collections::BTreeMap;

/// How many members are asked at the same time.
const AT_ONCE: usize = 16;

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
    let members: Vec<&MemberView> = view.expected().collect();
    let mut rows = Vec::new();
    for some in members.chunks(AT_ONCE) {
        let answers = join_all(some.iter().map(|member| of(service, &view, member))).await;
        rows.extend(some.iter().zip(answers).map(|(member, answer)| ReachRow {
            id: member.id.to_string(),
            name: member.profile.name.to_string(),
            silent: answer.as_ref().err().cloned(),
            links: links(&view, &answer.unwrap_or_default()),
        }));
    }
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

async fn of(
    service: &Service,
    view: &RosterView,
    member: &MemberView,
) -> Result<BTreeMap<NodeId, Sight>, String> {
    if member.id == view.me {
        let others = view
            .expected()
            .map(|one| one.id)
            .filter(|id| *id != view.me);
        return Ok(others.map(|id| (id, sight(service, id))).collect());
    }
    let inquiry = service
        .endpoint()
        .inquire(member.profile.address, member.id.0)
        .await
        .map_err(|error| error.reason)?;
    let mut all = BTreeMap::new();
    loop {
        let above = all.last_key_value().map_or(NodeId([0; 16]), |(id, _)| *id);
        let question = Question::Sights(above).bytes();
        let answer = inquiry.ask(&question, PATIENCE).await;
        let (answer, _) = answer.map_err(|error| error.reason)?;
        match Answer::read(&answer) {
            Ok(Answer::Sights(sights)) => {
                let before = all.len();
                let is_full = sights.len() == MAX_SIGHTS;
                all.extend(sights.into_iter().filter(|(id, _)| *id > above));
                // Whoever repeats itself is asked no more.
                if !is_full || all.len() == before || all.len() > view.members.len() * 2 {
                    return Ok(all);
                }
            }
            Ok(
                Answer::Clock { .. }
                | Answer::Reach(_)
                | Answer::Sight(_)
                | Answer::Relay(_)
                | Answer::Heal(_),
            ) => return Err("it answered another question".to_owned()),
            Err(_) => return Err("its version does not tell whom it reaches".to_owned()),
        }
    }
}
