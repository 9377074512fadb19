//! The command line as a source: `--table-key`, made from the keys.

use super::describe;
use super::error::ConfigError;
use super::given::{Given, Value, split_list};
use super::keys::{KEYS, Key, Kind};
use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the command line says.
#[derive(Debug, Default)]
pub(super) struct Flags {
    /// `--config`.
    pub(super) config: Option<PathBuf>,
    /// `--check-config`.
    pub(super) check: bool,
    /// The values of keys.
    pub(super) given: Given,
    /// What only a flag can say.
    pub(super) dev: DevFlags,
}

/// Flags of the development cluster: no file may hold them.
#[derive(Clone, Debug, Default)]
pub(super) struct DevFlags {
    /// `--dev-faults`.
    pub(super) faults: bool,
    /// `--dev-block`.
    pub(super) block: Vec<SocketAddr>,
    /// `--parent-pipe`.
    pub(super) parent_pipe: bool,
}

/// What a command line asks for.
#[derive(Debug)]
pub(super) enum Parsed {
    /// To run, with these.
    Flags(Flags),
    /// To print the help or the version.
    Print(String),
}

/// Parses a command line whose first word is the program's name.
pub(super) fn parse(args: &[OsString]) -> Result<Parsed, ConfigError> {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if error.exit_code() == 0 => return Ok(Parsed::Print(error.to_string())),
        Err(error) => return Err(ConfigError::Usage(plain(&error))),
    };
    if matches.get_flag("print-config") {
        return Ok(Parsed::Print(describe::example()));
    }
    let mut given = Given::default();
    for key in KEYS {
        take(&mut given, key, &matches);
    }
    let dev = DevFlags {
        faults: matches.get_flag("dev-faults"),
        block: matches
            .get_many("dev-block")
            .map_or_else(Vec::new, |values| values.copied().collect()),
        parent_pipe: matches.get_flag("parent-pipe"),
    };
    Ok(Parsed::Flags(Flags {
        config: matches.get_one("config").cloned(),
        check: matches.get_flag("check-config"),
        given,
        dev,
    }))
}

/// What is wrong, without the `error:` in front: the caller puts the program's name there.
fn plain(error: &clap::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("error: ")
        .unwrap_or(&text)
        .trim_end()
        .to_owned()
}

fn take(given: &mut Given, key: &Key, matches: &ArgMatches) {
    let flag = key.flag();
    let Some(mut texts) = matches.get_many::<String>(&flag) else {
        return;
    };
    let value = match key.kind {
        Kind::List => Value::List(texts.flat_map(|text| split_list(text)).collect()),
        Kind::Text | Kind::Path | Kind::Switch | Kind::Number(..) | Kind::Time(..) => {
            Value::Text(texts.next_back().cloned().unwrap_or_default())
        }
    };
    given.set(key, value, format!("--{flag}"));
}

/// The command line of `musterd`.
pub(crate) fn command() -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(PathBufValueParser::new());
    let mut command = Command::new("musterd")
        .version(crate::version::full())
        .about("The Muster daemon: one node of a cluster")
        .after_help(
            "Each setting is a flag, a variable MUSTERD_<TABLE>__<KEY> or a key of the file; the \
                first of these that is given counts.\n\
             The file is --config, else $MUSTERD_CONFIG, else /etc/muster/muster.toml where it \
                exists.",
        )
        .arg(config.help("The configuration file"))
        .arg(switch("check-config").help("Tell whether the configuration is good, and end"))
        .arg(switch("print-config").help(
            "Print a file with all settings, described and commented \
            out, and end",
        ));
    for key in KEYS {
        command = command.arg(argument(key));
    }
    command
        .arg(switch("dev-faults").help("Serve the fault call of a development cluster"))
        .arg(
            Arg::new("dev-block")
                .long("dev-block")
                .value_name("IP:PORT,…")
                .value_delimiter(',')
                .value_parser(value_parser!(SocketAddr))
                .requires("dev-faults")
                .hide(true),
        )
        .arg(switch("parent-pipe").hide(true))
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn argument(key: &Key) -> Arg {
    let (short, long) = describe::for_help(key);
    let arg = Arg::new(key.flag())
        .long(key.flag())
        .value_name(key.value)
        .help(short)
        .long_help(long);
    match key.kind {
        Kind::List => arg.action(ArgAction::Append),
        Kind::Switch => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Text | Kind::Path | Kind::Number(..) | Kind::Time(..) => arg.action(ArgAction::Set),
    }
}
