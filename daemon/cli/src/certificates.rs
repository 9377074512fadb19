//! Certificates of nodes, and tokens of programs: by what they prove who they are.

mod issued;
pub(crate) mod pki;
pub(crate) mod statement;
pub(crate) mod token;
