//! Damage of the disk: what is intact behind it goes back into the lists, and people are told.
//!
//! The changes are judged as those of a peer. One that builds on a lost change waits for it: another
//! member may have it, and then it comes by itself. A node that has never had another member has nobody
//! to wait for: there what added entries is added anew at once, elsewhere when an administrator says so.

use crate::damage::Damages;
use crate::service::Service;
use crdt::entry;
use names::{ListId, ListName};
use node::lists::ask::Edit;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{ReadError, Salvaged, Store};

/// How often what is missing is offered to the lists again.
const OFFER_EACH: Duration = Duration::from_secs(60);
/// The lists have taken what they can when nothing has changed for so long, and how often that is looked at.
const SETTLE: Duration = Duration::from_secs(1);
const LOOK_EACH: Duration = Duration::from_millis(200);
/// So many changes are offered together.
const OFFERED: usize = 1_000;
/// How long adding anew waits for a list.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has what is intact behind damage in the lists before the node is ready, as far as it can be by then.
pub(crate) async fn begin(service: &Service) {
    tell(round(service).await);
}

/// Offers the lists what is missing, for as long as anything is.
pub(crate) async fn keep_up(service: Service) {
    loop {
        tokio::time::sleep(OFFER_EACH).await;
        tell(round(&service).await);
    }
}

fn tell(looked: Result<(), ReadError>) {
    if let Err(error) = looked {
        tracing::warn!(%error, "what is intact behind damage cannot be looked at now");
    }
}

async fn round(service: &Service) -> Result<(), ReadError> {
    let missing = look(service).await?;
    for (name, changes) in by_list(&missing) {
        for changes in changes.chunks(OFFERED) {
            let changes = changes.iter().map(|change| change.bytes.clone());
            service.salvage(name, changes.collect());
        }
    }
    let left = settled(service, missing).await?;
    if !left.is_empty() && service.search().is_alone {
        add_anew(service, &left).await?;
    }
    Ok(())
}

/// What is missing once the lists take no more of it.
async fn settled(service: &Service, mut left: Vec<Salvaged>) -> Result<Vec<Salvaged>, ReadError> {
    let mut quiet = Duration::ZERO;
    while !left.is_empty() && quiet < SETTLE {
        tokio::time::sleep(LOOK_EACH).await;
        let before = left.len();
        left = look(service).await?;
        quiet = if left.len() == before {
            quiet + LOOK_EACH
        } else {
            Duration::ZERO
        };
    }
    Ok(left)
}

/// Looks at what is missing now.
///
/// # Errors
/// The disk cannot be read.
pub(crate) async fn look(service: &Service) -> Result<Vec<Salvaged>, ReadError> {
    with_store(service, Damages::look).await?
}

/// Somebody has seen the damage. Gives how many journals there were.
///
/// # Errors
/// The disk fails.
pub(crate) async fn acknowledge(service: &Service) -> Result<usize, ReadError> {
    let done = with_store(service, Damages::acknowledge).await?;
    done.map_err(|error| ReadError::Failed(error.to_string()))
}

async fn with_store<T: Send + 'static>(
    service: &Service,
    work: impl FnOnce(&Damages, &Store) -> T + Send + 'static,
) -> Result<T, ReadError> {
    let (damages, store) = (service.damages().clone(), service.store().clone());
    let worked = tokio::task::spawn_blocking(move || work(&damages, &store));
    let worked = worked.await;
    worked.map_err(|error| ReadError::Failed(error.to_string()))
}

/// The changes whose list's name is known, list by list, each after those that it depends on.
fn by_list(missing: &[Salvaged]) -> BTreeMap<&ListName, Vec<&Salvaged>> {
    let mut lists: BTreeMap<&ListName, Vec<&Salvaged>> = BTreeMap::new();
    for change in missing {
        if let Some(name) = &change.name {
            lists.entry(name).or_default().push(change);
        }
    }
    for changes in lists.values_mut() {
        *changes = crdt::list::in_order(std::mem::take(changes), |change| &change.bytes);
    }
    lists
}

/// Adds the entries anew that missing changes have added, with their ids, by whom and when they were added.
/// Gives how many entries.
///
/// # Errors
/// The disk cannot be read.
pub(crate) async fn add_anew(service: &Service, missing: &[Salvaged]) -> Result<u64, ReadError> {
    let mut added = 0;
    for (list, changes) in by_list(missing) {
        for change in changes {
            let Some(additions) = crdt::list::additions(change.bytes.clone()) else {
                continue;
            };
            let entries = u64::try_from(additions.entries.len()).unwrap_or(0);
            match again(service, list, additions).await {
                Ok(is_change) => {
                    added += if is_change { entries } else { 0 };
                    let change = change.clone();
                    with_store(service, move |damages, _| damages.added_anew(&change)).await?;
                }
                Err(reason) => {
                    tracing::warn!(%list, reason, "what was added behind damage cannot be added anew");
                }
            }
        }
    }
    if added > 0 {
        tracing::warn!(
            entries = added,
            "entries were added anew whose changes build on lost ones"
        );
    }
    look(service).await?;
    Ok(added)
}

/// Whether that was a change: it is none where all of them have been here.
async fn again(
    service: &Service,
    list: &ListName,
    additions: entry::Additions,
) -> Result<bool, String> {
    let by = additions.by.clone();
    let question = Edit {
        list: list.clone(),
        edit: entry::Edit::AddAgain(Box::new(additions)),
        expect: None,
        replicas: None,
        timeout: PATIENCE,
    };
    let asked = service.ask_owner(ListId::of(list), by, question).await;
    asked
        .map(|edited| edited.change.is_some())
        .map_err(|error| error.to_string())
}
