//! All keys of the configuration: the one place where a key is added or described.

use super::{Applies, Config, Default, Key, Kind, Place};
use std::time::Duration;

/// The tables, in the order of the documents; the top has no name.
pub(in crate::config) const TABLES: &[(&str, &str)] = &[
    ("", "Settings before the first table."),
    (
        "node",
        "What the node says of itself. Its name and id are in its certificate.",
    ),
    (
        "api",
        "The unix socket for programs and people of this host.",
    ),
    (
        "quic",
        "How nodes reach each other: one UDP port, QUIC with mutual TLS, no other mode.",
    ),
    (
        "tls",
        "Who this node is: files in PEM, made by \"muster pki\". They are read anew at a reload, \
            even if no key has changed. \
         $CREDENTIALS_DIRECTORY at the begin of a path is the directory of the service's \
            credentials (LoadCredential= in muster.service), \
         which systemd fills at a start only.",
    ),
    (
        "http",
        "The TCP listener: metrics, health, and what a web page needs.",
    ),
    ("limits", "Bounds of the client side."),
    ("processes", "The registry of processes."),
    ("log", "The daemon's log."),
];

/// The keys, in the order of the documents.
pub(in crate::config) static KEYS: [&Key; 23] = [
    &DATA_DIR,
    &NODE_TAGS,
    &API_SOCKET,
    &API_GROUP,
    &API_ADMINS,
    &QUIC_LISTEN,
    &QUIC_ADVERTISE,
    &QUIC_SEEDS,
    &TLS_CA,
    &TLS_CERT,
    &TLS_KEY,
    &HTTP_LISTEN,
    &HTTP_HOSTS,
    &HTTP_OPEN,
    &LIMITS_CONNECTIONS,
    &LIMITS_CONNECTIONS_PER_UID,
    &LIMITS_STREAMS_PER_UID,
    &LIMITS_HEADER_TIMEOUT,
    &LIMITS_BODY_TIMEOUT,
    &LIMITS_RESIDENT_BYTES,
    &PROCESSES_KILL_AFTER,
    &LOG_LEVEL,
    &LOG_FORMAT,
];

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);
const COUNT: Kind = Kind::Number(1, 1_000_000);
const ADDRESS: &str = "an IP address and a port, such as 0.0.0.0:6878 or [::1]:6878";

/// A key of that name, to be described further.
const fn key(
    table: &'static str,
    name: &'static str,
    kind: Kind,
    value: &'static str,
    shown: fn(&Config) -> String,
) -> Key {
    let (help, more, text, example) = ("", "", "something that is not empty", "");
    Key {
        table,
        name,
        kind,
        value,
        help,
        more,
        text,
        default: Default::Words("none"),
        example,
        applies: Applies::AtRestart,
        in_example: true,
        shown,
    }
}

pub(in crate::config) static DATA_DIR: Key = Key {
    help: "Where the node keeps its data",
    more: "It belongs to one node for good: another one's is refused. Made with mode 0700 if it \
        is missing.",
    default: Default::Place(Place {
        service: "STATE_DIRECTORY",
        in_service: "",
        root: "/var/lib/muster",
        variable: "XDG_STATE_HOME",
        below_home: ".local/state",
        file: "muster",
    }),
    ..key("", "data_dir", Kind::Path, "DIR", |config| {
        format!("{:?}", config.data_dir)
    })
};

pub(in crate::config) static NODE_TAGS: Key = Key {
    help: "What the node says of itself, such as \"rack=7\"",
    more: "Every member sees them; \"muster members --tag\" picks by them.",
    text: "1 to 64 bytes without control characters",
    example: "[\"rack=7\", \"hall=2\"]",
    ..key("node", "tags", Kind::List, "TAG,…", |config| {
        format!("{:?}", config.node.tags)
    })
};

pub(in crate::config) static API_SOCKET: Key = Key {
    help: "The unix socket for local clients",
    more: "At most 107 bytes. Where systemd hands a socket over (muster.socket), that one is used \
        instead.",
    default: Default::Place(Place {
        service: "RUNTIME_DIRECTORY",
        in_service: "muster.sock",
        root: "/run/muster/muster.sock",
        variable: "XDG_RUNTIME_DIR",
        below_home: "",
        file: "muster.sock",
    }),
    ..key("api", "socket", Kind::Path, "PATH", |config| {
        format!("{:?}", config.api.socket)
    })
};

pub(in crate::config) static API_GROUP: Key = Key {
    help: "The group that may use the socket",
    more: "A group of this host. Whoever may use the socket may read and write all lists.",
    default: Default::Words("\"muster\" where that group exists, else the daemon's own"),
    example: "\"muster\"",
    ..key("api", "group", Kind::Text, "GROUP", |config| {
        format!("{:?}", config.api.group)
    })
};

pub(in crate::config) static API_ADMINS: Key = Key {
    help: "Who may change the node and the cluster besides root",
    more: "Names or uids. They may join, leave, forget and reload; root and the daemon's own user \
        always may.",
    example: "[\"alice\", \"1001\"]",
    applies: Applies::AtReload,
    ..key("api", "admins", Kind::List, "USER,…", |config| {
        format!("{:?}", config.api.admins)
    })
};

pub(in crate::config) static QUIC_LISTEN: Key = Key {
    help: "Where to listen for other nodes, on UDP",
    more: "[::] is every address of this host, of IPv4 too.",
    text: ADDRESS,
    default: Default::Text("[::]:6878"),
    ..key("quic", "listen", Kind::Text, "IP:PORT", |config| {
        format!("{:?}", config.quic.listen)
    })
};

pub(in crate::config) static QUIC_ADVERTISE: Key = Key {
    help: "Where other nodes are told to reach this one",
    more: "Without a port, that of quic.listen.",
    text: "one IP address that others reach, such as 10.0.0.7 or 10.0.0.7:6878",
    default: Default::Words(
        "the address of quic.listen; if that is a wildcard, the own address \
        on the route to the first seed",
    ),
    example: "\"10.0.0.7\"",
    ..key("quic", "advertise", Kind::Text, "IP[:PORT]", |config| {
        format!("{:?}", config.quic.advertise)
    })
};

pub(in crate::config) static QUIC_SEEDS: Key = Key {
    help: "Nodes to join",
    more: "Any that are usually up; the own address among them does no harm. Without a port, \
        6878. Members known from before are tried too.",
    text: "a host and a port, such as node1.example:6878",
    example: "[\"alpha.example:6878\", \"beta.example:6878\"]",
    ..key("quic", "seeds", Kind::List, "HOST:PORT,…", |config| {
        format!("{:?}", config.quic.seeds)
    })
};

const fn tls_file(in_service: &'static str, root: &'static str, file: &'static str) -> Default {
    Default::Place(Place {
        service: "CREDENTIALS_DIRECTORY",
        in_service,
        root,
        variable: "XDG_CONFIG_HOME",
        below_home: ".config",
        file,
    })
}

pub(in crate::config) static TLS_CA: Key = Key {
    help: "The cluster's certificate authority",
    more: "Several in one file while an authority is replaced.",
    default: tls_file("ca.pem", "/etc/muster/tls/ca.pem", "muster/tls/ca.pem"),
    applies: Applies::AtReload,
    ..key("tls", "ca", Kind::Path, "FILE", |config| {
        format!("{:?}", config.tls.ca)
    })
};

pub(in crate::config) static TLS_CERT: Key = Key {
    help: "This node's certificate",
    more: "",
    default: tls_file(
        "node.pem",
        "/etc/muster/tls/node.pem",
        "muster/tls/node.pem",
    ),
    applies: Applies::AtReload,
    ..key("tls", "cert", Kind::Path, "FILE", |config| {
        format!("{:?}", config.tls.cert)
    })
};

pub(in crate::config) static TLS_KEY: Key = Key {
    help: "This node's private key",
    more: "Refused if others can read it.",
    default: tls_file(
        "node.key",
        "/etc/muster/tls/node.key",
        "muster/tls/node.key",
    ),
    applies: Applies::AtReload,
    ..key("tls", "key", Kind::Path, "FILE", |config| {
        format!("{:?}", config.tls.key)
    })
};

pub(in crate::config) static HTTP_LISTEN: Key = Key {
    help: "Where to serve metrics and the page, on TCP",
    text: "an IP address and a port, such as 127.0.0.1:6879 or [::1]:6879, or none",
    default: Default::Text("127.0.0.1:6879"),
    ..key("http", "listen", Kind::Text, "IP:PORT|none", |config| {
        format!("{:?}", config.http.listen)
    })
};

pub(in crate::config) static HTTP_HOSTS: Key = Key {
    help: "Names under which that listener may be asked",
    more: "Besides its address and localhost; a request for any other Host is refused, as it \
        comes from a foreign web page.",
    example: "[\"muster.example\"]",
    applies: Applies::AtReload,
    ..key("http", "hosts", Kind::List, "NAME,…", |config| {
        format!("{:?}", config.http.hosts)
    })
};

pub(in crate::config) static HTTP_OPEN: Key = Key {
    help: "Serve the two routes of the example in Elixir in Action there, to anyone",
    more: "POST /add_entry and GET /entries. Whoever reaches the listener may then read and write \
        lists.",
    in_example: false,
    default: Default::Text("false"),
    applies: Applies::AtReload,
    ..key("http", "open", Kind::Switch, "true|false", |config| {
        format!("{:?}", config.http.open)
    })
};

pub(in crate::config) static LIMITS_CONNECTIONS: Key = Key {
    help: "Client connections in all",
    more: "Each needs an open file, as each registered process does.",
    default: Default::Text("1024"),
    ..key("limits", "connections", COUNT, "N", |config| {
        format!("{:?}", config.limits.connections)
    })
};

pub(in crate::config) static LIMITS_CONNECTIONS_PER_UID: Key = Key {
    help: "Client connections of one user",
    default: Default::Text("128"),
    applies: Applies::AtReload,
    ..key("limits", "connections_per_uid", COUNT, "N", |config| {
        format!("{:?}", config.limits.connections_per_uid)
    })
};

pub(in crate::config) static LIMITS_STREAMS_PER_UID: Key = Key {
    help: "Streams of one user",
    default: Default::Text("64"),
    applies: Applies::AtReload,
    ..key("limits", "streams_per_uid", COUNT, "N", |config| {
        format!("{:?}", config.limits.streams_per_uid)
    })
};

pub(in crate::config) static LIMITS_HEADER_TIMEOUT: Key = Key {
    help: "How long a request's headers may take",
    default: Default::Text("10s"),
    applies: Applies::AtReload,
    ..key(
        "limits",
        "header_timeout",
        Kind::Time(MOMENT, HOUR),
        "TIME",
        |config| format!("{:?}", config.limits.header_timeout),
    )
};

pub(in crate::config) static LIMITS_BODY_TIMEOUT: Key = Key {
    help: "How long a request's body may take",
    default: Default::Text("30s"),
    applies: Applies::AtReload,
    ..key(
        "limits",
        "body_timeout",
        Kind::Time(MOMENT, HOUR),
        "TIME",
        |config| format!("{:?}", config.limits.body_timeout),
    )
};

pub(in crate::config) static LIMITS_RESIDENT_BYTES: Key = Key {
    help: "Memory for loaded lists in all, in bytes",
    more: "By estimate. One list of 100,000 entries takes some 100 MB; the list in use stays \
        loaded even beyond this.",
    default: Default::Text("268435456"),
    ..key(
        "limits",
        "resident_bytes",
        Kind::Number(1 << 20, 1 << 40),
        "BYTES",
        |config| format!("{:?}", config.limits.resident_bytes),
    )
};

pub(in crate::config) static PROCESSES_KILL_AFTER: Key = Key {
    help: "How long after SIGTERM a linked process gets SIGKILL; 0s: never",
    default: Default::Text("10s"),
    ..key(
        "processes",
        "kill_after",
        Kind::Time(Duration::ZERO, HOUR),
        "TIME",
        |config| format!("{:?}", config.processes.kill_after),
    )
};

pub(in crate::config) static LOG_LEVEL: Key = Key {
    help: "What is logged",
    more: "A level alone is about this program; libraries below it log warnings. Directives \
        choose by part: info,node=debug,quinn=info.",
    text: "error, warn, info, debug, trace, or directives such as info,muster=debug",
    default: Default::Text("info"),
    applies: Applies::AtReload,
    ..key("log", "level", Kind::Text, "LEVEL", |config| {
        format!("{:?}", config.log.level)
    })
};

pub(in crate::config) static LOG_FORMAT: Key = Key {
    help: "Where the log goes, and its form",
    more: "\"journal\": systemd's journal, with a field for each value. \"text\" and \"json\": \
        standard error. \"auto\": the journal where \
           systemd has connected standard error with it, else text.",
    text: "auto, text, json or journal",
    default: Default::Text("auto"),
    ..key("log", "format", Kind::Text, "FORMAT", |config| {
        format!("{:?}", config.log.format)
    })
};
