//! Reports of how members came together again that had been apart.

use crate::lists::EntryField;
use crate::page::Page;
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// How far a heal has come.
    HealState {
        /// Some are still away, or their lists are still being compared.
        Open = "open",
        /// It is over.
        Closed = "closed",
    }
}

/// What one node saw of a time in which members were away from it, and of what came after.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealReport {
    /// Which report, on the node that made it.
    pub id: String,
    /// The node that saw it.
    pub node: String,
    /// How far it has come.
    pub state: HealState,
    /// When the first member went away, by the clock of that node.
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Millis,
    /// When the last member that is back came back; null while nobody is.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub healed_at: Option<Millis>,
    /// When the lists were the same as those of all that are back; null as long as they are not. A report
    /// is closed without it 10 minutes after the last contact.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub agreed_at: Option<Millis>,
    /// Who was away, by name.
    pub members: Vec<HealMember>,
    /// The lists that were written on both sides meanwhile; at most 100.
    pub lists: Vec<String>,
    /// What was written apart in their entries and disagrees; at most 50.
    pub conflicts: Vec<HealConflict>,
    /// The names of processes that were claimed on both sides; at most 100.
    pub names: Vec<HealName>,
    /// How many lists, conflicts and names there are beyond those.
    pub omitted: u64,
    /// What of lists came from others, from the first contact on.
    pub received: HealTransfer,
    /// What of lists was sent to those that are back, because they lacked it.
    pub sent: HealTransfer,
}

/// A member that was away.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealMember {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it went away for the first time.
    #[schema(value_type = String, format = DateTime)]
    pub away_at: Millis,
    /// When it was back; null if it is not.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub back_at: Option<Millis>,
    /// For how many milliseconds it was away in all, up to when it was back last.
    pub away_ms: u64,
    /// How many times it went away.
    pub times: u32,
    /// Whether its daemon was started anew meanwhile.
    pub restarted: bool,
}

/// A field of an entry that has several values, since both sides wrote it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealConflict {
    /// The list's name.
    pub list: String,
    /// The entry's id.
    pub entry: String,
    /// The entry's title.
    pub title: String,
    /// Which field; `deleted` if the entry was deleted by one and edited by another.
    pub field: EntryField,
    /// All values, the one that is shown first. Of `deleted` they are `deleted` and `edited`, of tags `+tag`
    /// and `-tag`, of the order there are none.
    pub values: Vec<HealValue>,
}

/// One of several values.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealValue {
    /// Its first 200 characters; empty where the field was cleared.
    pub value: String,
    /// Who wrote it.
    pub by: String,
    /// When, by the clock of the writer's node.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
}

/// A name that several processes claimed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealName {
    /// The name.
    pub name: String,
    /// The handle of the process that has it.
    pub kept: String,
    /// The handles of those that do not.
    pub lost: Vec<String>,
}

/// What went from node to node.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealTransfer {
    /// How many changes of lists.
    pub changes: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

/// What all members tell of past heals.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealsOfMembers {
    /// The newest 5 reports of each, the newest first. What a member tells is what it says; large reports
    /// are told in part.
    pub items: Vec<HealReport>,
    /// Who told none.
    pub silent: Vec<SilentMember>,
}

/// A member that could not be asked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct SilentMember {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A page of reports.
pub type HealReportPage = Page<HealReport>;
