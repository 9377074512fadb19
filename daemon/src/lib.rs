//! The daemon: everything of a node that touches the world.
//!
//! `musterd` runs one node (`run::node`): the two state machines of the `node` crate between QUIC
//! (`transport`), the [`store`] and the [`http`] on a unix socket. `muster` is its client, the crate
//! [`cli`]. Both are one program under two names, see [`program`]. No protocol decision is made
//! here: what arrives is carried to a machine, what the machine wants is carried out.

mod admission;
mod advertise;
pub mod authority;
pub mod config;
mod damage;
mod doctor;
pub mod event;
mod flight;
mod heal;
mod host;
pub mod http;
mod hub;
mod inquiry;
mod lines;
mod link;
pub mod logging;
mod machines;
mod manual;
mod metrics;
pub mod once;
mod process;
mod quarantine;
mod rebuild;
pub mod reload;
mod renewal;
mod restoring;
pub mod run;
mod salvage;
pub mod service;
mod setup;
mod systemd;
pub mod tls;
pub mod tokens;
mod verifying;
mod version;
mod withdrawal;

pub use version::set_build;

use mimalloc::MiMalloc;
use std::ffi::OsString;
use std::process::ExitCode;

/// Documents are many small columns that are cut and joined all the time: a tenth of a node's work
/// under load was the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The exit code where settings or certificates cannot be used: a service manager need not try
/// again.
const UNUSABLE: u8 = 2;

/// This program, as its command line needs it.
pub fn program() -> cli::Program {
    cli::Program {
        version: version::full,
        daemon: daemon_main,
        examine_host: doctor::without_daemon,
        data_dir: rebuild::data_dir,
        rebuild: rebuild::offline,
        init: setup::init,
        join: setup::join,
        rename: setup::rename,
        sign: withdrawal::sign,
        manual: manual::write,
    }
}

/// The whole of `musterd`: settings, a node, and one sentence when something is wrong.
pub fn daemon_main(args: Vec<OsString>) -> ExitCode {
    let source = config::Source::of_process(args);
    let config = match source.load() {
        Ok(config::Start::Run(config)) => *config,
        Ok(config::Start::Check(config, good)) => return check(&config, &good),
        Ok(config::Start::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("musterd: {error}");
            return ExitCode::from(UNUSABLE);
        }
    };
    // Takes its variables out of the environment, which is safe only before there are threads.
    let handed = systemd::Handed::take();
    let logging = logging::init(&config.log);
    match run::node(
        config,
        run::Origin {
            source,
            logging,
            handed,
        },
    ) {
        Ok(node::cluster::StopReason::Shutdown | node::cluster::StopReason::Left) => {
            ExitCode::SUCCESS
        }
        Ok(
            reason
            @ (node::cluster::StopReason::Clone(_) | node::cluster::StopReason::NameTaken(_)),
        ) => {
            tracing::error!(%reason, "this node cannot be part of the cluster");
            eprintln!("musterd: {reason}");
            if matches!(reason, node::cluster::StopReason::Clone(_)) {
                ExitCode::from(UNUSABLE)
            } else {
                // The name is free again when its bearer leaves: to be tried again.
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("musterd: {error:#}");
            if error.is::<pki::IdentityError>() {
                ExitCode::from(UNUSABLE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Whether a node could start with these settings: they are good, and so must be what they name.
fn check(config: &config::Config, good: &str) -> ExitCode {
    let usable = reload::certificates(config)
        .and_then(|_| run::socket_group(config.api.group.as_deref()).map(drop));
    match usable {
        Ok(()) => {
            print!("{good}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("musterd: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}
