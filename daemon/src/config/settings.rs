//! The settings: the one place where one is added or described. The types that they are read into,
//! the keys that flags, environment and file know, and all that is written about them for people
//! follow from these rows.

use super::keys::{Applies, Default, Key, Kind, Place};
use super::resolve::{
    Reader, address, address_or_none, host_port, log_format, log_level, not_empty, pace, process,
    reachable, tag,
};
use super::{DevFlags, LogFormat};
use crdt::roster::Pace;
use names::ProcessName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);
const COUNT: Kind = Kind::Number(1, 1_000_000);
const ADDRESS: &str = "an IP address and a port, such as 0.0.0.0:6878 or [::1]:6878";

/// From a row `field: type, what it holds, the placeholder in help, how it is read, its line of
/// help => { what else there is to say: see [`Key`] }`.
macro_rules! settings {
    (
        top $top_about:literal { $(
            $top:ident: $top_type:ty, $top_kind:expr, $top_value:literal, $top_read:expr,
                $top_help:literal => { $($top_part:ident: $top_fact:expr),* $(,)? }
        )* }
        $( $table:ident $Table:ident $about:literal { $(
            $(#[$doc:meta])*
            $field:ident: $type:ty, $kind:expr, $value:literal, $read:expr,
                $help:literal => { $($part:ident: $fact:expr),* $(,)? }
        )* } )*
    ) => {
        /// Everything that `musterd` needs to know, fully resolved and checked.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $( #[doc = $top_help] pub $top: $top_type, )*
            $( #[doc = $about] pub $table: $Table, )*
            /// Whether the fault call of the development cluster is served. A flag only, never in a
            /// file.
            pub dev_faults: bool,
            /// QUIC addresses that are blocked from the first packet on: the present split of a
            /// development cluster.
            pub dev_block: Vec<SocketAddr>,
            /// Whether the daemon ends when its standard input closes: see `host::watch_parent`.
            pub parent_pipe: bool,
        }

        $(
            #[doc = $about]
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Table {
                $( #[doc = $help] $(#[$doc])* pub $field: $type, )*
            }

            impl $Table {
                fn read(reader: &mut Reader<'_>) -> Option<Self> {
                    $( let $field = read(reader, &key::$table::$field, $read); )*
                    Some(Self { $( $field: $field?, )* })
                }
            }
        )*

        impl Config {
            /// Reads all settings; `None` if one has a mistake, which the reader has noted.
            pub(super) fn read(reader: &mut Reader<'_>, dev: &DevFlags) -> Option<Self> {
                $( let $top = read(reader, &key::top::$top, $top_read); )*
                $( let $table = $Table::read(reader); )*
                Some(Self {
                    $( $top: $top?, )*
                    $( $table: $table?, )*
                    dev_faults: dev.faults,
                    dev_block: dev.block.clone(),
                    parent_pipe: dev.parent_pipe,
                })
            }
        }

        /// The keys, by their table.
        mod key {
            pub(super) mod top {
                #![expect(non_upper_case_globals, reason = "they are named as people name them")]
                use crate::config::settings::*;
                $( pub(in crate::config) static $top: Key = Key {
                    help: $top_help,
                    $( $top_part: $top_fact, )*
                    ..described("", stringify!($top), $top_kind, $top_value, |config| {
                        format!("{:?}", config.$top)
                    })
                }; )*
            }
            $( pub(super) mod $table {
                #![expect(non_upper_case_globals, reason = "they are named as people name them")]
                use crate::config::settings::*;
                $( pub(in crate::config) static $field: Key = Key {
                    help: $help,
                    $( $part: $fact, )*
                    ..described(stringify!($table), stringify!($field), $kind, $value, |config| {
                        format!("{:?}", config.$table.$field)
                    })
                }; )*
            } )*
        }

        /// All keys, in the order of the documents.
        pub(super) static KEYS: &[&Key] =
            &[ $( &key::top::$top, )* $( $( &key::$table::$field, )* )* ];

        /// The tables with what they are about, in the order of the documents; the top has no name.
        pub(super) const TABLES: &[(&str, &str)] =
            &[ ("", $top_about), $( (stringify!($table), $about), )* ];
    };
}

settings! {
    top "Settings before the first table." {
        data_dir: PathBuf, Kind::Path, "DIR", Reader::path,
            "Where the node keeps its data" => {
            more: "It belongs to one node for good: another one's is refused. Made with mode \
                0700 if it is missing.",
            default: Default::Place(Place {
                service: "STATE_DIRECTORY",
                in_service: "",
                root: "/var/lib/muster",
                variable: "XDG_STATE_HOME",
                below_home: ".local/state",
                file: "muster",
            }),
        }
    }
    node Node "What the node says of itself. Its name and id are in its certificate." {
        tags: Vec<String>, Kind::List, "TAG,…", |reader, key| reader.list(key, tag),
            "What the node says of itself, such as \"rack=7\"" => {
            more: "Every member sees them; \"muster members --tag\" picks by them.",
            text: "1 to 64 bytes without control characters",
            example: "[\"rack=7\", \"hall=2\"]",
        }
    }
    api Api "The unix socket for programs and people of this host." {
        socket: PathBuf, Kind::Path, "PATH", Reader::socket_path,
            "The unix socket for local clients" => {
            more: "At most 107 bytes. Where systemd hands a socket over (muster.socket), that \
                one is used instead.",
            default: Default::Place(Place {
                service: "RUNTIME_DIRECTORY",
                in_service: "muster.sock",
                root: "/run/muster/muster.sock",
                variable: "XDG_RUNTIME_DIR",
                below_home: "",
                file: "muster.sock",
            }),
        }
        /// Without one, `muster` is used if it exists.
        group: Option<String>, Kind::Text, "GROUP", |reader, key| reader.optional(key, not_empty),
            "The group that may use the socket" => {
            more: "A group of this host. Whoever may use the socket may read and write all \
                lists.",
            default: Default::Words("\"muster\" where that group exists, else the daemon's own"),
            example: "\"muster\"",
        }
        admins: Vec<String>, Kind::List, "USER,…", |reader, key| reader.list(key, not_empty),
            "Who may change the node and the cluster besides root" => {
            more: "Names or uids. They may join, leave, forget and reload; root and the daemon's \
                own user always may.",
            example: "[\"alice\", \"1001\"]",
            applies: Applies::AtReload,
        }
    }
    quic Quic "How nodes reach each other: one UDP port, QUIC with mutual TLS, no other mode." {
        listen: SocketAddr, Kind::Text, "IP:PORT", |reader, key| reader.text(key, address),
            "Where to listen for other nodes, on UDP" => {
            more: "[::] is every address of this host, of IPv4 too.",
            text: ADDRESS,
            default: Default::Text("[::]:6878"),
        }
        /// `None`: where it listens, if that is one address; else it is chosen while the node runs.
        advertise: Option<SocketAddr>, Kind::Text, "IP[:PORT]",
            |reader, key| reader.optional(key, reachable),
            "Where other nodes are told to reach this one" => {
            more: "Without a port, that of quic.listen.",
            text: "one IP address that others reach, such as 10.0.0.7 or 10.0.0.7:6878",
            default: Default::Words(
                "the address of quic.listen; if that is a wildcard, the own address \
                on the route to the first seed, else on the default route, as it changes",
            ),
            example: "\"10.0.0.7\"",
        }
        interface: Option<String>, Kind::Text, "NAME", |reader, key| reader.optional(key, not_empty),
            "The interface whose address other nodes are told" => {
            more: "In place of quic.advertise, where quic.listen is a wildcard. The node waits \
                until the interface is there and has an address, and follows its changes.",
            default: Default::Words("any"),
            example: "\"wg0\"",
        }
        seeds: Vec<String>, Kind::List, "HOST:PORT,…", |reader, key| reader.list(key, host_port),
            "Nodes to join" => {
            more: "Any that are usually up; the own address among them does no harm. Without a \
                port, 6878. Members known from before are tried too.",
            text: "a host and a port, such as node1.example:6878",
            example: "[\"alpha.example:6878\", \"beta.example:6878\"]",
        }
    }
    cluster Cluster "How the nodes of the cluster speak with each other." {
        accept_v1: bool, Kind::Switch, "true|false", Reader::switch,
            "Speak protocol 1 with members that know nothing newer" => {
            more: "For the time in which a cluster of such members is upgraded node by node. What \
                they say of other nodes proves nothing, and is believed within bounds. Take it out \
                again when all are upgraded.",
            default: Default::Text("false"),
        }
        pace: Pace, Kind::Text, "normal|metered", |reader, key| reader.text(key, pace),
            "Whether this node's links are paid by the byte" => {
            more: "\"metered\": at rest little is said on them. A member that has died is found out \
                within half a minute rather than three seconds; changes go at once all the same. \
                A link is metered if either of its ends is.",
            text: "normal or metered",
            default: Default::Text("normal"),
        }
        accept_unsigned: bool, Kind::Switch, "true|false", Reader::switch,
            "Take changes of lists by authors for whom no node has signed" => {
            more: "Programs that speak protocol 1 only did not sign: in a cluster that was upgraded \
                from them, a node that joins later needs this to have the lists that are older. \
                Without it a member can bring no more authors into a list than it signs for.",
            default: Default::Text("false"),
        }
    }
    tls Tls "Who this node is: files in PEM, made by \"muster pki\". They are read anew at a \
        reload, even if no key has changed. $CREDENTIALS_DIRECTORY at the begin of a path is \
        the directory of the service's credentials (LoadCredential= in muster.service), \
        which systemd fills at a start only." {
        ca: PathBuf, Kind::Path, "FILE", Reader::path,
            "The cluster's certificate authority" => {
            more: "Several in one file while an authority is replaced.",
            default: tls_file("ca.pem", "/etc/muster/tls/ca.pem", "muster/tls/ca.pem"),
            applies: Applies::AtReload,
        }
        cert: PathBuf, Kind::Path, "FILE", Reader::path,
            "This node's certificate" => {
            more: "",
            default: tls_file(
                "node.pem",
                "/etc/muster/tls/node.pem",
                "muster/tls/node.pem",
            ),
            applies: Applies::AtReload,
        }
        key: PathBuf, Kind::Path, "FILE", Reader::path,
            "This node's private key" => {
            more: "Refused if others can read it.",
            default: tls_file(
                "node.key",
                "/etc/muster/tls/node.key",
                "muster/tls/node.key",
            ),
            applies: Applies::AtReload,
        }
    }
    http Http "The TCP listener: metrics, health, and what a web page needs." {
        /// `None` for no listener.
        listen: Option<SocketAddr>, Kind::Text, "IP:PORT|none",
            |reader, key| reader.text(key, address_or_none),
            "Where to serve metrics and the page, on TCP" => {
            text: "an IP address and a port, such as 127.0.0.1:6879 or [::1]:6879, or none",
            default: Default::Text("127.0.0.1:6879"),
        }
        hosts: Vec<String>, Kind::List, "NAME,…", |reader, key| reader.list(key, not_empty),
            "Names under which that listener may be asked" => {
            more: "Besides its address and localhost; a request for any other Host is refused, \
                as it comes from a foreign web page.",
            example: "[\"muster.example\"]",
            applies: Applies::AtReload,
        }
        tls_cert: Option<PathBuf>, Kind::Path, "FILE", Reader::optional_path,
            "The certificate with which that listener speaks TLS" => {
            more: "In PEM, followed by those between it and its authority, which may be any that \
                clients trust. With it and http.tls_key the listener speaks TLS 1.3 and 1.2, and \
                nothing else. Read anew at a reload, even if no key has changed.",
            example: "\"/etc/muster/http/cert.pem\"",
            applies: Applies::AtReload,
        }
        tls_key: Option<PathBuf>, Kind::Path, "FILE", Reader::optional_path,
            "The private key of that certificate" => {
            more: "In PEM. Refused if others can read it.",
            example: "\"/etc/muster/http/key.pem\"",
            applies: Applies::AtReload,
        }
        plain_tokens: bool, Kind::Switch, "true|false", Reader::switch,
            "Take tokens from the network without TLS" => {
            more: "Whoever sees the packets can read and use them: only for a network that \
                encrypts by itself. The loopback interface needs no such leave.",
            default: Default::Text("false"),
            applies: Applies::AtReload,
        }
        open: bool, Kind::Switch, "true|false", Reader::switch,
            "Serve the two routes of the example in Elixir in Action there, to anyone" => {
            more: "POST /add_entry and GET /entries. Whoever reaches the listener may then read \
                and write lists.",
            in_example: false,
            default: Default::Text("false"),
            applies: Applies::AtReload,
        }
    }
    limits Limits "Bounds of the client side." {
        connections: usize, COUNT, "N", Reader::number,
            "Client connections in all" => {
            more: "Each needs an open file, as each registered process does.",
            default: Default::Text("1024"),
        }
        connections_per_uid: usize, COUNT, "N", Reader::number,
            "Client connections of one user" => {
            default: Default::Text("128"),
            applies: Applies::AtReload,
        }
        streams_per_uid: usize, COUNT, "N", Reader::number,
            "Streams of one user" => {
            default: Default::Text("64"),
            applies: Applies::AtReload,
        }
        names_per_uid: usize, COUNT, "N", Reader::number,
            "Names of registered processes of one user on this node" => {
            more: "Root's are not counted. One process has at most 64, and an eighth of all room \
                is kept for root.",
            default: Default::Text("1000"),
        }
        written_per_uid: usize, Kind::Number(1 << 20, 1 << 40), "BYTES", Reader::number,
            "What one user may write into lists through this node within a day, in bytes" => {
            more: "All nodes keep it, also when it is deleted. Root's is not counted, and a restart \
                begins anew.",
            default: Default::Text("268435456"),
            applies: Applies::AtReload,
        }
        header_timeout: Duration, Kind::Time(MOMENT, HOUR), "TIME", Reader::time,
            "How long a request's headers may take" => {
            default: Default::Text("10s"),
            applies: Applies::AtReload,
        }
        body_timeout: Duration, Kind::Time(MOMENT, HOUR), "TIME", Reader::time,
            "How long a request's body may take" => {
            default: Default::Text("30s"),
            applies: Applies::AtReload,
        }
        resident_bytes: usize, Kind::Number(1 << 20, 1 << 40), "BYTES", Reader::number,
            "Memory for loaded lists in all, in bytes" => {
            more: "By estimate. One list of 100,000 entries takes some 100 MB; the list in use \
                stays loaded even beyond this.",
            default: Default::Text("268435456"),
        }
    }
    processes Processes "The registry of processes." {
        kill_after: Duration, Kind::Time(Duration::ZERO, HOUR), "TIME", Reader::time,
            "How long after SIGTERM a linked process gets SIGKILL; 0s: never" => {
            default: Default::Text("10s"),
        }
        expect: Vec<ProcessName>, Kind::List, "NAME,…", |reader, key| reader.list(key, process),
            "Names that some process of the cluster should have at any time" => {
            more: "While nobody has one of them, muster_processes_expected is 0 for it and muster doctor \
                says so; for an hour after it ended http_sd keeps its target, with the state down.",
            text: "the name of a process, such as web",
            example: "[\"web\"]",
            applies: Applies::AtReload,
        }
    }
    log Log "The daemon's log." {
        /// It has been checked.
        level: String, Kind::Text, "LEVEL", |reader, key| reader.text(key, log_level),
            "What is logged" => {
            more: "A level alone is about this program; libraries below it log warnings. \
                Directives choose by part: info,node=debug,quinn=info.",
            text: "error, warn, info, debug, trace, or directives such as info,muster=debug",
            default: Default::Text("info"),
            applies: Applies::AtReload,
        }
        format: LogFormat, Kind::Text, "FORMAT", |reader, key| reader.text(key, log_format),
            "Where the log goes, and its form" => {
            more: "\"journal\": systemd's journal, with a field for each value. \"text\" and \
                \"json\": standard error. \"auto\": the journal where systemd has connected \
                standard error with it, else text.",
            text: "auto, text, json or journal",
            default: Default::Text("auto"),
        }
    }
}

/// A key of that name, to be described further.
const fn described(
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

fn read<'a, T>(
    reader: &mut Reader<'a>,
    key: &Key,
    how: impl FnOnce(&mut Reader<'a>, &Key) -> Option<T>,
) -> Option<T> {
    how(reader, key)
}
