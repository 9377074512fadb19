//! The families that are told of things as they happen.

use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use std::time::Duration;

/// The classes of answers, by the first digit of their status.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

const REQUESTS: &str = "muster_api_requests_total";
const REQUEST_SECONDS: &str = "muster_api_request_duration_seconds";
const CONNECTIONS: &str = "muster_api_connections";
const STREAMS: &str = "muster_api_streams";
const STREAMS_LAGGED: &str = "muster_api_streams_lagged_total";
const CONNECTIONS_REFUSED: &str = "muster_api_connections_refused_total";
const CONNECTIONS_CUT: &str = "muster_api_connections_cut_total";
const HANDSHAKES_FAILED: &str = "muster_api_handshakes_failed_total";
const BEARERS_REJECTED: &str = "muster_tokens_rejected_total";
const RELOADS: &str = "muster_reloads_total";
const RELOAD_SUCCESSFUL: &str = "muster_reload_last_successful";
const RELOAD_RESTART: &str = "muster_reload_restart_keys";
const WATCHDOG_FED: &str = "muster_watchdog_fed_total";
const WATCHDOG_WITHHELD: &str = "muster_watchdog_withheld_total";
const SYNC_SECONDS: &str = "muster_store_sync_duration_seconds";

/// The parts whose progress the watchdog proves.
pub(crate) const PARTS: [&str; 4] = ["cluster", "lists", "store", "api"];

/// Describes them, and exports each at its first value.
pub(super) fn describe() {
    describe_api();
    describe_counter!(
        BEARERS_REJECTED,
        "Requests by TCP that needed a token and had none that allows them"
    );
    Rejection::ALL
        .into_iter()
        .for_each(|why| counter!(BEARERS_REJECTED, "reason" => why.as_str()).absolute(0));
    describe_counter!(RELOADS, "Times that the configuration was read again");
    ["done", "refused"]
        .into_iter()
        .for_each(|result| counter!(RELOADS, "result" => result).absolute(0));
    describe_gauge!(
        RELOAD_SUCCESSFUL,
        "1 unless the last reload was refused for a mistake in the \
        configuration or the certificates"
    );
    gauge!(RELOAD_SUCCESSFUL).set(1.0);
    describe_gauge!(
        RELOAD_RESTART,
        "Keys of the configuration whose new values count only after \
        a restart, as of the last reload"
    );
    gauge!(RELOAD_RESTART).set(0.0);
    describe_counter!(
        WATCHDOG_FED,
        "Times that the service manager's watchdog was fed"
    );
    counter!(WATCHDOG_FED).absolute(0);
    describe_counter!(
        WATCHDOG_WITHHELD,
        "Times that the watchdog was not fed, by the part that made no progress"
    );
    PARTS
        .into_iter()
        .for_each(|part| counter!(WATCHDOG_WITHHELD, "part" => part).absolute(0));
    describe_histogram!(
        SYNC_SECONDS,
        "Time to write a group of commits and to sync it to the disk"
    );
    let _ = histogram!(SYNC_SECONDS);
}

fn describe_api() {
    describe_counter!(
        REQUESTS,
        "Requests answered, by operation of the OpenAPI document and class of status"
    );
    describe_histogram!(
        REQUEST_SECONDS,
        "Time from a request's head to its answer's head"
    );
    describe_gauge!(CONNECTIONS, "Connections of clients");
    describe_gauge!(STREAMS, "Connections on which a client follows events");
    describe_counter!(
        STREAMS_LAGGED,
        "Streams ended because their client was too many events behind"
    );
    describe_counter!(
        CONNECTIONS_REFUSED,
        "Connections refused because all that the user may have were in work"
    );
    describe_counter!(
        CONNECTIONS_CUT,
        "Connections closed because their client was too slow, or to make room for another one"
    );
    describe_counter!(
        HANDSHAKES_FAILED,
        "Connections by TCP whose TLS handshake failed, also for want of TLS"
    );
    [CONNECTIONS, STREAMS]
        .into_iter()
        .for_each(|name| gauge!(name).set(0.0));
    [
        STREAMS_LAGGED,
        CONNECTIONS_REFUSED,
        CONNECTIONS_CUT,
        HANDSHAKES_FAILED,
    ]
    .into_iter()
    .for_each(|name| counter!(name).absolute(0));
}

/// Why a request by TCP was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It bore no token.
    Missing,
    /// What it bore is no token.
    Malformed,
    /// There is no such token, or none any more.
    Unknown,
    /// The token's scope does not allow it.
    Scope,
    /// It came over a network without TLS.
    Readable,
}

impl Rejection {
    const ALL: [Self; 5] = [
        Self::Missing,
        Self::Malformed,
        Self::Unknown,
        Self::Scope,
        Self::Readable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Scope => "scope",
            Self::Readable => "readable",
        }
    }
}

/// What is counted of one operation of the API.
pub(crate) struct Operation {
    answers: [Counter; 4],
    seconds: Histogram,
}

impl Operation {
    /// The one of that name, which must be of a closed set. Its series are exported from here on.
    pub(crate) fn new(name: &str) -> Self {
        let answers = CLASSES
            .map(|class| counter!(REQUESTS, "operation" => name.to_owned(), "status" => class));
        Self {
            answers,
            seconds: histogram!(REQUEST_SECONDS, "operation" => name.to_owned()),
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(2);
        self.answers
            .get(class)
            .inspect(|answers| answers.increment(1));
        self.seconds.record(took);
    }
}

/// How many clients are connected now.
pub(crate) fn connections(now: usize) {
    gauge!(CONNECTIONS).set(now as f64);
}

/// A client was refused.
pub(crate) fn connection_refused() {
    counter!(CONNECTIONS_REFUSED).increment(1);
}

/// A client's connection is closed against its will.
pub(crate) fn connection_cut() {
    counter!(CONNECTIONS_CUT).increment(1);
}

/// A client's TLS handshake failed.
pub(crate) fn handshake_failed() {
    counter!(HANDSHAKES_FAILED).increment(1);
}

/// A stream begins.
pub(crate) fn stream_begins() {
    gauge!(STREAMS).increment(1.0);
}

/// A stream has ended.
pub(crate) fn stream_ended() {
    gauge!(STREAMS).decrement(1.0);
}

/// A stream ends because its client reads too slowly.
pub(crate) fn stream_lagged() {
    counter!(STREAMS_LAGGED).increment(1);
}

/// A request by TCP bore no token that would do.
pub(crate) fn bearer_rejected(why: Rejection) {
    counter!(BEARERS_REJECTED, "reason" => why.as_str()).increment(1);
}

/// The configuration was read again: how many of its keys wait for a restart, or `None` if it was
/// refused.
pub(crate) fn reloaded(restart: Option<usize>) {
    counter!(RELOADS, "result" => if restart.is_some() { "done" } else { "refused" }).increment(1);
    gauge!(RELOAD_SUCCESSFUL).set(f64::from(u8::from(restart.is_some())));
    if let Some(keys) = restart {
        gauge!(RELOAD_RESTART).set(keys as f64);
    }
}

/// The watchdog was fed.
pub(crate) fn watchdog_fed() {
    counter!(WATCHDOG_FED).increment(1);
}

/// The watchdog was not fed, because of that part.
pub(crate) fn watchdog_withheld(part: &'static str) {
    counter!(WATCHDOG_WITHHELD, "part" => part).increment(1);
}

/// A group of commits is on the disk.
pub(crate) fn synced(took: Duration) {
    histogram!(SYNC_SECONDS).record(took);
}
