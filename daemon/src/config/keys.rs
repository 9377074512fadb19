//! All keys of the configuration: what they hold and what they are for. The one place where a key is added.

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One text.
    Text,
    /// A file or directory; in a file, relative to that file.
    Path,
    /// Several texts; with commas between them in the environment and in flags.
    List,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
}

impl Kind {
    /// What would be right in a file.
    pub(super) fn in_toml(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Path => "a path in quotes",
            Self::List => "a list of texts such as [\"one\", \"two\"]",
            Self::Switch => "true or false",
            Self::Number => "a whole number",
        }
    }
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Its table; empty at the top.
    pub(super) table: &'static str,
    /// Its name in the table.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// What stands for its value in the help of its flag.
    pub(super) value: &'static str,
    /// The help of its flag.
    pub(super) help: &'static str,
}

impl Key {
    /// As people write it: `quic.listen`.
    pub(super) fn dotted(&self) -> String {
        if self.table.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.table, self.name) }
    }

    /// Its flag, without the dashes in front: `quic-listen`.
    pub(super) fn flag(&self) -> String {
        self.dotted().replace(['.', '_'], "-")
    }

    /// Its variable: `MUSTERD_QUIC__LISTEN`.
    pub(super) fn variable(&self) -> String {
        format!("MUSTERD_{}", self.dotted().replace('.', "__").to_uppercase())
    }
}

const fn key(table: &'static str, name: &'static str, kind: Kind, value: &'static str, help: &'static str) -> Key {
    Key { table, name, kind, value, help }
}

/// The keys, in the order of the help.
pub(super) const KEYS: &[Key] = &[
    key("", "data_dir", Kind::Path, "DIR", "Where the node keeps its data"),
    key("node", "tags", Kind::List, "TAG,…", "What the node says of itself, such as \"rack=7\""),
    key("api", "socket", Kind::Path, "PATH", "The unix socket for local clients"),
    key("api", "group", Kind::Text, "GROUP", "The group that may use the socket"),
    key("api", "admins", Kind::List, "USER,…", "Who may change the node and the cluster besides root"),
    key("quic", "listen", Kind::Text, "IP:PORT", "Where to listen for other nodes, on UDP"),
    key("quic", "advertise", Kind::Text, "IP[:PORT]", "Where other nodes are told to reach this one"),
    key("quic", "seeds", Kind::List, "HOST:PORT,…", "Nodes to join"),
    key("tls", "ca", Kind::Path, "FILE", "The cluster's certificate authority"),
    key("tls", "cert", Kind::Path, "FILE", "This node's certificate"),
    key("tls", "key", Kind::Path, "FILE", "This node's private key"),
    key("http", "listen", Kind::Text, "IP:PORT|none", "Where to serve metrics and the page, on TCP"),
    key("http", "hosts", Kind::List, "NAME,…", "Names under which that listener may be asked"),
    key("http", "open", Kind::Switch, "true|false", "Serve the book's two routes there to anyone"),
    key("limits", "connections", Kind::Number, "N", "Client connections in all"),
    key("limits", "connections_per_uid", Kind::Number, "N", "Client connections of one user"),
    key("limits", "streams_per_uid", Kind::Number, "N", "Streams of one user"),
    key("limits", "header_timeout", Kind::Text, "TIME", "How long a request's headers may take, such as 10s"),
    key("limits", "body_timeout", Kind::Text, "TIME", "How long a request's body may take"),
    key("limits", "resident_bytes", Kind::Number, "BYTES", "Memory for loaded lists in all"),
    key("processes", "kill_after", Kind::Text, "TIME", "How long after SIGTERM a linked process gets SIGKILL; 0s: never"),
    key("log", "level", Kind::Text, "LEVEL", "error, warn, info, debug, trace or directives"),
];

/// The key with that table and name.
pub(super) fn find(table: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.table == table && key.name == name)
}

/// Whether there is such a table.
pub(super) fn is_table(name: &str) -> bool {
    !name.is_empty() && KEYS.iter().any(|key| key.table == name)
}
