//! Invitations and what becomes of those that come with them.

use super::*;
use node::admission::{Application, Grant, Refusal, RefusalKind};
use pki::{Claim, Identity, NodeKey};
use std::collections::{BTreeMap as Map, BTreeSet};
use tempfile::TempDir;

/// That nobody is shut out.
fn nobody() -> Revoked {
    watch::channel(Arc::from([])).1
}

struct World {
    dir: TempDir,
    authority: Authority,
    around: Around,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ca, tls) = (dir.path().join("ca"), dir.path().join("tls"));
        pki::init(&ca).unwrap();
        pki::delegate(
            &ca,
            "alpha",
            &dir.path().join("authority"),
            pki::SIGNER_LIFE,
        )
        .unwrap();
        pki::issue(&ca, ("alpha", pki::Role::Member), &tls, LIFE).unwrap();
        let files = ["ca.pem", "node.pem", "node.key"].map(|file| tls.join(file));
        let identity = Identity::load(&files[0], &files[1], &files[2]).unwrap();
        let around = Around {
            identity,
            taken: Map::from([("alpha".to_owned(), NodeId([1; 16]))]),
            revoked: BTreeSet::new(),
            withdrawn: pki::Withdrawn::default(),
            seeds: vec!["10.0.0.1:6878".to_owned()],
        };
        Self {
            authority: Authority::load(dir.path(), nobody()).unwrap(),
            dir,
            around,
        }
    }

    /// The same after a restart.
    fn restarted(mut self) -> Self {
        self.authority = Authority::load(self.dir.path(), nobody()).unwrap();
        self
    }

    fn invite(&self, change: impl FnOnce(&mut Wanted)) -> Token {
        let mut wanted = Wanted {
            ttl: Duration::from_secs(600),
            uses: 1,
            name: None,
            role: Role::Member,
            tags: vec!["rack=7".to_owned()],
            by: "root@alpha".to_owned(),
        };
        change(&mut wanted);
        let fingerprint = Fingerprint::of(&self.around.identity.authorities()[0]);
        let (_, _, token) = self.authority.invite(wanted, fingerprint).unwrap();
        token.text().parse().unwrap()
    }

    fn ask(&self, token: &Token, host: &Host) -> Result<Grant, Refusal> {
        let asked = host.asks(token, &self.around.identity);
        let admitted = self.authority.admit(&asked, &self.around)?;
        let (sealed, proof) = (admitted.sealed, asked.application.proof);
        assert!(token.key().is_seal(&proof, &sealed.grant, &sealed.seal));
        Ok(Grant::read(&sealed.grant).unwrap())
    }

    fn refuses(&self, token: &Token, host: &Host) -> (RefusalKind, String) {
        let refusal = self.ask(token, host).unwrap_err();
        (refusal.kind, refusal.words)
    }
}

struct Host {
    key: NodeKey,
    name: &'static str,
    is_chosen: bool,
    /// Of a node that is to have another name.
    chain: Option<Vec<u8>>,
}

fn host(name: &'static str) -> Host {
    Host {
        key: NodeKey::generate().unwrap(),
        name,
        is_chosen: true,
        chain: None,
    }
}

impl Host {
    /// In a session of its own each time.
    fn asks(&self, token: &Token, of: &Identity) -> Asked {
        let exporter = random().unwrap();
        let claim = Claim {
            exporter: &exporter,
            cluster: &of.cluster(),
            invitation: token.id,
            public_key: self.key.public(),
            name: self.name,
            is_chosen: self.is_chosen,
            chain: self.chain.as_deref(),
        };
        let application = Application {
            invitation: token.id.0,
            public_key: *self.key.public(),
            name: self.name.to_owned(),
            is_chosen: self.is_chosen,
            proof: token.key().prove(&claim),
        };
        Asked {
            application,
            chain: self.chain.clone(),
            exporter,
            address: "10.0.0.7:40001".to_owned(),
        }
    }
}

fn random() -> anyhow::Result<[u8; 32]> {
    crate::host::random()
}

#[test]
fn a_host_with_a_token_gets_a_certificate_once() {
    let world = World::new();
    let (token, beta) = (world.invite(|_| ()), host("beta"));
    let grant = world.ask(&token, &beta).unwrap();
    assert_eq!((grant.name.as_str(), grant.by.as_str()), ("beta", "alpha"));
    assert_eq!(grant.tags, ["rack=7"]);
    let dir = world.dir.path().join("beta");
    let identity = pki::install(&dir, &beta.key, &grant.certificate, &grant.authorities).unwrap();
    assert_eq!(identity.cluster(), world.around.identity.cluster());
    let (kind, words) = world.refuses(&token, &host("gamma"));
    assert_eq!(kind, RefusalKind::Invitation);
    assert_eq!(
        words,
        "the token was used already, by beta from 10.0.0.7:40001"
    );
}

#[test]
fn the_same_host_gets_the_same_answer_also_after_a_restart() {
    let world = World::new();
    let (token, beta) = (world.invite(|_| ()), host("beta"));
    let first = world.ask(&token, &beta).unwrap();
    let world = world.restarted();
    assert_eq!(world.ask(&token, &beta).unwrap(), first);
    assert_eq!(world.authority.list()[0].1.used.len(), 1);
    let other_name = Host {
        name: "delta",
        ..beta
    };
    assert_eq!(
        world.refuses(&token, &other_name).0,
        RefusalKind::Invitation
    );
}

#[test]
fn an_invitation_survives_a_restart_and_its_secret_is_not_kept() {
    let world = World::new();
    let token = world.invite(|wanted| wanted.uses = 2);
    let file = world
        .dir
        .path()
        .join(format!("authority/invitations/{}.json", token.id));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        !std::fs::read_to_string(&file)
            .unwrap()
            .contains(&token.text())
    );
    let world = world.restarted();
    world.ask(&token, &host("beta")).unwrap();
    let world = world.restarted();
    world.ask(&token, &host("gamma")).unwrap();
    assert!(world.refuses(&token, &host("delta")).1.contains("gamma"));
}

#[test]
fn what_is_over_is_told_in_words() {
    let world = World::new();
    let revoked = world.invite(|_| ());
    assert!(world.authority.revoke(revoked.id).unwrap());
    let words = world.refuses(&revoked, &host("beta")).1;
    assert_eq!(words, "the token was revoked");
    assert!(!world.authority.revoke(InvitationId([0; 6])).unwrap());
    let expired = world.invite(|wanted| wanted.ttl = Duration::ZERO);
    let words = world.refuses(&expired, &host("beta")).1;
    assert!(words.starts_with("the token expired at 2"), "{words}");
    let unknown = Token::draw(Fingerprint([0; 16]));
    assert_eq!(
        world.refuses(&unknown, &host("beta")).0,
        RefusalKind::Unknown
    );
}

#[test]
fn a_revoked_token_gives_nobody_an_earlier_answer() {
    let world = World::new();
    let (token, beta) = (world.invite(|_| ()), host("beta"));
    world.ask(&token, &beta).unwrap();
    world.authority.revoke(token.id).unwrap();
    assert_eq!(world.refuses(&token, &beta).1, "the token was revoked");
}

#[test]
fn a_name_has_one_host() {
    let world = World::new();
    let token = world.invite(|wanted| wanted.uses = 5);
    let (kind, words) = world.refuses(&token, &host("alpha"));
    assert_eq!(kind, RefusalKind::Name);
    assert!(words.contains("taken by the member") && words.contains("muster forget alpha"));
    world.ask(&token, &host("beta")).unwrap();
    let (kind, words) = world.refuses(&token, &host("beta"));
    assert_eq!(kind, RefusalKind::Name);
    assert!(words.contains("within the last hour"), "{words}");
    assert_eq!(
        world.refuses(&token, &host("No!")).0,
        RefusalKind::Malformed
    );
    let used = world.authority.list()[0].1.used.len();
    assert_eq!(used, 1, "what is refused uses nothing");
}

#[test]
fn a_host_that_was_interrupted_has_the_name_also_by_another_token() {
    let world = World::new();
    let beta = host("beta");
    world.ask(&world.invite(|_| ()), &beta).unwrap();
    assert_eq!(
        world.ask(&world.invite(|_| ()), &beta).unwrap().name,
        "beta"
    );
}

#[test]
fn an_invitation_for_a_name_gives_that_one() {
    let world = World::new();
    let named = || world.invite(|wanted| wanted.name = Some("gamma".to_owned()));
    let (kind, words) = world.refuses(&named(), &host("beta"));
    assert_eq!(kind, RefusalKind::Name);
    assert_eq!(words, "the token is for the name gamma, and not for beta");
    let unnamed = Host {
        is_chosen: false,
        ..host("somehost")
    };
    assert_eq!(world.ask(&named(), &unnamed).unwrap().name, "gamma");
}

/// A node that was let in by an invitation, and is to have another name now.
fn renamed(world: &World, from: &'static str, to: &'static str) -> (Host, Identity) {
    let host = host(from);
    let grant = world.ask(&world.invite(|_| ()), &host).unwrap();
    let dir = world.dir.path().join(from);
    let identity = pki::install(&dir, &host.key, &grant.certificate, &grant.authorities).unwrap();
    let chain = Some(identity.chain());
    let host = Host {
        name: to,
        chain,
        ..host
    };
    (host, identity)
}

#[test]
fn a_node_gets_another_name_and_keeps_its_key_and_id() {
    let mut world = World::new();
    let (node, before) = renamed(&world, "beta", "gamma");
    let id = NodeId(before.id());
    world.around.taken.insert("beta".to_owned(), id);
    let token = world.invite(|wanted| wanted.role = Role::Observer);
    let grant = world.ask(&token, &node).unwrap();
    let tls = world.dir.path().join("beta");
    let files = ["ca.pem", "node.pem", "node.key"].map(|file| tls.join(file));
    let pem = &grant.certificate;
    let after = pki::replace_certificate((&files[0], &files[1], &files[2]), pem).unwrap();
    assert_eq!((after.name(), after.id()), ("gamma", before.id()));
    assert_eq!(
        after.role(),
        Role::Member,
        "a token does not change what it is"
    );
    // The same request again, and the way back, also within the hour.
    assert_eq!(world.ask(&token, &node).unwrap(), grant);
    let back = Host {
        name: "beta",
        chain: Some(after.chain()),
        ..node
    };
    assert_eq!(
        world.ask(&world.invite(|_| ()), &back).unwrap().name,
        "beta"
    );
}

#[test]
fn a_node_gets_no_name_of_another_one() {
    let world = World::new();
    let (node, _) = renamed(&world, "beta", "alpha");
    let (kind, words) = world.refuses(&world.invite(|_| ()), &node);
    assert_eq!(kind, RefusalKind::Name);
    assert!(words.contains("taken by the member"), "{words}");
    world.ask(&world.invite(|_| ()), &host("delta")).unwrap();
    let node = Host {
        name: "delta",
        ..node
    };
    let words = world.refuses(&world.invite(|_| ()), &node).1;
    assert!(words.contains("within the last hour"), "{words}");
}

#[test]
fn only_the_holder_of_its_key_gets_a_node_renamed() {
    let mut world = World::new();
    let (node, identity) = renamed(&world, "beta", "gamma");
    let token = world.invite(|_| ());
    let thief = Host {
        chain: node.chain.clone(),
        ..host("gamma")
    };
    let (kind, words) = world.refuses(&token, &thief);
    assert_eq!(kind, RefusalKind::Malformed);
    assert!(words.contains("of another key"), "{words}");
    let stranger = World::new();
    let foreign = Host {
        chain: Some(renamed(&stranger, "beta", "gamma").1.chain()),
        ..host("gamma")
    };
    let words = world.refuses(&token, &foreign).1;
    assert!(words.contains("of another cluster"), "{words}");
    // A relay that takes the chain away makes the request one that nobody has proved.
    let mut asked = node.asks(&token, &world.around.identity);
    asked.chain = None;
    let refusal = world.authority.admit(&asked, &world.around).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Invitation);
    world
        .around
        .revoked
        .insert(NodeId(identity.id()).to_string());
    let words = world.refuses(&token, &node).1;
    assert!(words.contains("was revoked"), "{words}");
    let used = world.authority.list();
    let used = used.iter().find(|(id, _)| *id == token.id).unwrap();
    assert!(used.1.used.is_empty(), "what is refused uses nothing");
}

/// The one that has signed the certificate of the node that asks, and of another one.
#[test]
fn a_certificate_of_a_withdrawn_authority_gets_no_other_name() {
    let mut world = World::new();
    let (node, _) = renamed(&world, "beta", "gamma");
    let (other, _) = renamed(&world, "delta", "epsilon");
    let signer = world.authority.signer().unwrap().unwrap();
    let good = pki::marks(other.chain.as_ref().unwrap()).unwrap();
    let stays = [good.certificate];
    world.around.withdrawn.add(signer.key_mark(), stays);
    let token = world.invite(|wanted| wanted.uses = 2);
    let (kind, words) = world.refuses(&token, &node);
    assert_eq!(kind, RefusalKind::Malformed);
    assert!(words.contains("not trusted any more"), "{words}");
    assert_eq!(world.ask(&token, &other).unwrap().name, "epsilon");
    assert_eq!(world.authority.list().len(), 3);
}

/// The name that a node had is free when it has another one, and that of a revoked node at once.
#[test]
fn a_name_that_was_given_up_is_free_within_the_hour() {
    let mut world = World::new();
    let (node, identity) = renamed(&world, "beta", "gamma");
    world.ask(&world.invite(|_| ()), &node).unwrap();
    world.ask(&world.invite(|_| ()), &host("beta")).unwrap();
    let again = host("gamma");
    let words = world.refuses(&world.invite(|_| ()), &again).1;
    assert!(words.contains("within the last hour"), "{words}");
    world
        .around
        .revoked
        .insert(NodeId(identity.id()).to_string());
    world.ask(&world.invite(|_| ()), &again).unwrap();
}

#[test]
fn a_relay_can_change_nothing() {
    let world = World::new();
    let (token, beta) = (world.invite(|_| ()), host("beta"));
    let good = beta.asks(&token, &world.around.identity);
    let change = |change: fn(&mut Asked)| {
        let mut asked = good.clone();
        change(&mut asked);
        let refusal = world.authority.admit(&asked, &world.around).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Invitation, "{}", refusal.words);
    };
    change(|asked| asked.application.public_key[0] ^= 1);
    change(|asked| asked.application.name = "mallory".to_owned());
    change(|asked| asked.application.is_chosen = false);
    change(|asked| asked.exporter[0] ^= 1);
    change(|asked| asked.application.proof[31] ^= 1);
    change(|asked| asked.chain = Some(Vec::new()));
    world.authority.admit(&good, &world.around).unwrap();
}

#[test]
fn of_two_hosts_at_once_one_may_join() {
    let world = World::new();
    let token = world.invite(|_| ());
    let hosts: Vec<Host> = ["beta", "gamma", "delta", "eps"].map(host).into();
    let joined = std::thread::scope(|scope| {
        let asking: Vec<_> = hosts
            .iter()
            .map(|host| scope.spawn(|| world.ask(&token, host).is_ok()))
            .collect();
        let answers = asking.into_iter().map(|one| one.join().unwrap());
        answers.filter(|joined| *joined).count()
    });
    assert_eq!(joined, 1);
}

#[test]
fn a_node_without_a_key_invites_nobody() {
    let world = World::new();
    std::fs::remove_file(world.dir.path().join("authority/authority.key")).unwrap();
    assert_eq!(world.authority.not_after().unwrap(), None);
    let wanted = Wanted {
        ttl: Duration::from_secs(600),
        uses: 1,
        name: None,
        role: Role::Member,
        tags: Vec::new(),
        by: String::new(),
    };
    let refused = world.authority.invite(wanted, Fingerprint([0; 16]));
    assert!(matches!(refused, Err(AuthorityError::None)));
}

#[test]
fn an_invitation_that_cannot_be_read_is_not_good() {
    let world = World::new();
    let token = world.invite(|_| ());
    let file = world
        .dir
        .path()
        .join(format!("authority/invitations/{}.json", token.id));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
    let world = world.restarted();
    assert_eq!(world.refuses(&token, &host("beta")).0, RefusalKind::Unknown);
}
