use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use strongroom_crypto::{Issuer, RootKey};
use strongroom_domain::audit::Dialect;
use strongroom_domain::secret::Selector;
use strongroom_domain::{Code, Payload, SecretPath, Time};
use strongroom_ports::memory::MemoryStore;
use strongroom_ports::{Clock, Entropy, Store};

use crate::{Broker, PutSecret, Request, Settings, initialise};

/// A clock that is set, and entropy that only differs.
#[derive(Default)]
struct Pretended {
    now: AtomicI64,
    drawn: AtomicU64,
}

impl Clock for Pretended {
    fn now(&self) -> Time {
        Time(self.now.load(Ordering::Relaxed))
    }
}

impl Entropy for Pretended {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self
                .drawn
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&drawn.to_le_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) struct Place {
    pub(crate) broker: Broker,
    store: Arc<MemoryStore>,
    clock: Arc<Pretended>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(Pretended::default());
        clock.now.store(1_786_795_200_000_000, Ordering::Relaxed);
        let memory = Arc::new(MemoryStore::new());
        let store: Arc<dyn Store> = memory.clone();
        let key = RootKey::new([7; 32]);
        let token = SecretString::from("srs_root");
        initialise(&store, &*clock, &*clock, &key, &token).await.unwrap();
        let settings = Settings {
            node: "one".into(),
            issuer: Issuer {
                issuer: "http://here".into(),
                audience: "here".into(),
            },
            audit_deadline: Duration::from_secs(5),
            audit_queue: 1000,
            payload_bytes: 65_536,
            max_versions: 10,
            secret_cache_bytes: 1 << 20,
            session_cache: 100,
            poll: None,
        };
        let broker = Broker::open(store, clock.clone(), clock.clone(), &key, settings)
            .await
            .unwrap();
        Self {
            broker,
            store: memory,
            clock,
        }
    }

    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(self.broker.request_id(), Dialect::Native, "here".into());
        request.token = Some(SecretString::from("srs_root"));
        request
    }

    async fn put(&self, path: &str, value: &str) {
        let put = PutSecret {
            path: SecretPath::parse(path).unwrap(),
            payload: Payload::text(value.into()),
            cas: None,
            id: None,
            labels: None,
            unless_same: false,
        };
        self.broker.put(&self.request(), put).await.unwrap();
    }

    async fn read(&self, path: &str) -> Result<Vec<u8>, Code> {
        let path = SecretPath::parse(path).unwrap();
        let read = self.broker.read(&self.request(), &path, &Selector::default()).await;
        read.map(|view| view.payload.bytes.to_vec()).map_err(|error| error.code)
    }

    /// Versions that older keys than this still seal.
    async fn left(&self, epoch: i64) -> usize {
        let namespace = self.broker.0.namespace;
        let found = self
            .store
            .sealed_before(self.clock.now(), namespace, epoch, 10_000)
            .await;
        found.unwrap().value.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_keys_go_once_nothing_needs_them() {
    let place = Place::new().await;
    for at in 0..250 {
        place.put(&format!("app/{at}"), &format!("value {at}")).await;
        if at % 3 == 0 {
            place.put(&format!("app/{at}"), &format!("value {at} again")).await;
        }
    }
    let path = SecretPath::parse("app/0").unwrap();
    place.broker.destroy(&place.request(), &path, &[1]).await.unwrap();
    let newest = place.broker.rotate_data_key(&place.request()).await.unwrap();
    place.put("app/after", "the new key's").await;
    assert_eq!((place.left(newest).await, place.broker.data_keys()), (333, 2));

    place.broker.reseal().await.unwrap();
    assert_eq!(place.left(newest).await, 0);
    assert_eq!(
        place.broker.data_keys(),
        2,
        "answers that a client may ask for again are under it"
    );
    place.clock.now.fetch_add(25 * 3600 * 1_000_000, Ordering::Relaxed);
    place.broker.reseal().await.unwrap();
    assert_eq!(place.broker.data_keys(), 1);
    for at in 0..250 {
        let again = if at % 3 == 0 { " again" } else { "" };
        let expected = format!("value {at}{again}").into_bytes();
        assert_eq!(place.read(&format!("app/{at}")).await, Ok(expected), "app/{at}");
    }
    assert_eq!(place.read("app/after").await, Ok(b"the new key's".to_vec()));
    place.broker.reseal().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_holds_up_nobody_else() {
    let place = Place::new().await;
    for at in 0..20 {
        place.put(&format!("app/{at}"), "value").await;
    }
    let newest = place.broker.rotate_data_key(&place.request()).await.unwrap();
    let namespace = place.broker.0.namespace;
    let found = place.store.sealed_before(place.clock.now(), namespace, newest, 1).await;
    let row = found.unwrap().value.remove(0);
    let altered = strongroom_domain::Version {
        rev: row.rev.next(),
        sealed: vec![0; row.sealed.len()],
        ..row.clone()
    };
    place.store.alter(strongroom_domain::Row::Version(altered));
    place.broker.reseal().await.unwrap();
    place.clock.now.fetch_add(25 * 3600 * 1_000_000, Ordering::Relaxed);
    place.broker.reseal().await.unwrap();
    assert_eq!((place.left(newest).await, place.broker.data_keys()), (1, 2));
}
