//! The settings of `musterd`: a file, the environment and flags, resolved into one value.
//!
//! Each setting is one row, in `settings`; the three sources only yield texts and lists for it, and
//! all that is written about it for people (`musterd --help`, the example file, the manual page) is
//! made from that by `describe`. A flag wins over the environment, that over the file, that over
//! the default. Every mistake is one sentence that names the key, where it was given and what would
//! be right; all mistakes are told at once.

mod certificate;
mod defaults;
mod describe;
mod environment;
mod error;
mod file;
mod flags;
mod given;
mod keys;
mod level;
pub(crate) mod nearest;
mod resolve;
mod settings;

pub(crate) use describe::manual;
pub use error::ConfigError;
pub(crate) use file::DEFAULT_PATH;
pub(crate) use flags::command;
pub(crate) use keys::Applies;
pub(crate) use level::{filter, plausible};
pub(crate) use resolve::host_port;
pub use settings::{Api, Config, Http, Limits, Log, Node, Processes, Quic, Tls};

use flags::DevFlags;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the log goes, in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal where standard error is connected with it, else as text.
    Auto,
    /// Lines for people, on standard error.
    Text,
    /// One JSON object a line, on standard error.
    Json,
    /// To systemd's journal, with a field for each value.
    Journal,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Run a node.
    Run(Box<Config>),
    /// See whether a node could be run with this, say these words if so, and end.
    Check(Box<Config>, String),
    /// Print this (the help, the version) and end.
    Print(String),
}

/// What the process was started with: its arguments (the program's name first), environment and
/// rights.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    /// It decides the defaults.
    root: bool,
}

impl Surroundings {
    fn of_process(args: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            args: args.into_iter().collect(),
            env: std::env::vars_os().collect(),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// A variable, if it is set, not empty and in UTF-8.
    fn var(&self, name: &str) -> Option<&str> {
        self.env
            .get(std::ffi::OsStr::new(name))?
            .to_str()
            .filter(|text| !text.is_empty())
    }
}

/// Where a process has its settings from: its command line and environment, which stay, and the
/// file that they name.
#[derive(Clone, Debug)]
pub struct Source(Surroundings);

impl Source {
    /// Those of this process; the first argument is the program's name.
    pub fn of_process(args: impl IntoIterator<Item = OsString>) -> Self {
        Self(Surroundings::of_process(args))
    }

    /// Where the file is that is read when no other one is named, also where it is missing.
    pub(crate) fn usual_file() -> PathBuf {
        file::usual(&Surroundings::of_process([]))
    }

    /// The settings if the file at that path had this text.
    ///
    /// # Errors
    /// Every mistake, one sentence a line.
    pub(crate) fn resolve(&self, path: &Path, text: &str) -> Result<Config, ConfigError> {
        let mut mistakes = Vec::new();
        let file = file::parse(text, path, &mut mistakes);
        let environment = environment::read(&self.0.env, &mut mistakes);
        let given = file.overlaid_by(environment);
        match resolve::resolve(&given, &DevFlags::default(), &self.0, &mut mistakes) {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError::Mistakes(mistakes)),
        }
    }

    /// What is asked for. Reads the file anew each time.
    ///
    /// # Errors
    /// Every mistake, one sentence a line.
    pub fn load(&self) -> Result<Start, ConfigError> {
        load_in(&self.0)
    }
}

/// The keys of that kind whose values differ, by their dotted names.
pub(crate) fn changed(old: &Config, new: &Config, applies: Applies) -> Vec<String> {
    let differs =
        |key: &&&keys::Key| key.applies == applies && (key.shown)(old) != (key.shown)(new);
    keys::KEYS
        .iter()
        .filter(differs)
        .map(|key| key.dotted())
        .collect()
}

/// Every key with its resolved value.
pub(crate) fn values(config: &Config) -> Vec<(String, String)> {
    keys::KEYS
        .iter()
        .map(|key| (key.dotted(), (key.shown)(config)))
        .collect()
}

fn load_in(surroundings: &Surroundings) -> Result<Start, ConfigError> {
    let flags = match flags::parse(&surroundings.args)? {
        flags::Parsed::Flags(flags) => flags,
        flags::Parsed::Print(text) => return Ok(Start::Print(text)),
    };
    let mut mistakes = Vec::new();
    let path = file::path(flags.config.as_deref(), surroundings);
    let file = path.as_deref().map_or_else(given::Given::default, |path| {
        file::read(path, &mut mistakes)
    });
    let environment = environment::read(&surroundings.env, &mut mistakes);
    let given = file.overlaid_by(environment).overlaid_by(flags.given);
    match resolve::resolve(&given, &flags.dev, surroundings, &mut mistakes) {
        Some(config) if mistakes.is_empty() && flags.check => {
            Ok(Start::Check(Box::new(config), good(path.as_deref())))
        }
        Some(config) if mistakes.is_empty() => Ok(Start::Run(Box::new(config))),
        _ => Err(ConfigError::Mistakes(mistakes)),
    }
}

fn good(file: Option<&std::path::Path>) -> String {
    match file {
        Some(file) => format!("the configuration is good: {}\n", file.display()),
        None => "the configuration is good: there is no file, the defaults count\n".to_owned(),
    }
}

#[cfg(test)]
mod tests;
