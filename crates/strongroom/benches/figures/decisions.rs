//! What a token may do, decided alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use strongroom_domain::Time;
use strongroom_domain::access::Access;
use strongroom_domain::policy::{Capability, Decision, Policy, PolicySet, Rule};

/// Of a token with so many rules, of which the last that is looked at matches; as often as takes the clock's steps out.
pub(super) fn figures() {
    const TIMES: u32 = 20_000;
    for rules in [1, 64, 1024] {
        let rule = |at| {
            Rule::new(
                format!("secret/team-{at:04}/prod/*"),
                [Capability::Read, Capability::List],
            )
        };
        let policies: Vec<_> = (0..rules).map(rule).collect();
        let policies: Vec<_> = policies
            .chunks(256)
            .map(|rules| Policy::new(rules.to_vec(), Time(0)))
            .collect();
        let set = PolicySet::compile(&policies);
        let needs = Access::needs_of("secret/team-0000/prod/database", Capability::Read);
        let mut each: Vec<Duration> = (0..9)
            .map(|_| {
                let began = Instant::now();
                let allowed = (0..TIMES).filter(|_| set.decide(black_box(&needs), None) == Decision::Allow);
                assert_eq!(allowed.count(), TIMES as usize);
                began.elapsed() / TIMES
            })
            .collect();
        each.sort();
        println!("=> decision, {rules} rules: median {:?}", each[4]);
    }
}
