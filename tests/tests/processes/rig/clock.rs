//! Wall clocks that are wrong: a library that is loaded into a daemon adds seconds to what the system says.
//!
//! Only the wall clock of a namespace cannot be set. The C compiler that cargo needs makes the library.

use crate::fleet::{Fleet, run};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Adds the seconds in the file that `RIG_CLOCK` names, read at each call.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int reader(clockid_t, struct timespec *);

static long ahead(void) {
  char text[24] = "";
  const char *path = getenv("RIG_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0)
    return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  return length > 0 ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static reader *next;
  if (!next)
    next = (reader *)dlsym(RTLD_NEXT, "clock_gettime");
  int result = next(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME)
    time->tv_sec += ahead();
  return result;
}
"#;

/// Has the daemons of a fleet read their wall clocks through the library.
pub(crate) fn prepare(fleet: &mut Fleet) -> anyhow::Result<()> {
    let dir = fleet.dir.path();
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    std::fs::write(&source, SOURCE)?;
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl"))
    .context("a library is made by the C compiler")?;
    for node in &mut fleet.nodes {
        let file = file(&node.dir);
        node.env.push(("LD_PRELOAD", library.clone().into()));
        node.env.push(("RIG_CLOCK", file.into()));
    }
    Ok(())
}

/// Sets the wall clock of the daemon with that directory ahead, or back.
pub(crate) fn set(dir: &Path, seconds: i64) -> anyhow::Result<()> {
    // A reader finds the one or the other.
    let draft = dir.join("clock.new");
    std::fs::write(&draft, seconds.to_string())?;
    Ok(std::fs::rename(draft, file(dir))?)
}

fn file(dir: &Path) -> PathBuf {
    dir.join("clock")
}
