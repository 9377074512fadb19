use super::*;
use futures_util::FutureExt;

const DAY: Duration = Duration::from_secs(86_400);

fn open(dir: &tempfile::TempDir) -> Tokens {
    let (store, _) = Store::open(dir.path(), |_| {}, |_| {}).unwrap();
    Tokens::load(store).unwrap()
}

fn close(tokens: Tokens) {
    tokens.shared.store.clone().close();
}

#[tokio::test]
async fn a_token_is_good_for_its_text_only_and_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = open(&dir);
    let (view, text) = tokens.create(7, Scope::Read, DAY).await.unwrap();
    let other = tokens.create(7, Scope::Read, DAY).await.unwrap().1;
    assert_eq!(tokens.bearer(&text).unwrap().token, view);
    let (head, tail) = text.rsplit_once('_').unwrap();
    let (_, other_tail) = other.rsplit_once('_').unwrap();
    assert!(
        tokens.bearer(&format!("{head}_{other_tail}")).is_none(),
        "one token's id with \
        another one's secret"
    );
    assert!(
        tokens
            .bearer(&format!("muster_{}_{tail}", TokenId([0; 8])))
            .is_none()
    );
    close(tokens);
    let tokens = open(&dir);
    assert_eq!(tokens.bearer(&text).unwrap().token, view);
    assert_eq!(tokens.list().len(), 2);
}

#[tokio::test]
async fn the_secret_is_not_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = open(&dir);
    let (_, text) = tokens.create(7, Scope::Sd, DAY).await.unwrap();
    let (_, secret) = text::parse(&text).unwrap();
    let (_, row) = tokens
        .shared
        .store
        .reader()
        .tokens()
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(row.hash, secret.hash());
    assert_ne!(row.hash, secret.0);
}

#[tokio::test]
async fn a_revoked_token_ends_at_once_and_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = open(&dir);
    let (view, text) = tokens.create(7, Scope::Page, DAY).await.unwrap();
    let bearer = tokens.bearer(&text).unwrap();
    tokens.revoke(view.id).await.unwrap();
    assert!(tokens.bearer(&text).is_none() && tokens.find(view.id).is_none());
    assert!(bearer.over().now_or_never().is_some());
    close(tokens);
    assert!(open(&dir).bearer(&text).is_none());
}

#[tokio::test]
async fn a_token_that_the_disk_does_not_let_go_of_is_refused_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = open(&dir);
    let (view, text) = tokens.create(7, Scope::Page, DAY).await.unwrap();
    close(tokens.clone());
    assert_eq!(tokens.revoke(view.id).await, Err(WriteError::Failed));
    assert!(tokens.bearer(&text).is_none());
    assert!(
        tokens.find(view.id).is_some(),
        "so that it can be tried again"
    );
}

#[tokio::test]
async fn what_the_disk_refused_is_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = open(&dir);
    close(tokens.clone());
    assert_eq!(
        tokens.create(7, Scope::Page, DAY).await,
        Err(CreateError::Write(WriteError::Failed))
    );
    assert!(tokens.list().is_empty());
}

#[tokio::test]
async fn an_expired_token_is_refused_and_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = open(&dir);
    let (view, text) = tokens.create(7, Scope::Page, DAY).await.unwrap();
    let bearer = tokens.bearer(&text).unwrap();
    if let Some(kept) = tokens.shared.book().get_mut(&view.id) {
        kept.record.expires_ms = wall_ms();
    }
    assert!(tokens.bearer(&text).is_none());
    assert!(
        Bearer {
            token: tokens.find(view.id).unwrap(),
            ..bearer
        }
        .over()
        .now_or_never()
        .is_some()
    );
    assert!(tokens.list().is_empty());
    close(tokens);
    let (store, _) = Store::open(dir.path(), |_| {}, |_| {}).unwrap();
    assert!(store.reader().tokens().unwrap().is_empty());
}

#[tokio::test]
async fn a_user_and_a_node_have_a_bounded_number() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = open(&dir);
    let record = |uid| Record {
        uid,
        scope: Scope::Read,
        hash: [0; 32],
        expires_ms: i64::MAX,
    };
    let id = |n: usize| TokenId((n as u64).to_be_bytes());
    for n in 0..MAX_PER_USER {
        tokens.enter(id(n), record(1)).unwrap();
    }
    assert_eq!(
        tokens.create(1, Scope::Read, DAY).await,
        Err(CreateError::UserFull {
            uid: 1,
            count: 100,
            limit: 100
        })
    );
    assert!(tokens.create(2, Scope::Read, DAY).await.is_ok());
    // Ten users take all that they can; all others still get theirs.
    for n in 0..MAX_IN_ALL {
        let _ = tokens.enter(id(1_000 + n), record(3 + (n % 10) as u32));
    }
    let full = Err(CreateError::UserFull {
        uid: 3,
        count: 40,
        limit: 10,
    });
    assert_eq!(tokens.create(3, Scope::Read, DAY).await, full);
    assert!(tokens.list().len() < MAX_IN_ALL / 2 + 10);
    for n in tokens.list().len()..MAX_IN_ALL {
        let user = record(20 + (n / FEW) as u32);
        tokens.enter(id(5_000 + n), user).unwrap();
    }
    assert_eq!(
        tokens.create(2, Scope::Read, DAY).await,
        Err(CreateError::Full)
    );
}

#[test]
fn a_token_of_a_scope_that_is_not_known_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), |_| {}, |_| {}).unwrap();
    let row = TokenRow {
        uid: 7,
        scope: "write".to_owned(),
        hash: [9; 32],
        expires_ms: i64::MAX,
    };
    store.keep_token([1; 8], Some(&row), Box::new(|_| ()));
    store.clone().close();
    let (store, _) = Store::open(dir.path(), |_| {}, |_| {}).unwrap();
    let error = Tokens::load(store).err().unwrap();
    assert!(error.to_string().contains("the scope \"write\""), "{error}");
}
