//! What must hold: one promise a file, each in words when it is broken.

pub mod acknowledged;
pub mod answers;
pub mod convergence;
pub mod directory;
pub mod events;
pub mod links;
pub mod meaning;
pub mod membership;
pub mod spreading;
pub mod views;
