use std::time::Duration;

use serde_json::json;
use strongroom_domain::lease::{Ended, Ending, Lease, LeaseId, LeaseRole, LeaseState};
use strongroom_domain::{Kind, Name, Row, Time};
use strongroom_ports::{Clock as _, Store as _};

use crate::place::Place;

impl Place {
    /// A lease of an hour that lives, with more said of it.
    fn lease(&self, edit: impl Fn(&mut Lease)) {
        let (broker, now) = (&self.broker, self.clock.now());
        let role = LeaseRole {
            id: broker.new_id(),
            config: serde_json::from_value(json!({ "target": "db", "template": "reporting" })).unwrap(),
            created_at: now,
            updated_at: now,
        };
        let (name, holder) = (Name::parse("report").unwrap(), strongroom_domain::PrincipalId([1; 16]));
        let id = LeaseId::new(&name, broker.new_id().0);
        let planned = Lease::plan(&id, (&name, &role), "db:5432".into(), holder, None, now);
        let mut lease = planned.unwrap().made(now).unwrap();
        edit(&mut lease);
        let record = broker.new_record(Kind::Lease, broker.new_id(), id.row_name(), Some(lease.due()), &lease);
        self.store.alter(Row::Record(record.unwrap()));
    }

    fn failing(&self, failures: u32, since: Time, at: Time) {
        self.lease(|lease| {
            lease.state = LeaseState::Ending(Ending {
                why: Ended::Expired,
                since,
                at,
                failures,
                reason: Some("the target cannot be reached".into()),
                made_until: None,
            });
        });
    }
}

#[tokio::test]
async fn a_stuck_lease_is_seen_behind_however_many_that_live() {
    let place = Place::new().await;
    let (now, minutes) = (place.clock.now(), |minutes| Duration::from_mins(minutes));
    for number in 0..2500 {
        place.lease(|lease| lease.expires_at = now + minutes(1 + number % 57));
    }
    place.broker.watch_leases().await.unwrap();
    assert_eq!(place.broker.leases_seen().stuck, 0);
    place.failing(12, now - minutes(20), now + minutes(59));
    // By another node, whose clock is a little ahead.
    place.failing(12, now - minutes(5), now + minutes(60) + Duration::from_secs(5));
    place.failing(4, now - minutes(1), now + Duration::from_secs(16));
    place.broker.watch_leases().await.unwrap();
    let seen = place.broker.leases_seen();
    assert_eq!((seen.stuck, seen.overdue), (2, minutes(20)));
}

#[tokio::test]
async fn one_that_cannot_be_read_hides_no_other() {
    let place = Place::new().await;
    let now = place.clock.now();
    let (soon, later) = (now + Duration::from_secs(30), now + Duration::from_mins(30));
    place.failing(5, now, soon);
    let found = place.store.due(now, Kind::Lease, None, later, 1);
    let mut altered = found.await.unwrap().value.remove(0);
    altered.body.push(b' ');
    place.store.alter(Row::Record(altered));
    place.failing(6, now - Duration::from_mins(3), later);
    place.broker.watch_leases().await.unwrap();
    let seen = place.broker.leases_seen();
    assert_eq!((seen.stuck, seen.overdue), (1, Duration::from_mins(3)));
}
