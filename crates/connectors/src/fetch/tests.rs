use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::guard::{Resolve, Resolving};

/// Says something else each time it is asked.
#[derive(Default)]
struct Rebinding {
    asked: AtomicUsize,
    answers: Vec<&'static str>,
}

impl Resolve for Arc<Rebinding> {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        let at = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self
            .answers
            .get(at)
            .map(|text| text.split(' ').map(|ip| ip.parse().unwrap()).collect());
        Box::pin(std::future::ready(answer))
    }
}

fn outbound(allow: &str, answers: &[&'static str]) -> (Outbound, Arc<Rebinding>) {
    let resolver = Arc::new(Rebinding {
        answers: answers.to_vec(),
        ..Rebinding::default()
    });
    let guard = Guard {
        allowed: Allowed::parse(allow).unwrap(),
        home: true,
        resolver: Box::new(resolver.clone()),
    };
    let outbound = Outbound { guard };
    (outbound, resolver)
}

/// A server on this machine, which gives each connection this answer and keeps what it was sent.
struct Server {
    port: u16,
    ca_pem: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// In TLS as `name`, or in clear.
async fn serve(name: Option<&str>, answer: Vec<u8>, hang: bool) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, seen) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let (acceptor, ca_pem) = match name {
        Some(name) => {
            let (acceptor, pem) = tls(name);
            (Some(acceptor), pem)
        }
        None => (None, String::new()),
    };
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer, kept) = (acceptor.clone(), answer.clone(), kept.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => talk(stream, answer, &kept, hang).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            talk(stream, answer, &kept, hang).await;
                        }
                    }
                }
            });
        }
    });
    Server { port, ca_pem, seen }
}

async fn talk(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    answer: Vec<u8>,
    seen: &Mutex<Vec<String>>,
    hang: bool,
) {
    let mut asked = vec![0; 65_536];
    let read = stream.read(&mut asked).await.unwrap_or_default();
    seen.lock()
        .unwrap()
        .push(String::from_utf8_lossy(&asked[..read]).into_owned());
    let _ = stream.write_all(&answer).await;
    let _ = stream.flush().await;
    if hang {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}

fn tls(name: &str) -> (TlsAcceptor, String) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    (Arc::new(config).into(), ca.pem())
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn get(outbound: &Outbound, url: &str, ca_pem: Option<&str>) -> Result<Fetched, FetchError> {
    outbound.fetch(Call::get(url).trusting(ca_pem)).await
}

#[tokio::test]
async fn what_was_checked_is_what_is_called() {
    let server = serve(
        Some("keys.test"),
        answer("200 OK\r\ncache-control: public, max-age=90", "{}"),
        false,
    )
    .await;
    // Asked a second time, the name would lead elsewhere: nobody asks.
    let (outbound, resolver) = outbound("127.0.0.1", &["127.0.0.1", "169.254.169.254"]);
    let url = format!("https://keys.test:{}/jwks?a=b", server.port);
    let fetched = get(&outbound, &url, Some(&server.ca_pem)).await.unwrap();
    assert_eq!((fetched.status, fetched.body.as_slice()), (200, b"{}".as_slice()));
    assert_eq!(fetched.max_age, Some(Duration::from_secs(90)));
    assert_eq!(resolver.asked.load(Ordering::Relaxed), 1);
    let seen = server.seen().concat().to_ascii_lowercase();
    assert!(
        seen.starts_with("get /jwks?a=b http/1.1\r\n") && seen.contains("host: keys.test:"),
        "{seen}"
    );
    let headers = seen.lines().filter(|line| line.contains(": ")).count();
    assert_eq!(headers, 2, "host and accept, and nothing of ours: {seen}");
    // The next call asks again, and is refused.
    let again = get(&outbound, &url, Some(&server.ca_pem)).await;
    assert_eq!(
        again.unwrap_err(),
        FetchError::Forbidden("169.254.169.254".parse().unwrap())
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn no_address_is_called_that_may_not_be() {
    let cases = [
        ("https://a.test/", "10.0.0.1"),
        ("https://a.test/", "1.1.1.1 127.0.0.1"),
        ("https://a.test/", "::ffff:169.254.169.254"),
        ("https://127.0.0.1:1/", ""),
        ("https://[::1]:1/", ""),
        ("https://[::ffff:7f00:1]/", ""),
        ("https://2130706433/", ""),
        ("https://0x7f.1/", ""),
        ("https://169.254.169.254/latest/meta-data", ""),
        ("https://[fd00:ec2::254]/", ""),
        ("https://0/", ""),
    ];
    for (url, resolved) in cases {
        let (outbound, resolver) = outbound("", &[resolved]);
        let error = get(&outbound, url, None).await.unwrap_err();
        assert!(matches!(error, FetchError::Forbidden(_)), "{url} {resolved}: {error}");
        assert_eq!(
            resolver.asked.load(Ordering::Relaxed),
            usize::from(!resolved.is_empty()),
            "{url}"
        );
    }
    let (outbound, _) = outbound("10.0.0.0/8", &[]);
    assert_eq!(
        get(&outbound, "https://a.test/", None).await.unwrap_err(),
        FetchError::Unresolved
    );
}

#[tokio::test]
async fn only_https_and_plain_http_at_home() {
    let server = serve(None, answer("200 OK", "home"), false).await;
    let (here, _) = outbound("127.0.0.1", &[]);
    let url = format!("http://127.0.0.1:{}/", server.port);
    assert_eq!(get(&here, &url, None).await.unwrap().body, b"home");
    let away = Outbound::new(Allowed::parse("127.0.0.1").unwrap(), false);
    assert!(matches!(get(&away, &url, None).await, Err(FetchError::Forbidden(_))));
    for url in [
        "http://10.0.0.1/",
        "http://1.1.1.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://user@127.0.0.1/",
        "https://:hunter2@127.0.0.1/",
        "https://127.0.0.1/#a",
        "https://",
        "data:,a",
        "//127.0.0.1",
        "",
    ] {
        let (outbound, _) = outbound("127.0.0.1, 10.0.0.0/8", &[]);
        assert_eq!(get(&outbound, url, None).await.unwrap_err(), FetchError::Url, "{url}");
    }
}

#[tokio::test]
async fn the_name_must_be_in_a_certificate_of_the_right_hand() {
    let server = serve(Some("keys.test"), answer("200 OK", "{}"), false).await;
    let fetch = async |name: &str, pem: Option<&str>| {
        let (outbound, _) = outbound("127.0.0.1", &["127.0.0.1"]);
        let url = format!("https://{name}:{}/", server.port);
        get(&outbound, &url, pem).await.map(drop)
    };
    assert_eq!(fetch("keys.test", Some(&server.ca_pem)).await, Ok(()));
    assert_eq!(
        fetch("other.test", Some(&server.ca_pem)).await,
        Err(FetchError::Unreachable)
    );
    assert_eq!(
        fetch("keys.test", Some(&tls("keys.test").1)).await,
        Err(FetchError::Unreachable)
    );
    assert_eq!(fetch("keys.test", Some("no pem")).await, Err(FetchError::Certificates));
    let untrusted = fetch("keys.test", None).await;
    assert!(
        matches!(untrusted, Err(FetchError::Unreachable | FetchError::Certificates)),
        "{untrusted:?}"
    );
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let goal = serve(None, answer("200 OK", "goal"), false).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
        "304 Not Modified",
    ] {
        let head = format!("{status}\r\nlocation: http://127.0.0.1:{}/", goal.port);
        let server = serve(None, answer(&head, ""), false).await;
        let (outbound, _) = outbound("127.0.0.1", &[]);
        let token = "srs_hunter2".into();
        let url = format!("http://127.0.0.1:{}/", server.port);
        let call = Call::post(&url, CallBody::Json(b"{}".to_vec().into())).bearing(Some(&token));
        assert_eq!(
            outbound.fetch(call).await.unwrap_err(),
            FetchError::Redirected,
            "{status}"
        );
        assert!(
            server.seen().concat().contains("Bearer srs_hunter2")
                || server.seen().concat().contains("bearer srs_hunter2")
        );
    }
    assert_eq!(goal.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn large_and_slow_answers_are_cut() {
    let fetch = async |answer: Vec<u8>, hang: bool| {
        let server = serve(None, answer, hang).await;
        let (outbound, _) = outbound("127.0.0.1", &[]);
        get(&outbound, &format!("http://127.0.0.1:{}/", server.port), None).await
    };
    let whole = fetch(answer("200 OK", &"x".repeat(MAX_BYTES)), false).await.unwrap();
    assert_eq!(whole.body.len(), MAX_BYTES);
    let large = fetch(answer("200 OK", &"x".repeat(MAX_BYTES + 1)), false).await;
    assert_eq!(large.unwrap_err(), FetchError::TooLarge(MAX_BYTES));
    let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let endless = [endless, b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let began = std::time::Instant::now();
    assert_eq!(fetch(endless, true).await.unwrap_err(), FetchError::TimedOut);
    assert!(began.elapsed() < WHOLE + Duration::from_secs(2));
}
