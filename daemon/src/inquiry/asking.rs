//! Asks members something, each on a connection of its own.

use super::PATIENCE;
use crate::service::Service;
use futures_util::TryFutureExt;
use futures_util::future::join_all;
use node::cluster::MemberView;
use node::inquiry::{Answer, Question};
use transport::Inquiry;

/// How many members are asked at the same time.
const AT_ONCE: usize = 16;
/// Why nothing is made of an answer of another kind.
pub(super) const OTHER: &str = "it answered another question";

/// What each of the members tells, or why it has told nothing.
pub(super) async fn ask_all<'a, T, F>(
    service: &Service,
    members: &[&'a MemberView],
    tell: impl Fn(Inquiry) -> F,
) -> Vec<(&'a MemberView, Result<T, String>)>
where
    F: Future<Output = Result<T, String>>,
{
    let mut all = Vec::new();
    for some in members.chunks(AT_ONCE) {
        let answers = some.iter().map(|member| {
            let inquiry = service
                .endpoint()
                .inquire(member.profile.address, member.id.0);
            let told = inquiry.map_err(|error| error.reason);
            told.and_then(&tell)
        });
        let answers = join_all(answers).await;
        all.extend(some.iter().copied().zip(answers));
    }
    all
}

/// The answer to one question; `unknown` says what a version cannot that does not know it.
pub(super) async fn ask(
    inquiry: &Inquiry,
    question: Question,
    unknown: &str,
) -> Result<Answer, String> {
    let answer = inquiry.ask(&question.bytes(), PATIENCE).await;
    let (answer, _) = answer.map_err(|error| error.reason)?;
    Answer::read(&answer).map_err(|_| unknown.to_owned())
}
