//! Where the files of a node are, and its configuration.

use super::failed;
use super::leftovers::Leftovers;
use super::owner::Owner;
use crate::config::{Config, DEFAULT_PATH, Source};
use cli::{Placing, SetupError};
use names::NodeName;
use pki::files::{self, Mode, Replace};
use pki::{Identity, PkiError};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is made in the data directory for good: the node's own files.
const TLS: &str = "tls";
/// And the key that signs for those that join.
const AUTHORITY: &str = "authority";
/// Where the kernel tells the host's name.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// What a configuration begins with that is not in the usual place: all stays beside it.
const BESIDE: &str = "data_dir = \"data\"\n\n[api]\nsocket = \"muster.sock\"\n";

/// What kind of node is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// The first one of a cluster.
    First,
    /// A further one.
    Further,
}

/// Where the files of a node are to be.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) config: PathBuf,
    /// Whether that is where the service looks for it.
    pub(super) is_default: bool,
    /// What the configuration says so far.
    text: String,
    resolved: Config,
}

impl Place {
    /// Where a new node can be made, with its directories. Nobody else makes one there as long as
    /// `made` lives.
    ///
    /// # Errors
    /// There is one already, somebody else is making one, or the configuration has a mistake.
    pub(super) fn begin(
        placing: &Placing,
        making: Making,
        made: &mut Leftovers,
    ) -> Result<Self, SetupError> {
        let place = Self::read(placing)?;
        made.begin(place.directory(), &place.resolved.data_dir)?;
        // Read again: what was being made until now may be a node by now.
        let place = Self::read(placing)?;
        place.refuse_existing(making)?;
        Ok(place)
    }

    /// Where a node is already.
    ///
    /// # Errors
    /// There is none, or the configuration has a mistake.
    pub(super) fn of_node(placing: &Placing) -> Result<Self, SetupError> {
        let place = Self::read(placing)?;
        let certificate = &place.resolved.tls.cert;
        if certificate.exists() {
            return Ok(place);
        }
        Err(SetupError::Conflict(format!(
            "this host is no node yet: there is no {}; without --rename it joins as a new one",
            certificate.display()
        )))
    }

    fn read(placing: &Placing) -> Result<Self, SetupError> {
        let named = placing.config.clone();
        let named = named.unwrap_or_else(Source::usual_file);
        let config = std::path::absolute(&named).map_err(failed)?;
        let is_default = config == Path::new(DEFAULT_PATH);
        if is_default && !rustix::process::geteuid().is_root() {
            return Err(SetupError::Failed(
                "the node of a host is made by root; as another user name a configuration of your own \
                 (--config FILE), and all will be beside it"
                    .to_owned(),
            ));
        }
        let text = match std::fs::read_to_string(&config) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if is_default { "" } else { BESIDE }.to_owned()
            }
            Err(error) => {
                return Err(SetupError::Failed(format!(
                    "the configuration {} cannot be read: {error}",
                    config.display()
                )));
            }
        };
        let resolved = resolve(&config, &text)?;
        Ok(Self {
            config,
            is_default,
            text,
            resolved,
        })
    }

    /// Who the node is that is here.
    pub(super) fn identity(&self) -> Result<Identity, SetupError> {
        let tls = &self.resolved.tls;
        Identity::load(&tls.ca, &tls.cert, &tls.key).map_err(failed)
    }

    /// Puts another certificate of its key in the place of the node's.
    ///
    /// # Errors
    /// It does not fit, or cannot be written; the earlier one is in place.
    pub(super) fn replace_certificate(&self, pem: &str) -> Result<Identity, PkiError> {
        let tls = &self.resolved.tls;
        pki::replace_certificate((&tls.ca, &tls.cert, &tls.key), pem)
    }

    /// Its key.
    pub(super) fn key(&self) -> PathBuf {
        self.resolved.tls.key.clone()
    }

    fn refuse_existing(&self, making: Making) -> Result<(), SetupError> {
        let file = self.config.display();
        let table: toml::Table = self.text.parse().map_err(failed)?;
        let tls = &self.resolved.tls;
        let data = &self.resolved.data_dir;
        let has_run = data.join("format").exists();
        let begun = self.unfinished();
        if begun.exists() && !has_run {
            return match making {
                Making::Further => Ok(()),
                Making::First => Err(SetupError::Conflict(format!(
                    "this host has begun to join another cluster: finish that (muster join), or \
                     remove {} and what lies beside it",
                    begun.display()
                ))),
            };
        }
        if table.contains_key("tls") && has_values(&table, "tls") {
            return Err(SetupError::Conflict(format!(
                "this host is a node already, by the certificate that {file} names in [tls]; to call it \
                 otherwise: muster join … --rename; for another node take these lines out, or name \
                 another configuration (--config)"
            )));
        }
        let files = [&tls.cert, &tls.key].map(PathBuf::as_path);
        let made = [self.tls(), self.authority()];
        let mut found = files.into_iter().chain(made.iter().map(PathBuf::as_path));
        if let Some(found) = found.find(|path| path.exists()) {
            return Err(SetupError::Conflict(format!(
                "this host is a node already: there is {}; a node keeps its certificate also when it \
                 has left; to call it otherwise: muster join … --rename",
                found.display()
            )));
        }
        if has_run {
            return Err(SetupError::Conflict(format!(
                "the data directory {} belongs to a node already; for a new one it must be empty",
                data.display()
            )));
        }
        let ca = self.authority_of_cluster();
        if making == Making::First && ca.exists() {
            return Err(SetupError::Conflict(format!(
                "there is an authority in {} already: a new node of its cluster joins by a token \
                 (muster invite), or gets its certificate there (muster pki issue)",
                ca.display()
            )));
        }
        Ok(())
    }

    /// Where the key of a host lies while it joins. What was interrupted goes on with that key, so that
    /// it gets the certificate that it was given already, and uses no token twice.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.resolved.data_dir.join("joining")
    }

    /// Takes away what an interrupted attempt has installed.
    pub(super) fn begin_anew(&self) -> Result<(), SetupError> {
        match std::fs::remove_dir_all(self.tls()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The host is a node now.
    pub(super) fn finish(&self) -> Result<(), SetupError> {
        std::fs::remove_dir_all(self.unfinished()).map_err(failed)
    }

    /// The cluster's own authority.
    pub(super) fn authority_of_cluster(&self) -> PathBuf {
        self.directory().join("ca")
    }

    /// The key that signs for those that join.
    pub(super) fn authority(&self) -> PathBuf {
        self.resolved.data_dir.join(AUTHORITY)
    }

    /// The node's own files.
    pub(super) fn tls(&self) -> PathBuf {
        self.resolved.data_dir.join(TLS)
    }

    fn directory(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new("/"))
    }

    /// Where the daemon will be asked.
    pub(super) fn socket(&self) -> Result<PathBuf, SetupError> {
        let text = std::fs::read_to_string(&self.config).map_err(failed)?;
        Ok(resolve(&self.config, &text)?.api.socket)
    }

    /// Gives what was made in the data directory to the daemon's user.
    pub(super) fn hand_over(&self) -> Result<(), SetupError> {
        let data = &self.resolved.data_dir;
        match Owner::of(data, self.is_default) {
            Some(owner) => owner.take(data, &[TLS, AUTHORITY]).map_err(failed),
            None => Ok(()),
        }
    }

    /// Writes what the node needs to know into the configuration; all that stands there stays.
    pub(super) fn configure(&self, seeds: &[String], tags: &[String]) -> Result<(), SetupError> {
        let dir = self.tls();
        let file = |name: &str| quoted(&dir.join(name).display().to_string());
        let mut text = self.text.clone();
        for (key, name) in [("key", "node.key"), ("cert", "node.pem"), ("ca", "ca.pem")] {
            text = with(&text, "tls", key, &file(name));
        }
        if !seeds.is_empty() {
            let mut all = self.resolved.quic.seeds.clone();
            all.extend(seeds.iter().cloned());
            all.dedup();
            text = with(&text, "quic", "seeds", &list(&all));
        }
        if !tags.is_empty() {
            let mut all = self.resolved.node.tags.clone();
            all.extend(tags.iter().cloned());
            all.sort();
            all.dedup();
            text = with(&text, "node", "tags", &list(&all));
        }
        let read = resolve(&self.config, &text)?;
        if read.tls.key != dir.join("node.key") {
            return Err(SetupError::Failed(format!(
                "the configuration {} cannot be extended by [tls]",
                self.config.display()
            )));
        }
        files::write(&self.config, text.as_bytes(), Mode::Public, Replace::Yes).map_err(failed)
    }
}

fn resolve(config: &Path, text: &str) -> Result<Config, SetupError> {
    Source::of_process([OsString::from("musterd")])
        .resolve(config, text)
        .map_err(|error| SetupError::Failed(error.to_string()))
}

fn has_values(table: &toml::Table, name: &str) -> bool {
    let inner = table.get(name).and_then(toml::Value::as_table);
    inner.is_some_and(|inner| !inner.is_empty())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// The text with that key in that table: in the place of the line that has it, else as the first line
/// of the table, which is added if it is missing.
fn with(text: &str, table: &str, key: &str, value: &str) -> String {
    let line = format!("{key} = {value}");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let heading = format!("[{table}]");
    let is_heading = |line: &String| line.split('#').next().unwrap_or_default().trim() == heading;
    let Some(at) = lines.iter().position(is_heading) else {
        let gap = if lines.last().is_none_or(|last| last.is_empty()) {
            ""
        } else {
            "\n"
        };
        let text = lines.join("\n");
        let end = if text.is_empty() { "" } else { "\n" };
        return format!("{text}{end}{gap}{heading}\n{line}\n");
    };
    let of_table = lines.iter().skip(at + 1);
    let end = of_table
        .take_while(|line| !line.trim_start().starts_with('['))
        .count();
    let has_key = |line: &&mut String| {
        let name = line.split('=').next().unwrap_or_default();
        name.trim() == key && line.contains('=')
    };
    let known = lines.iter_mut().skip(at + 1).take(end).find(has_key);
    match known {
        Some(known) => *known = line,
        None => lines.insert(at + 1, line),
    }
    lines.join("\n") + "\n"
}

/// The name that was chosen, else the host's.
pub(super) fn node_name(chosen: Option<&str>) -> Result<NodeName, SetupError> {
    if let Some(name) = chosen {
        return NodeName::new(name).map_err(|error| SetupError::Usage(error.to_string()));
    }
    let host = std::fs::read_to_string(HOSTNAME).map_err(failed)?;
    let label = host.trim().split('.').next().unwrap_or_default();
    NodeName::new(&label.to_lowercase()).map_err(|_| {
        SetupError::Usage(format!(
            "this host's name {label:?} cannot be a node's: give it one of letters, digits and hyphens \
             (--name)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_where_its_table_is() {
        assert_eq!(with("", "tls", "ca", "\"x\""), "[tls]\nca = \"x\"\n");
        assert_eq!(
            with("data_dir = \"d\"\n", "tls", "ca", "1"),
            "data_dir = \"d\"\n\n[tls]\nca = 1\n"
        );
        let text = "# about it\n[quic] # here\n#seeds = []\nlisten = 1\n[http]\nlisten = 2\n";
        assert_eq!(
            with(text, "quic", "seeds", "[]"),
            "# about it\n[quic] # here\nseeds = []\n#seeds = []\nlisten = 1\n[http]\nlisten = 2\n"
        );
        assert_eq!(
            with(text, "quic", "listen", "3"),
            "# about it\n[quic] # here\n#seeds = []\nlisten = 3\n[http]\nlisten = 2\n"
        );
        assert!(with(text, "http", "open", "true").ends_with("[http]\nopen = true\nlisten = 2\n"));
    }

    #[test]
    fn the_example_of_the_packages_can_be_extended() {
        let example = include_str!("../../packaging/muster.toml");
        let text = with(example, "tls", "key", "\"/k\"");
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["tls"]["key"].as_str(), Some("/k"));
        let before: toml::Table = example.parse().unwrap();
        assert!(!has_values(&before, "tls") && has_values(&table, "tls"));
    }

    #[test]
    fn a_chosen_name_must_be_one() {
        assert_eq!(node_name(Some("beta")).unwrap().as_str(), "beta");
        assert!(matches!(
            node_name(Some("Beta!")),
            Err(SetupError::Usage(_))
        ));
    }
}
