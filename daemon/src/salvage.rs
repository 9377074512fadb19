//! Damage of the disk: what is intact behind it goes back into the lists, and people are told.
//!
//! The changes are judged as those of a peer. One that builds on a lost change waits for it: another
//! member may have it, and then it comes by itself. A node that has never had another member has nobody
//! to wait for: there what added entries is added anew at once, elsewhere when an administrator says so.

use crate::service::Service;
use crdt::entry;
use names::{ListId, ListName};
use node::lists::ask::Edit;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{Damage, ReadError, Salvaged};

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
    let found = look(service).await?;
    if missing(&found) == 0 {
        return Ok(());
    }
    for (name, changes) in by_list(&found) {
        for changes in changes.chunks(OFFERED) {
            service.salvage(&name, changes.to_vec());
        }
    }
    let left = settled(service, found).await?;
    if missing(&left) > 0 && service.view().members.len() <= 1 {
        add_anew(service, &left).await;
        look(service).await?;
    }
    Ok(())
}

pub(crate) fn missing(damages: &[Damage]) -> usize {
    damages.iter().map(|damage| damage.missing.len()).sum()
}

/// What is missing once the lists take no more of it.
async fn settled(service: &Service, mut found: Vec<Damage>) -> Result<Vec<Damage>, ReadError> {
    let mut quiet = Duration::ZERO;
    while missing(&found) > 0 && quiet < SETTLE {
        tokio::time::sleep(LOOK_EACH).await;
        let before = missing(&found);
        found = look(service).await?;
        let is_quiet = missing(&found) == before;
        quiet = if is_quiet {
            quiet + LOOK_EACH
        } else {
            Duration::ZERO
        };
    }
    Ok(found)
}

/// Looks at what is missing now.
///
/// # Errors
/// The disk cannot be read.
pub(crate) async fn look(service: &Service) -> Result<Vec<Damage>, ReadError> {
    let store = service.store().clone();
    let read = tokio::task::spawn_blocking(move || store.damages());
    let found = read
        .await
        .map_err(|error| ReadError::Failed(error.to_string()))??;
    service.damages().set(&found);
    Ok(found)
}

fn by_list(damages: &[Damage]) -> BTreeMap<ListName, Vec<bytes::Bytes>> {
    let mut lists: BTreeMap<ListName, Vec<bytes::Bytes>> = BTreeMap::new();
    for Salvaged { name, bytes, .. } in damages.iter().flat_map(|damage| &damage.missing) {
        if let Some(name) = name {
            lists.entry(name.clone()).or_default().push(bytes.clone());
        }
    }
    let ordered = lists.into_iter().map(|(name, changes)| {
        let changes = crdt::list::in_order(changes, |bytes| bytes);
        (name, changes)
    });
    ordered.collect()
}

/// Adds the entries anew that missing changes have added, with their ids, by whom and when they were added.
/// Gives how many entries.
pub(crate) async fn add_anew(service: &Service, damages: &[Damage]) -> u64 {
    let mut added = 0;
    for (list, changes) in by_list(damages) {
        for additions in changes.into_iter().filter_map(crdt::list::additions) {
            let entries = additions.entries.len();
            match again(service, &list, additions).await {
                Ok(()) => added += u64::try_from(entries).unwrap_or(0),
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
    added
}

async fn again(
    service: &Service,
    list: &ListName,
    additions: entry::Additions,
) -> Result<(), String> {
    let by = additions.by.clone();
    let question = Edit {
        list: list.clone(),
        edit: entry::Edit::AddAgain(Box::new(additions)),
        expect: None,
        replicas: None,
        timeout: PATIENCE,
    };
    let asked = service.ask_owner(ListId::of(list), by, question).await;
    asked.map(drop).map_err(|error| error.to_string())
}
