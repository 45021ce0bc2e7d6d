//! Background work: none of it is needed for an answer to be right.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use strongroom_domain::audit::Class;
use strongroom_ports::{Upkeep, UpkeepDone};

use crate::{Broker, Inner, feed};

/// How long entries of a class are kept.
pub(crate) fn kept(class: Class) -> Duration {
    Duration::from_hours(match class {
        Class::Reads => 90 * 24,
        Class::Kept => 400 * 24,
    })
}

const CHANGES_KEPT: Duration = Duration::from_hours(7 * 24);
/// How often all grants are compared with their manifests, and the number of these is put on record.
const CHECK_EVERY: Duration = Duration::from_hours(1);
const WATCH_EVERY: Duration = Duration::from_mins(1);
const COUNT_EVERY: Duration = Duration::from_mins(1);
const UPKEEP_EVERY: Duration = Duration::from_mins(10);

/// Each job ends with the broker it serves.
pub(crate) fn start(broker: &Broker) {
    tokio::spawn(upkeep(Arc::downgrade(&broker.0)));
    tokio::spawn(watch(Arc::downgrade(&broker.0)));
    tokio::spawn(find_strays(Arc::downgrade(&broker.0)));
    tokio::spawn(write_counts(Arc::downgrade(&broker.0)));
    crate::due::start(broker);
    tokio::spawn(feed::run(Arc::downgrade(&broker.0)));
    tokio::spawn(feed::poll(Arc::downgrade(&broker.0)));
}

/// Sees how rotations, leases and dead letters stand, at most a twentieth of the time.
async fn watch(inner: Weak<Inner>) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let began = Instant::now();
        let broker = Broker::new(inner);
        if let Err(error) = broker.watch_rotations().await {
            tracing::warn!(?error, "how rotations stand could not be seen");
        }
        if let Err(error) = broker.watch_leases().await {
            tracing::warn!(?error, "how leases stand could not be seen");
        }
        if let Err(error) = broker.watch_dead_letters().await {
            tracing::warn!(?error, "how many dead letters there are could not be seen");
        }
        match broker.is_held().await {
            Ok(false) => {}
            Ok(true) => tracing::warn!(
                "since a restore nothing is done at systems outside; 'strongroom operator lift-hold' lets it go on"
            ),
            Err(error) => tracing::warn!(?error, "whether work on systems outside is held could not be seen"),
        }
        drop(broker);
        tokio::time::sleep(WATCH_EVERY.max(20 * began.elapsed())).await;
    }
}

/// What a crash loses of how often flags were evaluated is of this time.
async fn write_counts(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(COUNT_EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        Broker::new(inner).write_counts().await;
    }
}

/// Apart from all else: targets answer as slowly as they like.
async fn find_strays(inner: Weak<Inner>) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = Broker::new(inner).find_strays().await {
            tracing::warn!(?error, "users that no lease explains were not looked for");
        }
        tokio::time::sleep(UPKEEP_EVERY).await;
    }
}

async fn upkeep(inner: Weak<Inner>) {
    let mut checked: Option<Instant> = None;
    loop {
        let Some(strong) = inner.upgrade() else { return };
        if let Err(error) = upkeep_once(&strong).await {
            tracing::warn!(?error, "upkeep was put off");
        }
        let broker = Broker::new(strong.clone());
        broker.flush().await;
        broker.learn_last_backup().await;
        if let Err(error) = broker.measure().await {
            tracing::warn!(?error, "how large the store is could not be seen");
        }
        if let Err(error) = broker.reseal_everywhere().await {
            tracing::warn!(?error, "sealing under the newest key was put off");
        }
        if let Err(error) = broker.rotate_own_keys().await {
            tracing::warn!(?error, "making new keys in the place of old ones was put off");
        }
        if let Err(error) = broker.retire_signing_keys().await {
            tracing::warn!(?error, "forgetting old signing keys was put off");
        }
        if let Err(error) = broker.empty_namespaces().await {
            tracing::warn!(?error, "removing what was in deleted namespaces was put off");
        }
        if checked.is_none_or(|at| at.elapsed() >= CHECK_EVERY) {
            match broker.check_manifests().await {
                Ok(()) => checked = Some(Instant::now()),
                Err(error) => tracing::warn!(?error, "what grants access could not be compared with its manifest"),
            }
        }
        drop(broker);
        drop(strong);
        tokio::time::sleep(UPKEEP_EVERY).await;
    }
}

async fn upkeep_once(inner: &Inner) -> Result<(), strongroom_ports::StoreError> {
    let now = inner.clock.now();
    let work = [
        Upkeep::MakePartitions,
        Upkeep::Prune {
            before: now - CHANGES_KEPT,
        },
        Upkeep::DropEntries {
            class: Class::Reads,
            before: now - kept(Class::Reads),
        },
        Upkeep::DropEntries {
            class: Class::Kept,
            before: now - kept(Class::Kept),
        },
    ];
    for item in work {
        while inner.store.upkeep(now, item.clone()).await? == UpkeepDone::More {
            // Requests come first.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
