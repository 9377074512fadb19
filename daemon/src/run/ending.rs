//! What ends a node: signals, and the end of the process that started it.

use crate::host;
use crate::service::Service;
use crate::systemd;
use node::cluster::ask::Shutdown;

/// SIGTERM and SIGINT end the node in order; SIGHUP reads the configuration and the certificates
/// anew.
pub(super) async fn signals(service: Service) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int, mut hup) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    );
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => if let Err(error) = service.reload().await {
                tracing::error!(error = format!("{error:#}"), "all stays as it was: the \
                    configuration cannot be reloaded");
            },
        }
    }
    tracing::info!("stopping");
    systemd::stopping();
    shut_down(&service).await;
    Ok(())
}

/// Ends the node when the process that started it ends, however it ends.
pub(super) async fn end_with_parent(service: Service) {
    host::watch_parent().await;
    tracing::info!("the parent process has ended");
    shut_down(&service).await;
}

async fn shut_down(service: &Service) {
    if let Err(error) = service.ask_cluster(Shutdown).await {
        tracing::debug!(%error, "already stopping");
    }
}
