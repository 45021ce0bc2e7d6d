use std::sync::atomic::Ordering;

use strongroom_domain::SecretPath;
use strongroom_ports::{Clock as _, Store as _};

use crate::place::Place;

impl Place {
    /// Versions that older keys than this still seal.
    async fn left(&self, epoch: i64) -> usize {
        let namespace = self.broker.namespace();
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
    let namespace = place.broker.namespace();
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
