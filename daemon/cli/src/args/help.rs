//! The commands in `--help`: in headed groups, and without a tip that could do harm.

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use std::fmt::Write;

/// The headings of `muster --help`, each with its commands in their order.
pub const GROUPS: &[(&str, &[&str])] = &[
    (
        "Lists",
        &[
            "lists",
            "show",
            "agenda",
            "add",
            "edit",
            "done",
            "reopen",
            "conflicts",
            "resolve",
            "log",
            "undo",
            "redo",
            "move",
            "rm",
            "rm-list",
            "export",
            "import",
            "watch",
        ],
    ),
    (
        "Processes",
        &[
            "ps",
            "run",
            "register",
            "unregister",
            "whereis",
            "monitor",
            "groups",
            "group",
            "links",
            "link",
            "unlink",
        ],
    ),
    (
        "Cluster",
        &[
            "init",
            "invite",
            "invitations",
            "uninvite",
            "join",
            "members",
            "partition",
            "reach",
            "heals",
            "events",
            "leave",
            "away",
            "back",
            "forget",
            "revoke",
            "revocations",
        ],
    ),
    ("Certificates and tokens", &["authority", "pki", "token"]),
    (
        "Looking after it",
        &[
            "status",
            "top",
            "doctor",
            "web",
            "reload",
            "rebuild",
            "repair",
            "verify",
            "quarantine",
            "backup",
            "restore",
            "log-level",
            "debug",
            "completions",
            "help",
        ],
    ),
    ("Development", &["dev"]),
];

/// What these do is not undone by typing it right the next time: they start, end, remove or
/// replace something.
const RISKY: &[&str] = &[
    "away",
    "back",
    "backup",
    "dev",
    "done",
    "edit",
    "forget",
    "heal",
    "init",
    "invite",
    "issue",
    "join",
    "kill",
    "leave",
    "link",
    "move",
    "register",
    "rebuild",
    "release",
    "reload",
    "renew",
    "reopen",
    "repair",
    "replace",
    "resolve",
    "retire",
    "revoke",
    "rm",
    "rm-list",
    "rotate",
    "run",
    "split",
    "start",
    "uninvite",
    "unlink",
    "unregister",
    "verify",
];

/// The margin left of a command's name, and what stands between it and its words.
const MARGIN: usize = 2;

/// The command line with its commands under headings. Clap knows headings for options only.
pub(super) fn grouped(command: Command) -> Command {
    // Building it adds `help`.
    let mut built = command.clone();
    built.build();
    let names = GROUPS.iter().flat_map(|(_, names)| *names);
    let widest = names.map(|name| name.len()).max().unwrap_or(0);
    let heading = command.get_styles().get_header();
    let name_style = command.get_styles().get_literal();
    let mut text = StyledStr::new();
    // Writing to a text cannot fail.
    let _ = write!(
        text,
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n"
    );
    for (group, names) in GROUPS {
        let _ = write!(text, "\n{heading}{group}:{heading:#}\n");
        for name in *names {
            let about = built.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let (margin, gap) = (" ".repeat(MARGIN), widest - name.len() + MARGIN);
            let gap = " ".repeat(gap);
            let _ = writeln!(text, "{margin}{name_style}{name}{name_style:#}{gap}{about}");
        }
    }
    let _ = write!(
        text,
        "\n{heading}Options:{heading:#}\n{{options}}{{after-help}}"
    );
    command.help_template(text)
}

/// A mistyped command is told with the nearest one, so that it can be typed right. Whoever follows
/// such a tip without reading it must not end or change anything by it.
pub(super) fn without_risky_tip(mut error: clap::Error) -> clap::Error {
    const TIP: ContextKind = ContextKind::SuggestedSubcommand;
    let is_harmless = |name: &String| !RISKY.contains(&name.as_str());
    let harmless: Vec<String> = match error.remove(TIP) {
        Some(ContextValue::String(name)) => Some(name).into_iter().filter(is_harmless).collect(),
        Some(ContextValue::Strings(names)) => names.into_iter().filter(is_harmless).collect(),
        Some(_) | None => Vec::new(),
    };
    if !harmless.is_empty() {
        error.insert(TIP, ContextValue::Strings(harmless));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{command, parse};
    use crate::program::{OfflineError, Program, SetupError, SignError};
    use std::ffi::OsString;

    fn program() -> Program {
        Program {
            version: || "1.2.3".to_owned(),
            daemon: |_| std::process::ExitCode::SUCCESS,
            examine_host: |_| Vec::new(),
            data_dir: |_| Err(String::new()),
            init: |_| Err(SetupError::Failed(String::new())),
            join: |_| Err(SetupError::Failed(String::new())),
            rename: |_| Err(SetupError::Failed(String::new())),
            sign: |_, _| Err(SignError::Draft(String::new())),
            rebuild: |_, _| Err(OfflineError::Failed(String::new())),
            manual: |_| Ok(()),
        }
    }

    fn answer(words: &[&str]) -> String {
        let words = std::iter::once("muster").chain(words.iter().copied());
        let error = parse(words.map(OsString::from), &program()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn each_command_stands_in_one_group() {
        let mut built = command(String::new());
        built.build();
        let visible = built.get_subcommands().filter(|one| !one.is_hide_set());
        let mut known: Vec<&str> = visible.map(Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        known.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(known, grouped);
        let mut left: Vec<&Command> = vec![&built];
        let mut names: Vec<&str> = Vec::new();
        while let Some(command) = left.pop() {
            names.push(command.get_name());
            left.extend(command.get_subcommands());
        }
        for risky in RISKY {
            assert!(names.contains(risky), "{risky} is no command");
        }
    }

    #[test]
    fn the_help_has_headings_and_fits_a_terminal() {
        let help = command(String::new()).render_help().to_string();
        for (group, _) in GROUPS {
            assert!(help.contains(&format!("\n{group}:\n  ")), "{help}");
        }
        let commands = help.lines().take_while(|line| *line != "Options:");
        for line in commands {
            assert!(line.chars().count() <= 80, "{line}");
            assert!(!line.ends_with("  "), "a command without words: {line}");
        }
        assert!(
            help.contains("--json") && help.contains("Exit codes: "),
            "{help}"
        );
    }

    #[test]
    fn help_of_a_command_can_be_asked_for_in_both_ways() {
        assert_eq!(answer(&["help", "add"]), answer(&["add", "--help"]));
        assert_eq!(
            answer(&["help", "pki", "issue"]),
            answer(&["pki", "issue", "--help"])
        );
        assert!(answer(&["help"]).contains("\nLists:\n"));
        assert_eq!(answer(&["--version"]), "muster 1.2.3\n");
    }

    #[test]
    fn the_tip_for_an_unknown_command_does_no_harm() {
        assert!(answer(&["membres"]).contains("members"));
        assert!(answer(&["sho"]).contains("show"));
        for (typed, never) in [
            (&["leav"][..], "leave"),
            (&["forge"], "forget"),
            (&["rm-lst"], "rm-list"),
            (&["unregistr"], "unregister"),
            (&["dev", "kil"], "kill"),
            (&["dev", "strat"], "start"),
            (&["pki", "rotat"], "rotate"),
            (&["token", "revok"], "revoke"),
        ] {
            let words = answer(typed);
            assert!(words.contains("unrecognized subcommand"), "{words}");
            assert!(!words.contains(&format!("'{never}'")), "{words}");
        }
    }
}
