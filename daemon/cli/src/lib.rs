//! The command line, `muster`: parses, asks a node through [`client`], prints.
//!
//! What is printed has two forms. For people at a terminal: aligned tables, coloured. In a pipe:
//! one record a line with tabs between its fields, no header, no colour; stable, so that scripts
//! may rely on it. `--json` prints what the API answers.
//!
//! | module | has |
//! | --- | --- |
//! | `args` | what can be typed |
//! | `lists`, `processes`, `cluster`, `certificates`, `upkeep`, `dev` | the commands, in the groups of `--help` |
//! | `run`, `top` | the two commands that live for long |
//! | `session`, `output`, `table`, `text`, `failure`, `ids`, `unreachable` | what the commands share |
//!
//! It knows the daemon by its API alone. What a program of the same name has besides, such as the
//! daemon itself, it is handed as a [`Program`].

mod args;
mod certificates;
mod cluster;
mod dev;
mod failure;
mod ids;
mod lists;
mod output;
mod processes;
mod program;
mod run;
mod session;
mod stream;
mod table;
mod text;
mod top;
mod unreachable;
mod upkeep;
mod zone;

pub use args::{GROUPS, command};
pub use program::{
    Founded, Joined, Joining, OfflineError, Placing, Program, Rebuilt, SetupError, SignError,
    SignedWithdrawal,
};

use args::{Authority, Backup, Cli, Command, Debug, Global, Join, Rebuild, Token};
use certificates::{pki, token};
use cluster::{
    away, events, founding, heals, invitations, partition, reach, revoking, withdrawing,
};
use failure::Failure;
use lists::{conflicts, edit, history, transfer, watch};
use output::Output;
use processes::{groups, links, monitor};
use session::Session;
use std::ffi::OsString;
use std::io::Error;
use std::path::Path;
use std::process::ExitCode;
use upkeep::{
    backup, bundle, complete, doctor, quarantine, rebuild, repair, restore, status, verify, web,
};

/// The whole of `muster`, from its command line (the program's name first) to its exit code.
///
/// `muster daemon …` is `musterd …` under the name of this program, so that `muster dev` can start
/// nodes by executing itself; `muster launch …` is what `muster run` starts; `muster manual DIR`
/// writes the manual pages for packages.
pub fn run(args: impl IntoIterator<Item = OsString>, program: &Program) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = complete::asked(&args, program) {
        return code;
    }
    match args.get(1) {
        Some(word) if word == "daemon" => return (program.daemon)(args.split_off(1)),
        Some(word) if word == run::LAUNCH => return run::launched(args.split_off(2)),
        Some(word) if word == "manual" => return manual(program, args.get(2)),
        Some(_) | None => {}
    }
    let cli = match args::parse(args.iter().cloned(), program) {
        Ok(cli) => cli,
        Err(error) => return parse_failed(&error, &args),
    };
    let output = Output::of_process(cli.global.json);
    match act(cli, &output, program) {
        Ok(code) => code,
        Err(failure) => failure.report(&output),
    }
}

fn manual(program: &Program, dir: Option<&OsString>) -> ExitCode {
    let written = dir
        .ok_or_else(|| Error::other("it takes a directory"))
        .and_then(|dir| (program.manual)(Path::new(dir)));
    written.map_or_else(
        |error| {
            eprintln!("muster: no manual pages were written: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Help and version are printed with 0, mistakes with 2: as a problem where JSON is wanted. A
/// terminal that is gone needs no more words.
fn parse_failed(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let mut options = args.iter().take_while(|arg| *arg != "--");
    if error.use_stderr() && options.any(|arg| arg == "--json") {
        let words = error.to_string();
        return Failure::Usage(words.trim().to_owned()).report(&Output::of_process(true));
    }
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn act(cli: Cli, output: &Output, program: &Program) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(dispatch(cli, output, program));
    // Reading standard input may hang for ever on a thread of the runtime: do not wait for it.
    runtime.shutdown_background();
    done
}

async fn authority(session: &Session<'_>, command: Option<Authority>) -> Result<(), Failure> {
    match command {
        None => invitations::authority(session).await,
        Some(Authority::Renew) => invitations::renew(session).await,
        Some(Authority::Withdraw(args)) => withdrawing::draft(session, &args).await,
        Some(Authority::Publish { file }) => withdrawing::publish(session, &file).await,
    }
}

async fn heals_of(session: &Session<'_>, id: Option<&str>, all: bool) -> Result<(), Failure> {
    if all {
        heals::of_members(session).await
    } else {
        heals::heals(session, id).await
    }
}

async fn tokens(session: &Session<'_>, command: Token) -> Result<(), Failure> {
    match command {
        Token::Create(args) => token::create(session, &args).await,
        Token::List => token::list(session).await,
        Token::Revoke { id } => token::revoke(session, &id).await,
    }
}

async fn joining<'a>(
    session: impl FnOnce() -> Result<Session<'a>, Failure>,
    (global, args): (&Global, &Join),
    output: &Output,
    program: &Program,
) -> Result<(), Failure> {
    match &args.token {
        Some(token) => founding::join(args, token, global.timeout, output, program).await,
        None => cluster::join(&session()?, &args.addresses).await,
    }
}

async fn backups<'a>(
    session: impl FnOnce() -> Result<Session<'a>, Failure>,
    args: &Backup,
    output: &Output,
) -> Result<(), Failure> {
    if args.verify {
        backup::verify(args, output)
    } else {
        backup::make(&session()?, args).await
    }
}

async fn rebuilding<'a>(
    session: impl FnOnce() -> Result<Session<'a>, Failure>,
    (global, args): (&Global, &Rebuild),
    output: &Output,
    program: &Program,
) -> Result<(), Failure> {
    if args.offline {
        rebuild::offline(global, args, output, program)
    } else {
        rebuild::online(&session()?, args.list.as_deref()).await
    }
}

async fn dispatch(cli: Cli, output: &Output, program: &Program) -> Result<ExitCode, Failure> {
    let session = || Session::new(&cli.global, output);
    let done = match cli.command {
        Command::Dev(dev) => dev::command::run(dev, &cli.global, output).await,
        Command::Pki(pki) => pki::run(&pki, program, &session()?).await,
        Command::Completions { shell } => complete::run(shell, output),
        Command::Status => status::status(&session()?).await,
        Command::Top => return top::run(&session()?).await,
        Command::Doctor(args) => return doctor::examine(&session()?, &args, program).await,
        Command::Debug(Debug::Bundle(args)) => bundle::bundle(&session()?, &args, program).await,
        Command::Members(args) => cluster::members(&session()?, &args).await,
        Command::Init(args) => founding::init(&args, cli.global.timeout, output, program).await,
        Command::Join(args) => joining(session, (&cli.global, &args), output, program).await,
        Command::Invite(args) => invitations::invite(&session()?, &args).await,
        Command::Invitations => invitations::list(&session()?).await,
        Command::Uninvite { id } => invitations::revoke(&session()?, &id).await,
        Command::Authority { command } => authority(&session()?, command).await,
        Command::Leave { force } => cluster::leave(&session()?, force).await,
        Command::Forget { member } => cluster::forget(&session()?, &member).await,
        Command::Away(args) => away::declare(&session()?, args).await,
        Command::Back { member } => away::end(&session()?, &member).await,
        Command::Revoke { member, reason } => revoking::revoke(&session()?, &member, reason).await,
        Command::Revocations => revoking::list(&session()?).await,
        Command::Reload => cluster::reload(&session()?).await,
        Command::Rebuild(args) => rebuilding(session, (&cli.global, &args), output, program).await,
        Command::Verify => verify::run(&session()?).await,
        Command::Backup(args) => backups(session, &args, output).await,
        Command::Restore(args) => restore::run(&session()?, &args).await,
        Command::Quarantine { command } => quarantine::run(&session()?, command).await,
        Command::Repair(args) => repair::run(&session()?, &args).await,
        Command::LogLevel(args) => cluster::log_level(&session()?, &args).await,
        Command::Partition(args) => partition::partition(&session()?, &args).await,
        Command::Reach => reach::reach(&session()?).await,
        Command::Heals { id, all } => heals_of(&session()?, id.as_deref(), all).await,
        Command::Events(args) => events::events(&session()?, &args).await,
        Command::Lists { matching } => lists::lists(&session()?, matching.as_deref()).await,
        Command::Show(args) => lists::show(&session()?, &args).await,
        Command::Agenda(args) => lists::agenda(&session()?, &args).await,
        Command::RmList(args) => edit::remove_list(&session()?, &args).await,
        Command::Export(args) => transfer::export(&session()?, &args).await,
        Command::Import(args) => transfer::import(&session()?, &args).await,
        Command::Watch { list } => watch::follow(&session()?, &list).await,
        Command::Add(args) => edit::add(&session()?, &args).await,
        Command::Edit(args) => edit::edit(&session()?, &args).await,
        Command::Done(args) => edit::complete(&session()?, &args, true).await,
        Command::Reopen(args) => edit::complete(&session()?, &args, false).await,
        Command::Rm(args) => edit::remove(&session()?, &args).await,
        Command::Conflicts { list } => conflicts::conflicts(&session()?, list.as_deref()).await,
        Command::Resolve(args) => conflicts::resolve(&session()?, &args).await,
        Command::Log(args) => history::log(&session()?, &args).await,
        Command::Undo(args) => history::undo(&session()?, &args, history::Way::Undo).await,
        Command::Redo(args) => history::undo(&session()?, &args, history::Way::Redo).await,
        Command::Move(args) => edit::place(&session()?, &args).await,
        Command::Token(command) => tokens(&session()?, command).await,
        Command::Web { open } => web::run(&session()?, open).await,
        Command::Ps(args) => processes::list(&session()?, &args).await,
        Command::Register(args) => processes::register(&session()?, &args).await,
        Command::Run(args) => return Ok(run::run(&cli.global, output, &args).await),
        Command::Whereis(args) => processes::whereis(&session()?, &args).await,
        Command::Unregister(args) => processes::unregister(&session()?, &args).await,
        Command::Groups { group } => groups::show(&session()?, group.as_deref()).await,
        Command::Group(change) => groups::change(&session()?, &change).await,
        Command::Monitor(args) => monitor::follow(&session()?, &args).await,
        Command::Link(link) => links::make(&session()?, &link).await,
        Command::Unlink(pair) => links::remove(&session()?, &pair).await,
        Command::Links(args) => links::list(&session()?, &args).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}
