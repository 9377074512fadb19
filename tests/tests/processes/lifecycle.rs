//! The life of an installed Muster, from the packages themselves, in a booted systemd: one story.

use crate::booted::Booted;
use crate::packages;
use anyhow::{Context, ensure};
use std::time::Instant;
use tempfile::TempDir;

const PID: &str = "systemctl show -P MainPID muster";
/// apt as an administrator's script calls it; there is no network.
const APT: &str = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confdef";

#[test]
fn a_package_is_installed_serves_is_upgraded_and_is_purged() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "NOT RUN, needs root to boot a container: \
            a_package_is_installed_serves_is_upgraded_and_is_purged"
        );
        return Ok(());
    }
    let dir = TempDir::with_prefix("lifecycle")?;
    let (deb, next) = (packages::deb()?, packages::next_deb(dir.path())?);
    let booted = Booted::start(&[&deb, &next, &packages::rpm()?])?;
    for (part, happens) in STORY {
        let begun = Instant::now();
        happens(&booted).with_context(|| format!("when it was {part}"))?;
        eprintln!("{part} within {:.1} s", begun.elapsed().as_secs_f32());
    }
    Ok(())
}

type Part = fn(&Booted) -> anyhow::Result<()>;

const STORY: [(&str, Part); 14] = [
    ("installed", installed),
    ("given a certificate", given_a_certificate),
    ("activated", activated),
    ("used", used),
    ("reloaded", reloaded),
    ("restarted", restarted),
    ("crashed", crashed),
    ("hung", hung),
    ("upgraded", upgraded),
    ("mistaken", mistaken),
    ("left", left),
    ("removed", removed),
    ("purged", purged),
    ("an rpm", an_rpm),
];

/// Enabled at once, and waiting in words for what only the administrator can bring.
fn installed(booted: &Booted) -> anyhow::Result<()> {
    ensure!(
        booted.fails("getent passwd muster")?.is_empty(),
        "the host has Muster's user"
    );
    let said = booted.inside(&format!("{APT} install /var/tmp/muster_[0-9]*.deb"))?;
    ensure!(
        said.contains(
            "waits for this node's \
        certificate"
        ) && said.contains("systemctl restart muster"),
        "{said}"
    );
    booted.prints(
        "systemctl is-enabled muster.service muster.socket",
        "enabled\nenabled",
    )?;
    booted.prints(
        "systemctl show -P ActiveState -P SubState -P NRestarts muster | \
        xargs",
        "0 inactive dead",
    )?;
    booted.prints("systemctl show -P ActiveState muster.socket", "inactive")?;
    let status = booted.fails("systemctl status muster")?;
    ensure!(
        status.contains(
            "ConditionPathExists=/etc/muster/tls/node.key was not \
        met"
        ),
        "{status}"
    );
    booted.prints("systemctl --failed --quiet; dpkg --audit", "")?;
    booted.prints("stat -c '%a %U' /etc/muster/tls", "700 root")?;
    let said = booted.fails("muster lists")?;
    ensure!(
        said.contains("/run/muster/muster.sock") && said.contains("systemctl status muster"),
        "{said}"
    );

    booted.inside(
        "musterd --version && man -w muster muster-add muster-pki-issue muster.toml \
        musterd",
    )?;
    booted.inside(
        "bash -c 'source /usr/share/bash-completion/completions/muster && complete -p \
        muster'",
    )?;
    let said = booted.inside("systemd-analyze verify muster.service muster.socket 2>&1")?;
    ensure!(!said.contains("muster"), "{said}");
    Ok(())
}

fn given_a_certificate(booted: &Booted) -> anyhow::Result<()> {
    booted.inside(
        "cd /root && muster pki init --dir ca && muster pki issue n1 --dir ca --out \
        /etc/muster/tls",
    )?;
    booted
        .inside("systemctl restart muster && systemctl is-active muster.service muster.socket")?;
    booted.prints(
        "systemctl show -P StatusText muster",
        "1 of 1 members, 0 lists, whole",
    )?;
    // It is not root, has one capability, and its directories are its own.
    booted.prints(
        &format!(
            "ps -o user= -p $({PID}); grep CapEff /proc/$({PID})/status | cut \
        -f2"
        ),
        "muster\n0000000000000020",
    )?;
    booted.prints(
        "stat -c '%a %U:%G' /var/lib/muster \
        /run/muster/muster.sock",
        "700 muster:muster\n660 muster:muster",
    )
}

/// The socket outlives the daemon: the next client starts it.
fn activated(booted: &Booted) -> anyhow::Result<()> {
    booted.inside("systemctl stop muster.service 2>&1")?;
    booted.prints(
        "systemctl show -P ActiveState muster.service muster.socket | \
        xargs",
        "inactive active",
    )?;
    booted
        .inside("muster add groceries bread && systemctl is-active muster.service")
        .map(drop)
}

/// Who calls is known, and processes of others are seen and signalled, whatever the unit takes
/// away.
fn used(booted: &Booted) -> anyhow::Result<()> {
    booted.inside("useradd -m -G muster alice && useradd -m -G muster carol && useradd -m bob")?;
    booted.inside(
        "su alice -c 'muster add groceries tea' && muster --json show groceries | grep \
        '\"alice@n1\"'",
    )?;
    let said = booted.fails("su bob -c 'muster lists'")?;
    ensure!(said.contains("members of the group muster"), "{said}");

    let asleep = |user, name| {
        format!(
            "su {user} -c 'sleep 1000 >/dev/null 2>&1 & echo $! \
        >$HOME/{name}; muster register {name} --pid $!'"
        )
    };
    for (user, name) in [("alice", "web"), ("carol", "db"), ("alice", "keeper")] {
        booted.inside(&asleep(user, name))?;
        booted.prints(
            &format!(
                "muster --json whereis {name} | grep -o \
            '\"user\":\"[a-z]*\"'"
            ),
            &format!("\"user\":\"{user}\""),
        )?;
    }
    let said = booted.fails("su carol -c \"muster register mine --pid $(cat ~alice/web)\"")?;
    ensure!(
        said.contains("only that user and root"),
        "another one's process is not for taking: \
        {said}"
    );
    ensure!(
        !booted.fails("su carol -c 'muster link web db'")?.is_empty(),
        "nor for linking"
    );
    // A link signals a process that is neither root's nor the daemon's.
    booted.inside("su alice -c 'muster link web db' && kill -9 $(cat ~carol/db)")?;
    booted.prints(
        "kill -0 $(cat ~alice/web) 2>/dev/null || echo ended",
        "ended",
    )?;
    booted.fails("muster whereis web").map(drop)
}

fn reloaded(booted: &Booted) -> anyhow::Result<()> {
    let pid = booted.inside(PID)?;
    booted.inside(
        "printf '[log]\\nlevel = \"debug\"\\n' >/etc/muster/muster.toml && systemctl \
        reload muster",
    )?;
    let said = booted.fails(
        "echo '[lgo]' >>/etc/muster/muster.toml; systemctl reload muster || journalctl -u \
            muster --no-pager | tail -20 && false",
    )?;
    ensure!(said.contains("did you mean [log]"), "{said}");
    booted.inside(
        "printf '[log]\\nlevel = \"debug\"\\n' >/etc/muster/muster.toml && systemctl \
        is-active muster",
    )?;
    ensure!(booted.inside(PID)? == pid, "a reload is no restart");
    Ok(())
}

/// What any user of a host can run: takes one of the daemon's ports as soon as it is free. Says
/// whether it ever was, in so many seconds.
const TAKER: &str = "
import socket, sys, time
end = time.monotonic() + float(sys.argv[1])
kind, port = sys.argv[2].split(':')
kind = {'tcp': socket.SOCK_STREAM, 'udp': socket.SOCK_DGRAM}[kind]
while time.monotonic() < end:
    for address in ('127.0.0.1', '0.0.0.0'):
        with socket.socket(socket.AF_INET, kind) as taker:
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taker.bind((address, int(port)))
                if kind == socket.SOCK_STREAM:
                    taker.listen()
                sys.exit('it was free')
            except OSError:
                pass
print('it was never free')
";

fn taker(seconds: u8, port: &str) -> String {
    format!("su bob -c 'python3 /var/tmp/taker {seconds} {port}'")
}

/// The ports stay the daemon's over restarts and crashes, follow the configuration, and are given
/// back when the service stops, which no client by TCP starts again.
fn restarted(booted: &Booted) -> anyhow::Result<()> {
    booted.inside(&format!("cat >/var/tmp/taker <<'END'\n{TAKER}END"))?;
    let healthy = |port| format!("curl -sf --max-time 10 http://127.0.0.1:{port}/healthz");
    let takers: String = ["tcp:6879", "udp:6878"]
        .map(|port| format!("{} >/run/{port} 2>&1 & ", taker(8, port)))
        .concat();
    let restarts = "systemctl restart muster; systemctl restart muster";
    let crash = format!("kill -9 $({PID}); sleep 0.1; {}", healthy(6879));
    let said = booted.inside(&format!(
        "systemctl reset-failed muster; {takers} sleep 0.5; {restarts}; {crash}; wait; cat \
        /run/tcp:6879 /run/udp:6878",
    ))?;
    // The client that came while the daemon was away was answered by its successor.
    ensure!(
        said == "ok\nit was never free\nit was never free\n",
        "{said}"
    );

    booted.inside(
        "printf '[http]\\nlisten = \"127.0.0.1:6880\"\\n' >>/etc/muster/muster.toml; systemctl \
        restart muster",
    )?;
    booted.inside(&healthy(6880))?;
    is_free(booted, "tcp:6879")?;
    booted.inside("sed -i '/http/,$d' /etc/muster/muster.toml && systemctl restart muster")?;
    booted.inside(&healthy(6879))?;

    booted.inside("systemctl stop muster.service 2>&1")?;
    booted.fails(&healthy(6879))?;
    booted.prints(
        "systemctl show -P ActiveState muster.service muster.socket | \
        xargs",
        "inactive active",
    )?;
    is_free(booted, "tcp:6879")?;
    is_free(booted, "udp:6878")?;
    booted.inside("systemctl start muster").map(drop)
}

fn is_free(booted: &Booted, port: &str) -> anyhow::Result<()> {
    let said = booted.fails(&taker(5, port))?;
    ensure!(said.contains("it was free"), "{port}: {said}");
    Ok(())
}

/// Restarted; nothing is lost, and who was registered stays.
fn crashed(booted: &Booted) -> anyhow::Result<()> {
    booted.inside(&format!("systemctl reset-failed muster; kill -9 $({PID})"))?;
    booted.prints(
        "systemctl show -P NRestarts muster; systemctl is-active muster",
        "1\nactive",
    )?;
    booted.prints(
        "systemctl show -P StatusText muster",
        "1 of 1 members, 1 lists, whole",
    )?;
    booted
        .inside("muster show groceries | grep bread && muster whereis keeper")
        .map(drop)
}

/// Each part, held up for a minute, and the process as a whole: the watchdog is not fed, so it is
/// killed and started again.
fn hung(booted: &Booted) -> anyhow::Result<()> {
    let drop_in = "/run/systemd/system/muster.service.d";
    let lines = "[Service]\\nExecStart=\\nExecStart=/usr/bin/musterd \
        --dev-faults\\nWatchdogSec=2s\\nRestartSec=100ms\\n";
    booted.inside(&format!(
        "mkdir -p {drop_in} && printf '{lines}' >{drop_in}/soon.conf"
    ))?;
    booted.inside("systemctl daemon-reload && systemctl restart muster")?;
    for part in ["cluster", "lists", "store", "api"] {
        let call = "curl -s --max-time 1 --unix-socket /run/muster/muster.sock -X PUT \
            http://muster/v1/debug/hang";
        let hang = format!("{call} --json '{{\"part\": \"{part}\", \"ms\": 60000}}'");
        is_restarted(booted, &format!("{hang} || true"))?;
        booted.inside(&format!(
            "journalctl -u muster MUSTER_PARTS={part} --no-pager | grep 'the \
            watchdog is not fed'"
        ))?;
    }
    is_restarted(booted, &format!("kill -STOP $({PID})"))?;
    booted.prints(
        "journalctl -u muster --no-pager | grep -c 'Watchdog timeout'",
        "5",
    )?;
    booted.inside(&format!(
        "rm -r {drop_in} && systemctl daemon-reload && systemctl restart muster \
            && muster show groceries | grep bread"
    ))?;
    Ok(())
}

fn is_restarted(booted: &Booted, hang: &str) -> anyhow::Result<()> {
    let before = booted.inside(&format!("systemctl reset-failed muster && {PID}"))?;
    booted.inside(hang)?;
    let line = format!(
        "[ $({PID}) != {} ] && systemctl is-active muster",
        before.trim()
    );
    booted.prints(&format!("{line} || true"), "active")
}

/// What the administrator wrote stays, so does the data; the new version runs.
fn upgraded(booted: &Booted) -> anyhow::Result<()> {
    let before = booted.inside(PID)?;
    booted.inside(&format!("{APT} install /var/tmp/muster_next.deb"))?;
    booted.prints(
        "dpkg-query -W -f '${Version} ${Status}' muster | cut \
        -c1-3,9-",
        "99. install ok installed",
    )?;
    booted.inside(&format!(
        "[ $({PID}) != {} ] && systemctl is-active muster.service \
        muster.socket",
        before.trim()
    ))?;
    booted.inside(
        "grep debug /etc/muster/muster.toml && grep 'All settings' \
        /etc/muster/muster.toml.dpkg-dist",
    )?;
    booted.inside("muster show groceries | grep bread && muster whereis keeper")?;
    // What was stopped is not started by an upgrade.
    booted.inside(
        "systemctl stop muster.socket muster.service && dpkg -i \
        /var/tmp/muster_next.deb",
    )?;
    booted.prints(
        "systemctl show -P ActiveState muster.service muster.socket | \
        xargs",
        "inactive inactive",
    )?;
    booted.inside("systemctl start muster").map(drop)
}

/// What another start would meet again is no reason for one.
fn mistaken(booted: &Booted) -> anyhow::Result<()> {
    for (spoil, mend) in [
        (
            "echo nonsense = 1 >>/etc/muster/muster.toml",
            "sed -i /nonsense/d /etc/muster/muster.toml",
        ),
        (
            "mv /etc/muster/tls/node.key /etc/muster/kept.key; echo rubbish \
                >/etc/muster/tls/node.key",
            "mv /etc/muster/kept.key /etc/muster/tls/node.key",
        ),
    ] {
        booted.fails(&format!("{spoil}; systemctl restart muster"))?;
        booted.prints(
            "systemctl show -P ActiveState -P ExecMainStatus -P NRestarts muster | sort \
            | xargs",
            "0 2 failed",
        )?;
        booted.inside(&format!(
            "{mend}; systemctl restart muster && systemctl is-active \
            muster.socket"
        ))?;
    }
    Ok(())
}

/// To leave is an end in order, after which nothing is started again.
fn left(booted: &Booted) -> anyhow::Result<()> {
    booted.inside("systemctl stop muster.socket 2>&1 && muster leave --force")?;
    booted.prints(
        "systemctl show -P ActiveState -P Result muster | sort | \
        xargs",
        "inactive success",
    )?;
    booted
        .inside(
            "systemctl start muster && muster whereis keeper && muster show groceries | \
        grep bread",
        )
        .map(drop)
}

/// The programs go, what is the administrator's and the node's stays, and is found again.
fn removed(booted: &Booted) -> anyhow::Result<()> {
    let daemon = booted.inside(PID)?;
    booted.inside(&format!("{APT} remove muster"))?;
    ensure!(
        !booted.has(&format!("/proc/{}", daemon.trim()))
            && booted.fails("pgrep musterd")?.is_empty(),
        "it runs on"
    );
    for gone in [
        "/usr/bin/muster",
        "/usr/lib/systemd/system/muster.service",
        "/run/muster",
        "/usr/share/man/man1/muster.1.gz",
    ] {
        booted.inside(&format!("! [ -e {gone} ]"))?;
    }
    booted.inside(
        "[ -e /etc/muster/muster.toml ] && [ -e /etc/muster/tls/node.key ] && [ -e \
        /var/lib/muster ] && getent passwd muster",
    )?;
    booted.inside(&format!(
        "{APT} install /var/tmp/muster_next.deb && systemctl is-active \
        muster.service muster.socket"
    ))?;
    booted
        .inside(
            "muster show groceries | grep bread && grep debug \
        /etc/muster/muster.toml",
        )
        .map(drop)
}

fn purged(booted: &Booted) -> anyhow::Result<()> {
    booted.inside(&format!("{APT} purge muster"))?;
    booted.prints(
        "find /usr/bin /usr/lib /usr/share /etc /var/lib /run -name '*muster*'",
        "",
    )?;
    booted.inside("! getent passwd muster && ! getent group muster")?;
    booted.prints(
        "systemctl --failed --quiet; systemctl list-unit-files --quiet 'muster*'; dpkg \
        --audit",
        "",
    )
}

/// The scripts of the other kind of package do the same, though rpm knows nothing of what else is
/// installed here.
fn an_rpm(booted: &Booted) -> anyhow::Result<()> {
    let rpm = "rpm --dbpath /var/tmp/rpm --nodeps";
    booted.inside(&format!("{rpm} --install /var/tmp/muster-*.rpm"))?;
    booted.prints(
        "systemctl is-enabled muster.service muster.socket",
        "enabled\nenabled",
    )?;
    booted.inside(
        "cd /root && muster pki issue n2 --dir ca --out /etc/muster/tls && systemctl \
            start muster && muster add groceries bread",
    )?;
    let before = booted.inside(PID)?;
    booted.inside("echo '# mine' >>/etc/muster/muster.toml")?;
    booted.inside(&format!("{rpm} --upgrade --force /var/tmp/muster-*.rpm"))?;
    booted.inside(&format!(
        "[ $({PID}) != {} ] && muster show groceries | grep bread && grep mine \
            /etc/muster/muster.toml",
        before.trim()
    ))?;
    booted.inside(&format!("{rpm} --erase muster"))?;
    ensure!(booted.fails("pgrep musterd")?.is_empty(), "it runs on");
    booted.inside(
        "[ -e /etc/muster/tls/node.key ] && [ -e /var/lib/muster ] && ! [ -e \
        /usr/bin/muster ] && ! [ -e /run/muster ]",
    )?;
    booted.prints(
        "systemctl list-unit-files --quiet 'muster*'; systemctl --failed --quiet",
        "",
    )
}
