use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const START: Time = Time(1_000_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn role(mut fields: Value) -> LeaseRole {
    let mut config = json!({ "target": "db", "template": "readers" });
    config.as_object_mut().unwrap().append(fields.as_object_mut().unwrap());
    LeaseRole {
        id: ObjectId([0xa5; 16]),
        config: serde_json::from_value(config).unwrap(),
        created_at: START,
        updated_at: START,
    }
}

fn id() -> LeaseId {
    LeaseId::new(&Name::parse("reports").unwrap(), [0x3c; 16])
}

fn planned(ttl: Option<&str>) -> Result<Lease> {
    let name = Name::parse("reports").unwrap();
    let ttl = ttl.map(|ttl| Period::parse(ttl).unwrap());
    Lease::plan(
        &id(),
        (&name, &role(json!({}))),
        "postgres db".into(),
        PrincipalId([9; 16]),
        ttl,
        START,
    )
}

fn live() -> Lease {
    planned(None).unwrap().made(START).unwrap()
}

fn after(seconds: u32) -> Time {
    START + SECOND * seconds
}

#[test]
fn what_is_usual_is_written_down() {
    let config = role(json!({})).config;
    assert_eq!(
        serde_json::to_value(&config).unwrap(),
        json!({ "target": "db", "template": "readers", "ttl": "1h", "max_ttl": "1d", "max_leases": 1000 })
    );
    assert!(serde_json::from_value::<LeaseRoleConfig>(json!({ "target": "db", "template": "r", "tll": 1 })).is_err());
}

#[test]
fn a_role_that_its_target_cannot_have_is_refused() {
    use Engine::{Mysql, Postgres, Redis, Webhook};
    let long = |length, what: &str| json!({ "template": what.repeat(length) });
    for (engine, fields, says) in [
        (Postgres, long(63, "r"), ""),
        (
            Postgres,
            long(64, "r"),
            "1 to 63 bytes at a target that speaks postgres",
        ),
        (Postgres, long(32, "ü"), "1 to 63 bytes"),
        (Postgres, long(1, "\"; drop role x; --"), ""),
        (Mysql, long(128, "ü"), ""),
        (
            Mysql,
            long(129, "r"),
            "1 to 128 characters at a target that speaks mysql",
        ),
        (Redis, long(512, "r"), ""),
        (Redis, long(513, "r"), "1 to 512 bytes"),
        (Redis, json!({ "template": "a b" }), "no spaces"),
        (Postgres, json!({ "template": "a b" }), ""),
        (Postgres, json!({ "template": "" }), "1 to 63 bytes"),
        (Postgres, json!({ "template": "a\0" }), "no control characters"),
        (Webhook, json!({}), "a webhook has none"),
        (Postgres, json!({ "ttl": "25h" }), "'ttl' is at most 'max_ttl'"),
        (Postgres, json!({ "ttl": "24h" }), ""),
        (Postgres, json!({ "max_leases": 0 }), "1 to 1,000,000"),
        (Postgres, json!({ "max_leases": 1_000_001 }), "1 to 1,000,000"),
    ] {
        match role(fields.clone()).config.check(engine) {
            Ok(()) => assert_eq!(says, "", "{fields}"),
            Err(refused) => assert!(!says.is_empty() && refused.detail.contains(says), "{}", refused.detail),
        }
    }
}

#[test]
fn a_lease_and_its_user_tell_each_other() {
    let (lease, role) = (planned(None).unwrap(), role(json!({})));
    // The oldest MySQL has room for 32.
    assert_eq!(
        (lease.username.as_str(), lease.username.len()),
        ("sr_kmiqb9d5_fsj10jrn7gu3of1s7gu3", 32)
    );
    assert_eq!(LeaseId::of_user(&lease.username, &role), Some(id()));
    assert_eq!(id().to_string(), "lease:fsj10jrn7gu3of1s7gu3");
    assert_eq!(LeaseId::parse("lease:fsj10jrn7gu3of1s7gu3"), Some(id()));
    let other = LeaseRole {
        id: ObjectId([0xa6; 16]),
        ..role.clone()
    };
    assert_eq!(LeaseId::of_user(&lease.username, &other), None);
    for wrong in [
        "",
        "lease:",
        "7gu3of1s7gu3of1s7gu3",
        "lease:7gu3of1s7gu3of1s7gu",
        "lease:7gu3of1s7gu3of1s7gu33",
        "lease:7GU3of1s7gu3of1s7gu3",
        "lease:zgu3of1s7gu3of1s7gu3",
        "Lease:7gu3of1s7gu3of1s7gu3",
    ] {
        assert_eq!(LeaseId::parse(wrong), None, "{wrong}");
    }
    for stranger in [
        "sr_kmiqb9d5_",
        "sr_kmiqb9d5_of_somebody_else",
        "sr_kmiqb9d5",
        "postgres",
    ] {
        assert_eq!(LeaseId::of_user(stranger, &role), None, "{stranger}");
    }
}

#[test]
fn a_lease_is_made_in_time_or_taken_back() {
    let lease = planned(Some("90s")).unwrap();
    assert_eq!((lease.expires_at, lease.max_until), (after(90), after(86_400)));
    assert!(!lease.is_live(START) && lease.take(after(59)).is_none());
    assert_eq!(lease.made(after(59)).unwrap().due(), after(90));
    assert_eq!(lease.made(after(60)).unwrap_err().code, Code::DeadlineExceeded);
    let taken = lease.take(after(60)).unwrap();
    let LeaseState::Ending(ending) = &taken.state else {
        panic!("{taken:?}")
    };
    assert_eq!(
        (ending.why, ending.since, taken.due()),
        (Ended::NotMade, after(60), after(90))
    );
    assert!(
        taken.made(after(61)).is_err(),
        "who is late hears that it is taken back"
    );
    let refused = planned(Some("25h")).unwrap_err();
    assert_eq!(refused.detail, "A lease of 'reports' lasts at most 1d: ask for less.");
}

#[test]
fn nobody_concludes_that_there_is_no_user_while_it_may_be_made() {
    let planned = planned(None).unwrap();
    let ended = planned.end(Ended::Revoked, after(1));
    for lease in [
        ended.end(Ended::Revoked, after(2)),
        planned.not_made("no answer", after(3)),
        ended,
    ] {
        assert_eq!((lease.due(), lease.take(after(59))), (after(60), None));
        let taken = lease.take(after(60)).unwrap();
        assert!(
            taken.fails("away", after(61)).due() <= after(65),
            "and then as any other"
        );
    }
    assert_eq!(live().end(Ended::Revoked, after(1)).due(), after(1));
}

#[test]
fn a_lease_is_renewed_to_its_maximum() {
    let lease = live();
    assert!(lease.is_live(after(3599)) && !lease.is_live(after(3600)));
    let renewed = lease.renew(None, after(1800)).unwrap();
    assert_eq!(renewed.due(), after(5400));
    let short = renewed.renew(Some(Period::parse("1s").unwrap()), after(1900)).unwrap();
    assert_eq!(short.due(), after(5400), "not shorter");
    let long = renewed.renew(Some(Period::days(3)), after(1900)).unwrap();
    assert_eq!(long.due(), after(86_400));
    assert_eq!(lease.renew(None, after(3600)).unwrap_err().code, Code::NotFound);
    let over = [planned(None).unwrap(), lease.end(Ended::Revoked, START)];
    assert!(over.iter().all(|lease| lease.renew(None, START).is_err()));
}

#[test]
fn what_ends_is_tried_until_it_is_gone() {
    let mut lease = live().end(Ended::Revoked, after(10));
    let (mut now, mut waited, mut told) = (after(10), Vec::new(), 0);
    for _ in 0..14 {
        assert_eq!(lease.due(), now);
        let taken = lease.take(now).unwrap();
        assert!(taken.take(now + SECOND * 29).is_none(), "somebody has it");
        lease = taken.fails("the target cannot be reached", now);
        told += usize::from(lease.is_stuck() && !taken.is_stuck());
        waited.push(lease.due().since(now).as_secs());
        now = lease.due();
    }
    assert_eq!(waited[..5], [2, 4, 8, 16, 32]);
    assert_eq!((waited[13], told), (3600, 1));
    assert_eq!(lease.overdue(now), now.since(after(10)));
    let again = lease.end(Ended::Expired, START);
    let LeaseState::Ending(ending) = &again.state else {
        panic!("{again:?}")
    };
    assert_eq!((ending.why, ending.failures, again.due()), (Ended::Revoked, 14, START));
    let expired = live().take(after(4000)).unwrap();
    assert_eq!(expired.overdue(after(4000)), SECOND * 400);
}

#[test]
fn a_lease_is_counted_up_to_its_cap() {
    let config = role(json!({ "max_leases": 2 })).config;
    let one = LeaseCount::default().one_more(&config).unwrap();
    let two = one.one_more(&config).unwrap();
    assert_eq!(two.one_more(&config).unwrap_err().code, Code::LeaseLimit);
    assert_eq!((two.less(1), two.less(9)), (one, LeaseCount::default()));
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Made,
    Renew(Option<Period>),
    End,
    Take,
    Fail,
}

fn events() -> impl Strategy<Value = Event> {
    let period = proptest::option::of((1_u64..200_000).prop_map(|seconds| Period::from_seconds(seconds).unwrap()));
    prop_oneof![
        1 => Just(Event::Made),
        1 => period.prop_map(Event::Renew),
        1 => Just(Event::End),
        3 => Just(Event::Take),
        2 => Just(Event::Fail),
    ]
}

proptest! {
    #[test]
    fn no_lease_outlives_its_maximum_and_none_is_forgotten(
        steps in proptest::collection::vec((events(), 0_u32..5000), 1..60),
    ) {
        let mut lease = planned(None).unwrap();
        let mut now = START;
        for (event, seconds) in steps {
            now = now + SECOND * seconds;
            let before = lease.clone();
            let is_ending = |lease: &Lease| matches!(lease.state, LeaseState::Ending(_));
            lease = match event {
                Event::Made => lease.made(now).unwrap_or(lease),
                Event::Renew(by) => lease.renew(by, now).unwrap_or(lease),
                Event::End => lease.end(Ended::Revoked, now),
                Event::Take => lease.take(now).unwrap_or(lease),
                Event::Fail if is_ending(&lease) => lease.fails("no", now),
                Event::Fail => lease,
            };
            prop_assert!(lease.expires_at <= lease.max_until && lease.expires_at >= before.expires_at);
            prop_assert!(!is_ending(&before) || is_ending(&lease), "nothing comes back");
            prop_assert!(lease.due() <= now.max(lease.max_until) + backoff::LONGEST, "it is looked at again");
            prop_assert!(before.due() > now || !lease.is_live(now), "what is due is not live");
            let stored = serde_json::to_string(&lease).unwrap();
            prop_assert_eq!(serde_json::from_str::<Lease>(&stored).unwrap(), lease.clone());
        }
    }

    #[test]
    fn an_id_is_no_name(name in "[a-z0-9._-]{1,128}", random: [u8; 16], role_id: [u8; 16]) {
        let Ok(name) = Name::parse(&name) else { return Ok(()) };
        let (id, role) = (LeaseId::new(&name, random), LeaseRole { id: ObjectId(role_id), ..role(json!({})) });
        let text = id.to_string();
        prop_assert!(Name::parse(&text).is_err());
        prop_assert!(id.row_name().starts_with(&LeaseId::start_of(&name)), "those of one role stand together");
        prop_assert_eq!(LeaseId::parse(&text), Some(id.clone()));
        let username = format!("{}{}", role.user_prefix(), id.row_name());
        prop_assert_eq!(username.len(), 32);
        prop_assert_eq!(LeaseId::of_user(&username, &role), Some(id.clone()));
    }

    #[test]
    fn any_text_is_an_id_or_none(text in ".{0,40}", digits in "lease:[0-9a-z]{18,22}") {
        for text in [text, digits] {
            if let Some(id) = LeaseId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
