//! What must hold: one promise a file, each in words when it is broken.

pub mod acknowledged;
pub mod convergence;
pub mod meaning;
pub mod membership;
pub mod views;
