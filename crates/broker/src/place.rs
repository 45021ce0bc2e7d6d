//! For tests: a broker on the store's model, with a clock that is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use strongroom_crypto::{Issuer, RootKey, Unlock};
use strongroom_domain::audit::Dialect;
use strongroom_domain::secret::Selector;
use strongroom_domain::{Code, Payload, Result, SecretPath, Time};
use strongroom_ports::memory::MemoryStore;
use strongroom_ports::{
    Call, Clock, Connectors, Entropy, Fetch, FetchError, Fetching, Login, NewUser, Order, Reaching, Rotator, Server,
    Store, TargetError, Verifier,
};

use crate::{Broker, PutSecret, Request, Settings, initialise};

/// A clock that is set, and entropy that only differs.
#[derive(Default)]
pub(crate) struct Pretended {
    pub(crate) now: AtomicI64,
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

/// There is nobody outside.
struct Nowhere;

impl Fetch for Nowhere {
    fn fetch<'a>(&'a self, _: Call<'a>) -> Fetching<'a> {
        Box::pin(std::future::ready(Err(FetchError::Unreachable)))
    }
}

impl Rotator for Nowhere {
    fn set<'a>(&'a self, _: Order<'a>, _: &'a str, _: Option<&'a str>, _: &'a Verifier) -> Reaching<'a, ()> {
        unreachable_target()
    }

    fn test<'a>(&'a self, _: &'a Server, _: &'a Login, _: Duration) -> Reaching<'a, ()> {
        unreachable_target()
    }
}

impl strongroom_ports::Issuer for Nowhere {
    fn check_template<'a>(&'a self, _: Order<'a>, _: &'a str) -> Reaching<'a, ()> {
        unreachable_target()
    }

    fn issue<'a>(&'a self, _: Order<'a>, _: NewUser<'a>) -> Reaching<'a, ()> {
        unreachable_target()
    }

    fn extend<'a>(&'a self, _: Order<'a>, _: &'a str, _: Time) -> Reaching<'a, ()> {
        unreachable_target()
    }

    fn revoke<'a>(&'a self, _: Order<'a>, _: &'a str, _: &'a str) -> Reaching<'a, ()> {
        unreachable_target()
    }

    fn users<'a>(&'a self, _: Order<'a>, _: &'a str, _: &'a str, _: usize) -> Reaching<'a, Vec<String>> {
        unreachable_target()
    }
}

fn unreachable_target<'a, T: Send + 'a>() -> Reaching<'a, T> {
    Box::pin(std::future::ready(Err(TargetError::Unreachable)))
}

/// A broker on the store's model.
pub(crate) struct Place {
    pub(crate) broker: Broker,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<Pretended>,
}

pub(crate) fn root_key() -> Unlock {
    Unlock::RootKey(RootKey::new([7; 32]))
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Arc::new(Nowhere)).await
    }

    /// With somebody who is asked for the users of servers.
    pub(crate) async fn with(issuer: Arc<dyn strongroom_ports::Issuer>) -> Self {
        let clock = Arc::new(Pretended::default());
        clock.now.store(1_786_795_200_000_000, Ordering::Relaxed);
        let memory = Arc::new(MemoryStore::new());
        let store: Arc<dyn Store> = memory.clone();
        let token = SecretString::from("srs_root");
        initialise(&store, &*clock, &*clock, &[root_key()], &token)
            .await
            .unwrap();
        Self::opened(memory, clock, &root_key(), issuer).await.unwrap()
    }

    /// On a store that is an installation already.
    pub(crate) async fn on(memory: Arc<MemoryStore>, clock: Arc<Pretended>, unlock: &Unlock) -> Result<Self> {
        Self::opened(memory, clock, unlock, Arc::new(Nowhere)).await
    }

    async fn opened(
        memory: Arc<MemoryStore>,
        clock: Arc<Pretended>,
        unlock: &Unlock,
        issuer: Arc<dyn strongroom_ports::Issuer>,
    ) -> Result<Self> {
        let store: Arc<dyn Store> = memory.clone();
        let settings = Settings {
            node: "one".into(),
            issuer: Issuer {
                issuer: "http://here".into(),
                audience: "here".into(),
            },
            audit_deadline: Duration::from_secs(5),
            audit_queue: 1000,
            payload_bytes: 65_536,
            per_identity: None,
            login_delay: std::time::Duration::ZERO,
            max_versions: 10,
            secret_cache_bytes: 1 << 20,
            session_cache: 100,
            poll: None,
            watch_poll: Duration::from_millis(20),
            watch_streams: 100,
        };
        let broker = Broker::open(
            store,
            clock.clone(),
            clock.clone(),
            Connectors {
                fetch: Arc::new(Nowhere),
                rotator: Arc::new(Nowhere),
                issuer,
            },
            unlock,
            settings,
        )
        .await?;
        Ok(Self {
            broker,
            store: memory,
            clock,
        })
    }

    pub(crate) fn request(&self) -> Request {
        self.bearing("srs_root")
    }

    pub(crate) fn bearing(&self, token: &str) -> Request {
        let request = Request::new(self.broker.request_id(), Dialect::Native, "127.0.0.1".into());
        request.with_token(Some(token.into()))
    }

    pub(crate) async fn put(&self, path: &str, value: &str) {
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

    pub(crate) async fn read(&self, path: &str) -> Result<Vec<u8>, Code> {
        let path = SecretPath::parse(path).unwrap();
        let read = self.broker.read(&self.request(), &path, &Selector::default()).await;
        read.map(|view| view.payload.bytes.to_vec()).map_err(|error| error.code)
    }
}
