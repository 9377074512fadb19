//! `muster dev` and its subcommands.

use crate::args::{Dev, DevCommand, DevDir, Global};
use crate::dev::{self, Order, Plan};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::printable_lines;
use std::path::Path;

/// Runs a cluster, or tells the one that runs what to do.
pub(crate) async fn run(args: Dev, global: &Global, output: &Output) -> Result<(), Failure> {
    let (order, dir) = match args.command {
        None => {
            return dev::run(Plan {
                dir: dir(&args.dir),
                nodes: args.nodes,
                fresh: args.fresh,
            })
            .await;
        }
        Some(DevCommand::Split { nodes, dir }) => (Order::Split { nodes }, dir),
        Some(DevCommand::Heal { dir }) => (Order::Heal, dir),
        Some(DevCommand::Kill { target, dir }) => (Order::Kill { node: target }, dir),
        Some(DevCommand::Start { target, dir }) => (Order::Start { node: target }, dir),
    };
    let words = dev::ask(&self::dir(&dir), &order, global.timeout).await?;
    if output.is_json() {
        Ok(())
    } else {
        output.line(&printable_lines(&words))
    }
}

fn dir(args: &DevDir) -> std::path::PathBuf {
    dev::directory(args.dir.as_deref().map(Path::new))
}
