//! Key sets: which keys count, a file that is replaced, a URL that is asked at the right times.
//!
//! Does not know: what is in tokens.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;

#[tokio::test]
async fn keys_that_are_for_something_else_are_not_used() {
    let authenticator = authenticator(&with_keys(&fixture("keys-odd.json").display().to_string()));
    for (file, id) in [
        ("rsa-short.pem", Some("short")),
        ("rsa.pem", Some("for-encryption")),
        ("rsa.pem", Some("other-algorithm")),
        ("rsa.pem", Some("only-signs")),
        ("rsa.pem", None),
        ("ec.pem", Some("cut")),
        ("ec.pem", None),
    ] {
        assert_eq!(name_by(&authenticator, &signed_by(file, id)).await, "-", "{file} {id:?}");
    }
    let symmetric = EncodingKey::from_secret(b"a key that everybody can read...");
    let token = sign(Algorithm::HS256, Some("symmetric"), &symmetric, &json!({ "sub": "ann" }));
    assert_eq!(name_by(&authenticator, &token).await, "-");
    // A key without a name is good for every name.
    assert_eq!(name_by(&authenticator, &signed_by("ed.pem", Some("whatever"))).await, "ann");
}

#[test]
fn a_file_without_keys_is_an_error_that_says_what_to_do() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    for (file, fault) in [
        ("missing.json", "which cannot be read"),
        ("README.txt", "which is not a JSON web key set"),
        ("rsa.pem", "which is not a JSON web key set"),
    ] {
        let config = with_keys(&fixture(file).display().to_string());
        let error = Authenticator::new(&config, tickets(), None).unwrap_err().to_string();
        for part in ["`keys` in [jwt]", file, fault, "; name a file with a JSON web key set"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_is_read_again() {
    let folder = std::env::temp_dir().join(format!("towpath-auth-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("keys.json");
    let replace = |with: &[u8]| {
        std::fs::write(folder.join("new"), with).unwrap();
        std::fs::rename(folder.join("new"), &file).unwrap();
    };
    replace(&pem("keys.json"));
    let authenticator = authenticator(&with_keys(&file.display().to_string()));
    let (old, new) = (signed_by("ed.pem", Some("ed-1")), signed_by("ed-next.pem", Some("ed-2")));
    let check = async |expected: [&str; 2]| {
        assert_eq!([name_by(&authenticator, &old).await, name_by(&authenticator, &new).await], expected);
    };
    check(["ann", "-"]).await;

    replace(&pem("keys-next.json"));
    // It has been looked at in this second.
    check(["ann", "-"]).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    check(["-", "ann"]).await;

    // Half a file, and then none: the keys stay.
    replace(&pem("keys.json")[..100]);
    tokio::time::advance(Duration::from_secs(1)).await;
    check(["-", "ann"]).await;
    std::fs::remove_file(&file).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    check(["-", "ann"]).await;

    replace(&pem("keys.json"));
    tokio::time::advance(Duration::from_secs(1)).await;
    check(["ann", "-"]).await;
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Somebody who gives keys away.
struct Issuer {
    url: String,
    /// Status and body of the next answers.
    answer: Mutex<(u16, Vec<u8>)>,
    asked: AtomicUsize,
    /// An answer is only given with a permit.
    permits: Semaphore,
}

impl Issuer {
    async fn start(keys: &str) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?tenant=1", listener.local_addr().unwrap());
        let answer = Mutex::new((200, pem(keys)));
        let issuer = Arc::new(Self { url, answer, asked: AtomicUsize::new(0), permits: Semaphore::new(1_000_000) });
        let this = Arc::clone(&issuer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let this = Arc::clone(&this);
                tokio::spawn(async move {
                    let mut head = vec![];
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await?);
                    }
                    assert!(head.starts_with(b"GET /keys?tenant=1 HTTP/1.1\r\n"));
                    this.asked.fetch_add(1, Ordering::SeqCst);
                    this.permits.acquire().await.expect("it is never closed").forget();
                    let (status, body) = this.answer.lock().clone();
                    let head = format!(
                        "HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    stream.write_all(&[head.as_bytes(), &body].concat()).await
                });
            }
        });
        issuer
    }

    fn answers(&self, status: u16, body: Vec<u8>) {
        *self.answer.lock() = (status, body);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_url_is_asked_at_the_first_need_and_again_after_keys_ttl() {
    let issuer = Issuer::start("keys.json").await;
    let mut config = with_keys(&issuer.url);
    config.jwt.keys_ttl = Duration::from_secs(300);
    let authenticator = authenticator(&config);
    assert_eq!(issuer.asked(), 0);
    let token = signed_by("ed.pem", Some("ed-1"));
    for _ in 0..3 {
        assert_eq!(name_by(&authenticator, &token).await, "ann");
    }
    assert_eq!(issuer.asked(), 1);
    pass(Duration::from_secs(298)).await;
    assert_eq!(name_by(&authenticator, &token).await, "ann");
    assert_eq!(issuer.asked(), 1);
    issuer.answers(200, pem("keys-next.json"));
    pass(Duration::from_secs(3)).await;
    // The key is known, and yet too old to be believed.
    assert_eq!(name_by(&authenticator, &token).await, "-");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_but_not_too_often() {
    let issuer = Issuer::start("keys.json").await;
    let authenticator = authenticator(&with_keys(&issuer.url));
    let (old, new) = (signed_by("ed.pem", Some("ed-1")), signed_by("ed-next.pem", Some("ed-2")));
    assert_eq!(name_by(&authenticator, &old).await, "ann");
    issuer.answers(200, pem("keys-next.json"));
    for _ in 0..3 {
        assert_eq!(name_by(&authenticator, &new).await, "-");
    }
    assert_eq!(issuer.asked(), 1, "it was asked just now");
    pass(Duration::from_secs(10)).await;
    assert_eq!(name_by(&authenticator, &new).await, "ann");
    assert_eq!(name_by(&authenticator, &old).await, "-");
    assert_eq!(issuer.asked(), 2);
    // A wrong signature is no unknown key.
    pass(Duration::from_secs(10)).await;
    assert_eq!(name_by(&authenticator, &signed_by("ed.pem", Some("ed-2"))).await, "-");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_fails_keeps_nobody_out() {
    let issuer = Issuer::start("keys.json").await;
    let mut config = with_keys(&issuer.url);
    config.jwt.keys_ttl = Duration::from_secs(300);
    let authenticator = authenticator(&config);
    let token = signed_by("ed.pem", Some("ed-1"));
    assert_eq!(name_by(&authenticator, &token).await, "ann");
    for (status, body) in [
        (503, pem("keys-next.json")),
        (200, b"<html>".to_vec()),
        (200, br#"{"keys":[]}"#.to_vec()),
        (200, vec![b' '; 300 * 1024]),
    ] {
        let before = issuer.asked();
        issuer.answers(status, body);
        pass(Duration::from_secs(301)).await;
        for _ in 0..3 {
            assert_eq!(name_by(&authenticator, &token).await, "ann");
        }
        assert_eq!(issuer.asked(), before + 1);
        // After a failure it is asked again sooner.
        pass(Duration::from_secs(61)).await;
        assert_eq!(name_by(&authenticator, &token).await, "ann");
        assert_eq!(issuer.asked(), before + 2);
    }
    issuer.answers(200, pem("keys-next.json"));
    pass(Duration::from_secs(61)).await;
    assert_eq!(name_by(&authenticator, &token).await, "-");
}

#[tokio::test]
async fn an_issuer_that_is_down_at_first_is_asked_again() {
    let issuer = Issuer::start("keys.json").await;
    let authenticator = authenticator(&with_keys(&issuer.url));
    let token = signed_by("ed.pem", None);
    issuer.answers(500, vec![]);
    for _ in 0..3 {
        assert_eq!(name_by(&authenticator, &token).await, "-");
    }
    assert_eq!(issuer.asked(), 1);
    issuer.answers(200, pem("keys.json"));
    pass(Duration::from_secs(10)).await;
    assert_eq!(name_by(&authenticator, &token).await, "ann");
}

#[tokio::test]
async fn whoever_needs_keys_at_the_same_time_waits_for_one_answer() {
    let issuer = Issuer::start("keys.json").await;
    issuer.permits.forget_permits(1_000_000);
    let authenticator = Arc::new(authenticator(&with_keys(&issuer.url)));
    let token = signed_by("ed.pem", None);
    // The first one gives up before there is an answer, and takes nothing with it.
    let first = tokio::spawn({
        let (authenticator, token) = (Arc::clone(&authenticator), token.clone());
        async move { name_by(&authenticator, &token).await }
    });
    while issuer.asked() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let all = join_all((0..20).map(|_| name_by(&authenticator, &token)));
    let answer = async {
        tokio::task::yield_now().await;
        issuer.permits.add_permits(1);
    };
    let (names, ()) = tokio::join!(all, answer);
    assert!(names.iter().all(|name| name == "ann"), "{names:?}");
    assert_eq!(issuer.asked(), 1);
}
