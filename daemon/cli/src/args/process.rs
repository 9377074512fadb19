//! What can be typed about processes.

use crate::run::Restart;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;

/// `muster ps`.
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Only those whose names begin with this
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Only those that run on this node
    #[arg(long, value_name = "NODE")]
    pub(crate) on: Option<String>,
    /// Only those in this group
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Only those in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<ProcessState>,
    /// Only those that run on the node that is asked
    #[arg(long)]
    pub(crate) local: bool,
}

/// States of a registration, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProcessState {
    Up,
    Unreachable,
    Contested,
}

/// What a registration says of its process.
#[derive(Clone, Debug, Args)]
pub(crate) struct Described {
    /// A group that it is in (may be repeated)
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Metadata: what ps and whereis also show (may be repeated)
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = fact)]
    pub(crate) metadata: Vec<(String, String)>,
    /// Where it serves, host:port
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// What happens to this process if, after a partition, another node's has claimed the name
    /// earlier; notify if not said
    #[arg(long, value_enum)]
    pub(crate) on_conflict: Option<OnConflict>,
}

fn fact(text: &str) -> Result<(String, String), String> {
    let fact = text.split_once('=').filter(|(key, _)| !key.is_empty());
    fact.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "it must be KEY=VALUE, such as port=8080".to_owned())
}

/// What becomes of a process that loses its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnConflict {
    /// Go on, and have the name again when the other has ended
    Notify,
    /// End it with SIGTERM
    Terminate,
}

/// `muster register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// The name, unique in the cluster
    #[arg(value_name = "NAME")]
    pub(crate) process: String,
    /// The process [default: the one that runs this command, such as a script]
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pid: Option<u32>,
    #[command(flatten)]
    pub(crate) described: Described,
}

/// `muster run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct Run {
    /// The name, unique in the cluster
    #[arg(value_name = "NAME")]
    pub(crate) process: String,
    #[command(flatten)]
    pub(crate) described: Described,
    /// Start it again when it fails: on-failure, or on-failure:5/1m for at most 5 times within a
    /// minute
    #[arg(long, value_name = "on-failure[:N/TIME]", value_parser = Restart::parse)]
    pub(crate) restart: Option<Restart>,
    /// End it when this process (a name or a handle) has ended
    #[arg(long, value_name = "OTHER")]
    pub(crate) bind_to: Option<String>,
    /// The command with its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

const RUN_HELP: &str = "\
The command starts only once it is registered, and has the terminal. SIGTERM, SIGINT, SIGHUP, \
    SIGQUIT, SIGUSR1 and SIGUSR2 are \
passed on to it. SIGTERM, SIGINT and SIGQUIT, and a SIGHUP that the command ends by, also end the \
    restarts.

Exit codes: the command's own; 128+n when signal n ended it; 126 it cannot be executed, 127 it cannot be found. When it was not \
run: 4 another process has the name, 2 wrong usage, 125 anything else, such as no daemon.";

/// `muster link`.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// Who ends with whom.
    #[command(flatten)]
    pub(crate) pair: Pair,
    /// Also when the other's node is merely unreachable
    #[arg(long)]
    pub(crate) unreachable: bool,
}

/// Two processes.
#[derive(Debug, Args)]
pub(crate) struct Pair {
    /// The process that the link ends (SIGTERM, then SIGKILL); it runs on the node that is asked
    #[arg(value_name = "NAME")]
    pub(crate) process: String,
    /// The process whose end makes the link act, a name or a handle
    pub(crate) other: String,
}

/// `muster group`.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Put processes into a group
    Join(GroupMembers),
    /// Take processes out of a group
    Leave(GroupMembers),
}

/// A group and some processes of this node.
#[derive(Debug, Args)]
pub(crate) struct GroupMembers {
    /// The group
    pub(crate) group: String,
    /// The processes, which run on the node that is asked
    #[arg(required = true, value_name = "NAME")]
    pub(crate) processes: Vec<String>,
}

/// `muster monitor`.
#[derive(Debug, Args)]
pub(crate) struct Monitor {
    /// The name
    #[arg(value_name = "NAME")]
    pub(crate) process: String,
    /// Only until it is down for the first time
    #[arg(long)]
    pub(crate) once: bool,
    /// Wait for the name if nobody has it yet
    #[arg(long)]
    pub(crate) wait: bool,
}

/// A name, as the API takes it.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The name
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) process: String,
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn run(words: &[&str]) -> Option<Run> {
        match Cli::try_parse_from([&["muster", "run"], words].concat()).map(|cli| cli.command) {
            Ok(Command::Run(run)) => Some(*run),
            _ => None,
        }
    }

    #[test]
    fn what_follows_the_dashes_is_the_commands() {
        let args = run(&[
            "web",
            "--group",
            "a",
            "--group",
            "b",
            "--meta",
            "port=80=x",
            "--",
            "serve",
            "--json",
            "--node",
            "x",
        ])
        .unwrap();
        assert_eq!(args.command, ["serve", "--json", "--node", "x"]);
        assert_eq!(
            (args.described.groups.len(), &args.described.metadata),
            (2, &vec![("port".to_owned(), "80=x".to_owned())])
        );
        for bad in [
            &["web"][..],
            &["web", "serve"],
            &["web", "--"],
            &["--", "serve"],
            &["web", "--meta", "x", "--", "serve"],
        ] {
            assert!(run(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_node_to_ask_and_the_node_of_a_process_are_two() {
        let cli =
            Cli::try_parse_from(["muster", "--node", "node1", "ps", "--on", "node2"]).unwrap();
        assert_eq!(cli.global.node.as_deref(), Some("node1"));
        assert!(matches!(cli.command, Command::Ps(ps) if ps.on.as_deref() == Some("node2")));
    }

    #[test]
    fn a_pid_is_a_number_above_zero() {
        let register =
            |pid| Cli::try_parse_from(["muster", "register", "web", "--pid", pid]).is_ok();
        assert!(
            register("1")
                && !register("0")
                && !register("-1")
                && !register("x")
                && !register("4294967296")
        );
    }
}
