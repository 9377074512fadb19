//! Observers: whom they speak of, and what is not taken from them.
//!
//! An observer sees all and changes nothing. It speaks for itself, so that it is known to be there,
//! and tells a peer what it thinks of that peer, which may refute it. Of third nodes it is not heard, and
//! it has no registrations and no changes of lists to tell.

use names::{NodeId, Role};

/// Whether a node is heard on another one by `listener`.
pub(crate) fn is_heard(speaker: (NodeId, Role), subject: NodeId, listener: NodeId) -> bool {
    let (speaker, role) = speaker;
    role == Role::Member || subject == speaker || subject == listener
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observer_is_heard_on_itself_and_on_the_listener() {
        let [speaker, third, me] = [1, 2, 3].map(|id| NodeId([id; 16]));
        let heard = |role, subject| is_heard((speaker, role), subject, me);
        for subject in [speaker, third, me] {
            assert!(heard(Role::Member, subject));
            assert_eq!(heard(Role::Observer, subject), subject != third);
        }
    }
}
