//! The command line, `muster`: parses, asks a node through [`crate::client`], prints.
//!
//! What is printed has two forms. For people at a terminal: aligned tables, coloured. In a pipe:
//! one record a line with tabs between its fields, no header, no colour; stable, so that scripts
//! may rely on it. `--json` prints what the API answers.

mod args;
mod bundle;
mod cluster;
mod complete;
mod dates;
mod dev;
mod doctor;
mod due;
mod edit;
mod entry;
mod events;
mod failure;
mod groups;
mod ids;
mod links;
mod lists;
mod monitor;
mod output;
mod pki;
mod process;
mod registered;
mod run;
mod session;
mod status;
mod table;
mod text;
mod titles;
mod token;
mod top;
mod unreachable;
mod watch;
mod web;

pub(crate) use events::describe;
pub(crate) use failure::Failure;
pub(crate) use text::{local_time, printable};

use args::{Cli, Command, Debug, Token};
use clap::{CommandFactory, Parser};
use output::Output;
use session::Session;
use std::ffi::OsString;
use std::io::Error;
use std::path::Path;
use std::process::ExitCode;

/// The command line, for all that is made from it.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// The whole of `muster`, from its command line (the program's name first) to its exit code.
///
/// `muster daemon …` is `musterd …` under the name of this program, so that `muster dev` can start
/// nodes by executing itself; `muster launch …` is what `muster run` starts; `muster manual DIR`
/// writes the manual pages for packages.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    match args.get(1) {
        Some(word) if word == "daemon" => return crate::daemon_main(args.split_off(1)),
        Some(word) if word == run::LAUNCH => return run::launched(args.split_off(2)),
        Some(word) if word == "manual" => return manual(args.get(2)),
        Some(_) | None => {}
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return parse_failed(&error),
    };
    let output = Output::of_process(cli.global.json);
    match act(cli, &output) {
        Ok(code) => code,
        Err(failure) => failure.report(&output),
    }
}

fn manual(dir: Option<&OsString>) -> ExitCode {
    let written = dir
        .ok_or_else(|| Error::other("it takes a directory"))
        .and_then(|dir| crate::manual::write(Path::new(dir)));
    written.map_or_else(
        |error| {
            eprintln!("muster: no manual pages were written: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Help and version are printed with 0, mistakes with 2. A terminal that is gone needs no more
/// words.
fn parse_failed(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn act(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(dispatch(cli, output));
    // Reading standard input may hang for ever on a thread of the runtime: do not wait for it.
    runtime.shutdown_background();
    done
}

async fn dispatch(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    let session = || Session::new(&cli.global, output);
    let done = match cli.command {
        Command::Dev(dev) => dev::run(dev, &cli.global, output).await,
        Command::Pki(pki) => pki::run(&pki, output),
        Command::Completions { shell } => complete::run(shell, output),
        Command::Status => status::status(&session()?).await,
        Command::Top => return top::run(&session()?).await,
        Command::Doctor(args) => return doctor::examine(&session()?, &args).await,
        Command::Debug(Debug::Bundle(args)) => bundle::bundle(&session()?, &args).await,
        Command::Members(args) => cluster::members(&session()?, &args).await,
        Command::Join { addresses } => cluster::join(&session()?, &addresses).await,
        Command::Leave { force } => cluster::leave(&session()?, force).await,
        Command::Forget { member } => cluster::forget(&session()?, &member).await,
        Command::Reload => cluster::reload(&session()?).await,
        Command::Rebuild { list } => cluster::rebuild(&session()?, list.as_deref()).await,
        Command::LogLevel(args) => cluster::log_level(&session()?, &args).await,
        Command::Partition => cluster::partition(&session()?).await,
        Command::Events(args) => events::follow(&session()?, &args).await,
        Command::Lists { matching } => lists::lists(&session()?, matching.as_deref()).await,
        Command::Show(args) => lists::show(&session()?, &args).await,
        Command::Agenda { today } => lists::agenda(&session()?, today).await,
        Command::RmList { list } => lists::remove(&session()?, &list).await,
        Command::Watch { list } => watch::follow(&session()?, &list).await,
        Command::Add(args) => edit::add(&session()?, &args).await,
        Command::Edit(args) => edit::edit(&session()?, &args).await,
        Command::Done(args) => edit::tick(&session()?, &args, edit::Tick::Done).await,
        Command::Reopen(args) => edit::tick(&session()?, &args, edit::Tick::Open).await,
        Command::Rm(args) => edit::remove(&session()?, &args).await,
        Command::Move(args) => edit::place(&session()?, &args).await,
        Command::Token(Token::Create(args)) => token::create(&session()?, &args).await,
        Command::Token(Token::List) => token::list(&session()?).await,
        Command::Token(Token::Revoke { id }) => token::revoke(&session()?, &id).await,
        Command::Web { open } => web::run(&session()?, open).await,
        Command::Ps(args) => process::list(&session()?, &args).await,
        Command::Register(args) => process::register(&session()?, &args).await,
        Command::Run(args) => return Ok(run::run(&cli.global, output, &args).await),
        Command::Whereis(args) => process::whereis(&session()?, &args).await,
        Command::Unregister(args) => process::unregister(&session()?, &args).await,
        Command::Groups { group } => groups::show(&session()?, group.as_deref()).await,
        Command::Group(change) => groups::change(&session()?, &change).await,
        Command::Monitor(args) => monitor::follow(&session()?, &args).await,
        Command::Link(link) => links::make(&session()?, &link).await,
        Command::Unlink(pair) => links::remove(&session()?, &pair).await,
        Command::Links(args) => links::list(&session()?, &args).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}
