use super::*;
use std::path::Path;
use std::time::Duration;

/// A file's text, variables and flags, for a daemon that does not run as root unless told.
struct Case {
    dir: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Case {
    fn new(file: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("muster.toml"), file).unwrap();
        let mut surroundings = Surroundings {
            args: vec!["musterd".into(), "--config".into()],
            ..Surroundings::default()
        };
        surroundings
            .args
            .push(dir.path().join("muster.toml").into());
        surroundings.env.insert("HOME".into(), "/home/alice".into());
        surroundings
            .env
            .insert("XDG_RUNTIME_DIR".into(), "/run/user/1000".into());
        Self { dir, surroundings }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.surroundings.env.insert(name.into(), value.into());
        self
    }

    fn flags(mut self, flags: &[&str]) -> Self {
        self.surroundings
            .args
            .extend(flags.iter().map(OsString::from));
        self
    }

    fn load(&self) -> Config {
        match load_in(&self.surroundings).unwrap() {
            Start::Run(config) => *config,
            Start::Print(text) | Start::Check(_, text) => panic!("{text}"),
        }
    }

    /// The mistakes, with the file's path cut down to its name.
    fn mistakes(&self) -> Vec<String> {
        let folder = format!("{}/", self.dir.path().display());
        match load_in(&self.surroundings).unwrap_err() {
            ConfigError::Mistakes(mistakes) => mistakes
                .iter()
                .map(|mistake| mistake.replace(&folder, ""))
                .collect(),
            ConfigError::Usage(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "[quic]\nlisten = \"127.0.0.1:1\"\nseeds = [\"a:1\"]\n[log]\nlevel = \"warn\"";
    let in_file = Case::new(file);
    assert_eq!(in_file.load().quic.listen, "127.0.0.1:1".parse().unwrap());
    let in_env = Case::new(file)
        .env("MUSTERD_QUIC__LISTEN", "127.0.0.1:2")
        .env("MUSTERD_QUIC__SEEDS", "b:2, c");
    assert_eq!(in_env.load().quic.listen, "127.0.0.1:2".parse().unwrap());
    assert_eq!(in_env.load().quic.seeds, ["b:2", "c:6878"]);
    assert_eq!(in_env.load().log.level, "warn");
    let in_flag = in_env.flags(&[
        "--quic-listen",
        "127.0.0.1:3",
        "--quic-seeds",
        "d:4",
        "--quic-seeds=e:5,f:6",
    ]);
    assert_eq!(in_flag.load().quic.listen, "127.0.0.1:3".parse().unwrap());
    assert_eq!(in_flag.load().quic.seeds, ["d:4", "e:5", "f:6"]);
}

#[test]
fn defaults_follow_the_rights_and_never_use_a_shared_directory() {
    let user = Case::new("").load();
    assert_eq!(user.data_dir, Path::new("/home/alice/.local/state/muster"));
    assert_eq!(user.api.socket, Path::new("/run/user/1000/muster.sock"));
    assert_eq!(user.quic.listen, "[::]:6878".parse().unwrap());
    assert_eq!(user.http.listen, Some("127.0.0.1:6879".parse().unwrap()));
    assert!(!user.http.open && !user.dev_faults && !user.parent_pipe);
    let mut root = Case::new("");
    root.surroundings.root = true;
    assert_eq!(root.load().data_dir, Path::new("/var/lib/muster"));
    assert_eq!(root.load().api.socket, Path::new("/run/muster/muster.sock"));
    assert_eq!(root.load().tls.key, Path::new("/etc/muster/tls/node.key"));
}

#[test]
fn without_a_home_the_missing_key_is_named() {
    let mut case = Case::new("data_dir = \"/d\"\n[tls]\nca = \"/a\"\ncert = \"/b\"\nkey = \"/c\"");
    case.surroundings.env.clear();
    assert_eq!(
        case.mistakes(),
        [
            "api.socket is not given and has no default here, as this is not root and \
            XDG_RUNTIME_DIR is not set: give api.socket"
        ]
    );
}

#[test]
fn paths_in_a_file_are_relative_to_it() {
    let case = Case::new("data_dir = \"data\"\n[api]\nsocket = \"/s\"");
    assert_eq!(case.load().data_dir, case.dir.path().join("data"));
    assert_eq!(case.load().api.socket, Path::new("/s"));
    assert_eq!(
        case.env("MUSTERD_DATA_DIR", "here").load().data_dir,
        Path::new("here")
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let mistakes = |file: &str| Case::new(file).mistakes();
    assert_eq!(
        mistakes("[quic]\nlistn = \"x\""),
        [
            "muster.toml has a key quic.listn, which musterd does not know; did you mean \
                quic.listen?"
        ]
    );
    assert_eq!(
        mistakes("datadir = \"x\""),
        ["muster.toml has a key datadir, which musterd does \
        not know; did you mean data_dir?"]
    );
    assert_eq!(
        mistakes("seeds = []"),
        ["muster.toml has a key seeds, which musterd does not \
        know; did you mean quic.seeds?"]
    );
    assert_eq!(
        mistakes("[quik]\na = 1"),
        ["muster.toml has a table [quik], which musterd does \
        not know; did you mean [quic]?"]
    );
    assert_eq!(
        mistakes("[zzzzzz]\na = 1"),
        ["muster.toml has a table [zzzzzz], which musterd \
        does not know"]
    );
    let in_env = Case::new("").env("MUSTERD_QUIC_LISTEN", "x");
    assert_eq!(
        in_env.mistakes(),
        ["MUSTERD_QUIC_LISTEN in the environment is no setting of \
        musterd; did you mean MUSTERD_QUIC__LISTEN?"]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_what_would_be_right() {
    let mistakes = |file: &str| Case::new(file).mistakes();
    assert_eq!(
        mistakes("[quic]\nseeds = \"a:1\""),
        [
            "quic.seeds in muster.toml must be a list of texts such as [\"one\", \"two\"], not the \
            text \"a:1\""
        ]
    );
    assert_eq!(
        mistakes("[http]\nopen = \"yes\""),
        ["http.open in muster.toml must be true or \
        false, not the text \"yes\""]
    );
    assert_eq!(
        mistakes("[limits]\nconnections = 1.5"),
        ["limits.connections in muster.toml must \
        be a whole number, not the number 1.5"]
    );
    assert_eq!(
        mistakes("quic = 1"),
        [
            "quic in muster.toml must be a table [quic], not the number \
        1"
        ]
    );
}

#[test]
fn a_value_that_makes_no_sense_is_told_with_what_would_be_right() {
    let mistakes = |file: &str| Case::new(file).mistakes();
    assert_eq!(
        mistakes("[quic]\nlisten = \"6878\""),
        [
            "quic.listen in muster.toml is \"6878\", but must be an IP address and a port, such as \
            0.0.0.0:6878 or [::1]:6878"
        ]
    );
    assert_eq!(
        mistakes("[quic]\nseeds = [\"a:b\"]"),
        [
            "quic.seeds in muster.toml has \"a:b\", but each of them must be a host and a port, \
                such \
            as node1.example:6878"
        ]
    );
    assert_eq!(
        mistakes("[quic]\nadvertise = \"0.0.0.0\""),
        [
            "quic.advertise in muster.toml is \"0.0.0.0\", but must be one IP address that others \
            reach, such as 10.0.0.7 or 10.0.0.7:6878"
        ]
    );
    assert_eq!(
        mistakes("[quic]\nadvertise = \"10.0.0.7\"\ninterface = \"wg0\""),
        [
            "quic.interface and quic.advertise are both given: each says where others reach this \
            node; take one out"
        ]
    );
    assert_eq!(
        mistakes("[quic]\nlisten = \"10.0.0.7:6878\"\ninterface = \"wg0\""),
        [
            "quic.interface is given, but quic.listen is 10.0.0.7:6878, which is one address \
            already: take one out"
        ]
    );
    assert_eq!(
        mistakes("[log]\nlevel = \"inof\""),
        [
            "log.level in muster.toml is \"inof\", but must be error, warn, info, debug, trace, or \
            directives such as info,muster=debug"
        ]
    );
    assert_eq!(
        mistakes("[limits]\nconnections = 0"),
        ["limits.connections in muster.toml is 0, but must be a whole number from 1 to 1000000"]
    );
    assert_eq!(
        Case::new("")
            .flags(&["--limits-header-timeout", "5"])
            .mistakes(),
        [
            "--limits-header-timeout is \"5\", but must be a time from 1ms to 1h such as 500ms, \
                10s \
            or 2m"
        ]
    );
    assert_eq!(
        mistakes("[processes]\nkill_after = \"never\""),
        [
            "processes.kill_after in muster.toml is \"never\", but must be a time from 0s to 1h \
                such \
            as 500ms, 10s or 2m"
        ]
    );
    assert_eq!(
        Case::new("").env("MUSTERD_HTTP__OPEN", "1").mistakes(),
        ["MUSTERD_HTTP__OPEN is \"1\", but must be true or false"]
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let case = Case::new("nonsense = 1\n[http]\nlisten = 5").env("MUSTERD_LOG__LEVEL", "loud");
    assert_eq!(case.mistakes().len(), 3, "{:?}", case.mistakes());
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_told() {
    let mistakes = Case::new("a = 1\nb = = 2").mistakes();
    assert!(
        mistakes.len() == 1
            && mistakes[0].starts_with(
                "muster.toml is not TOML at line \
        2: "
            ),
        "{mistakes:?}"
    );
    let missing = Case::new("").flags(&[]);
    std::fs::remove_file(missing.dir.path().join("muster.toml")).unwrap();
    let mistakes = missing.mistakes();
    assert!(
        mistakes[0].starts_with(
            "the configuration file muster.toml cannot be \
        read: "
        ),
        "{mistakes:?}"
    );
}

#[test]
fn a_socket_path_that_the_kernel_would_cut_is_refused_in_words() {
    let path = format!("/{}", "x".repeat(107));
    let mistakes = Case::new("").flags(&["--api-socket", &path]).mistakes();
    assert_eq!(
        mistakes,
        [format!(
            "--api-socket has 108 bytes, but the path of a unix socket must \
        have at most 107: {path}"
        )]
    );
}

#[test]
fn an_advertised_address_takes_the_listeners_port() {
    let case = Case::new("[quic]\nlisten = \"[::]:7001\"\nadvertise = \"10.0.0.7\"");
    assert_eq!(case.load().quic.advertise, "10.0.0.7:7001".parse().ok());
}

#[test]
fn faults_are_a_flag_only() {
    let case = Case::new("").flags(&[
        "--dev-faults",
        "--dev-block",
        "127.0.0.1:1,127.0.0.1:2",
        "--parent-pipe",
        "--http-open",
    ]);
    let config = case.load();
    assert!(config.dev_faults && config.parent_pipe && config.http.open);
    assert_eq!(config.dev_block.len(), 2);
    assert!(!Case::new("[dev]\nfaults = true").mistakes().is_empty());
    assert!(matches!(
        load_in(
            &Case::new("")
                .flags(&["--dev-block", "127.0.0.1:1"])
                .surroundings
        ),
        Err(ConfigError::Usage(_))
    ));
}

#[test]
fn a_linked_process_is_killed_after_a_time_or_never() {
    assert_eq!(
        Case::new("").load().processes.kill_after,
        Duration::from_secs(10)
    );
    assert_eq!(
        Case::new("")
            .env("MUSTERD_PROCESSES__KILL_AFTER", "2m")
            .load()
            .processes
            .kill_after,
        Duration::from_secs(120)
    );
    assert_eq!(
        Case::new("")
            .flags(&["--processes-kill-after", "0s"])
            .load()
            .processes
            .kill_after,
        Duration::ZERO
    );
}

#[test]
fn the_listener_can_be_switched_off() {
    assert_eq!(
        Case::new("[http]\nlisten = \"none\"").load().http.listen,
        None
    );
}

#[test]
fn help_is_printed_and_names_every_flag() {
    let surroundings = Surroundings {
        args: vec!["musterd".into(), "--help".into()],
        ..Surroundings::default()
    };
    let Ok(Start::Print(text)) = load_in(&surroundings) else {
        panic!("no help")
    };
    assert!(
        keys::KEYS
            .iter()
            .all(|key| text.contains(&format!("--{}", key.flag()))),
        "{text}"
    );
}

#[test]
fn a_check_answers_in_a_sentence_and_runs_nothing() {
    let good = Case::new("[log]\nlevel = \"warn\"").flags(&["--check-config"]);
    let Ok(Start::Check(_, text)) = load_in(&good.surroundings) else {
        panic!("it is good")
    };
    assert!(
        text.starts_with("the configuration is good: ") && text.ends_with("muster.toml\n"),
        "{text}"
    );
    let bad = Case::new("[log]\nlevle = \"warn\"").flags(&["--check-config"]);
    assert_eq!(
        bad.mistakes(),
        [
            "muster.toml has a key log.levle, which musterd does not know; \
        did you mean log.level?"
        ]
    );
}

#[test]
fn an_unknown_flag_is_refused_with_the_nearest_one() {
    let Err(ConfigError::Usage(text)) = load_in(
        &Case::new("")
            .flags(&["--quic-listn", "[::]:1"])
            .surroundings,
    ) else {
        panic!("taken")
    };
    assert!(
        text.contains("'--quic-listn'") && text.contains("'--quic-listen'"),
        "{text}"
    );
}

/// The example's uncommented values are those that count without it, where it shows defaults.
#[test]
fn documented_defaults_are_those_that_count() {
    let mut root = Case::new("");
    root.surroundings.root = true;
    let nothing = root.load();
    for key in keys::KEYS {
        let keys::Default::Text(default) = key.default else {
            continue;
        };
        let mut case = Case::new("").env(&key.variable(), default);
        case.surroundings.root = true;
        assert_eq!(
            (key.shown)(&case.load()),
            (key.shown)(&nothing),
            "{}",
            key.dotted()
        );
    }
}

#[test]
fn what_changed_is_told_by_key_and_by_what_it_needs() {
    let old = Case::new("[log]\nlevel = \"warn\"\n[quic]\nadvertise = \"10.0.0.7\"").load();
    let new = Case::new(
        "[log]\nlevel = \"info\"\n[http]\nhosts = [\"a\"]\n[quic]\nadvertise \
        = \"10.0.0.8\"\n[node]\ntags = []",
    )
    .load();
    assert_eq!(
        changed(&old, &new, Applies::AtReload),
        ["http.hosts", "log.level"]
    );
    assert_eq!(changed(&old, &new, Applies::AtRestart), ["quic.advertise"]);
}

#[test]
fn under_systemd_the_services_directories_are_the_defaults() {
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("node.key"), "").unwrap();
    let dir = credentials.path().to_str().unwrap();
    let case = |file: &str| {
        Case::new(file)
            .env("STATE_DIRECTORY", "/var/lib/muster:/b")
            .env("RUNTIME_DIRECTORY", "/run/muster")
    };
    let config = case("[tls]\nca = \"$CREDENTIALS_DIRECTORY/ca\"")
        .env("CREDENTIALS_DIRECTORY", dir)
        .load();
    assert_eq!(config.data_dir, Path::new("/var/lib/muster"));
    assert_eq!(config.api.socket, Path::new("/run/muster/muster.sock"));
    assert_eq!(config.tls.key, credentials.path().join("node.key"));
    assert_eq!(config.tls.ca, credentials.path().join("ca"));
    assert_eq!(
        config.tls.cert,
        Path::new("/home/alice/.config/muster/tls/node.pem"),
        "there is no such credential"
    );
    assert_eq!(
        case("[tls]\nca = \"$CREDENTIALS_DIRECTORY/ca\"").mistakes(),
        [
            "tls.ca in muster.toml is \"$CREDENTIALS_DIRECTORY/ca\", but CREDENTIALS_DIRECTORY is \
                not set: only a service with LoadCredential= has it"
        ]
    );
}

#[test]
fn a_certificate_and_its_key_are_given_together() {
    let mistakes = |file: &str| Case::new(file).mistakes();
    assert_eq!(
        mistakes("[http]\ntls_cert = \"cert.pem\""),
        ["http.tls_cert is given and http.tls_key is not: TLS takes both, plain HTTP neither"]
    );
    assert_eq!(
        mistakes("[http]\ntls_key = \"key.pem\""),
        ["http.tls_key is given and http.tls_cert is not: TLS takes both, plain HTTP neither"]
    );
    let missing = mistakes("[http]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"");
    assert!(
        missing.len() == 1
            && missing[0].starts_with(
                "http.tls_cert and http.tls_key cannot be used: cannot read cert.pem: "
            ),
        "{missing:?}"
    );
    let none = Case::new("").load().http;
    assert_eq!((none.tls_cert, none.tls_key), (None, None));
}
