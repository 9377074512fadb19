//! What can be typed.

mod authority;
mod cluster;
mod dev;
mod doctor;
mod help;
mod keeping;
mod lists;
mod pki;
mod process;
mod token;
mod transfer;

pub(crate) use authority::{Authority, Init, Invite, Join, NodeRole, Withdraw};
pub(crate) use cluster::{
    Away, Events, LogLevel, MemberState, Members, Partition, Reach, Rebuild, Repair,
};
pub(crate) use dev::{Dev, DevCommand, DevDir};
pub(crate) use doctor::{Bundle, Debug, Doctor};
pub use help::GROUPS;
pub(crate) use keeping::{Backup, Quarantine, Replace, Restore};
pub(crate) use lists::{
    Add, Agenda, Durability, Edit, Entries, Log, Move, Resolve, RmList, Show, SortBy, Undo,
};
pub(crate) use pki::Pki;
pub(crate) use process::{
    Described, Group, GroupMembers, Link, Monitor, Named, OnConflict, Pair, ProcessState, Ps,
    Register, Run,
};
pub(crate) use token::{CreateToken, Token, TokenScope};
pub(crate) use transfer::{Export, FormatName, Import};

use crate::program::Program;
use api::duration;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Shared to-do lists, named processes, and the cluster of hosts that keeps them
#[derive(Debug, Parser)]
#[command(name = "muster", about, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// How to reach the daemon and how to print.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command line as it is typed and documented: the commands stand in headed groups.
pub fn command(version: String) -> clap::Command {
    help::grouped(Cli::command().version(version))
}

/// Reads the command line, the program's name first.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString>,
    program: &Program,
) -> Result<Cli, clap::Error> {
    let matches = command((program.version)()).try_get_matches_from(args);
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(help::without_risky_tip)
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 timeout, 6 daemon not \
    reachable.
At a terminal times are in your time zone; in a pipe fields are separated by tabs and times are \
    RFC 3339.
An id may be shortened to its first or last characters, 3 or more, as long as no other id has them.
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
    /// Print JSON, as the API answers it; problems on standard error too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long to wait for the daemon, such as 500ms or 1m
    #[arg(long, global = true, value_name = "TIME", value_parser = timeout)]
    pub(crate) timeout: Option<Duration>,
}

/// The longest time that the API lets a call wait.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

fn timeout(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .filter(|time| (Duration::from_millis(1)..=MAX_TIMEOUT).contains(time))
        .ok_or_else(|| "it must be a time from 1ms to 5m, such as 500ms, 5s or 2m".to_owned())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a cluster on this machine, to try things out
    Dev(Dev),
    /// Make the certificates of a cluster
    #[command(subcommand)]
    Pki(Pki),
    /// Show this node on one screen, and what needs attention
    Status,
    /// Show this node live: members, events, what is busy
    Top,
    /// Check this host and each member, and say what to do
    ///
    /// Exits with 0 only when nothing is wrong. Without a daemon it examines what can be seen
    /// without one.
    Doctor(Doctor),
    /// Collect diagnostics for whoever helps you
    #[command(subcommand)]
    Debug(Debug),
    /// Show the members of the cluster
    Members(Members),
    /// Make this host the first node of a new cluster
    ///
    /// Makes the cluster's certificate authority, this node's certificate and its configuration, and
    /// starts the service where systemd runs. What is there already stays: a host that is a node is
    /// left as it is.
    Init(Init),
    /// Invite a host to join: print a token
    ///
    /// On a node that can sign for others, as the one of muster init can. The token is good for some
    /// minutes, and for one host.
    Invite(Invite),
    /// Show who is invited, and who has joined
    Invitations,
    /// End an invitation; hosts that have joined by it stay
    Uninvite {
        /// Its id
        id: String,
    },
    /// Show who can sign for new nodes, and the certificates of all
    Authority {
        /// What to do instead.
        #[command(subcommand)]
        command: Option<Authority>,
    },
    /// Make this host a node by a token, or join the cluster of nodes
    ///
    /// With --token: makes this host's key, gets its certificate from the node at that address or by
    /// way of it, writes its configuration, starts the service where systemd runs, and waits until the
    /// others see it. Without: has the daemon that runs join the nodes at these addresses, for which
    /// it must have a certificate of their cluster.
    Join(Join),
    /// Leave the cluster and stop the daemon
    ///
    /// Waits until another node has all lists of this one.
    Leave {
        /// Leave at once, even if lists are lost that only this node has
        #[arg(long)]
        force: bool,
    },
    /// Forget a member that is gone for good
    Forget {
        /// Its name or id
        #[arg(value_name = "NODE")]
        member: String,
    },
    /// Declare that a member that is down is away on purpose
    ///
    /// Nobody expects it meanwhile, and alerts are quiet about it. That ends after the time, by `back`, or
    /// when any member sees it. It still counts for `--replicas majority` and `partition --require
    /// majority`.
    Away(Away),
    /// End that a member is away on purpose
    Back {
        /// Its name or id
        #[arg(value_name = "NODE")]
        member: String,
    },
    /// Shut a node out for ever, such as a stolen host
    ///
    /// On a node that can sign for others. All nodes close their connections with it and refuse it from
    /// then on, also those that were apart; what it wrote stays. It cannot be taken back: the host needs a
    /// new certificate, with a new id.
    Revoke {
        /// Its name or id
        #[arg(value_name = "NODE")]
        member: String,
        /// Why, for all who are told
        #[arg(long)]
        reason: Option<String>,
    },
    /// Show which nodes are shut out
    Revocations,
    /// Have the daemon read its configuration and certificates again
    Reload,
    /// Rebuild what is shown of lists, from their changes
    ///
    /// For when a disk has damaged it; nothing is lost by it. The daemon does it for an administrator,
    /// and by itself where it finds damage. With --offline it is done while no daemon runs, as the
    /// user whose data it is, or as root.
    Rebuild(Rebuild),
    /// Show damage of the disk, and what is intact behind it
    ///
    /// Changes of lists behind the damage go back into their lists by themselves, unless they build on
    /// one that is lost: those wait until another member brings it. Where none has it, --reissue adds
    /// their entries anew, with their ids, by whom and when they were added.
    Repair(Repair),
    /// Show lists whose documents cannot be loaded, and free them
    ///
    /// Such a list can be read as it was last and takes no changes; nothing of it is lost.
    Quarantine {
        /// What to do instead.
        #[command(subcommand)]
        command: Option<Quarantine>,
    },
    /// Read all that this node has of its lists, and tell what is wrong
    ///
    /// Each change, each document and all that is shown, and how the lists stand to those of other members.
    /// Lists whose changes are damaged are put in quarantine. Exits with 0 only when nothing is wrong.
    Verify,
    /// Write all lists of this node into a file
    ///
    /// As they are at one instant, while the daemon runs. The file says of itself whether it is whole, and
    /// is there only once it is. It has no keys, certificates, tokens or configuration.
    Backup(Backup),
    /// Put the lists of a backup back, as a merge
    ///
    /// What is here stays as it is, and what was deleted since the backup stays deleted; doing it twice changes
    /// nothing more. Nothing is changed if the file is not whole.
    Restore(Restore),
    /// Show or change what the daemon logs
    LogLevel(LogLevel),
    /// Show how much of the cluster this node reaches
    ///
    /// It is a view and no lock: two sides may both reach a majority where members joined or were
    /// forgotten while they were apart. The verdict is about the members that are not away on purpose; a
    /// majority that is required or waited for is one of all members, with those that are away.
    Partition(Partition),
    /// Show who reaches whom
    ///
    /// Asks all members, also those that are down, whom they reach: by a connection of their own, by
    /// others only, or not at all.
    Reach,
    /// Show who was away, and what both sides wrote meanwhile
    ///
    /// Each node tells what it saw itself. A report is open until its lists are those of all that came
    /// back.
    Heals {
        /// Only this one, in words
        id: Option<String>,
        /// Ask all members, and show what each of them saw
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Follow events: members, processes, lists, partitions
    ///
    /// Goes on when the daemon was restarted, as `watch`, `monitor` and `members --watch` do. The
    /// daemon keeps the last 10,000 events, also over restarts: --since and --last begin with these,
    /// and with --until the command ends.
    Events(Events),
    /// Show the to-do lists
    Lists {
        /// Only those whose names contain this text
        #[arg(long = "match", value_name = "TEXT")]
        matching: Option<String>,
    },
    /// Show the entries of a list, or one of them
    Show(Show),
    /// Show the open entries of all lists by due date
    Agenda(Agenda),
    /// Add an entry to a list
    Add(Add),
    /// Change an entry
    Edit(Edit),
    /// Complete entries
    Done(Entries),
    /// Reopen completed entries
    Reopen(Entries),
    /// Delete entries
    ///
    /// At a terminal it asks before it deletes several. muster undo brings them back, one by one.
    Rm(Entries),
    /// Show what was written apart in a list, or in all
    ///
    /// Each value of a field that several have written at the same time, with who and when. The first
    /// one is shown everywhere until somebody decides.
    Conflicts {
        /// The list; all lists without
        list: Option<String>,
    },
    /// Settle what was written apart in a field
    ///
    /// Nothing is overwritten that came after you looked. Of `deleted` the values are deleted and
    /// edited, of `done` done and open, of `tags` +TAG and -TAG, of `order` first and `after ID`.
    Resolve(Resolve),
    /// Show who changed what in a list, or in an entry
    ///
    /// The newest first; also of a list that was deleted. Each change has a hash, whose first characters
    /// are enough for muster undo and muster show --at.
    Log(Log),
    /// Undo a change of a list, by default your last one
    ///
    /// A field is restored where nothing else was written since; what stays is told. A deleted entry or
    /// list comes back whole. Undoing is a change too, and goes to all nodes.
    Undo(Undo),
    /// Take an undoing back, by default your last one
    Redo(Undo),
    /// Move an entry to another place in its list
    Move(Move),
    /// Delete a list with all its entries
    ///
    /// At a terminal it asks. muster undo brings the list back.
    RmList(RmList),
    /// Write a list for other programs
    ///
    /// All entries, with those that are done or wait. What comes out goes in again by muster import.
    Export(Export),
    /// Add the entries of another program's file to a list
    ///
    /// All or nothing: where a line is not right, nothing is imported. An entry has the same id at each
    /// import, so that a second one doubles nothing: what is in the list already is left as it is, also
    /// where it was edited or ticked since, and what was deleted from it stays away.
    Import(Import),
    /// Follow the changes of a list
    Watch {
        /// The list
        list: String,
    },
    /// Make, show and revoke tokens for using the API over TCP
    #[command(subcommand)]
    Token(Token),
    /// Print a link to this node's page in a browser
    ///
    /// It can be used once, within a minute.
    Web {
        /// Open the page in the browser of this desktop
        #[arg(long)]
        open: bool,
    },
    /// Show the registered processes
    ///
    /// Names, groups, addresses and programs are what the user who registered a process says of it;
    /// its user is what the kernel of its node says.
    Ps(Ps),
    /// Register a running process under a name
    Register(Register),
    /// Run a command as a registered process
    Run(Box<Run>),
    /// Find a process by name
    Whereis(Named),
    /// Unregister a process; it goes on running
    Unregister(Named),
    /// Show the groups, or the members of one
    Groups {
        /// The group
        group: Option<String>,
    },
    /// Put processes into a group or take them out
    #[command(subcommand)]
    Group(Group),
    /// Follow a process: up, down, unreachable, back
    Monitor(Monitor),
    /// Have a process ended when another one ends
    Link(Link),
    /// Remove a link
    Unlink(Pair),
    /// Show the links of a process
    Links(Named),
    /// Print a completion script for a shell
    Completions {
        /// bash, zsh, fish, …
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

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
