//! From texts to typed values, with the defaults for what nobody gave.

use super::flags::DevFlags;
use super::given::{Given, Setting, Value};
use super::{Api, Config, Http, Limits, Log, Node, Processes, Quic, Surroundings, Tls, advertise, defaults, duration};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The longest path of a unix socket: `sun_path` has 108 bytes, one of them a zero.
const MAX_SOCKET_BYTES: usize = 107;
const MAX_CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
/// One list of 100,000 entries takes some 100 MB; below the smallest, lists would be loaded for every change.
const RESIDENT_BYTES: RangeInclusive<usize> = 1 << 20..=1 << 40;

/// The resolved configuration, or `None` with at least one more mistake told.
pub(super) fn resolve(given: &Given, dev: &DevFlags, surroundings: &Surroundings, mistakes: &mut Vec<String>) -> Option<Config> {
    let mut reader = Reader { given, mistakes };
    let data_dir = reader.path("data_dir", || defaults::data_dir(surroundings));
    let tags = reader.list("node.tags", tag);
    let api = reader.api(surroundings);
    let quic = reader.quic();
    let tls = reader.tls(surroundings);
    let http = reader.http();
    let limits = reader.limits();
    let kill_after = reader.text("processes.kill_after", defaults::KILL_AFTER, time_or_never);
    let log_level = reader.text("log.level", defaults::LOG_LEVEL, log_level);
    Some(Config {
        data_dir: data_dir?,
        node: Node { tags: tags? },
        api: api?,
        quic: quic?,
        tls: tls?,
        http: http?,
        limits: limits?,
        processes: Processes { kill_after: kill_after? },
        log: Log { level: log_level? },
        dev_faults: dev.faults,
        dev_block: dev.block.clone(),
        parent_pipe: dev.parent_pipe,
    })
}

/// Reads keys; what is wrong with one is told, and the others are read all the same.
struct Reader<'a> {
    given: &'a Given,
    mistakes: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn api(&mut self, surroundings: &Surroundings) -> Option<Api> {
        let socket = self.path("api.socket", || defaults::socket(surroundings)).and_then(|path| self.short(path));
        let group = self.given.get("api.group").map(|_| self.text("api.group", "", not_empty));
        let admins = self.list("api.admins", not_empty);
        Some(Api { socket: socket?, group: group.map_or(Some(None), |group| group.map(Some))?, admins: admins? })
    }

    fn quic(&mut self) -> Option<Quic> {
        let listen = self.text("quic.listen", defaults::QUIC_LISTEN, address);
        let seeds = self.list("quic.seeds", host_port);
        let explicit = self.given.get("quic.advertise").map(|_| self.text("quic.advertise", "", reachable));
        let listen = listen?;
        let advertise = match explicit {
            Some(given) => Some(given?.or_port(listen.port())),
            None => advertise::advertised(listen, seeds.as_deref()?),
        };
        Some(Quic { listen, advertise, seeds: seeds? })
    }

    fn tls(&mut self, surroundings: &Surroundings) -> Option<Tls> {
        let ca = self.path("tls.ca", || defaults::tls(surroundings, "tls.ca", "ca.pem"));
        let cert = self.path("tls.cert", || defaults::tls(surroundings, "tls.cert", "node.pem"));
        let key = self.path("tls.key", || defaults::tls(surroundings, "tls.key", "node.key"));
        Some(Tls { ca: ca?, cert: cert?, key: key? })
    }

    fn http(&mut self) -> Option<Http> {
        let listen =
            self.text("http.listen", defaults::HTTP_LISTEN, |text| if text == "none" { Ok(None) } else { address(text).map(Some) });
        let hosts = self.list("http.hosts", not_empty);
        let open = self.switch("http.open");
        Some(Http { listen: listen?, hosts: hosts?, open: open? })
    }

    fn limits(&mut self) -> Option<Limits> {
        let connections = self.number("limits.connections", 1024, MAX_CONNECTIONS);
        let connections_per_uid = self.number("limits.connections_per_uid", 128, MAX_CONNECTIONS);
        let streams_per_uid = self.number("limits.streams_per_uid", 64, MAX_CONNECTIONS);
        let resident_bytes = self.number("limits.resident_bytes", 256 << 20, RESIDENT_BYTES);
        let header_timeout = self.text("limits.header_timeout", "10s", time);
        let body_timeout = self.text("limits.body_timeout", "30s", time);
        Some(Limits {
            connections: connections?,
            connections_per_uid: connections_per_uid?,
            streams_per_uid: streams_per_uid?,
            header_timeout: header_timeout?,
            body_timeout: body_timeout?,
            resident_bytes: resident_bytes?,
        })
    }

    /// A key's one text, judged. `judge` says what would be right when it refuses.
    fn text<T>(&mut self, key: &str, default: &str, judge: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (text, place) = match self.given.get(key) {
            Some(Setting { value: Value::Text(text), place }) => (text.as_str(), place.as_str()),
            _ => (default, key),
        };
        let judged = judge(text);
        self.keep(judged.map_err(|right| format!("{place} is {text:?}, but must be {right}")))
    }

    fn list<T>(&mut self, key: &str, judge: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let Some(Setting { value: Value::List(items), place }) = self.given.get(key) else { return Some(Vec::new()) };
        let judged: Vec<Option<T>> = items
            .iter()
            .map(|item| self.keep(judge(item).map_err(|right| format!("{place} has {item:?}, but each of them must be {right}"))))
            .collect();
        judged.into_iter().collect()
    }

    fn path(&mut self, key: &str, default: impl FnOnce() -> Result<PathBuf, String>) -> Option<PathBuf> {
        if self.given.get(key).is_some() {
            return self.text(key, "", |text| not_empty(text).map(PathBuf::from).map_err(|_| "a path".to_owned()));
        }
        self.keep(default())
    }

    fn switch(&mut self, key: &str) -> Option<bool> {
        if let Some(Setting { value: Value::Switch(on), .. }) = self.given.get(key) {
            return Some(*on);
        }
        self.text(key, "false", |text| text.parse().map_err(|_| "true or false".to_owned()))
    }

    fn number(&mut self, key: &str, default: usize, allowed: RangeInclusive<usize>) -> Option<usize> {
        let right = format!("a whole number from {} to {}", allowed.start(), allowed.end());
        let bounded = |number: i64| usize::try_from(number).ok().filter(|number| allowed.contains(number));
        if let Some(Setting { value: Value::Number(number), place }) = self.given.get(key) {
            return self.keep(bounded(*number).ok_or_else(|| format!("{place} is {number}, but must be {right}")));
        }
        self.text(key, &default.to_string(), |text| text.parse().ok().and_then(bounded).ok_or_else(|| right.clone()))
    }

    fn short(&mut self, socket: PathBuf) -> Option<PathBuf> {
        let bytes = socket.as_os_str().len();
        let place = self.given.get("api.socket").map_or("api.socket", |setting| setting.place.as_str());
        let too_long =
            format!("{place} has {bytes} bytes, but the path of a unix socket must have at most {MAX_SOCKET_BYTES}: {}", socket.display());
        self.keep(if bytes <= MAX_SOCKET_BYTES { Ok(socket) } else { Err(too_long) })
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

fn reachable(text: &str) -> Result<Reachable, String> {
    let ip = text.parse().map(Reachable::Ip);
    let parsed = ip.or_else(|_| text.parse().map(Reachable::Full)).ok();
    let wildcard = |given: &Reachable| match given {
        Reachable::Ip(ip) => ip.is_unspecified(),
        Reachable::Full(address) => address.ip().is_unspecified(),
    };
    parsed.filter(|given| !wildcard(given)).ok_or_else(|| "one IP address that others reach, such as 10.0.0.7 or 10.0.0.7:6878".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port, such as 0.0.0.0:6878 or [::1]:6878".to_owned())
}

/// `host:port`; a host alone gets the port that nodes have by default.
fn host_port(text: &str) -> Result<String, String> {
    let right = || "a host and a port, such as node1.example:6878".to_owned();
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, defaults::QUIC_PORT).to_string());
    }
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    let named = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    match (named, text.contains(':'), port.parse::<u16>()) {
        (true, false, _) => Ok(format!("{host}:{}", defaults::QUIC_PORT)),
        (true, true, Ok(port)) if port > 0 => Ok(text.to_owned()),
        _ => Err(right()),
    }
}

/// Tags travel in every member's line: short, and one line.
fn tag(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len()) && !text.chars().any(crdt::name::is_unprintable);
    if fits { Ok(text.to_owned()) } else { Err("1 to 64 bytes without control characters".to_owned()) }
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("something that is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .filter(|time| (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(time))
        .ok_or_else(|| "a time up to 1h such as 500ms, 10s or 2m".to_owned())
}

fn time_or_never(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .filter(|time| *time <= Duration::from_secs(3600))
        .ok_or_else(|| "a time up to 1h such as 10s, or 0s for never".to_owned())
}

fn log_level(text: &str) -> Result<String, String> {
    let known = !text.is_empty() && tracing_subscriber::EnvFilter::builder().parse(text).is_ok() && plausible(text);
    if known { Ok(text.to_owned()) } else { Err("error, warn, info, debug, trace, or directives such as info,muster=debug".to_owned()) }
}

/// The filter takes any word for the name of a target: `inof` would switch all logs off in silence.
fn plausible(text: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    text.split(',').all(|part| part.contains('=') || part.contains('[') || levels.contains(&part.trim().to_lowercase().as_str()))
}
