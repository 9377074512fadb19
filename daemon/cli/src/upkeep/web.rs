//! `muster web`: a link that opens the page in a browser.

use crate::failure::Failure;
use crate::session::Session;
use crate::table::Paint;
use crate::text::printable;
use api::tokens::PageCode;
use client::Answer;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How often to look whether the browser has used the link.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Prints the link, or opens it.
pub(crate) async fn run(session: &Session<'_>, open: bool) -> Result<(), Failure> {
    let made = session.make(session.client().create_code()).await?;
    if open {
        return show(session, &made).await;
    }
    if session.output.is_json() {
        return session.output.json(&made.raw);
    }
    session.output.line(&printable(&made.value.url))?;
    if session.output.is_for_people() {
        let until = session.time(&made.value.expires_at.to_string());
        session.output.line(
            &session
                .output
                .paint(&format!("opens the page once, until {until}"), Paint::Dim),
        )?;
    }
    Ok(())
}

/// Opens the link in the user's browser, and waits until the page has used it.
async fn show(session: &Session<'_>, made: &Answer<PageCode>) -> Result<(), Failure> {
    let file = Redirect::write(&directory()?, &made.value.id, &made.value.url)?;
    let opener = Command::new("xdg-open")
        .arg(&file.0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await;
    let status = opener.map_err(|error| {
        Failure::Failed(format!(
            "xdg-open cannot be run: {error}; \
        `muster web` prints the link"
        ))
    })?;
    if !status.success() {
        return Err(Failure::Failed(format!(
            "xdg-open failed ({status}); `muster web` prints the \
            link"
        )));
    }
    let begun = tokio::time::Instant::now();
    loop {
        match session.ask(session.client().code(&made.value.id)).await {
            Ok(_) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(Failure::Problem(problem)) if problem.status == 404 && begun.elapsed() < LIFE => {
                break;
            }
            Err(Failure::Problem(problem)) if problem.status == 404 => {
                return Err(Failure::Timeout(
                    "no browser opened the page within a minute; `muster \
                    web` prints the link"
                        .to_owned(),
                ));
            }
            Err(failure) => return Err(failure),
        }
    }
    if session.output.is_json() {
        session.output.json(&made.raw)
    } else {
        session.output.line("the page is open in the browser")
    }
}

/// A code that lived so long was not used.
const LIFE: Duration = Duration::from_secs(59);

/// Where only this user can read, and where nothing outlives the session.
fn directory() -> Result<PathBuf, Failure> {
    let dir = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    dir.filter(|dir| dir.is_dir()).ok_or_else(|| {
        Failure::Failed(
            "XDG_RUNTIME_DIR names no directory to keep the link in; \
            `muster web` prints it instead"
                .to_owned(),
        )
    })
}

/// A file that sends a browser on to the link, removed when this is dropped. All users of a host
/// can read the arguments of a program, so the link itself must not be one.
struct Redirect(PathBuf);

impl Redirect {
    fn write(dir: &Path, id: &str, url: &str) -> Result<Self, Failure> {
        let path = dir.join(format!(
            "muster-web-{}.html",
            printable(id).replace('/', "_")
        ));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let redirect = Self(path);
        file.write_all(page(url).as_bytes())?;
        Ok(redirect)
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn page(url: &str) -> String {
    let url = url
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" \
            content=\"no-referrer\"><title>Muster</title>\n\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\">\n<p><a href=\"{url}\">Open \
            Muster's page</a>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_its_users_alone_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let url = "http://127.0.0.1:6879/#code=0011_22";
        let redirect = Redirect::write(dir.path(), "0011", url).unwrap();
        let path = redirect.0.clone();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .contains(&format!("url={url}\""))
        );
        assert!(
            Redirect::write(dir.path(), "0011", url).is_err(),
            "it never writes into a file \
            that is there"
        );
        drop(redirect);
        assert!(!path.exists());
    }

    #[test]
    fn nothing_ends_the_attribute_early() {
        assert!(page("http://x/#\"><script>").contains("url=http://x/#&quot;>&lt;script>\""));
    }
}
