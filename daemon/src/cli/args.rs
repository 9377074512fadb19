//! What can be typed.

mod doctor;
mod pki;
mod process;
mod token;

pub(crate) use doctor::{Bundle, Debug, Doctor};
pub(crate) use pki::Pki;
pub(crate) use process::{
    Described, Group, GroupMembers, Link, Monitor, Named, Pair, Ps, Register, Run,
};
pub(crate) use token::{CreateToken, Token};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// To-do lists and processes, and the cluster that keeps them.
#[derive(Debug, Parser)]
#[command(name = "muster", version = crate::version::full(), about, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// How to reach the daemon and how to print.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 timeout, 6 daemon not \
    reachable.
Ids may be shortened to any unique beginning or end of 3 or more characters.
Dates: 2026-10-01, today, tomorrow, mon … sun, +3d, +2w, 2026-10-01T14:00, none.";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The daemon's socket
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "node")]
    pub(crate) socket: Option<PathBuf>,
    /// Ask this node of the development cluster (in $MUSTER_DEV_DIR, else ./muster-dev)
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) node: Option<String>,
    /// Print what the API answers
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long to wait for the daemon, such as 500ms or 1m
    #[arg(long, global = true, value_name = "TIME", value_parser = timeout)]
    pub(crate) timeout: Option<Duration>,
}

/// The longest time that the API lets a call wait.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

fn timeout(text: &str) -> Result<Duration, String> {
    crate::config::duration::parse(text)
        .filter(|time| (Duration::from_millis(1)..=MAX_TIMEOUT).contains(time))
        .ok_or_else(|| "it must be a time from 1ms to 5m, such as 500ms, 5s or 2m".to_owned())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a cluster on this machine, to develop with
    Dev(Dev),
    /// Make a cluster's certificates
    #[command(subcommand)]
    Pki(Pki),
    /// Show this node, its cluster, lists, disk and certificates on one screen, and what needs
    /// attention
    Status,
    /// Watch this node and its cluster: members, events, what is busy
    Top,
    /// Examine this node and what it has to do with each member; say what to do about each finding
    ///
    /// Exits with 0 only when nothing is wrong. Examines what it can when no daemon answers.
    Doctor(Doctor),
    /// Collect what a maintainer needs
    #[command(subcommand)]
    Debug(Debug),
    /// Show who belongs to the cluster
    Members(Members),
    /// Join the cluster of the nodes at these addresses
    Join {
        /// host:port
        #[arg(required = true, value_name = "ADDR")]
        addresses: Vec<String>,
    },
    /// Leave the cluster and stop the daemon, once another node has all its lists
    Leave {
        /// Even if lists are lost by it
        #[arg(long)]
        force: bool,
    },
    /// Forget a member that is gone for good
    Forget {
        /// Its name or id
        #[arg(value_name = "NODE")]
        member: String,
    },
    /// Read the daemon's configuration and certificates again
    Reload,
    /// Make what is shown of lists anew from their changes
    Rebuild {
        /// Only this list
        list: Option<String>,
    },
    /// Show or change what the daemon logs, until it ends
    LogLevel(LogLevel),
    /// Show how much of the cluster this node reaches
    Partition,
    /// Follow what happens
    Events(Events),
    /// Show the to-do lists
    Lists {
        /// Only those whose names hold this text
        #[arg(long = "match", value_name = "TEXT")]
        matching: Option<String>,
    },
    /// Show a list
    Show(Show),
    /// Show the open entries of all lists by due date
    Agenda {
        /// Only what is due today or was before
        #[arg(long)]
        today: bool,
    },
    /// Add an entry to a list
    Add(Add),
    /// Change an entry
    Edit(Edit),
    /// Tick entries
    Done(Entries),
    /// Untick entries
    Reopen(Entries),
    /// Delete entries
    Rm(Entries),
    /// Move an entry to another place in its list
    Move(Move),
    /// Delete a list with all its entries
    RmList {
        /// The list
        list: String,
    },
    /// Follow the changes of a list
    Watch {
        /// The list
        list: String,
    },
    /// Make, show and revoke tokens, by which programs use the API by TCP
    #[command(subcommand)]
    Token(Token),
    /// Print a link that opens the node's page in a browser, once and within a minute
    Web {
        /// Open it
        #[arg(long)]
        open: bool,
    },
    /// Show the registered processes
    Ps(Ps),
    /// Register a process that runs
    Register(Register),
    /// Run a command as a registered process
    Run(Box<Run>),
    /// Show who has a name
    Whereis(Named),
    /// Take a registration back; the process goes on
    Unregister(Named),
    /// Show the groups, or the members of one
    Groups {
        /// The group
        group: Option<String>,
    },
    /// Change who is in a group
    #[command(subcommand)]
    Group(Group),
    /// Follow what happens to a process
    Monitor(Monitor),
    /// End a process when another one has ended
    Link(Link),
    /// Take a link back
    Unlink(Pair),
    /// Show whose end ends a process
    Links(Named),
    /// Print a completion script for a shell
    Completions {
        /// bash, zsh, fish, …
        shell: clap_complete::Shell,
    },
}

/// `muster dev`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Dev {
    /// How many nodes to run (3, or as many as there were)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) nodes: Option<u16>,
    /// Begin anew: delete what an earlier cluster left there
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Where it is.
    #[command(flatten)]
    pub(crate) dir: DevDir,
    /// Without one, runs the cluster.
    #[command(subcommand)]
    pub(crate) command: Option<DevCommand>,
}

/// `--dir`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevDir {
    /// The cluster's directory [default: $MUSTER_DEV_DIR, else ./muster-dev]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What can be done to a running development cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Cut these nodes off from the others
    Split {
        /// The nodes of one side
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        #[command(flatten)]
        dir: DevDir,
    },
    /// End the split
    Heal {
        #[command(flatten)]
        dir: DevDir,
    },
    /// Kill a node (SIGKILL)
    Kill {
        /// The node
        #[arg(value_name = "NODE")]
        target: String,
        #[command(flatten)]
        dir: DevDir,
    },
    /// Start a node that was killed
    Start {
        /// The node
        #[arg(value_name = "NODE")]
        target: String,
        #[command(flatten)]
        dir: DevDir,
    },
}

/// `muster log-level`.
#[derive(Debug, Args)]
pub(crate) struct LogLevel {
    /// off, error, warn, info, debug, trace, or directives such as info,node=debug; without it,
    /// shows what is logged
    pub(crate) level: Option<String>,
    /// Only for so long, such as 10m; up to 24h
    #[arg(long = "for", value_name = "TIME", requires = "level")]
    pub(crate) time: Option<String>,
    /// Log again what the configuration says
    #[arg(long, conflicts_with = "level")]
    pub(crate) reset: bool,
}

/// `muster members`.
#[derive(Debug, Args)]
pub(crate) struct Members {
    /// Go on and tell what changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// Only those in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<MemberState>,
    /// Only those with this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
}

/// States of a member, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemberState {
    Alive,
    Suspect,
    Down,
    Restarting,
    Left,
}

/// `muster events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only of these kinds: member, process, list, partition
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// Only about this member, list or process
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// `muster show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The list
    pub(crate) list: String,
    /// Only what is due on this day
    #[arg(long)]
    pub(crate) due: Option<String>,
    /// Only open entries
    #[arg(long, conflicts_with_all = ["done", "all"])]
    pub(crate) open: bool,
    /// Only ticked entries
    #[arg(long, conflicts_with = "all")]
    pub(crate) done: bool,
    /// Open and ticked entries, as without any of these
    #[arg(long)]
    pub(crate) all: bool,
    /// Only entries with this tag (several: with all of them)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// The list as it was after this change
    #[arg(long, value_name = "HASH")]
    pub(crate) at: Option<String>,
}

/// `muster add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The list
    pub(crate) list: String,
    /// What is to do; - reads one title a line
    pub(crate) title: String,
    /// When it is due
    #[arg(long)]
    pub(crate) due: Option<String>,
    /// A tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// How much it matters
    #[arg(long, value_enum)]
    pub(crate) priority: Option<Priority>,
    /// More about it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Who is to do it
    #[arg(long, value_name = "WHO")]
    pub(crate) assignee: Option<String>,
}

/// Priorities, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Priority {
    High,
    Medium,
    Low,
    None,
}

/// `muster edit`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["title", "due", "tags", "untag", "priority", "note", "assignee"]))]
pub(crate) struct Edit {
    /// The list
    pub(crate) list: String,
    /// The entry's id
    pub(crate) id: String,
    /// What is to do
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// When it is due; none clears
    #[arg(long)]
    pub(crate) due: Option<String>,
    /// Add a tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Remove a tag (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub(crate) untag: Vec<String>,
    /// How much it matters; none clears
    #[arg(long, value_enum)]
    pub(crate) priority: Option<Priority>,
    /// More about it; an empty text clears
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Who is to do it; an empty text clears
    #[arg(long, value_name = "WHO")]
    pub(crate) assignee: Option<String>,
}

/// A list and some of its entries.
#[derive(Debug, Args)]
pub(crate) struct Entries {
    /// The list
    pub(crate) list: String,
    /// The entries' ids
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
}

/// `muster move`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["before", "after"]))]
pub(crate) struct Move {
    /// The list
    pub(crate) list: String,
    /// The entry's id
    pub(crate) id: String,
    /// Directly before this entry
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<String>,
    /// Directly after this entry
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// A command's own argument of the same name would silently replace the global one: `--node a
    /// forget b` would ask b.
    #[test]
    fn no_command_shadows_a_global_option() {
        let command = Cli::command();
        let globals: Vec<String> = command
            .get_arguments()
            .filter(|arg| arg.is_global_set())
            .map(|arg| arg.get_id().to_string())
            .collect();
        let mut left: Vec<clap::Command> = command.get_subcommands().cloned().collect();
        assert!(globals.len() == 4 && left.len() > 20);
        while let Some(command) = left.pop() {
            let shadowed = command
                .get_arguments()
                .find(|arg| globals.contains(&arg.get_id().to_string()));
            assert!(
                shadowed.is_none(),
                "{} has {shadowed:?}",
                command.get_name()
            );
            left.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn the_node_to_ask_and_the_node_to_forget_are_two() {
        let cli = Cli::try_parse_from(["muster", "--node", "node1", "forget", "node2"]).unwrap();
        assert_eq!(cli.global.node.as_deref(), Some("node1"));
        assert!(matches!(cli.command, Command::Forget { member } if member == "node2"));
    }

    #[test]
    fn a_mistyped_option_is_no_title() {
        assert!(Cli::try_parse_from(["muster", "add", "bob", "--deu"]).is_err());
        assert!(Cli::try_parse_from(["muster", "add", "bob", "-"]).is_ok());
        assert!(Cli::try_parse_from(["muster", "add", "bob", "--", "--deu"]).is_ok());
    }
}
