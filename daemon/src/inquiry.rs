//! Answers what other nodes ask when somebody examines the cluster there.

mod asking;
pub(crate) mod heals;
pub(crate) mod reach;

use crate::host::wall_ms;
use crate::service::Service;
use names::NodeId;
use node::inquiry::{Answer, Question, Reach, Sight};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use transport::{DialErrorKind, InquiryError};

/// How many questions may wait: as many as the transport lets in at once.
pub(crate) const WAITING: usize = 64;
/// How long a question to another node may take; less than the asker waits for a relayed answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long the asker waits for an answer that takes a question to a third node.
pub(crate) const RELAY_PATIENCE: Duration = Duration::from_secs(12);

/// Answers, until no more questions can come.
pub(crate) async fn answer(service: Service, mut questions: mpsc::Receiver<transport::Question>) {
    while let Some(question) = questions.recv().await {
        tokio::spawn(reply(service.clone(), question));
    }
}

/// A question that is not understood gets no answer.
async fn reply(service: Service, question: transport::Question) {
    let asker = NodeId(question.peer.id);
    let answer = match Question::read(&question.bytes) {
        Ok(Question::Clock) => Answer::Clock {
            wall_ms: wall_ms(),
            version: service.info().version.to_owned(),
        },
        Ok(Question::Reach) => Answer::Reach(reach(&service, asker).await),
        Ok(Question::Sight(of)) => Answer::Sight(sight(&service, of)),
        Ok(Question::Heal(newer)) => Answer::Heal(heals::told(&service, newer)),
        Ok(Question::Sights(above)) => Answer::Sights(reach::sights(&service, above)),
        Ok(Question::Source) => Answer::Source(question.from),
        Ok(Question::Relay(to)) => Answer::Relay(relayed(&service, to, asker).await),
        Err(error) => {
            return tracing::debug!(peer = question.peer.name, %error, "a question is not understood");
        }
    };
    // The asker may have gone meanwhile.
    let _ = question.reply.send(answer.bytes().into());
}

/// Where a member is. Only there anything is sent: nobody can make this node send to an address of
/// their choice.
fn address(service: &Service, node: NodeId) -> Option<SocketAddr> {
    service
        .view()
        .member(node)
        .map(|member| member.profile.address)
}

async fn reach(service: &Service, node: NodeId) -> Reach {
    let Some(address) = address(service, node) else {
        return Reach::Unknown;
    };
    match service.endpoint().inquire(address, node.0).await {
        Ok(_) => Reach::Reached,
        Err(InquiryError {
            kind: DialErrorKind::Unreachable,
            reason,
            ..
        }) => Reach::Silent(reason),
        Err(InquiryError { reason, .. }) => Reach::Refused(reason),
    }
}

/// How this node sees another one.
pub(crate) fn sight(service: &Service, of: NodeId) -> Sight {
    let view = service.view();
    let Some(member) = view.member(of) else {
        return Sight::default();
    };
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let is_reachable = member.state.is_reachable();
    Sight {
        is_reachable,
        rtt_us: member
            .conn
            .filter(|_| is_reachable)
            .and_then(|conn| service.rtt(conn))
            .map(micros),
        knocked_ms: service
            .endpoint()
            .knocked(member.profile.address)
            .map(|ago| micros(ago) / 1000),
    }
}

async fn relayed(service: &Service, to: NodeId, asker: NodeId) -> Option<Sight> {
    let inquiry = service
        .endpoint()
        .inquire(address(service, to)?, to.0)
        .await
        .ok()?;
    let (answer, _) = inquiry
        .ask(&Question::Sight(asker).bytes(), PATIENCE)
        .await
        .ok()?;
    match Answer::read(&answer) {
        Ok(Answer::Sight(sight)) => Some(sight),
        Ok(_) | Err(_) => None,
    }
}
