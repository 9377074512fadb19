//! `/v1/groups`: groups of processes.

use super::change;
use super::filter::{Filter, Source, parse_states};
use crate::http::Api;
use crate::http::connections::who::OnThisHost;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room, bad_cursor};
use crate::http::path::{GroupPath, ProcessPath};
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::{Group as QueryGroup, Query};
use crate::http::time::Timeout;
use api::processes::{GroupQuery, ProcessGroup, ProcessGroupPage, RegisteredProcessPage};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use names::ProcessName;
use node::registry::ProcessState;
use node::registry::ask::Group;

/// The groups that somebody is in, by name.
#[utoipa::path(
    get, path = "/v1/groups", tag = "processes", operation_id = "groups", params(Query<(Page,)>),
    responses((status = 200, description = "A page of groups", body = ProcessGroupPage), Problems<Query<(Page,)>>)
)]
pub(crate) async fn groups(
    State(api): State<Api>,
    Query((page,)): Query<(Page,)>,
) -> Result<Response, Problem> {
    let mut after = page
        .after_text()?
        .map(|name| ProcessName::new(name).map_err(|_| bad_cursor()))
        .transpose()?;
    let mut writer = PageWriter::new(&page);
    // One at a time: to count a large one takes a moment.
    while let Some((name, members)) = api.service().processes().read(|directory| {
        let name = directory.groups(after.as_ref()).next()?;
        Some((name.clone(), directory.group(name, None).count()))
    }) {
        if writer.push(
            &ProcessGroup {
                name: name.to_string(),
                members: members as u64,
            },
            || name.as_str().as_bytes().to_vec(),
        )? == Room::Full
        {
            break;
        }
        after = Some(name);
    }
    Ok(writer.respond())
}

/// Which members of a group.
pub(crate) struct Wanted {
    is_local_only: bool,
    states: Vec<ProcessState>,
}

impl QueryGroup for Wanted {
    type Written = GroupQuery;

    fn check(written: GroupQuery) -> Result<Self, Problem> {
        let states = written.state.as_deref().map(parse_states).transpose()?;
        Ok(Self {
            is_local_only: written.local.unwrap_or(false),
            states: states.unwrap_or_else(|| vec![ProcessState::Up, ProcessState::Contested]),
        })
    }
}

/// The members of a group on reachable nodes: those of this node first, each part by name. A group
/// whose members are all unreachable has none here; one that nobody is in is not found.
#[utoipa::path(
    get, path = "/v1/groups/{group}", tag = "processes", operation_id = "group",
    params(
        ("group" = String, Path, description = "The group's name"),
        Query<(Wanted, Page)>,
    ),
    responses(
        (status = 200, description = "A page of processes", body = RegisteredProcessPage),
        Problems<(GroupPath, Query<(Wanted, Page)>, Own<{ Kind::Group as usize }>)>,
    )
)]
pub(crate) async fn members(
    State(api): State<Api>,
    GroupPath(group): GroupPath,
    Query((wanted, page)): Query<(Wanted, Page)>,
) -> Result<Response, Problem> {
    let is_there = api
        .service()
        .processes()
        .read(|directory| directory.group(&group, None).next().is_some());
    // Whoever has begun to read a group may see it end.
    if !is_there && page.after.is_none() {
        let nobody = format!("no process is in the group {group}");
        return Err(Problem::new(Kind::Group, nobody));
    }
    let position = page
        .after
        .as_deref()
        .map(|key| Position::read(key).ok_or_else(bad_cursor))
        .transpose()?;
    let mut writer = PageWriter::new(&page);
    for local in [true, false] {
        let after = match &position {
            Some(Position { local: at, .. }) if local && !at => continue,
            Some(Position { local: at, name }) if local == *at => Some(name.clone()),
            Some(_) | None => None,
        };
        let filter = Filter {
            group: Some(group.clone()),
            local: Some(local),
            states: Some(wanted.states.clone()),
            ..Filter::default()
        };
        let key = |name: &ProcessName| {
            Position {
                local,
                name: name.clone(),
            }
            .write()
        };
        let room = filter
            .scan(&api, &Source::Group(group.clone()), after, &mut writer, key)
            .await?;
        if wanted.is_local_only || room == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

/// How far a client has read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    /// Whether it is among the processes of this node.
    local: bool,
    name: ProcessName,
}

impl Position {
    fn write(&self) -> Vec<u8> {
        let part = if self.local { "l" } else { "r" };
        format!("{part}{}", self.name).into_bytes()
    }

    fn read(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        let (local, name) = match text.strip_prefix('l') {
            Some(name) => (true, name),
            None => (false, text.strip_prefix('r')?),
        };
        Some(Self {
            local,
            name: ProcessName::new(name).ok()?,
        })
    }
}

/// Puts a process of this node into a group.
#[utoipa::path(
    put, path = "/v1/groups/{group}/{name}", tag = "processes", operation_id = "join_group",
    params(
        ("group" = String, Path, description = "The group's name"), ("name" = String, Path, description = "The process's name"), Query<(Timeout,)>,
    ),
    responses((status = 204, description = "It is in the group"), Problems<(OnThisHost, GroupPath, ProcessPath, Query<(Timeout,)>, Group)>)
)]
pub(crate) async fn join(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    GroupPath(group): GroupPath,
    ProcessPath(name): ProcessPath,
    Query((timeout,)): Query<(Timeout,)>,
) -> Result<StatusCode, Problem> {
    change(
        &api,
        timeout,
        Group {
            name,
            group,
            join: true,
            uid,
        },
    )
    .await
}

/// Takes a process of this node out of a group.
#[utoipa::path(
    delete, path = "/v1/groups/{group}/{name}", tag = "processes", operation_id = "leave_group",
    params(
        ("group" = String, Path, description = "The group's name"), ("name" = String, Path, description = "The process's name"), Query<(Timeout,)>,
    ),
    responses((status = 204, description = "It is not in the group"), Problems<(OnThisHost, GroupPath, ProcessPath, Query<(Timeout,)>, Group)>)
)]
pub(crate) async fn leave(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    GroupPath(group): GroupPath,
    ProcessPath(name): ProcessPath,
    Query((timeout,)): Query<(Timeout,)>,
) -> Result<StatusCode, Problem> {
    change(
        &api,
        timeout,
        Group {
            name,
            group,
            join: false,
            uid,
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back() {
        for local in [true, false] {
            let position = Position {
                local,
                name: ProcessName::new("r:1").unwrap(),
            };
            assert_eq!(Position::read(&position.write()), Some(position));
        }
        for bad in [&b""[..], b"l", b"x1", b"l\xff", b"ra b"] {
            assert_eq!(Position::read(bad), None, "{bad:?}");
        }
    }
}
