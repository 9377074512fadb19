//! Who is there: membership by SWIM, the roster, joining, leaving, and this node's verdict on the whole.

mod io;

pub use io::{
    Command, Event, EventKind, Stats, Input, JoinResult, JoinOutcome, MemberState, MemberView, Output, Refusal, Reply, RosterView, Settings,
    StopReason, Target, Verdict,
};
