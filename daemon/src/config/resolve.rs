//! From texts to typed values, with the defaults for what nobody gave.

use super::flags::DevFlags;
use super::given::{Given, Setting, Value};
use super::keys::{Default, Key, Kind};
use super::level::plausible;
use super::{Config, LogFormat, Surroundings, certificate, defaults};
use api::duration;
use crdt::roster::Pace;
use names::ProcessName;
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
    let mut config = Config::read(&mut reader, dev)?;
    mistakes.extend(certificate::mistake(&config.http));
    let quic = &mut config.quic;
    if let Some(given) = quic.advertise.as_mut().filter(|given| given.port() == 0) {
        given.set_port(quic.listen.port());
    }
    if quic.interface.is_some() && quic.advertise.is_some() {
        mistakes.push(
            "quic.interface and quic.advertise are both given: each says where others reach this \
             node; take one out"
                .to_owned(),
        );
    }
    if quic.interface.is_some() && !quic.listen.ip().is_unspecified() {
        mistakes.push(format!(
            "quic.interface is given, but quic.listen is {}, which is one address already: take one \
             out",
            quic.listen
        ));
    }
    Some(config)
}

/// Reads keys; what is wrong with one is told, and the others are read all the same.
pub(super) struct Reader<'a> {
    given: &'a Given,
    surroundings: &'a Surroundings,
    mistakes: &'a mut Vec<String>,
}

impl Reader<'_> {
    /// The path of a unix socket.
    pub(super) fn socket_path(&mut self, key: &Key) -> Option<PathBuf> {
        let socket = self.path(key)?;
        let bytes = socket.as_os_str().len();
        let dotted = key.dotted();
        let place = self.setting(key).map_or(&dotted, |setting| &setting.place);
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

    fn setting(&self, key: &Key) -> Option<&Setting> {
        self.given.get(&key.dotted())
    }

    /// A key's one text, judged.
    pub(super) fn text<T>(&mut self, key: &Key, judge: impl Fn(&str) -> Option<T>) -> Option<T> {
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
    pub(super) fn optional<T>(
        &mut self,
        key: &Key,
        judge: impl Fn(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.setting(key).is_none() {
            return Some(None);
        }
        self.text(key, judge).map(Some)
    }

    pub(super) fn list<T>(
        &mut self,
        key: &Key,
        judge: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
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

    pub(super) fn path(&mut self, key: &Key) -> Option<PathBuf> {
        match (self.setting(key), key.default) {
            (None, Default::Place(place)) => {
                self.keep(defaults::place(self.surroundings, key, place))
            }
            (_, Default::Place(_) | Default::Text(_) | Default::Words(_)) => self
                .text(key, not_empty)
                .and_then(|text| self.expanded(key, text)),
        }
    }

    /// The path of a key that need not be given.
    pub(super) fn optional_path(&mut self, key: &Key) -> Option<Option<PathBuf>> {
        if self.setting(key).is_none() {
            return Some(None);
        }
        self.path(key).map(Some)
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

    pub(super) fn switch(&mut self, key: &Key) -> Option<bool> {
        if let Some(Setting {
            value: Value::Switch(on),
            ..
        }) = self.setting(key)
        {
            return Some(*on);
        }
        self.text(key, |text| text.parse().ok())
    }

    pub(super) fn number(&mut self, key: &Key) -> Option<usize> {
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

    pub(super) fn time(&mut self, key: &Key) -> Option<Duration> {
        let allowed = if let Kind::Time(least, most) = key.kind {
            least..=most
        } else {
            Duration::ZERO..=Duration::MAX
        };
        self.text(key, |text| {
            duration::parse(text).filter(|time| allowed.contains(time))
        })
    }

    fn keep<T>(&mut self, judged: Result<T, String>) -> Option<T> {
        judged.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }
}

/// An address to advertise; without a port it gets that of the listener.
pub(super) fn reachable(text: &str) -> Option<SocketAddr> {
    let alone = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 0));
    let address = alone.or_else(|_| text.parse()).ok();
    address.filter(|address| !address.ip().is_unspecified())
}

pub(super) fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

/// An address, or none at all.
pub(super) fn address_or_none(text: &str) -> Option<Option<SocketAddr>> {
    if text == "none" {
        Some(None)
    } else {
        address(text).map(Some)
    }
}

/// `host:port`; a host alone gets the port that nodes have by default.
pub(crate) fn host_port(text: &str) -> Option<String> {
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
pub(super) fn tag(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len()) && !text.chars().any(names::is_unprintable);
    fits.then(|| text.to_owned())
}

pub(super) fn process(text: &str) -> Option<ProcessName> {
    ProcessName::new(text).ok()
}

pub(super) fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn log_level(text: &str) -> Option<String> {
    plausible(text).then(|| text.to_owned())
}

pub(super) fn pace(text: &str) -> Option<Pace> {
    [Pace::Normal, Pace::Metered]
        .into_iter()
        .find(|pace| pace.as_str() == text)
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "auto" => Some(LogFormat::Auto),
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        "journal" => Some(LogFormat::Journal),
        _ => None,
    }
}
