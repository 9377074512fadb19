//! The one table of an entry's fields. All that is done to each field alike follows from it: how
//! entries are read from documents and written into them, what clients may send, what rows hold.
//!
//! A new field is one new line with a number from 1 to 99 that was never used. Beside the table
//! stands what is not one value at one key: whether the entry is alive, when it was made, its tags.
//!
//! What a program does not know of an entry it keeps and forwards all the same, since it keeps and
//! forwards changes as they are. So a program with a larger table needs no newer protocol, as long
//! as a new field is a scalar or a text in the entry's map: [`crate::list::judge`] lets nothing
//! else pass.

use super::kind::{
    DueTime, Kind, Level, Line, OptionalLine, Position, Prose, Recurrence, Tick, Whole,
};
use super::{Author, Due, Place, Priority};
use crate::record::Number;
use names::EntryId;
use serde::Serialize;

/// Sees fields one by one, whatever their kinds.
pub(crate) trait Visit {
    /// The next field and its value.
    fn field<K: Kind>(&mut self, field: Field, kind: &K, value: &K::Value);
}

/// Gives the values of fields one by one.
pub(crate) trait Supply {
    /// Why a value cannot be given.
    type Error;

    /// The value of a field; the default of its kind if there is none.
    ///
    /// # Errors
    /// There is something, but no value.
    fn field<K: Kind>(&mut self, field: Field, kind: &K) -> Result<K::Value, Self::Error>;
}

/// Makes the types of entries from the table. `set` names the member of [`NewEntry`] and
/// [`EntryPatch`] by which clients set a field as it is; what they cannot set so has members of its
/// own there.
macro_rules! fields {
    ($(
        #[doc = $doc:literal]
        $number:literal $Field:ident $name:ident: $Type:ty = $kind:expr,
        $key:literal as $json:literal $(, set $set:ident)?;
    )+) => {
        /// The parts of an entry, in the order in which fields are written and conflicts are named.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Field {
            /// Whether it is in the list. In conflict: deleted by one, edited by another at the
            /// same time; the entry stays, marked.
            Deleted,
            $(#[doc = $doc] $Field,)+
            /// The set of tags.
            Tags,
        }

        impl Field {
            /// The fields of the table, in order.
            pub const TABLE: &'static [Self] = &[$(Self::$Field),+];
            /// All fields, those beside the table too.
            pub const ALL: &'static [Self] = &[Self::Deleted, $(Self::$Field,)+ Self::Tags];

            /// Its number in rows.
            pub const fn number(self) -> Number {
                match self {
                    Self::Deleted => 100,
                    $(Self::$Field => $number,)+
                    Self::Tags => 101,
                }
            }

            /// The field whose values stand at that key of an entry's map.
            pub(crate) fn of_key(key: &str) -> Option<Self> {
                match key {
                    "life" => Some(Self::Deleted),
                    $($key => Some(Self::$Field),)+
                    _ => key.starts_with(Self::Tags.key()).then_some(Self::Tags),
                }
            }

            /// As JSON names it.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::Deleted => "deleted",
                    $(Self::$Field => $json,)+
                    Self::Tags => "tags",
                }
            }

            /// Its key in the entry's map; of tags, what each key begins with.
            pub(crate) const fn key(self) -> &'static str {
                match self {
                    Self::Deleted => "life",
                    $(Self::$Field => $key,)+
                    Self::Tags => "tag:",
                }
            }
        }

        /// A live entry: the winning value of each field, and which fields have others beside it.
        /// Equal documents give equal entries on every node.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Entry {
            /// Its id, unique in its list.
            pub id: EntryId,
            $(#[doc = $doc] pub $name: $Type,)+
            /// Its tags, sorted.
            pub tags: Vec<String>,
            /// Milliseconds since the epoch, by the clock of the node that made it.
            pub created_at: i64,
            /// The author of the change that made it.
            pub created_by: Author,
            /// Milliseconds since the epoch, of the last change that touched it.
            pub modified_at: i64,
            /// The author of that change.
            pub modified_by: Author,
            /// Fields with more than one concurrent value, sorted.
            pub conflicts: Vec<Field>,
            /// Changes whenever anything does that is visible of the entry in the document, also
            /// what this program does not know: its ETag.
            pub tag: u64,
            /// Whether the document has something at a key of the entry that is not in the table:
            /// a newer program would show it.
            pub has_unknown_keys: bool,
        }

        impl Entry {
            /// An entry of which nothing is known but its id.
            pub fn new(id: EntryId) -> Self {
                Self {
                    id,
                    $($name: Default::default(),)+
                    tags: Vec::new(),
                    created_at: 0,
                    created_by: Author::default(),
                    modified_at: 0,
                    modified_by: Author::default(),
                    conflicts: Vec::new(),
                    tag: 0,
                    has_unknown_keys: false,
                }
            }

            /// Shows all fields of the table.
            pub(crate) fn each(&self, visit: &mut impl Visit) {
                $(visit.field(Field::$Field, &$kind, &self.$name);)+
            }

            /// Takes all fields of the table from `supply`.
            ///
            /// # Errors
            /// The first value that cannot be given.
            pub(crate) fn fill<S: Supply>(&mut self, supply: &mut S) -> Result<(), S::Error> {
                $(self.$name = supply.field(Field::$Field, &$kind)?;)+
                Ok(())
            }
        }

        /// An entry to be added. Its fields have been checked by [`NewEntry::check`].
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct NewEntry {
            /// The client's own id, which makes a retry harmless; drawn when absent.
            pub id: Option<EntryId>,
            $($(#[doc = $doc] pub $set: $Type,)?)+
            /// Already done.
            pub done: bool,
            /// When it was done, if it is, in milliseconds since the epoch; when it is added
            /// without.
            pub done_at: Option<i64>,
            /// When it was made elsewhere, in milliseconds since the epoch; when it is added
            /// without.
            pub created_at: Option<i64>,
            /// Its tags; order and repetition do not matter.
            pub tags: Vec<String>,
            /// Where it goes; at the end when absent.
            pub place: Option<Place>,
        }

        impl NewEntry {
            /// Shows the fields that are set as they are.
            pub(crate) fn each(&self, visit: &mut impl Visit) {
                $($(visit.field(Field::$Field, &$kind, &self.$set);)?)+
            }
        }

        /// Changes to an entry: `None` leaves a field as it is, and where a field may be absent,
        /// `Some(None)` clears it.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct EntryPatch {
            $($(#[doc = $doc] pub $set: Option<$Type>,)?)+
            /// Tick or untick. Ticking what is ticked keeps the time.
            pub done: Option<bool>,
            /// The tags it shall have; written as a difference to those it has here.
            pub tags: Option<Vec<String>>,
            /// Where to move it.
            pub place: Option<Place>,
        }

        impl EntryPatch {
            /// Shows the fields that it sets as they are.
            pub(crate) fn each(&self, visit: &mut impl Visit) {
                $($(if let Some(value) = &self.$set {
                    visit.field(Field::$Field, &$kind, value);
                })?)+
            }
        }
    };
}

// Number, name, member of `Entry`, its type and kind; key in the document, name in JSON. Fields are
// written in this order, and rows name them by their numbers.
fields! {
    /// What is to do: one line.
    1 Title title: String = Line { max_bytes: 4096 }, "title" as "title", set title;
    /// Its place: entries are ordered by (order, id).
    2 Order order: String = Position, "pos" as "order";
    /// When it was done (milliseconds since the epoch); open without.
    3 Done done_at: Option<i64> = Tick, "done" as "done";
    /// When it is due.
    4 Due due: Option<Due> = DueTime, "due" as "due", set due;
    /// How much it matters.
    5 Priority priority: Option<Priority> = Level, "priority" as "priority", set priority;
    /// Free text; empty without.
    6 Notes notes: String = Prose { max_bytes: 65_536 }, "notes" as "notes", set notes;
    /// Who is to do it.
    7 Assignee assignee: Option<String> = OptionalLine { max_bytes: 200 },
        "assignee" as "assignee", set assignee;
    /// How many minutes it will take.
    8 Estimate estimate: Option<i64> = Whole { min: 1, max: 525_600 },
        "estimate" as "estimate", set estimate;
    /// Until when it is to be out of sight.
    9 Wait wait: Option<Due> = DueTime, "wait" as "wait", set wait;
    /// The rule by which it recurs.
    10 Every every: Option<String> = Recurrence, "every" as "every", set every;
    /// The id of the first entry of its series; its own without.
    11 Series series: Option<String> = OptionalLine { max_bytes: 26 },
        "series" as "series", set series;
    /// The day on which its series has it, also if it was put off; its due day without.
    12 Planned planned: Option<Due> = DueTime, "planned" as "planned", set planned;
}
