//! The child's side: a node that ends with the `muster dev` that started it.

use std::io::Read;
use std::time::Duration;

/// How long a node may take to end in order once its parent is gone; then it ends out of order.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// Returns when the parent process has ended, however it ended: the kernel closes its end of the
/// pipe that is our standard input. The caller then has ten seconds to end this process in order.
/// Call it once.
///
/// It reads on a thread of its own: a read that may never return would hold up the end of an async
/// runtime.
pub(crate) async fn watch_parent() {
    let (gone, parent_gone) = tokio::sync::oneshot::channel();
    let watch = move || {
        let mut buffer = [0; 64];
        while std::io::stdin()
            .read(&mut buffer)
            .is_ok_and(|bytes| bytes > 0)
        {}
        let _ = gone.send(());
        std::thread::sleep(LAST_BREATH);
        tracing::error!("this node did not end in order after its parent");
        std::process::exit(1);
    };
    if let Err(error) = std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(watch)
    {
        tracing::error!(%error, "cannot watch the parent process");
    }
    if parent_gone.await.is_err() {
        // Not watched: nothing to tell, ever.
        std::future::pending::<()>().await;
    }
}
