//! `/v1/lists/{list}/history`: who changed what, and when.

use crate::http::Api;
use crate::http::lists::claims::Signers;
use crate::http::lists::shown::parse_id;
use crate::http::lists::write::in_time;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room, bad_cursor};
use crate::http::path::ListPath;
use crate::http::problem::Problem;
use crate::http::query::{Group, Query};
use crate::http::time::Timeout;
use api::lists::{
    ChangedEntry, ChangedField, EntryFate, EntryField, HistoryQuery, ListChange, ListChangePage,
};
use api::time::Millis;
use axum::extract::State;
use axum::response::Response;
use crdt::entry::{Author, Field};
use crdt::list::{Act, Difference, Fate, Moment, Told};
use names::{ChangeHash, EntryId, ListId};
use node::lists::Recorded;
use node::lists::ask::History;

/// The most characters of a title in a line of the history.
const TITLE_CHARS: usize = 60;

/// The entry whose changes are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of(Option<EntryId>);

impl Group for Of {
    type Written = HistoryQuery;

    fn check(written: HistoryQuery) -> Result<Self, Problem> {
        let parse = |text: String| parse_id("entry", &text);
        written.entry.map(parse).transpose().map(Self)
    }
}

/// The changes of a list, or of one of its entries, the newest first; a change stands before all that
/// it builds upon.
///
/// A deleted list has its history still.
#[utoipa::path(
    get, path = "/v1/lists/{list}/history", tag = "to-do lists", operation_id = "history",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Of, Page, Timeout)>,
    ),
    responses(
        (status = 200, description = "A page of changes", body = ListChangePage),
        Problems<(ListPath, Query<(Of, Page, Timeout)>, History)>,
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ListPath(list): ListPath,
    Query((Of(entry), page, Timeout(timeout))): Query<(Of, Page, Timeout)>,
) -> Result<Response, Problem> {
    let after = page.after.as_deref().map(parse_moment).transpose()?;
    // Reading leaves no trace, so that it does not matter who asks.
    let (id, by) = (ListId::of(&list), Author(String::new()));
    let question = History {
        list,
        entry,
        before: after,
        most: page.limit + 1,
        timeout,
    };
    let changes = in_time(timeout, api.service().ask_owner(id, by, question)).await?;
    let signers = Signers::of(&api);
    let mut writer = PageWriter::new(&page);
    for change in changes {
        let moment = change.account.moment;
        if writer.push(&shown(change, &signers), || cursor(moment))? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

fn cursor(moment: Moment) -> Vec<u8> {
    let numbers = [moment.start_op, moment.max_op, moment.seq].map(u64::to_be_bytes);
    [numbers.as_flattened(), &moment.hash.0].concat()
}

fn parse_moment(key: &[u8]) -> Result<Moment, Problem> {
    let number = |at: usize| {
        let bytes = key.get(8 * at..8 * at + 8)?;
        bytes.try_into().ok().map(u64::from_be_bytes)
    };
    let moment = || {
        let hash: [u8; 32] = key.get(24..)?.try_into().ok()?;
        Some(Moment {
            start_op: number(0)?,
            max_op: number(1)?,
            seq: number(2)?,
            hash: ChangeHash(hash),
        })
    };
    moment().ok_or_else(bad_cursor)
}

fn shown(recorded: Recorded, signers: &Signers) -> ListChange {
    let Recorded { account, owner } = recorded;
    let hash = |hash: ChangeHash| Some(hash.to_string());
    let (undoes, redoes) = match account.act {
        Act::Edit => (None, None),
        Act::Undo(change) => (hash(change), None),
        Act::Redo(change) => (None, hash(change)),
    };
    ListChange {
        hash: account.moment.hash.to_string(),
        at: Millis(account.at),
        by: signers.by(&account.by, owner),
        node: owner
            .and_then(|owner| signers.name(owner))
            .map(str::to_owned),
        summary: summary(account.act, &account.entries, account.more),
        undoes,
        redoes,
        entries: account.entries.into_iter().map(entry).collect(),
        more_entries: account.more as u64,
    }
}

fn entry(told: Told) -> ChangedEntry {
    ChangedEntry {
        id: told.id.to_string(),
        title: told.title,
        what: match told.fate {
            Fate::Added => EntryFate::Added,
            Fate::Changed => EntryFate::Changed,
            Fate::Deleted => EntryFate::Deleted,
            Fate::Restored => EntryFate::Restored,
        },
        fields: told.fields.into_iter().map(field).collect(),
    }
}

fn field(difference: Difference) -> ChangedField {
    ChangedField {
        field: EntryField::from(difference.field.as_str()),
        old: difference.old,
        new: difference.new,
    }
}

/// What a change did, in words.
fn summary(act: Act, entries: &[Told], more: usize) -> String {
    let did = match entries {
        [] => "nothing".to_owned(),
        [told] if more == 0 => one(told),
        several => many(several, more),
    };
    let short = |hash: ChangeHash| hash.to_string().chars().take(8).collect::<String>();
    match act {
        Act::Edit if entries.is_empty() => "changed nothing that is shown".to_owned(),
        Act::Edit => did,
        Act::Undo(change) => format!("undid {}: {did}", short(change)),
        Act::Redo(change) => format!("took the undoing {} back: {did}", short(change)),
    }
}

fn one(told: &Told) -> String {
    let title = cut(&told.title);
    let fields = told.fields.as_slice();
    match (told.fate, fields) {
        (Fate::Added, _) => format!("added {title}"),
        (Fate::Deleted, _) => format!("deleted {title}"),
        (Fate::Restored, _) => format!("restored {title}"),
        (Fate::Changed, []) => format!("left {title} as it is"),
        (Fate::Changed, [field]) => difference(field, &title),
        (Fate::Changed, several) if several.iter().all(|one| one.field == Field::Tags) => {
            let tags: Vec<String> = several.iter().map(tag).collect();
            format!("tagged {title} {}", tags.join(" "))
        }
        (Fate::Changed, several) => {
            let mut names: Vec<&str> = several.iter().map(|one| one.field.as_str()).collect();
            names.dedup();
            format!("changed {} of {title}", names.join(", "))
        }
    }
}

fn difference(difference: &Difference, title: &str) -> String {
    let (old, new) = (cut(&difference.old), cut(&difference.new));
    match difference.field {
        Field::Title => format!("renamed {old} to {new}"),
        Field::Order => format!("moved {title}"),
        Field::Notes if new.is_empty() => format!("cleared notes of {title}"),
        Field::Notes => format!("changed notes of {title}"),
        Field::Done if new.is_empty() => format!("reopened {title}"),
        Field::Done => format!("completed {title}"),
        Field::Tags => format!("tagged {title} {}", tag(difference)),
        Field::Deleted if new.is_empty() => format!("decided that {title} stays"),
        Field::Deleted => format!("marked {title} as deleted"),
        Field::Due
        | Field::Priority
        | Field::Assignee
        | Field::Estimate
        | Field::Wait
        | Field::Every
        | Field::Series
        | Field::Planned => {
            let name = difference.field.as_str();
            match (old.is_empty(), new.is_empty()) {
                (_, true) => format!("cleared {name} of {title}"),
                (true, false) => format!("set {name} of {title} to {new}"),
                (false, false) => format!("changed {name} of {title} from {old} to {new}"),
            }
        }
    }
}

fn tag(difference: &Difference) -> String {
    if difference.new.is_empty() {
        format!("-{}", difference.old)
    } else {
        format!("+{}", difference.new)
    }
}

fn many(entries: &[Told], more: usize) -> String {
    let words = [
        (Fate::Added, "added"),
        (Fate::Restored, "restored"),
        (Fate::Changed, "changed"),
        (Fate::Deleted, "deleted"),
    ];
    let parts = words.iter().filter_map(|(fate, word)| {
        let told = entries.iter().filter(|told| told.fate == *fate).count();
        // Where not all are told, those that are not did most likely the same as the others.
        let count = if told == entries.len() {
            told + more
        } else {
            told
        };
        (count > 0).then(|| format!("{word} {count} entries"))
    });
    let mut parts: Vec<String> = parts.collect();
    if more > 0 && parts.len() > 1 {
        parts.push(format!("and {more} more"));
    }
    parts.join(", ").replace(" 1 entries", " 1 entry")
}

fn cut(text: &str) -> String {
    let line = text.split('\n').next().unwrap_or_default();
    if line.chars().count() <= TITLE_CHARS {
        return line.to_owned();
    }
    let kept: String = line.chars().take(TITLE_CHARS).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fate: Fate, fields: &[(Field, &str, &str)]) -> Told {
        let field = |(field, old, new): &(Field, &str, &str)| Difference {
            field: *field,
            old: (*old).to_owned(),
            new: (*new).to_owned(),
        };
        Told {
            id: EntryId(7),
            title: "milk".to_owned(),
            fate,
            fields: fields.iter().map(field).collect(),
        }
    }

    #[test]
    fn a_change_is_told_in_words() {
        let changed = |fields: &[(Field, &str, &str)]| one(&told(Fate::Changed, fields));
        for (fields, words) in [
            (
                &[(Field::Title, "milk", "oat milk")][..],
                "renamed milk to oat milk",
            ),
            (&[(Field::Done, "", "2026")], "completed milk"),
            (&[(Field::Done, "2026", "")], "reopened milk"),
            (
                &[(Field::Due, "", "2026-01-05")],
                "set due of milk to 2026-01-05",
            ),
            (&[(Field::Due, "a", "b")], "changed due of milk from a to b"),
            (&[(Field::Notes, "a", "b")], "changed notes of milk"),
            (&[(Field::Order, "a", "b")], "moved milk"),
            (
                &[(Field::Tags, "", "shop"), (Field::Tags, "home", "")],
                "tagged milk +shop -home",
            ),
            (
                &[(Field::Title, "a", "milk"), (Field::Due, "", "b")],
                "changed title, due of milk",
            ),
            (
                &[(Field::Deleted, "deleted", "")],
                "decided that milk stays",
            ),
            (&[], "left milk as it is"),
        ] {
            assert_eq!(changed(fields), words);
        }
        let (added, gone) = (told(Fate::Added, &[]), told(Fate::Deleted, &[]));
        let undo = Act::Undo(ChangeHash([0xab; 32]));
        assert_eq!(
            summary(undo, std::slice::from_ref(&gone), 0),
            "undid abababab: deleted milk"
        );
        assert_eq!(summary(undo, &[], 0), "undid abababab: nothing");
        let all = vec![added.clone(); 100];
        assert_eq!(summary(Act::Edit, &all, 50), "added 150 entries");
        assert_eq!(
            summary(Act::Edit, &[added.clone(), gone, added], 0),
            "added 2 entries, deleted 1 entry"
        );
    }

    #[test]
    fn a_cursor_reads_back() {
        let moment = Moment {
            start_op: 1,
            max_op: u64::MAX,
            seq: 3,
            hash: ChangeHash([9; 32]),
        };
        assert_eq!(parse_moment(&cursor(moment)).unwrap(), moment);
        for key in [&[][..], &[0; 55], &[0; 57]] {
            assert_eq!(parse_moment(key).unwrap_err().status(), 400);
        }
    }
}
