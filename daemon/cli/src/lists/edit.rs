//! Commands that change entries.

use crate::args::{Add, Durability, Edit, Entries, Move, RmList};
use crate::failure::Failure;
use crate::ids::{self, Match};
use crate::lists::entry::Entry;
use crate::lists::titles;
use crate::session::Session;
use crate::text::printable;
use client::ApiPath;
use hyper::{Method, StatusCode};
use names::EntryId;
use serde_json::{Map, Value, json};

/// Changes of a list by one command, each of which may have to be on several nodes.
struct Changes<'a> {
    session: &'a Session<'a>,
    durability: &'a Durability,
    /// The first change that too few nodes had in time. It stays, so those after it are made too.
    pending: Option<Failure>,
}

impl<'a> Changes<'a> {
    fn new(session: &'a Session<'a>, durability: &'a Durability) -> Self {
        Self {
            session,
            durability,
            pending: None,
        }
    }

    /// Makes one change; gives what the daemon answers.
    async fn make(
        &mut self,
        method: Method,
        path: ApiPath,
        body: Option<&Value>,
        tag: Option<&str>,
    ) -> Result<Value, Failure> {
        let replicas = self.durability.replicas.as_deref();
        let path = match replicas {
            Some(_) => self.session.timed(path).maybe("replicas", replicas),
            None => path,
        };
        let reply = self.session.change(method, &path, body, tag).await?;
        if reply.status == StatusCode::ACCEPTED && self.pending.is_none() {
            self.pending = Some(unconfirmed(&reply.body));
        }
        Ok(reply.body)
    }

    /// The outcome of all of them.
    fn end(self) -> Result<(), Failure> {
        self.pending.map_or(Ok(()), Err)
    }
}

fn unconfirmed(answer: &Value) -> Failure {
    let names = answer.pointer("/replicas/confirmed");
    let names = names.and_then(Value::as_array).into_iter().flatten();
    let names: Vec<String> = names.filter_map(Value::as_str).map(printable).collect();
    let asked = answer.pointer("/replicas/asked").and_then(Value::as_u64);
    let asked = asked.map_or_else(
        || "as many as asked for".to_owned(),
        |asked| asked.to_string(),
    );
    Failure::Timeout(format!(
        "the change is saved here and on its way, but not yet on {asked} nodes; it is on {}",
        names.join(", ")
    ))
}

/// `muster add`.
pub(crate) async fn add(session: &Session<'_>, args: &Add) -> Result<(), Failure> {
    let fields = new_fields(session, args)?;
    let path = ApiPath::new(&["lists", &args.list, "entries"]);
    let mut changes = Changes::new(session, &args.durability);
    if args.title != "-" {
        let body = with_title(&fields, &args.title);
        let entry = changes.make(Method::POST, path, Some(&body), None).await?;
        print(session, &entry)?;
        return changes.end();
    }
    let mut input = std::io::stdin().lock();
    let mut added = 0;
    loop {
        let batch =
            titles::next_batch(&mut input).map_err(|why| incomplete(Failure::Usage(why), added))?;
        if batch.is_empty() {
            return changes.end();
        }
        let entries: Vec<Value> = batch
            .iter()
            .map(|title| with_title(&fields, title))
            .collect();
        let body = json!({ "entries": entries });
        let sent = changes
            .make(Method::POST, path.clone(), Some(&body), None)
            .await;
        let answer = sent.map_err(|failure| incomplete(failure, added))?;
        added += batch.len();
        let items = answer.get("items").and_then(Value::as_array);
        for entry in items.into_iter().flatten() {
            print(session, entry)?;
        }
    }
}

/// Titles come in batches; those before the one that failed are there to stay, and the user must
/// know.
fn incomplete(failure: Failure, added: usize) -> Failure {
    if added == 0 || matches!(failure, Failure::OutputClosed) {
        return failure;
    }
    Failure::with_code(
        failure.code(),
        format!(
            "the first {added} titles were added, but then: {}",
            failure.words()
        ),
    )
}

fn new_fields(session: &Session<'_>, args: &Add) -> Result<Map<String, Value>, Failure> {
    let mut fields = args.fields.as_api(session)?;
    if !args.tags.is_empty() {
        fields.insert("tags".to_owned(), json!(args.tags));
    }
    Ok(fields)
}

fn with_title(fields: &Map<String, Value>, title: &str) -> Value {
    let mut entry = fields.clone();
    entry.insert("title".to_owned(), json!(title));
    Value::Object(entry)
}

/// `muster edit`.
pub(crate) async fn edit(session: &Session<'_>, args: &Edit) -> Result<(), Failure> {
    let mut patch = args.fields.as_api(session)?;
    if let Some(title) = &args.title {
        patch.insert("title".to_owned(), json!(title));
    }
    let path = entry_path(&args.list, &resolve(session, &args.list, &args.id).await?);
    let mut tag = None;
    if !(args.tags.is_empty() && args.untag.is_empty()) {
        // The API takes all tags; what another client changes between the two calls must not be
        // undone.
        let now = session.get_tagged(&path).await?;
        let tags = changed_tags(Entry::read(&now.body).tags, &args.tags, &args.untag);
        patch.insert("tags".to_owned(), json!(tags));
        tag = now.etag;
    }
    let mut changes = Changes::new(session, &args.durability);
    let patch = Value::Object(patch);
    let entry = changes
        .make(Method::PATCH, path, Some(&patch), tag.as_deref())
        .await?;
    print(session, &entry)?;
    changes.end()
}

fn changed_tags(mut tags: Vec<String>, add: &[String], remove: &[String]) -> Vec<String> {
    tags.extend(add.iter().cloned());
    tags.retain(|tag| !remove.contains(tag));
    tags.sort();
    tags.dedup();
    tags
}

/// `muster done`, `muster reopen`.
pub(crate) async fn complete(
    session: &Session<'_>,
    args: &Entries,
    done: bool,
) -> Result<(), Failure> {
    let patch = json!({ "done": done });
    let mut changes = Changes::new(session, &args.durability);
    for id in resolve_all(session, &args.list, &args.ids).await? {
        let path = entry_path(&args.list, &id);
        let entry = changes
            .make(Method::PATCH, path, Some(&patch), None)
            .await?;
        print(session, &entry)?;
    }
    changes.end()
}

/// `muster rm`.
pub(crate) async fn remove(session: &Session<'_>, args: &Entries) -> Result<(), Failure> {
    let mut changes = Changes::new(session, &args.durability);
    for id in resolve_all(session, &args.list, &args.ids).await? {
        let path = entry_path(&args.list, &id);
        let answer = changes.make(Method::DELETE, path, None, None).await?;
        deleted(session, &answer, &id)?;
    }
    changes.end()
}

/// `muster rm-list`.
pub(crate) async fn remove_list(session: &Session<'_>, args: &RmList) -> Result<(), Failure> {
    let mut changes = Changes::new(session, &args.durability);
    let path = ApiPath::new(&["lists", &args.list]);
    let answer = changes.make(Method::DELETE, path, None, None).await?;
    deleted(session, &answer, &format!("the list {}", args.list))?;
    changes.end()
}

/// The API answers nothing, or which nodes have it.
fn deleted(session: &Session<'_>, answer: &Value, what: &str) -> Result<(), Failure> {
    match (session.output.is_json(), answer.is_null()) {
        (true, true) => Ok(()),
        (true, false) => session.output.json(answer),
        (false, _) => session.output.line(&format!("deleted {}", printable(what))),
    }
}

/// `muster move`.
pub(crate) async fn place(session: &Session<'_>, args: &Move) -> Result<(), Failure> {
    let (field, other) = match (&args.before, &args.after) {
        (Some(other), _) => ("before", other),
        (None, Some(other)) => ("after", other),
        (None, None) => return Err(Failure::Usage("--before or --after is needed".to_owned())),
    };
    let ids = resolve_all(session, &args.list, &[args.id.clone(), other.clone()]).await?;
    let [id, other] = ids.as_slice() else {
        return Err(Failure::Usage(
            "an entry cannot be moved \
        next to itself"
                .to_owned(),
        ));
    };
    let mut changes = Changes::new(session, &args.durability);
    let (path, patch) = (entry_path(&args.list, id), json!({ field: other }));
    let entry = changes
        .make(Method::PATCH, path, Some(&patch), None)
        .await?;
    print(session, &entry)?;
    changes.end()
}

fn entry_path(list: &str, id: &str) -> ApiPath {
    ApiPath::new(&["lists", list, "entries", id])
}

/// The entry as it is now, by its whole id: a shorter one may belong to another entry tomorrow.
fn print(session: &Session<'_>, entry: &Value) -> Result<(), Failure> {
    if session.output.is_json() {
        return session.output.json(entry);
    }
    let entry = Entry::read(entry);
    session.output.line(&format!(
        "{} {} {}",
        printable(&entry.id),
        entry.mark(),
        printable(&entry.title)
    ))
}

async fn resolve(session: &Session<'_>, list: &str, typed: &str) -> Result<String, Failure> {
    let mut ids = resolve_all(session, list, &[typed.to_owned()]).await?;
    ids.pop()
        .ok_or_else(|| Failure::Usage("an id is needed".to_owned()))
}

/// The whole ids of what was typed, each once; nothing is changed before all are known.
async fn resolve_all(
    session: &Session<'_>,
    list: &str,
    typed: &[String],
) -> Result<Vec<String>, Failure> {
    let whole = |text: &String| text.parse::<EntryId>().ok().map(|id| id.to_string());
    let mut entries = Vec::new();
    if !typed.iter().all(|text| whole(text).is_some()) {
        entries = session
            .items(&ApiPath::new(&["lists", list, "entries"]))
            .await?
            .iter()
            .map(Entry::read)
            .collect();
    }
    let mut ids = Vec::new();
    for text in typed {
        let id = match whole(text) {
            Some(id) => id,
            None => pick(list, text, &entries)?,
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn pick(list: &str, typed: &str, entries: &[Entry]) -> Result<String, Failure> {
    match ids::find(typed, entries.iter().map(|entry| entry.id.as_str())) {
        Match::One(id) => Ok(id),
        Match::TooShort => Err(Failure::Usage(format!(
            "{typed:?} is too short for an id: 3 or more characters of \
                its beginning or end are needed"
        ))),
        Match::Nothing => Err(Failure::NotFound(format!(
            "no entry of {list} has an id that begins \
            or ends with {typed:?}"
        ))),
        Match::Several(ids) => {
            let line = |id: &String| {
                let title = entries
                    .iter()
                    .find(|entry| entry.id == *id)
                    .map(|entry| printable(&entry.title))
                    .unwrap_or_default();
                format!("\n  {} {title}", printable(id))
            };
            Err(Failure::Usage(format!(
                "{typed:?} may be any of \
                these:{}",
                ids.iter().map(line).collect::<String>()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |id: &str, title: &str| Entry {
            id: id.to_owned(),
            title: title.to_owned(),
            ..Entry::default()
        };
        vec![
            entry("01AAAAAAXYZ", "milk"),
            entry("01AAAAABXYZ", "bread\u{1b}"),
        ]
    }

    #[test]
    fn an_id_that_means_several_entries_lists_them() {
        let Err(Failure::Usage(words)) = pick("bob", "xyz", &entries()) else {
            panic!("picked")
        };
        assert_eq!(
            words,
            "\"xyz\" may be any of these:\n  01AAAAAAXYZ milk\n  01AAAAABXYZ \
            bread\\u{1b}"
        );
        assert_eq!(
            pick("bob", "bxyz", &entries()).ok().as_deref(),
            Some("01AAAAABXYZ")
        );
        assert_eq!(
            pick("bob", "zz9", &entries()).map_err(|failure| failure.code()),
            Err(3)
        );
        assert_eq!(
            pick("bob", "z", &entries()).map_err(|failure| failure.code()),
            Err(2)
        );
    }

    #[test]
    fn tags_are_added_and_removed_to_those_there_are() {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            changed_tags(words("a b c"), &words("d a"), &words("b x")),
            words("a c d")
        );
    }

    #[test]
    fn what_was_added_before_a_failure_is_told() {
        let failure = incomplete(Failure::Timeout("no answer".to_owned()), 1000);
        assert!(
            matches!(failure, Failure::Timeout(words) if words == "the first 1000 titles were \
            added, but then: no answer")
        );
        assert_eq!(incomplete(Failure::Timeout(String::new()), 0).code(), 5);
    }
}
