//! The reports on the disk: in `heals/` of the data directory, each as often as it was written, of which
//! the last one counts.

use super::{Heals, KEPT};
use crate::lines::{self, Most};
use api::heals::HealReport;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

const DIR: &str = "heals";

/// A report is written some ten times.
const MOST: Most = Most {
    lines: 10 * KEPT,
    bytes: 8 << 20,
};

/// The reports of earlier runs of the daemon, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(super) reports: Vec<HealReport>,
}

impl Past {
    /// Reads what a data directory has.
    pub(crate) fn read(data_dir: &Path) -> Self {
        let mut reports: Vec<HealReport> = Vec::new();
        let all = lines::read(&data_dir.join(DIR), |line| {
            let Ok(report) = serde_json::from_slice::<HealReport>(line) else {
                return;
            };
            match reports.iter_mut().find(|known| known.id == report.id) {
                Some(known) => *known = report,
                None => reports.push(report),
            }
        });
        if let Err((path, error)) = all {
            let path = path.display();
            tracing::warn!(%path, %error, "earlier heal reports cannot be read");
        }
        reports.retain(|report| !report.members.is_empty());
        reports.drain(..reports.len().saturating_sub(KEPT));
        Self { reports }
    }
}

/// Whoever writes the reports to the disk.
#[derive(Debug)]
pub(crate) struct Keeper {
    heals: Heals,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Writes what is reported from now on, and what is open.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(heals: &Heals, data_dir: &Path) -> io::Result<Self> {
        let (sender, reports) = sync_channel(2 * KEPT);
        let data_dir = data_dir.to_owned();
        let thread = std::thread::Builder::new()
            .name("heals".to_owned())
            .spawn(move || keep(&reports, &data_dir))?;
        heals.collector.lock().keep_by(Some(sender));
        Ok(Self {
            heals: heals.clone(),
            thread,
        })
    }

    /// Writes what is reported so far, and ends.
    pub(crate) fn stop(self) {
        self.heals.collector.lock().keep_by(None);
        // Only a panic keeps it from ending in order, and that has been told.
        let _ = self.thread.join();
    }
}

/// Writes reports for as long as some may come.
pub(super) fn keep(reports: &Receiver<HealReport>, data_dir: &Path) {
    let mut writer = lines::Writer::new(data_dir.join(DIR), MOST);
    let mut is_failing = false;
    while let Ok(report) = reports.recv() {
        match writer.append(std::iter::once(&report)) {
            Ok(()) => is_failing = false,
            Err(_) if is_failing => {}
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "heal reports are not kept over a restart: they cannot be written");
            }
        }
    }
}
