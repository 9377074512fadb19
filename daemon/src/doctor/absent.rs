//! Why no daemon answers, as far as can be seen from outside.

use super::{Finding, HERE};
use crate::config::Config;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

/// Where systemd shows that it runs this host.
const SYSTEMD: &str = "/run/systemd/system";

/// The unit, and whether the ports that a start needs are free.
pub(crate) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = unit().into_iter().collect();
    findings.push(port(
        "UDP",
        config.quic.listen,
        UdpSocket::bind(config.quic.listen).err(),
    ));
    findings.extend(
        config
            .http
            .listen
            .map(|address| port("TCP", address, TcpListener::bind(address).err())),
    );
    findings
}

fn port(kind: &str, address: SocketAddr, error: Option<std::io::Error>) -> Finding {
    match error {
        None => Finding::good(
            "port",
            HERE,
            format!("{kind} {address} is free for the daemon"),
        ),
        Some(error) => {
            let remedy = format!(
                "find who has it (ss -lnp | grep {}): another program, or a \
                musterd with another socket",
                address.port()
            );
            Finding::critical(
                "port",
                HERE,
                format!(
                    "{kind} {address} cannot be used: \
                {error}"
                ),
                remedy,
            )
        }
    }
}

/// What the service manager says of the unit; nothing where there is none.
fn unit() -> Option<Finding> {
    if !Path::new(SYSTEMD).exists() {
        return None;
    }
    let asked = Command::new("systemctl")
        .args([
            "show",
            "muster.service",
            "--property=LoadState,ActiveState,SubState,Result",
        ])
        .output();
    let text = String::from_utf8(asked.ok()?.stdout).ok()?;
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default()
    };
    Some(judge_unit(
        value("LoadState"),
        value("ActiveState"),
        value("Result"),
    ))
}

fn judge_unit(load: &str, active: &str, result: &str) -> Finding {
    match (load, active) {
        ("loaded", "active") => Finding::warning(
            "unit",
            HERE,
            "muster.service runs",
            "see whether --socket is the \
                one that it serves ([api] socket)",
        ),
        ("loaded", "failed") => Finding::critical(
            "unit",
            HERE,
            format!("muster.service has failed ({result})"),
            "journalctl -u muster -n 50 says why; then systemctl restart muster",
        ),
        ("loaded", _) => Finding::critical(
            "unit",
            HERE,
            format!("muster.service is {active}"),
            "systemctl enable --now muster.socket muster.service",
        ),
        _ => Finding::warning(
            "unit",
            HERE,
            "there is no muster.service",
            "install the package, \
            or start musterd by hand",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_port_that_somebody_has_is_told() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(
            port("UDP", address, UdpSocket::bind(address).err()).level,
            Level::Critical
        );
        drop(taken);
        assert_eq!(port("UDP", address, None).level, Level::Good);
    }

    #[test]
    fn a_unit_that_has_failed_is_told_with_its_result() {
        assert!(
            judge_unit("loaded", "failed", "watchdog")
                .what
                .contains("watchdog")
        );
        assert_eq!(
            judge_unit("not-found", "inactive", "success").level,
            Level::Warning
        );
        assert_eq!(
            judge_unit("loaded", "inactive", "success").level,
            Level::Critical
        );
    }
}
