//! `muster completions`: a script that has the shell ask this program at each completion, so that
//! also the names of lists, entries, processes, groups and members can be completed.
//!
//! The script calls `MUSTER_COMPLETE=SHELL muster -- WORD…`; what it calls it with is between the
//! script and this version of the program alone.

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::program::Program;
use crate::session::Session;
use crate::{dev, ids};
use api::lists::{AtQuery, EntriesQuery, ListsQuery, TodoEntry};
use api::processes::ProcessesQuery;
use clap::{Arg, ArgMatches, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use client::ClientError;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

const VARIABLE: &str = "MUSTER_COMPLETE";

/// Longer nobody waits for a completion.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints the script that teaches a shell to complete this command line.
pub(crate) fn run(shell: clap_complete::Shell, output: &Output) -> Result<(), Failure> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&shell.to_string())
        .ok_or_else(|| Failure::Failed(format!("{shell} has no completions")))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "muster", "muster", "muster", &mut script)?;
    // The function has the name that Bash's other completions give theirs.
    let script = String::from_utf8_lossy(&script).replace("_clap_complete_muster", "_muster");
    output.raw(&script)
}

/// Completes the words after `--` if a shell's script asks for it.
pub(crate) fn asked(args: &[OsString], program: &Program) -> Option<ExitCode> {
    let shell = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty())?;
    let words = args.iter().skip_while(|arg| *arg != "--").skip(1).cloned();
    let asked = Arc::new(Asked {
        words: words.collect(),
        is_bash: shell == "bash",
        command: crate::command((program.version)()),
    });
    let done = CompleteEnv::with_factory(|| with_names(asked.command.clone(), &asked))
        .var(VARIABLE)
        .try_complete(args, std::env::current_dir().ok().as_deref());
    Some(match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// What a value names, if a daemon can tell.
#[derive(Clone, Copy, Debug)]
enum Named {
    List,
    Entry,
    Tag,
    Process,
    Group,
    Member,
    DevNode,
}

/// By the identifiers of the arguments, which stand in `args` for the same things everywhere.
fn named(command: &str, argument: &Arg) -> Option<Named> {
    match (command, argument.get_id().as_str()) {
        // A new name.
        ("register" | "run", "process") => None,
        (_, "list") | ("agenda", "lists") => Some(Named::List),
        ("add" | "edit" | "show" | "agenda", "tags" | "untag") => Some(Named::Tag),
        (_, "id" | "ids" | "before" | "after") => Some(Named::Entry),
        (_, "process" | "processes" | "other") => Some(Named::Process),
        (_, "group") => Some(Named::Group),
        (_, "member" | "on") => Some(Named::Member),
        (_, "node") => Some(Named::DevNode),
        _ => None,
    }
}

fn with_names(command: Command, asked: &Arc<Asked>) -> Command {
    let name = command.get_name().to_owned();
    command
        .mut_args(|argument| match named(&name, &argument) {
            Some(named) => {
                let asked = Arc::clone(asked);
                argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
                    asked.candidates(named, typed)
                }))
            }
            None => argument,
        })
        .mut_subcommands(|command| with_names(command, asked))
}

/// A command line that is being typed.
#[derive(Debug)]
struct Asked {
    words: Vec<OsString>,
    is_bash: bool,
    command: Command,
}

impl Asked {
    /// What fits what was typed; nothing where no daemon answers, since a completion has no place
    /// for a reason.
    fn candidates(&self, named: Named, typed: &OsStr) -> Vec<CompletionCandidate> {
        let typed = unescaped(&typed.to_string_lossy());
        let found = self.names(named).unwrap_or_default();
        found
            .into_iter()
            .filter(|(name, _)| name.starts_with(&typed))
            .map(|(name, about)| {
                let name = if self.is_bash { escaped(&name) } else { name };
                CompletionCandidate::new(name).help(about.map(Into::into))
            })
            .collect()
    }

    fn names(&self, named: Named) -> Result<Vec<(String, Option<String>)>, Failure> {
        let typed = self.command.clone().ignore_errors(true);
        let Ok(typed) = typed.try_get_matches_from(&self.words) else {
            return Ok(Vec::new());
        };
        let global = Global {
            socket: value::<PathBuf>(&typed, "socket"),
            node: value::<String>(&typed, "node"),
            json: true,
            timeout: Some(PATIENCE),
        };
        if matches!(named, Named::DevNode) {
            let nodes = dev::running(None).map(|running| running.nodes);
            return Ok(alone(nodes.unwrap_or_default()));
        }
        let output = Output::of_process(true);
        let session = Session::new(&global, &output)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let list = value::<String>(&typed, "list").unwrap_or_default();
        runtime.block_on(session.ask(told(&session, named, &list)))
    }
}

/// What the daemon has to tell of such a name; entries are those of `list`.
async fn told(
    session: &Session<'_>,
    named: Named,
    list: &str,
) -> Result<Vec<(String, Option<String>)>, ClientError> {
    let client = session.client();
    Ok(match named {
        Named::List => {
            let lists = client.lists(&ListsQuery::default()).await?.value;
            alone(lists.into_iter().map(|list| list.name))
        }
        Named::Entry => {
            let (which, at) = (EntriesQuery::default(), AtQuery::default());
            let wait = session.wait();
            entries(&client.entries(list, &which, &at, &wait).await?.value)
        }
        Named::Tag => {
            let which = EntriesQuery::default();
            let (at, wait) = (AtQuery::default(), session.wait());
            let entries = if list.is_empty() {
                client.agenda(&which).await?.value
            } else {
                client.entries(list, &which, &at, &wait).await?.value
            };
            let tags = entries.into_iter().flat_map(|entry| entry.tags);
            alone(tags.collect::<BTreeSet<_>>())
        }
        Named::Process => {
            let which = ProcessesQuery::default();
            let processes = client.processes(&which).await?.value;
            alone(processes.into_iter().map(|process| process.name))
        }
        Named::Group => {
            let groups = client.groups().await?.value;
            alone(groups.into_iter().map(|group| group.name))
        }
        Named::Member => {
            let members = client.members().await?.value;
            alone(members.into_iter().map(|member| member.name))
        }
        Named::DevNode => Vec::new(),
    })
}

/// Names without a word about them.
fn alone(names: impl IntoIterator<Item = String>) -> Vec<(String, Option<String>)> {
    names.into_iter().map(|name| (name, None)).collect()
}

/// Entries by the ends of their ids that `muster show` prints, with their titles.
fn entries(entries: &[TodoEntry]) -> Vec<(String, Option<String>)> {
    let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let short = ids::short(&ids);
    entries
        .iter()
        .map(|entry| {
            let id = entry.id.as_str();
            let id = short.get(id).copied().unwrap_or(id);
            (id.to_owned(), Some(crate::text::printable(&entry.title)))
        })
        .collect()
}

/// The value of an option of every command, or of the innermost command.
fn value<T: Clone + Send + Sync + 'static>(typed: &ArgMatches, name: &str) -> Option<T> {
    let inner = typed.subcommand().and_then(|(_, inner)| value(inner, name));
    inner.or_else(|| typed.try_get_one::<T>(name).ok().flatten().cloned())
}

/// As Bash takes a word without quotes.
fn escaped(name: &str) -> String {
    let mut word = String::new();
    for c in name.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !"._-+/:@%,".contains(c) {
            word.push('\\');
        }
        word.push(c);
    }
    word
}

fn unescaped(word: &str) -> String {
    let mut chars = word.chars();
    let mut name = String::new();
    while let Some(c) = chars.next() {
        name.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_being_words_of_a_shell() {
        for name in ["plain", "Weekly chores", "a \"b\" $c `d` \\e", "日本 (x)"] {
            assert_eq!(unescaped(&escaped(name)), name);
        }
        assert_eq!(escaped("Weekly chores"), "Weekly\\ chores");
    }

    #[test]
    fn each_argument_that_takes_a_name_can_be_completed() {
        let asked = Arc::new(Asked {
            words: Vec::new(),
            is_bash: true,
            command: crate::command("0".to_owned()),
        });
        let command = with_names(asked.command.clone(), &asked);
        let completes = |command: &str, argument: &str| {
            let found = asked.command.find_subcommand(command);
            let argument = found.and_then(|found| {
                let mut all = found.get_arguments();
                all.find(|arg| arg.get_id() == argument)
            });
            argument.map(|argument| named(command, argument).is_some())
        };
        for (command, argument, is_completed) in [
            ("show", "list", true),
            ("done", "ids", true),
            ("move", "before", true),
            ("edit", "ids", true),
            ("edit", "untag", true),
            ("agenda", "lists", true),
            ("whereis", "process", true),
            ("register", "process", false),
            ("link", "other", true),
            ("groups", "group", true),
            ("forget", "member", true),
        ] {
            let found = completes(command, argument);
            assert_eq!(found, Some(is_completed), "{command} {argument}");
        }
        command.debug_assert();
    }
}
