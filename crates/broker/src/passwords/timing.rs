//! Whether a login for an unknown name can be told from one for a known one by the time it takes. Printed, not asserted:
//! what is measured is the machine too. `STRONGROOM_TEST_SCALE=100` measures 20,000 logins, the dummy hash on and off.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

use strongroom_domain::{Code, Name};

use crate::place::Place;

#[expect(clippy::disallowed_methods, reason = "how much is measured")]
fn logins() -> u32 {
    let scale = std::env::var("STRONGROOM_TEST_SCALE")
        .ok()
        .and_then(|text| text.parse().ok());
    200 * scale.unwrap_or(1_u32)
}

#[derive(Default)]
struct Sample {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sample {
    /// Welford's way, which loses nothing to cancellation.
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn variance_of_mean(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }

    /// Welch's t.
    fn t(&self, other: &Self) -> f64 {
        (self.mean - other.mean) / (self.variance_of_mean() + other.variance_of_mean()).sqrt()
    }
}

async fn measure(place: &Place) -> f64 {
    let (mut known, mut unknown) = (Sample::default(), Sample::default());
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..logins() {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let (name, sample) = if dice.is_multiple_of(2) {
            ("ada", &mut known)
        } else {
            ("eve", &mut unknown)
        };
        let request = place.request().with_token(None);
        let began = Instant::now();
        let refused = place
            .broker
            .login_password(&request, name, &"another horse".into(), None)
            .await;
        sample.add(began.elapsed().as_secs_f64());
        assert_eq!(refused.unwrap_err().code, Code::LoginFailed);
    }
    known.t(&unknown)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_as_long_for_nobody() {
    let place = Place::new().await;
    let ada = Name::parse("ada").unwrap();
    let broker = &place.broker;
    broker
        .put_operator(&place.request(), &ada, Vec::new(), Vec::new(), BTreeMap::new())
        .await
        .unwrap();
    broker
        .reset_password(&place.request(), &ada, &"correct horse battery".into())
        .await
        .unwrap();
    let with = measure(&place).await;
    broker.0.passwords.nobody_is_quick.store(true, Ordering::Relaxed);
    let without = measure(&place).await;
    println!(
        "{} logins each: Welch's t is {with:.2}; without the dummy hash {without:.2}",
        logins()
    );
}
