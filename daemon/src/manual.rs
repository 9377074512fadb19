//! The manual pages: of both programs from the same command lines as their `--help`, of the
//! settings from their keys.

use crate::{config, version};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use std::io;
use std::path::Path;

/// Writes all pages into a directory, which is made if it is missing: `muster.1`, one such as
/// `muster-add.1` for each of its commands, `musterd.8` and `muster.toml.5`.
pub(crate) fn write(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    pages()?
        .into_iter()
        .try_for_each(|(name, text)| std::fs::write(dir.join(name), text))
}

type Pages = Vec<(String, Vec<u8>)>;

/// What the pages tell that no `--help` does: sections of terms and what they mean.
type Section = (&'static str, &'static [(&'static str, &'static str)]);

const CLIENT: &[Section] = &[
    (
        "ENVIRONMENT",
        &[
            (
                "MUSTER_SOCKET",
                "The daemon's socket where --socket does not name it.",
            ),
            (
                "MUSTER_DEV_DIR",
                "The directory of the development cluster; without it \
                ./muster-dev.",
            ),
            (
                "NO_COLOR",
                "If it is set and not empty, nothing is coloured.",
            ),
        ],
    ),
    (
        "FILES",
        &[
            (
                "/run/muster/muster.sock",
                "The socket that is asked where nothing names another \
                one.",
            ),
            (
                "$XDG_RUNTIME_DIR/muster.sock",
                "The same of a daemon that is not the system's; \
                asked where the system's is not there.",
            ),
        ],
    ),
];

const DAEMON: &[Section] = &[
    (
        "SIGNALS",
        &[
            (
                "SIGTERM, SIGINT",
                "End in order. The others are told that this node restarts; to \
                leave for good is \"muster leave\".",
            ),
            (
                "SIGHUP",
                "Read the configuration and the certificates again. \"muster reload\" does \
                the same and answers what came of it.",
            ),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "It was told to end, or the node has left the cluster."),
            ("1", "It failed: the reason is in the log."),
            (
                "2",
                "The configuration, the command line or a certificate cannot be used; --check-config \
                tells the same of a configuration. Another start would fail alike.",
            ),
        ],
    ),
    (
        "FILES",
        &[
            (
                "/etc/muster/muster.toml",
                "The settings; see muster.toml(5).",
            ),
            (
                "/etc/muster/tls/",
                "Who this node is: ca.pem, node.pem and node.key, made \
                by \"muster pki issue\".",
            ),
            ("/var/lib/muster/", "The node's data."),
            (
                "/run/muster/muster.sock",
                "The socket for clients of this host.",
            ),
        ],
    ),
    (
        "THE SERVICE",
        &[
            (
                "muster.service",
                "Waits until the three files of /etc/muster/tls are there. Is started at boot, is \
                    killed and started again when it \
                 hangs or crashes, and stays down after ten failures within two minutes, or exit \
                    status 2. systemd hands it the \
                 certificates at a start, so a renewed one needs a restart rather than a reload.",
            ),
            (
                "muster.socket",
                "Keeps the socket while the daemon restarts, and starts it when a client comes. \
                    Its group, muster, may use the node.",
            ),
        ],
    ),
];

fn pages() -> io::Result<Pages> {
    let mut pages = vec![("muster.toml.5".to_owned(), config::manual().into_bytes())];
    let mut client = cli::command(version::full());
    client.build();
    with_commands(
        &client,
        &[("musterd", "8"), ("muster.toml", "5")],
        CLIENT,
        &mut pages,
    )?;
    let daemon = config::command();
    pages.push(page(
        &daemon,
        "8",
        &[("muster", "1"), ("muster.toml", "5")],
        DAEMON,
    )?);
    Ok(pages)
}

/// The page of a command, and those of all below it.
fn with_commands(
    command: &Command,
    related: &[(&str, &str)],
    sections: &[Section],
    pages: &mut Pages,
) -> io::Result<()> {
    pages.push(page(command, "1", related, sections)?);
    let parent = [(name(command), "1")];
    command
        .get_subcommands()
        .try_for_each(|below| with_commands(below, &parent, &[], pages))
}

fn name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

fn page(
    command: &Command,
    section: &str,
    related: &[(&str, &str)],
    sections: &[Section],
) -> io::Result<(String, Vec<u8>)> {
    let manual = if section == "8" {
        "System administration"
    } else {
        "User commands"
    };
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let man = Man::new(command.clone().override_usage(usage))
        .section(section)
        .manual(manual);
    let man = man
        .title(name(command).to_uppercase())
        .date(version::built())
        .source(version::source());
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    notes(command).to_writer(&mut text)?;
    if command.get_name() == "muster" {
        groups(command).to_writer(&mut text)?;
    } else if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    man.render_options_section(&mut text)?;
    sections
        .iter()
        .try_for_each(|section| terms(section).to_writer(&mut text))?;
    see_also(related).to_writer(&mut text)?;
    Ok((man.get_filename(), text))
}

/// What the help says after the options.
fn notes(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    for line in help.lines().filter(|line| !line.trim().is_empty()) {
        roff.control("PP", []).text([roman(line)]);
    }
    roff
}

/// The commands in the groups of `muster --help`, each by the name of its page.
fn groups(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for (group, names) in cli::GROUPS {
        roff.control("SS", [*group]);
        for below in names
            .iter()
            .filter_map(|name| command.find_subcommand(name))
        {
            let about = below.get_about().map(ToString::to_string);
            roff.control("TP", [])
                .text([bold(name(below)), roman("(1)")])
                .text([roman(about.unwrap_or_default())]);
        }
    }
    roff
}

fn terms((title, terms): &Section) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [*title]);
    for (term, meaning) in *terms {
        roff.control("TP", [])
            .text([bold(*term)])
            .text([roman(*meaning)]);
    }
    roff
}

fn see_also(pages: &[(&str, &str)]) -> Roff {
    let mut line: Vec<Inline> = Vec::new();
    for (name, section) in pages {
        let comma = if line.is_empty() { "" } else { ", " };
        line.extend([roman(comma), bold(*name), roman(format!("({section})"))]);
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]).text(line);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_all_that_can_be_typed() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "muster.1",
            "muster-add.1",
            "muster-pki-issue.1",
            "muster-dev-split.1",
            "musterd.8",
            "muster.toml.5",
        ] {
            assert!(names.contains(&name), "{name} of {names:?}");
        }
        let text = |wanted| {
            pages
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
        };
        let all = text("muster.1").unwrap();
        for part in [
            ".SS Lists\n",
            "fBmuster\\-add\\fR(1)\n",
            ".SS Development\n",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        let run = text("muster-run.1").unwrap();
        for part in [
            "restart",
            "Exit codes: the command",
            "OPTIONS OF EVERY COMMAND",
            "fBmuster\\fR(1)",
            "[OPTIONS] <NAME> \\-\\- <CMD>...",
        ] {
            assert!(run.contains(part), "{part}: {run}");
        }
        let daemon = text("musterd.8").unwrap();
        assert!(
            daemon.contains("quic\\-listen") && !daemon.contains("parent\\-pipe"),
            "{daemon}"
        );
    }
}
