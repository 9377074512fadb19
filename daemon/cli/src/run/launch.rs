//! A command that is forked now and executed later.
//!
//! A process keeps its pid and its start time when it executes another program. `muster run`
//! therefore starts this program once more, registers that process, and then has it execute the
//! command. The two speak over a socket in the abstract name space, since standard input and output
//! belong to the command: one byte means go; the end of the connection, which comes with the
//! execution, means done; four bytes mean that it failed, and why (`errno`).

use super::OWN_FAILURE;
use crate::failure::Failure;
use data_encoding::HEXLOWER;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream as Line};
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};

/// The word by which this program is told to be the other side.
pub(crate) const WORD: &str = "launch";
/// How long starting a program may take, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(10);
/// The exit code of a command that is not there.
const NOT_FOUND: u8 = 127;
/// The exit code of a command that is there and cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// A process that is to become the command. Dropped, it ends without having been it.
#[derive(Debug)]
pub(super) struct Held {
    child: Child,
    pid: u32,
    line: UnixStream,
}

/// How the execution went.
#[derive(Debug)]
pub(super) enum Executed {
    /// The child is the command now.
    Running(Child),
    /// It could not be executed; the child ends with the exit code for that.
    Refused(Child, io::Error),
}

impl Held {
    /// Makes the process. It inherits the terminal.
    pub(super) async fn fork(command: &[OsString]) -> Result<Self, Failure> {
        let name = HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let listener = std::os::unix::net::UnixListener::bind_addr(&address(&name)?)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let mut child = Command::new("/proc/self/exe")
            .arg0("muster")
            .arg(WORD)
            .arg(&name)
            .args(command)
            .spawn()?;
        let gone = || {
            Failure::Failed(
                "the process that was to become the command has \
            ended"
                    .to_owned(),
            )
        };
        let pid = child.id().ok_or_else(gone)?;
        tokio::select! {
            line = called_by(&listener, pid) => Ok(Self { child, pid, line: line? }),
            _ = child.wait() => Err(gone()),
            () = tokio::time::sleep(PATIENCE) => Err(Failure::Timeout(format!("the command was not started within {PATIENCE:?}"))),
        }
    }

    /// The command's pid to be.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Has the command executed.
    pub(super) async fn execute(mut self) -> Result<Executed, Failure> {
        self.line.write_all(b"!").await?;
        let mut answer = [0; 4];
        match tokio::time::timeout(PATIENCE, self.line.read_exact(&mut answer)).await {
            Ok(Ok(_)) => Ok(Executed::Refused(
                self.child,
                io::Error::from_raw_os_error(i32::from_ne_bytes(answer)),
            )),
            // A command on a slow disk may take its time.
            Ok(Err(_)) | Err(_) => Ok(Executed::Running(self.child)),
        }
    }
}

fn address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("muster-run-{name}"))
}

/// The child's call; that of any other process, which may have seen the name, is not taken.
async fn called_by(listener: &UnixListener, pid: u32) -> io::Result<UnixStream> {
    loop {
        let (line, _) = listener.accept().await?;
        if line
            .peer_cred()?
            .pid()
            .and_then(|peer| u32::try_from(peer).ok())
            == Some(pid)
        {
            return Ok(line);
        }
    }
}

/// The other side, `muster launch NAME CMD…`: becomes the command when told so.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let mut called = || {
        let name = args.next()?;
        Some((
            Line::connect_addr(&address(&name.to_string_lossy()).ok()?).ok()?,
            args.next()?,
        ))
    };
    let Some((mut line, program)) = called() else {
        let _ = writeln!(
            io::stderr(),
            "muster: {WORD} is for muster run, and of no use by itself"
        );
        return ExitCode::from(OWN_FAILURE);
    };
    // No word before the end: the command is not to be run, or nobody is left to say so.
    if line.read_exact(&mut [0]).is_err() {
        return ExitCode::from(OWN_FAILURE);
    }
    let error = std::process::Command::new(program).args(args).exec();
    let _ = line.write_all(&error.raw_os_error().unwrap_or(0).to_ne_bytes());
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    })
}
