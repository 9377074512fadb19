//! Who is said to be down is down, soon; and who is well is never said to be, nor to be away on purpose.

use crate::host::Host;
use node::cluster::{MemberState, RosterView};
use node::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// So long after the last trouble of any kind nobody who is well may be declared down.
const CALM: Duration = Duration::from_secs(12);
/// A kill after so much calm must be detected in time.
const CALM_BEFORE_KILL: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Death {
    at: Instant,
    /// Those who saw it alive then, with their processes, and whether detection is promised.
    observers: BTreeMap<usize, u64>,
    promised: bool,
}

/// What is noted about who knows of whom.
#[derive(Debug, Default)]
pub struct Watch {
    /// How long it took each node to see that another had been killed, where nothing else was
    /// wrong.
    pub detections: Vec<Duration>,
    /// How often a node has come to show another as away on purpose.
    pub aways: u64,
    last_trouble: Instant,
    dead: BTreeMap<usize, Death>,
}

impl Watch {
    /// Something is wrong until then (or was, now).
    pub fn trouble(&mut self, at: Instant) {
        self.last_trouble = self.last_trouble.max(at);
    }

    /// Whether nothing has been wrong for so long.
    pub fn is_calm(&self, now: Instant, span: Duration) -> bool {
        self.last_trouble <= now && now.since(self.last_trouble) >= span
    }

    /// A host's daemon has started.
    pub fn started(&mut self, now: Instant, host: usize) {
        self.trouble(now);
        self.dead.remove(&host);
    }

    /// A host's daemon is about to be killed.
    pub fn killed(&mut self, hosts: &[Host], now: Instant, host: usize, calm: bool) {
        let id = hosts[host].peer.id;
        let sees = |observer: &Host| {
            let process = observer.process.as_ref()?;
            let state = process.view.as_ref()?.member(id)?.state;
            (state.is_reachable() && observer.peer.id != id).then_some(process.epoch)
        };
        let observers = hosts
            .iter()
            .enumerate()
            .filter_map(|(index, observer)| sees(observer).map(|epoch| (index, epoch)))
            .collect();
        let promised =
            calm && self.last_trouble <= now && now.since(self.last_trouble) >= CALM_BEFORE_KILL;
        self.dead.insert(
            host,
            Death {
                at: now,
                observers,
                promised,
            },
        );
    }

    /// A host's view changes from its present one to `view`.
    pub fn view(
        &mut self,
        hosts: &[Host],
        now: Instant,
        observer: usize,
        view: &RosterView,
        calm: bool,
    ) -> Vec<String> {
        let Some(process) = hosts[observer].process.as_ref() else {
            return Vec::new();
        };
        let before = |id| {
            process
                .view
                .as_ref()
                .and_then(|old| old.member(id))
                .is_some_and(|member| member.state.is_reachable())
        };
        let was_away = |id| {
            let old = process.view.as_ref().and_then(|old| old.member(id));
            old.is_some_and(|member| member.state == MemberState::Away)
        };
        let members = view.members.iter();
        let away = members.filter(|one| one.state == MemberState::Away && !was_away(one.id));
        self.aways += away.count() as u64;
        let is_gone = |state: MemberState| matches!(state, MemberState::Down | MemberState::Away);
        let fallen = view
            .members
            .iter()
            .filter(|member| is_gone(member.state) && before(member.id));
        let mut found = Vec::new();
        for member in fallen {
            let Some(host) = hosts.iter().position(|host| host.peer.id == member.id) else {
                continue;
            };
            if let Some(death) = self.dead.get_mut(&host) {
                if death.observers.get(&observer) == Some(&process.epoch)
                    && death.promised
                    && self.last_trouble <= death.at
                {
                    self.detections.push(now.since(death.at));
                }
            } else if calm && now.since(self.last_trouble) >= CALM && hosts[host].process.is_some()
            {
                found.push(format!(
                    "host {observer} declared host {host} {:?}, which is well",
                    member.state
                ));
            }
        }
        found
    }

    /// Everybody who saw a host alive when it was killed must know of it by now, unless something
    /// else went wrong.
    pub fn obituary(&self, hosts: &[Host], host: usize, killed: Instant) -> Vec<String> {
        let Some(death) = self
            .dead
            .get(&host)
            .filter(|death| death.at == killed && death.promised)
        else {
            return Vec::new();
        };
        if self.last_trouble > killed {
            return Vec::new();
        }
        let still_sees = |observer: &Host, epoch: u64| {
            let process = observer
                .process
                .as_ref()
                .filter(|process| process.epoch == epoch)?;
            process
                .view
                .as_ref()?
                .member(hosts[host].peer.id)
                .filter(|member| member.state.is_reachable())
                .map(|member| member.state)
        };
        let late = death.observers.iter().filter_map(|(observer, epoch)| {
            Some((observer, still_sees(&hosts[*observer], *epoch)?))
        });
        late.map(|(observer, state)| {
            format!(
                "host {host} was killed, and host {observer} still \
            says {state:?} after 3 s"
            )
        })
        .collect()
    }
}
