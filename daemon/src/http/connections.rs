//! Connections: accepting them, who is at their other end, their bounds, and what protects the TCP
//! listener from web pages.

pub(crate) mod body;
pub(crate) mod gate;
pub(crate) mod guard;
pub(crate) mod large;
pub(crate) mod serve;
mod tls;
pub(crate) mod who;
