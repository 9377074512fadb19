//! `POST /v1/lists/{list}/check`: what would become of entries if they were added.

use crate::http::Api;
use crate::http::json::{self, LargeBody};
use crate::http::lists::body::several;
use crate::http::lists::shown::new_entry;
use crate::http::lists::write::in_time;
use crate::http::operations::openapi::Problems;
use crate::http::path::ListPath;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::time::Timeout;
use crate::machines::AskError;
use api::lists::{CheckedEntries, NewEntries, NewEntry, RefusedEntry};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::entry::Author;
use crdt::list::Standing;
use names::{EntryId, ListId};
use node::lists::Refusal;
use node::lists::ask::Standings;
use std::collections::BTreeSet;

/// How many entries that break a rule are told.
const MAX_REFUSED: usize = 100;

/// Tells what would become of entries if they were added, and adds none.
///
/// Programs that import a file ask this for all of it, so that they add all or nothing.
#[utoipa::path(
    post, path = "/v1/lists/{list}/check", tag = "to-do lists", operation_id = "check",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Timeout,)>,
    ),
    request_body = NewEntries,
    responses(
        (status = 200, description = "What would become of them", body = CheckedEntries),
        Problems<(ListPath, Query<(Timeout,)>, LargeBody, Standings)>,
    )
)]
pub(crate) async fn check(
    State(api): State<Api>,
    ListPath(list): ListPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    body: LargeBody,
) -> Result<Response, Problem> {
    let (ids, mut checked) = judge(several(&body.bytes)?);
    // Reading leaves no trace, so that it does not matter who asks.
    let (id, by) = (ListId::of(&list), Author(String::new()));
    let question = Standings { list, ids, timeout };
    let asked = async {
        match api.service().ask_owner(id, by, question).await {
            Err(AskError::Refused(Refusal::NoList(_))) => Ok(Vec::new()),
            answer => answer,
        }
    };
    for (id, standing) in in_time(timeout, asked).await? {
        match standing {
            Standing::Alive => checked.present.push(id.to_string()),
            Standing::Dead => checked.deleted.push(id.to_string()),
            Standing::Unknown => {}
        }
    }
    json::respond(StatusCode::OK, &checked)
}

/// The ids that are given, and the entries that break a rule.
fn judge(entries: Vec<NewEntry>) -> (Vec<EntryId>, CheckedEntries) {
    let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
    let mut checked = CheckedEntries::default();
    for (index, entry) in entries.into_iter().enumerate() {
        let judged = new_entry(entry, "").and_then(|entry| match entry.id {
            Some(id) if !seen.insert(id) => Err(Problem::invalid(format!(
                "the id {id} is given to two entries"
            ))),
            id => Ok(id),
        });
        match judged {
            Ok(id) => ids.extend(id),
            Err(problem) => {
                checked.refused_total += 1;
                if checked.refused.len() < MAX_REFUSED {
                    checked.refused.push(RefusedEntry {
                        index: index as u64,
                        detail: problem.detail().to_owned(),
                    });
                }
            }
        }
    }
    (ids, checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(title: &str, id: Option<&str>) -> NewEntry {
        NewEntry {
            id: id.map(str::to_owned),
            title: Some(title.to_owned()),
            ..NewEntry::default()
        }
    }

    #[test]
    fn all_that_break_a_rule_are_counted_and_the_first_ones_told() {
        const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let mut entries = vec![
            titled("a", Some(ID)),
            titled("b", Some(ID)),
            titled("", None),
        ];
        let (ids, checked) = judge(entries.clone());
        assert_eq!(ids.len(), 1);
        let told: Vec<u64> = checked.refused.iter().map(|one| one.index).collect();
        assert_eq!(told, [1, 2]);
        assert!(checked.refused[1].detail.contains("title"), "{checked:?}");
        entries.extend(vec![titled("", None); 200]);
        let (_, checked) = judge(entries);
        assert_eq!((checked.refused_total, checked.refused.len()), (202, 100));
    }
}
