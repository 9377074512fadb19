//! `/v1/debug/doctor`: an examination of this node and of what it has to do with each member.

use crate::damage::Known;
use crate::doctor::{Finding, Level, host, peers, processes, search};
use crate::host::wall_ms;
use crate::http::connections::who::Admin;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::{Api, json};
use api::node::Examination;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

/// Examines this node: its certificates, permissions, disk (a small file is written and synced) and
/// limits; whether seeds and known members have answered, and whether processes are there that are expected; and for each member whether packets pass both ways, the path, the clocks, versions and
/// certificates. Members are asked on connections of their own. Takes up to about ten seconds where
/// one does not answer.
#[utoipa::path(
    get, path = "/v1/debug/doctor", tag = "operation", operation_id = "doctor",
    responses((status = 200, description = "What was found", body = Examination), Problems<(Admin, Query<()>, Own<{ Kind::Busy as usize }>)>)
)]
pub(crate) async fn examine(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    json::respond(StatusCode::OK, &examination(&api).await?)
}

/// One at a time: it writes to the disk and to all members.
pub(crate) async fn examination(api: &Api) -> Result<Examination, Problem> {
    let Ok(_turn) = api.examining().try_lock() else {
        return Err(Problem::new(Kind::Busy, "another examination is under way").retry_after(10));
    };
    let config = api.service().config().await;
    let seeds = config.quic.seeds.len();
    let here = tokio::task::spawn_blocking(move || {
        let mut findings = host::examine(&config, wall_ms() / 1000);
        findings.push(host::open_files());
        findings
    });
    let (here, members) = tokio::join!(here, peers::examine(api.service()));
    let mut items = here.map_err(Problem::internal)?;
    items.extend(store(api));
    items.extend(quarantined(api));
    items.extend(configuration(api).await);
    items.extend(search::examine(&api.service().search(), seeds));
    let expected = api.service().expected(&api.policy().expected);
    items.extend(processes::examine(&expected));
    items.extend(members);
    let healthy = items.iter().all(|finding| finding.level == Level::Good);
    Ok(Examination {
        node: api.service().info().name.to_string(),
        healthy,
        items,
    })
}

/// The damage of the store that nobody has acknowledged.
fn store(api: &Api) -> Vec<Finding> {
    let (check, damages) = ("store", api.service().damages().known());
    if damages.is_empty() {
        let what = "no damage was found in its journals";
        return vec![Finding::good(check, crate::doctor::HERE, what)];
    }
    let finding =
        |one: &Known| Finding::critical(check, crate::doctor::HERE, one.words(), one.remedy());
    damages.iter().map(finding).collect()
}

/// The lists in quarantine.
fn quarantined(api: &Api) -> Option<Finding> {
    let lists = api.service().snapshot().lists.quarantined;
    (lists > 0).then(|| {
        Finding::critical(
            "lists",
            crate::doctor::HERE,
            format!("{lists} lists are in quarantine: they take no changes"),
            "muster quarantine names them, and muster quarantine why LIST says what to do",
        )
    })
}

/// Whether the files would serve for a restart, and whether they are what is in force.
async fn configuration(api: &Api) -> Vec<Finding> {
    let check = "configuration";
    match api.service().pending().await {
        Err(error) => vec![Finding::critical(
            check,
            crate::doctor::HERE,
            format!("{error:#}"),
            "put it right before the next restart (musterd --check-config)",
        )],
        Ok(keys) if keys.is_empty() => vec![Finding::good(
            check,
            crate::doctor::HERE,
            "the file is good, and in force",
        )],
        Ok(keys) => {
            let what = format!("changed and not in force: {}", keys.join(", "));
            vec![Finding::warning(
                check,
                crate::doctor::HERE,
                what,
                "muster reload, and a restart \
                where it says so",
            )]
        }
    }
}
