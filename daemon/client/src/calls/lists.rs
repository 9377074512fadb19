//! To-do lists.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::damage::{Acknowledged, DamageReport, Reissued};
use api::lists::{
    AddedEntries, AtQuery, BulkChange, ChangedEntries, CheckedEntries, DeleteResult, EntriesQuery,
    EntryConflicts, EntryPatch, HistoryQuery, ListChange, ListsQuery, MergedDocument, NewEntries,
    NewEntry, RebuildQuery, Resolution, TodoEntry, TodoList, UndoRequest, UndoResult, WriteQuery,
};
use api::node::RebuildResult;
use api::page::{Page, PageQuery};
use api::request::TimeoutQuery;
use hyper::Method;

/// To-do lists.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::ClientError> {
/// use api::lists::{AtQuery, EntriesQuery, NewEntry, WriteQuery};
/// use api::request::TimeoutQuery;
///
/// let entry = NewEntry { title: Some("milk".into()), ..NewEntry::default() };
/// let added = client.add("shopping", &entry, &WriteQuery::default()).await?.value;
/// println!("{} has the id {}", added.title, added.id);
///
/// let large = EntriesQuery { estimate_min: Some(60), ..EntriesQuery::default() };
/// let (now, wait) = (AtQuery::default(), TimeoutQuery::default());
/// for entry in client.entries("shopping", &large, &now, &wait).await?.value {
///     println!("{}", entry.title);
/// }
/// # Ok(())
/// # }
/// ```
impl Client {
    /// The lists that have entries, by name.
    pub async fn lists(&self, which: &ListsQuery) -> Result<Answer<Vec<TodoList>>, ClientError> {
        self.read_all(&ApiPath::new(&["lists"]).with(which)).await
    }

    /// A list's entries, in order.
    pub async fn entries(
        &self,
        list: &str,
        which: &EntriesQuery,
        at: &AtQuery,
        wait: &TimeoutQuery,
    ) -> Result<Answer<Vec<TodoEntry>>, ClientError> {
        let path = ApiPath::new(&["lists", list, "entries"]);
        self.read_all(&path.with(which).with(at).with(wait)).await
    }

    /// One entry.
    pub async fn entry(&self, list: &str, id: &str) -> Result<Answer<TodoEntry>, ClientError> {
        self.read(&ApiPath::new(&["lists", list, "entries", id]))
            .await
    }

    /// The entries of all lists, by due date.
    pub async fn agenda(
        &self,
        which: &EntriesQuery,
    ) -> Result<Answer<Vec<TodoEntry>>, ClientError> {
        self.read_all(&ApiPath::new(&["entries"]).with(which)).await
    }

    /// Adds an entry. Its own `id` makes a retry harmless.
    pub async fn add(
        &self,
        list: &str,
        entry: &NewEntry,
        how: &WriteQuery,
    ) -> Result<Answer<TodoEntry>, ClientError> {
        let path = ApiPath::new(&["lists", list, "entries"]).with(how);
        self.send(Method::POST, &path, Some(entry), None).await
    }

    /// Adds several entries, all or none.
    pub async fn add_all(
        &self,
        list: &str,
        entries: &NewEntries,
        how: &WriteQuery,
    ) -> Result<Answer<AddedEntries>, ClientError> {
        let path = ApiPath::new(&["lists", list, "entries"]).with(how);
        self.send(Method::POST, &path, Some(entries), None).await
    }

    /// The document of a list, as the libraries of Automerge read it.
    pub async fn document(&self, list: &str, wait: &TimeoutQuery) -> Result<Vec<u8>, ClientError> {
        let path = ApiPath::new(&["lists", list, "document"]).with(wait);
        self.bytes(&path).await
    }

    /// Merges in a document that other programs have edited.
    pub async fn merge(
        &self,
        list: &str,
        document: Vec<u8>,
        how: &WriteQuery,
    ) -> Result<Answer<MergedDocument>, ClientError> {
        let path = ApiPath::new(&["lists", list, "document"]).with(how);
        self.upload(Method::PUT, &path, document.into())
            .await?
            .typed()
    }

    /// Tells what would become of entries if they were added.
    pub async fn check(
        &self,
        list: &str,
        entries: &NewEntries,
        wait: &TimeoutQuery,
    ) -> Result<Answer<CheckedEntries>, ClientError> {
        let path = ApiPath::new(&["lists", list, "check"]).with(wait);
        self.send(Method::POST, &path, Some(entries), None).await
    }

    /// Changes or moves an entry, if it still is as its tag says.
    pub async fn edit(
        &self,
        list: &str,
        id: &str,
        patch: &EntryPatch,
        how: &WriteQuery,
        if_match: Option<&str>,
    ) -> Result<Answer<TodoEntry>, ClientError> {
        let path = ApiPath::new(&["lists", list, "entries", id]).with(how);
        self.send(Method::PATCH, &path, Some(patch), if_match).await
    }

    /// Changes or deletes several entries, all or none.
    pub async fn edit_several(
        &self,
        list: &str,
        change: &BulkChange,
        how: &WriteQuery,
    ) -> Result<Answer<ChangedEntries>, ClientError> {
        let path = ApiPath::new(&["lists", list, "entries"]).with(how);
        self.send(Method::PATCH, &path, Some(change), None).await
    }

    /// The entries of a list with fields that were written apart, by id.
    pub async fn conflicts(
        &self,
        list: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<Vec<EntryConflicts>>, ClientError> {
        self.read_all(&ApiPath::new(&["lists", list, "conflicts"]).with(wait))
            .await
    }

    /// Settles what was written apart, if the entry still is as its tag says; answers the entry unless it
    /// is deleted.
    pub async fn resolve(
        &self,
        list: &str,
        decision: &Resolution,
        how: &WriteQuery,
        if_match: Option<&str>,
    ) -> Result<Answer<Option<TodoEntry>>, ClientError> {
        let path = ApiPath::new(&["lists", list, "resolve"]).with(how);
        self.send(Method::POST, &path, Some(decision), if_match)
            .await
    }

    /// A page of the changes of a list, or of one of its entries, the newest first.
    pub async fn history(
        &self,
        list: &str,
        which: &HistoryQuery,
        page: &PageQuery,
        wait: &TimeoutQuery,
    ) -> Result<Answer<Page<ListChange>>, ClientError> {
        let path = ApiPath::new(&["lists", list, "history"]);
        self.read(&path.with(which).with(page).with(wait)).await
    }

    /// Undoes a change, or the caller's last one.
    pub async fn undo(
        &self,
        list: &str,
        which: &UndoRequest,
        how: &WriteQuery,
    ) -> Result<Answer<UndoResult>, ClientError> {
        let path = ApiPath::new(&["lists", list, "undo"]).with(how);
        self.send(Method::POST, &path, Some(which), None).await
    }

    /// Takes an undoing back, or the caller's last one.
    pub async fn redo(
        &self,
        list: &str,
        which: &UndoRequest,
        how: &WriteQuery,
    ) -> Result<Answer<UndoResult>, ClientError> {
        let path = ApiPath::new(&["lists", list, "redo"]).with(how);
        self.send(Method::POST, &path, Some(which), None).await
    }

    /// Deletes an entry; answers something only where replicas were asked for.
    pub async fn delete(
        &self,
        list: &str,
        id: &str,
        how: &WriteQuery,
    ) -> Result<Answer<Option<DeleteResult>>, ClientError> {
        let path = ApiPath::new(&["lists", list, "entries", id]).with(how);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }

    /// Deletes a list with all its entries, and answers as [`delete`](Self::delete) does.
    pub async fn delete_list(
        &self,
        list: &str,
        how: &WriteQuery,
    ) -> Result<Answer<Option<DeleteResult>>, ClientError> {
        let path = ApiPath::new(&["lists", list]).with(how);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }

    /// Makes all that the node shows of a list, or of all lists, anew from their changes.
    pub async fn rebuild(
        &self,
        which: &RebuildQuery,
        wait: &TimeoutQuery,
    ) -> Result<Answer<RebuildResult>, ClientError> {
        let path = ApiPath::new(&["rebuild"]).with(which).with(wait);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// Damage of the disk that nobody has acknowledged.
    pub async fn damage(&self) -> Result<Answer<DamageReport>, ClientError> {
        self.read(&ApiPath::new(&["damage"])).await
    }

    /// Adds the entries anew whose changes build on lost ones.
    pub async fn reissue_damaged(&self) -> Result<Answer<Reissued>, ClientError> {
        let path = ApiPath::new(&["damage", "reissue"]);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// Says that somebody has seen the damage.
    pub async fn acknowledge_damage(&self) -> Result<Answer<Acknowledged>, ClientError> {
        let path = ApiPath::new(&["damage", "acknowledge"]);
        self.send(Method::POST, &path, NOTHING, None).await
    }
}
