//! Looking after a node: how it does, what is wrong, and what those need who help.

pub(crate) mod backup;
pub(crate) mod bundle;
pub(crate) mod complete;
pub(crate) mod doctor;
pub(crate) mod quarantine;
pub(crate) mod rebuild;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod web;
