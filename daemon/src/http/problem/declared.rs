//! Which kinds of problems may come of what a call uses. The responses in the OpenAPI document are
//! made from it.

use super::Kind;
use node::{cluster, lists, registry};
use store::ReadError;

/// What may refuse a call: an extractor, a question to a machine, or reading the store.
pub(crate) trait Refuses {
    /// The kinds of problems that may come of it, without those that any call may be answered.
    fn kinds() -> Vec<Kind>;
}

/// Declares for each type which kinds of problems may come of it.
macro_rules! refuses {
    ($($source:ty: $($kind:ident)*;)+) => {$(
        impl $crate::http::problem::Refuses for $source {
            fn kinds() -> Vec<$crate::http::problem::Kind> {
                vec![$($crate::http::problem::Kind::$kind),*]
            }
        }
    )+};
}
pub(crate) use refuses;

macro_rules! tuples {
    ($($source:ident)+) => {
        impl<$($source: Refuses),+> Refuses for ($($source,)+) {
            fn kinds() -> Vec<Kind> {
                [$($source::kinds()),+].concat()
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);

/// A kind of problem that the call itself answers, by its place in [`Kind::ALL`]:
/// `Own<{ Kind::OnlyHere as usize }>`.
pub(crate) struct Own<const KIND: usize>;

impl<const KIND: usize> Refuses for Own<KIND> {
    fn kinds() -> Vec<Kind> {
        Kind::ALL.get(KIND).copied().into_iter().collect()
    }
}

refuses! {
    ReadError: Store;
    // What the lists machines are asked.
    lists::ask::Edit: TooLarge Invalid Store Busy Quarantined Unknown Deadline DiskFull;
    lists::ask::EntriesAt: List Change Store Busy Quarantined Unknown Deadline;
    lists::ask::Disputes: List Store Busy Quarantined Unknown Deadline;
    lists::ask::History: List Store Busy Quarantined Unknown Deadline;
    lists::ask::Saved: List Store Busy Quarantined Unknown Deadline;
    lists::ask::Differences: TooLarge Invalid Store Busy Quarantined Unknown Deadline;
    lists::ask::Standings: Store Busy Quarantined Unknown Deadline;
    lists::ask::LastOf: List Change Store Busy Quarantined Unknown Deadline;
    lists::ask::Depart: Store Busy Unknown Deadline;
    lists::ask::Rebuild: List Store Busy Quarantined Unknown Deadline DiskFull;
    lists::ask::Holders: Busy Unknown;
    lists::ask::Quarantine: Store Busy Unknown;
    lists::ask::Release: NotQuarantined StillDamaged Store Busy Unknown Deadline DiskFull;
    lists::ask::Replace: NotQuarantined Store Busy Unknown DiskFull;
    lists::ask::Comparisons: Busy Unknown;
    lists::ask::Learn: Store Busy Unknown;
    lists::ask::Restore: Store Busy Quarantined Unknown;
    // What the cluster machine is asked.
    cluster::ask::Join: Store Busy Unknown DiskFull;
    cluster::ask::Leave: Store Busy Unknown DiskFull;
    cluster::ask::Forget: Member Reachable Store Busy Unknown DiskFull;
    cluster::ask::Away: Member Reachable NoMajority Store Busy Unknown DiskFull;
    cluster::ask::Back: Member Reachable NotAway Store Busy Unknown DiskFull;
    cluster::ask::Revoke: Member Reachable NoAuthority Unsigned Store Busy Unknown DiskFull;
    cluster::ask::Chains: Busy Unknown;
    registry::Registration: Held Full TooMany Store Busy Unknown DiskFull;
    registry::ask::Unregister: Forbidden Process Elsewhere Store Busy Unknown DiskFull;
    registry::ask::Report: Forbidden Process Elsewhere Reported Store Busy Unknown DiskFull;
    registry::ask::Group: Forbidden Process Elsewhere Full Store Busy Unknown DiskFull;
    registry::ask::Link: Forbidden Process Member Elsewhere Full Store Busy Unknown DiskFull;
    registry::ask::Unlink: Forbidden Process Member Elsewhere Store Busy Unknown DiskFull;
    registry::ask::Links: Process Elsewhere Busy Unknown;
}
