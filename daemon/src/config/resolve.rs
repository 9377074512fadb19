//! From texts to typed values, with the defaults for what nobody gave.

use super::flags::DevFlags;
use super::given::{Given, Setting, Value};
use super::keys::{self, Default, Key, Kind};
use super::level::plausible;
use super::{
    Api, Config, Http, Limits, Log, LogFormat, Node, Processes, Quic, Surroundings, Tls, advertise,
    defaults, duration,
};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The longest path of a unix socket: `sun_path` has 108 bytes, one of them a zero.
const MAX_SOCKET_BYTES: usize = 107;

/// The resolved configuration, or `None` with at least one more mistake told.
pub(super) fn resolve(
    given: &Given,
    dev: &DevFlags,
    surroundings: &Surroundings,
    mistakes: &mut Vec<String>,
) -> Option<Config> {
    let mut reader = Reader {
        given,
        surroundings,
        mistakes,
    };
    let data_dir = reader.path(&keys::DATA_DIR);
    let tags = reader.list(&keys::NODE_TAGS, tag);
    let api = reader.api();
    let quic = reader.quic();
    let tls = reader.tls();
    let http = reader.http();
    let limits = reader.limits();
    let kill_after = reader.time(&keys::PROCESSES_KILL_AFTER);
    let log = reader.log();
    Some(Config {
        data_dir: data_dir?,
        node: Node { tags: tags? },
        api: api?,
        quic: quic?,
        tls: tls?,
        http: http?,
        limits: limits?,
        processes: Processes {
            kill_after: kill_after?,
        },
        log: log?,
        dev_faults: dev.faults,
        dev_block: dev.block.clone(),
        parent_pipe: dev.parent_pipe,
    })
}

/// Reads keys; what is wrong with one is told, and the others are read all the same.
struct Reader<'a> {
    given: &'a Given,
    surroundings: &'a Surroundings,
    mistakes: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn api(&mut self) -> Option<Api> {
        let socket = self
            .path(&keys::API_SOCKET)
            .and_then(|path| self.short(path));
        let group = self.optional(&keys::API_GROUP, not_empty);
        let admins = self.list(&keys::API_ADMINS, not_empty);
        Some(Api {
            socket: socket?,
            group: group?,
            admins: admins?,
        })
    }

    fn quic(&mut self) -> Option<Quic> {
        let listen = self.text(&keys::QUIC_LISTEN, address);
        let seeds = self.list(&keys::QUIC_SEEDS, host_port);
        let explicit = self.optional(&keys::QUIC_ADVERTISE, reachable);
        let listen = listen?;
        let advertise = match explicit? {
            Some(given) => Some(given.or_port(listen.port())),
            None => advertise::advertised(listen, seeds.as_deref()?),
        };
        Some(Quic {
            listen,
            advertise,
            seeds: seeds?,
        })
    }

    fn tls(&mut self) -> Option<Tls> {
        let (ca, cert, key) = (
            self.path(&keys::TLS_CA),
            self.path(&keys::TLS_CERT),
            self.path(&keys::TLS_KEY),
        );
        Some(Tls {
            ca: ca?,
            cert: cert?,
            key: key?,
        })
    }

    fn http(&mut self) -> Option<Http> {
        let listen = self.text(&keys::HTTP_LISTEN, |text| {
            if text == "none" {
                Some(None)
            } else {
                address(text).map(Some)
            }
        });
        let hosts = self.list(&keys::HTTP_HOSTS, not_empty);
        let open = self.switch(&keys::HTTP_OPEN);
        Some(Http {
            listen: listen?,
            hosts: hosts?,
            open: open?,
        })
    }

    fn limits(&mut self) -> Option<Limits> {
        let connections = self.number(&keys::LIMITS_CONNECTIONS);
        let connections_per_uid = self.number(&keys::LIMITS_CONNECTIONS_PER_UID);
        let streams_per_uid = self.number(&keys::LIMITS_STREAMS_PER_UID);
        let resident_bytes = self.number(&keys::LIMITS_RESIDENT_BYTES);
        let header_timeout = self.time(&keys::LIMITS_HEADER_TIMEOUT);
        let body_timeout = self.time(&keys::LIMITS_BODY_TIMEOUT);
        Some(Limits {
            connections: connections?,
            connections_per_uid: connections_per_uid?,
            streams_per_uid: streams_per_uid?,
            header_timeout: header_timeout?,
            body_timeout: body_timeout?,
            resident_bytes: resident_bytes?,
        })
    }

    fn log(&mut self) -> Option<Log> {
        let level = self.text(&keys::LOG_LEVEL, |text| {
            plausible(text).then(|| text.to_owned())
        });
        let format = self.text(&keys::LOG_FORMAT, log_format);
        Some(Log {
            level: level?,
            format: format?,
        })
    }

    fn setting(&self, key: &Key) -> Option<&Setting> {
        self.given.get(&key.dotted())
    }

    /// A key's one text, judged.
    fn text<T>(&mut self, key: &Key, judge: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (text, place) = match (self.setting(key), key.default) {
            (
                Some(Setting {
                    value: Value::Text(text),
                    place,
                }),
                _,
            ) => (text.as_str(), place.clone()),
            (_, Default::Text(default)) => (default, key.dotted()),
            (_, Default::Place(_) | Default::Words(_)) => ("", key.dotted()),
        };
        let judged = judge(text).ok_or_else(|| {
            format!(
                "{place} is {text:?}, but must be \
            {}",
                key.right()
            )
        });
        self.keep(judged)
    }

    /// The same for a key that need not be given.
    fn optional<T>(&mut self, key: &Key, judge: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
        if self.setting(key).is_none() {
            return Some(None);
        }
        self.text(key, judge).map(Some)
    }

    fn list<T>(&mut self, key: &Key, judge: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
        let Some(Setting {
            value: Value::List(items),
            place,
        }) = self.given.get(&key.dotted())
        else {
            return Some(Vec::new());
        };
        let wrong = |item: &String| {
            format!(
                "{place} has {item:?}, but each of them must be \
            {}",
                key.right()
            )
        };
        let judged: Vec<Option<T>> = items
            .iter()
            .map(|item| self.keep(judge(item).ok_or_else(|| wrong(item))))
            .collect();
        judged.into_iter().collect()
    }

    fn path(&mut self, key: &Key) -> Option<PathBuf> {
        match (self.setting(key), key.default) {
            (None, Default::Place(place)) => {
                self.keep(defaults::place(self.surroundings, key, place))
            }
            (_, Default::Place(_) | Default::Text(_) | Default::Words(_)) => self
                .text(key, not_empty)
                .and_then(|text| self.expanded(key, text)),
        }
    }

    /// A path in the directory of the service's credentials may name its variable.
    fn expanded(&mut self, key: &Key, text: String) -> Option<PathBuf> {
        let Some(rest) = text
            .strip_prefix('$')
            .and_then(|text| text.strip_prefix(defaults::CREDENTIALS))
        else {
            return Some(PathBuf::from(text));
        };
        let place = self
            .setting(key)
            .map_or_else(|| key.dotted(), |setting| setting.place.clone());
        let missing = || {
            format!(
                "{place} is {text:?}, but {} is not set: only a service with \
                LoadCredential= has it",
                defaults::CREDENTIALS
            )
        };
        let dir = self.surroundings.var(defaults::CREDENTIALS);
        let path = dir
            .map(|dir| PathBuf::from(format!("{dir}{rest}")))
            .ok_or_else(missing);
        self.keep(path)
    }

    fn switch(&mut self, key: &Key) -> Option<bool> {
        if let Some(Setting {
            value: Value::Switch(on),
            ..
        }) = self.setting(key)
        {
            return Some(*on);
        }
        self.text(key, |text| text.parse().ok())
    }

    fn number(&mut self, key: &Key) -> Option<usize> {
        let allowed = if let Kind::Number(least, most) = key.kind {
            least..=most
        } else {
            0..=usize::MAX
        };
        let bounded = |number: i64| {
            usize::try_from(number)
                .ok()
                .filter(|number| allowed.contains(number))
        };
        if let Some(Setting {
            value: Value::Number(number),
            place,
        }) = self.setting(key)
        {
            let judged = bounded(*number).ok_or_else(|| {
                format!(
                    "{place} is {number}, but must be \
                {}",
                    key.right()
                )
            });
            return self.keep(judged);
        }
        self.text(key, |text| text.parse().ok().and_then(bounded))
    }

    fn time(&mut self, key: &Key) -> Option<Duration> {
        let allowed = if let Kind::Time(least, most) = key.kind {
            least..=most
        } else {
            Duration::ZERO..=Duration::MAX
        };
        self.text(key, |text| {
            duration::parse(text).filter(|time| allowed.contains(time))
        })
    }

    fn short(&mut self, socket: PathBuf) -> Option<PathBuf> {
        let bytes = socket.as_os_str().len();
        let place = self
            .setting(&keys::API_SOCKET)
            .map_or("api.socket", |setting| setting.place.as_str());
        let too_long = format!(
            "{place} has {bytes} bytes, but the path of a unix socket must have at most \
                {MAX_SOCKET_BYTES}: {}",
            socket.display()
        );
        self.keep(if bytes <= MAX_SOCKET_BYTES {
            Ok(socket)
        } else {
            Err(too_long)
        })
    }

    fn keep<T>(&mut self, judged: Result<T, String>) -> Option<T> {
        judged.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }
}

/// An address to advertise; the port may be left to the listener.
enum Reachable {
    Ip(IpAddr),
    Full(SocketAddr),
}

impl Reachable {
    fn or_port(self, port: u16) -> SocketAddr {
        match self {
            Self::Ip(ip) => SocketAddr::new(ip, port),
            Self::Full(address) => address,
        }
    }
}

fn reachable(text: &str) -> Option<Reachable> {
    let ip = text.parse().map(Reachable::Ip);
    let parsed = ip.or_else(|_| text.parse().map(Reachable::Full)).ok();
    let wildcard = |given: &Reachable| match given {
        Reachable::Ip(ip) => ip.is_unspecified(),
        Reachable::Full(address) => address.ip().is_unspecified(),
    };
    parsed.filter(|given| !wildcard(given))
}

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

/// `host:port`; a host alone gets the port that nodes have by default.
fn host_port(text: &str) -> Option<String> {
    if text.parse::<SocketAddr>().is_ok() {
        return Some(text.to_owned());
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, defaults::QUIC_PORT).to_string());
    }
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    let named = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    match (named, text.contains(':'), port.parse::<u16>()) {
        (true, false, _) => Some(format!("{host}:{}", defaults::QUIC_PORT)),
        (true, true, Ok(port)) if port > 0 => Some(text.to_owned()),
        _ => None,
    }
}

/// Tags travel in every member's line: short, and one line.
fn tag(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len()) && !text.chars().any(names::is_unprintable);
    fits.then(|| text.to_owned())
}

fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "auto" => Some(LogFormat::Auto),
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        "journal" => Some(LogFormat::Journal),
        _ => None,
    }
}
