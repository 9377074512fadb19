//! What happens most often: operations, lists, processes. What is kept is bounded, whatever the
//! node holds.

use super::feed::OWN;
use api::processes::RegisteredProcess;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many lists are counted; when there are more, those that change seldom make room.
const MAX_LISTS: usize = 512;
/// What remains of a list's count after a second.
const DECAY: f64 = 0.9;
/// A list with less than this has been quiet.
const QUIET: f64 = 0.05;
/// The counter of requests.
const REQUESTS: &str = "muster_api_requests_total{";

/// How often something happens, or how much it takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) name: String,
    pub(super) value: f64,
}

/// The busiest of each kind, the busiest first.
#[derive(Debug, Default)]
pub(super) struct Busy {
    last: Option<Instant>,
    requests: BTreeMap<String, f64>,
    times: BTreeMap<u32, Duration>,
    counts: BTreeMap<String, f64>,
    pub(super) operations: Vec<Rate>,
    pub(super) processes: Vec<Rate>,
}

impl Busy {
    /// Takes the numbers of a moment: rates are those since the moment before.
    pub(super) fn measure(&mut self, at: Instant, metrics: &str, processes: &[RegisteredProcess]) {
        let since = self
            .last
            .replace(at)
            .map(|last| at.duration_since(last).as_secs_f64())
            .filter(|seconds| *seconds > 0.0);
        let (requests, times) = (
            requests(metrics),
            times(processes.iter().map(|process| process.pid)),
        );
        if let Some(seconds) = since {
            self.operations = rates(requests.iter().map(|(name, now)| {
                let own = if OWN.contains(&name.as_str()) {
                    1.0
                } else {
                    0.0
                };
                let before = self.requests.get(name).copied().unwrap_or(0.0);
                Rate {
                    name: name.clone(),
                    value: (now - before - own).max(0.0) / seconds,
                }
            }));
            let shares = processes.iter().filter_map(|process| {
                let pid = process.pid;
                let spent = times.get(&pid)?.checked_sub(*self.times.get(&pid)?)?;
                Some(Rate {
                    name: process.name.clone(),
                    value: spent.as_secs_f64() / seconds * 100.0,
                })
            });
            self.processes = rates(shares.collect::<Vec<_>>());
            self.counts
                .values_mut()
                .for_each(|count| *count *= DECAY.powf(seconds));
            self.counts.retain(|_, count| *count > QUIET);
        }
        (self.requests, self.times) = (requests, times);
    }

    /// A list was changed.
    pub(super) fn changed(&mut self, list: &str) {
        if !self.counts.contains_key(list) && self.counts.len() >= MAX_LISTS {
            let quietest = self
                .counts
                .iter()
                .min_by(|a, b| a.1.total_cmp(b.1))
                .map(|(name, _)| name.clone());
            quietest.and_then(|name| self.counts.remove(&name));
        }
        *self.counts.entry(list.to_owned()).or_default() += 1.0;
    }

    /// The lists that change most often, in changes a second.
    pub(super) fn lists(&self) -> Vec<Rate> {
        // A steady rate r sums up to r / (1 - DECAY).
        rates(self.counts.iter().map(|(name, count)| Rate {
            name: name.clone(),
            value: count * (1.0 - DECAY),
        }))
    }
}

/// Those that are not zero, the highest first.
fn rates(all: impl IntoIterator<Item = Rate>) -> Vec<Rate> {
    let mut rates: Vec<Rate> = all.into_iter().filter(|rate| rate.value >= 0.05).collect();
    rates.sort_by(|a, b| {
        b.value
            .total_cmp(&a.value)
            .then_with(|| a.name.cmp(&b.name))
    });
    rates
}

/// The requests of each operation, all statuses together.
fn requests(metrics: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in metrics
        .lines()
        .filter_map(|line| line.strip_prefix(REQUESTS))
    {
        let Some((labels, value)) = line.split_once("} ") else {
            continue;
        };
        let operation = labels
            .split(',')
            .find_map(|label| label.strip_prefix("operation=\"")?.strip_suffix('"'));
        if let (Some(operation), Ok(value)) = (operation, value.trim().parse::<f64>()) {
            *sums.entry(operation.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

/// The processor time of each process so far, where the kernel lets this user know.
fn times(pids: impl Iterator<Item = u32>) -> BTreeMap<u32, Duration> {
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    pids.filter_map(|pid| Some((pid, processor_time(&stat(pid)?)?)))
        .collect()
}

/// User and system time. The command's name, which may hold anything, ends at the last parenthesis
/// (`proc_pid_stat(5)`).
fn processor_time(stat: &str) -> Option<Duration> {
    /// `USER_HZ` is 100 wherever Rust's `std` runs on Linux.
    const TICK: Duration = Duration::from_millis(10);
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let system: u32 = times.next()?.parse().ok()?;
    Some(TICK.saturating_mul(user.saturating_add(system)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_summed_over_their_statuses_without_ones_own() {
        let text = |adds: u32, polls: u32| {
            format!(
                "# TYPE x counter\nmuster_api_requests_total{{operation=\"add\",status=\"2xx\"}} \
                    {adds}\nmuster_api_requests_total{{operation=\"add\",status=\"4xx\"}} \
                    10\nmuster_api_requests_total{{operation=\"status\",status=\"2xx\"}} {polls}\n"
            )
        };
        let (mut busy, start) = (Busy::default(), Instant::now());
        busy.measure(start, &text(5, 1), &[]);
        assert_eq!(busy.operations, []);
        busy.measure(start + Duration::from_secs(2), &text(25, 2), &[]);
        assert_eq!(
            busy.operations,
            [Rate {
                name: "add".to_owned(),
                value: 10.0
            }]
        );
    }

    #[test]
    fn many_lists_do_not_take_more_memory() {
        let mut busy = Busy::default();
        for number in 0..2 * MAX_LISTS {
            busy.changed("groceries");
            busy.changed(&format!("list {number}"));
        }
        assert_eq!(busy.counts.len(), MAX_LISTS);
        assert_eq!(
            busy.lists().first().map(|rate| rate.name.as_str()),
            Some("groceries")
        );
        let start = Instant::now();
        busy.measure(start, "", &[]);
        busy.measure(start + Duration::from_secs(300), "", &[]);
        assert_eq!(busy.lists(), []);
    }

    #[test]
    fn the_time_of_a_process_is_read() {
        let pids = [std::process::id(), u32::MAX];
        assert_eq!(times(pids.into_iter()).len(), 1);
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 150 25 0 0 20 0 1 0 8 9 10";
        assert_eq!(processor_time(stat), Some(Duration::from_millis(1_750)));
        assert_eq!(processor_time("7 a"), None);
    }
}
