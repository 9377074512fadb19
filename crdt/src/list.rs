//! A to-do list as an Automerge document.
