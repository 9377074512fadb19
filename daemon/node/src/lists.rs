//! The to-do lists of some shards: documents, commits, replication.

mod io;

pub use io::{
    Answer, Change, Command, Confirmations, Done, Input, Job, JobError, ListRow, Output, Precondition, Refusal, Replicas, Reply, Row,
    Settings, Source, SourceError, Stats,
};
