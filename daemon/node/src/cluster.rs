//! Who is there: membership by SWIM, the roster, joining, leaving, and this node's verdict on the whole.

mod io;

pub use io::{
    Command, Event, EventKind, Input, JoinOutcome, JoinResult, MemberState, MemberView, Output, Refusal, Reply, RosterView, Settings,
    Stats, StopReason, Target, Verdict,
};
