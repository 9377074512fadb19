use super::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command};
use std::sync::mpsc::RecvTimeoutError;

const PATIENCE: Duration = Duration::from_secs(30);

fn watcher() -> (Host, Watcher, Receiver<(Process, Reason)>) {
    let host = Host::read().unwrap();
    let (tell, told) = channel();
    let watcher = Watcher::start(host, move |process, sign| match sign {
        Sign::Ended { reason, .. } => tell.send((process, reason)).unwrap_or(()),
        Sign::Estranged { .. } => tell.send((process, Reason::Unregistered)).unwrap_or(()),
    })
    .unwrap();
    (host, watcher, told)
}

fn me() -> u32 {
    rustix::process::getuid().as_raw()
}

fn child(script: &str) -> Child {
    Command::new("sh")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

fn process(host: Host, child: &Child) -> Process {
    host.sight(child.id()).unwrap().process
}

#[test]
fn a_status_is_a_code_or_a_signal() {
    assert_eq!(reason(3 << 8), Reason::ExitedWith(3));
    assert_eq!(reason(9), Reason::Killed(9));
    assert_eq!(reason(11 | 0x80), Reason::Killed(11), "a core was dumped");
}

/// The parent of these has not waited when the end is told, so that it is known on every kernel
/// how they ended.
#[test]
fn an_end_is_told_once_and_how_it_came() {
    let (host, watcher, told) = watcher();
    let (mut killed, mut exits) = (child("read line"), child("read line; exit 7"));
    let (first, second) = (process(host, &killed), process(host, &exits));
    watcher.watch(first);
    watcher.watch(first);
    killed.kill().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok((first, Reason::Killed(9))));
    watcher.watch(second);
    drop(exits.stdin.take());
    assert_eq!(
        told.recv_timeout(PATIENCE),
        Ok((second, Reason::ExitedWith(7)))
    );
    assert_eq!(
        told.recv_timeout(Duration::from_millis(20)),
        Err(RecvTimeoutError::Timeout)
    );
    killed.wait().and_then(|_| exits.wait()).unwrap();
}

#[test]
fn a_process_that_is_not_there_has_ended() {
    let (host, watcher, told) = watcher();
    let me = host.sight(std::process::id()).unwrap().process;
    let absent = [
        Process {
            start: me.start + 1,
            ..me
        },
        Process {
            boot: [7; 16],
            ..me
        },
        Process {
            pid: u32::MAX,
            ..me
        },
        Process { pid: 0, ..me },
    ];
    for process in absent {
        watcher.watch(process);
        assert_eq!(told.recv_timeout(PATIENCE), Ok((process, Reason::Exited)));
    }
}

/// A registration may outlive its process, and its pid then be that of some thread.
#[test]
fn a_process_whose_pid_is_a_threads_now_has_ended() {
    let (host, watcher, told) = watcher();
    let me = host.sight(std::process::id()).unwrap().process;
    let (tell, thread) = channel();
    let (release, held) = channel::<()>();
    let other = std::thread::spawn(move || {
        tell.send(std::fs::read_link("/proc/thread-self").unwrap())
            .unwrap();
        held.recv().unwrap_err();
    });
    let thread = thread.recv().unwrap();
    let pid = thread.file_name().unwrap().to_str().unwrap();
    let ended = Process {
        pid: pid.parse().unwrap(),
        ..me
    };
    watcher.watch(ended);
    assert_eq!(told.recv_timeout(PATIENCE), Ok((ended, Reason::Exited)));
    drop(release);
    other.join().unwrap();
}

#[test]
fn signals_reach_watched_processes_only() {
    let (host, watcher, told) = watcher();
    let (mut one, mut other) = (child("read line"), child("read line"));
    let (first, second) = (process(host, &one), process(host, &other));
    watcher.watch(first);
    watcher.watch(second);
    watcher.unwatch(second);
    watcher.signal(second, me(), Signal::Kill);
    watcher.signal(
        Process {
            start: first.start + 1,
            ..first
        },
        me(),
        Signal::Kill,
    );
    watcher.signal(first, me(), Signal::Term);
    assert_eq!(told.recv_timeout(PATIENCE), Ok((first, Reason::Killed(15))));
    assert_eq!(other.try_wait().unwrap(), None);
    other.kill().unwrap();
    one.wait().and_then(|_| other.wait()).unwrap();
    assert_eq!(
        told.recv_timeout(Duration::from_millis(20)),
        Err(RecvTimeoutError::Timeout)
    );
}

/// A setuid program is its caller's until it changes its real uid, which is when it may have
/// been registered. `kill(2)` would refuse the caller from then on.
#[test]
fn a_process_that_has_become_another_users_is_not_signalled() {
    if me() != 0 {
        return eprintln!("only root can change its uid");
    }
    const CHANGE: &str = "import os, sys
os.setresuid(1001, 0, 0); print(flush=True); input()
os.setresuid(0, 0, 0); print(flush=True); input()
os.setresuid(1001, 1001, 0); print(flush=True); input()
os.setresuid(0, 1001, 1001); print(flush=True); input()
os.setresuid(1001, 1001, 1001); print(flush=True); input()";
    let (host, watcher, told) = watcher();
    let mut child = Command::new("python3")
        .args(["-c", CHANGE])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut go_on = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let changing = process(host, &child);
    assert_eq!(host.sight(child.id()).unwrap().uid, 1001);
    watcher.watch(changing);
    for step in ["setuid", "root", "saved", "real"] {
        watcher.signal(changing, 1001, Signal::Kill);
        assert_eq!(
            told.recv_timeout(PATIENCE),
            Ok((changing, Reason::Unregistered)),
            "{step}"
        );
        go_on.write_all(b"\n").unwrap();
        lines.next().unwrap().unwrap();
    }
    watcher.signal(changing, 1002, Signal::Kill);
    assert_eq!(
        told.recv_timeout(PATIENCE),
        Ok((changing, Reason::Unregistered))
    );
    watcher.signal(changing, 1001, Signal::Kill);
    assert_eq!(
        told.recv_timeout(PATIENCE),
        Ok((changing, Reason::Killed(9))),
        "his own again"
    );
    child.wait().unwrap();
}

#[test]
fn the_thread_ends_with_its_last_handle() {
    let (_, watcher, told) = watcher();
    drop(watcher.clone());
    assert_eq!(
        told.recv_timeout(Duration::from_millis(20)),
        Err(RecvTimeoutError::Timeout)
    );
    drop(watcher);
    assert_eq!(
        told.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
}
