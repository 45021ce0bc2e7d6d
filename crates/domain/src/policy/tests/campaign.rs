//! Random sets of policies of both layouts, and requests that are near to what their rules name.

use std::net::IpAddr;
use std::time::Instant;

use super::reference::{self, Verdict};
use crate::Network;
use crate::Time;
use crate::policy::{Capability, Decision, Layout, Need, Policy, PolicySet, Rule, check_native};

/// A sequence that is another for each seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % bound
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const SEGMENTS: [&str; 9] = ["a", "a", "a", "a", "b", "b", "A", "ab", "é"];
const NETWORKS: [&str; 6] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.0.0/17",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8::1",
];
const SOURCES: [&str; 5] = ["10.1.2.3", "10.1.200.3", "10.2.0.1", "11.0.0.1", "2001:db8::1"];

pub(super) struct Request {
    /// In one layout or in both.
    paths: Vec<(Layout, String)>,
    capability: Capability,
    pub(super) from: Option<IpAddr>,
}

impl Request {
    pub(super) fn needs(&self) -> impl Iterator<Item = Need<'_>> {
        self.paths.iter().map(|(layout, path)| Need {
            layout: *layout,
            path,
            capability: self.capability,
        })
    }
}

pub(super) struct Case {
    pub(super) policies: Vec<Policy>,
    pub(super) requests: Vec<Request>,
}

impl Case {
    pub(super) fn random(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let policies: Vec<Policy> = (0..=dice.below(5)).map(|_| policy(&mut dice)).collect();
        let requests = (0..4).map(|_| request(&mut dice)).collect();
        Self { policies, requests }
    }
}

fn capability(dice: &mut Dice) -> Capability {
    use Capability::{Create, List, Read};
    dice.of(&[Create, Read, Read, Read, List, List])
}

fn policy(dice: &mut Dice) -> Policy {
    let layout = dice.of(&[Layout::Native, Layout::Native, Layout::Vault]);
    let rules = (0..=dice.below(6)).map(|_| {
        let mut capabilities: Vec<_> = (0..=dice.below(3)).map(|_| capability(dice)).collect();
        if dice.one_in(3) {
            capabilities.push(Capability::Deny);
        }
        let networks = if dice.one_in(6) { dice.below(3) } else { 0 };
        Rule {
            path: pattern(dice, layout),
            capabilities,
            networks: (0..networks)
                .map(|_| Network::parse(dice.of(&NETWORKS)).unwrap())
                .collect(),
        }
    });
    Policy {
        layout,
        ..Policy::new(rules.collect(), Time(0))
    }
}

fn path(dice: &mut Dice, layout: Layout) -> String {
    let mut path = String::from(if layout == Layout::Native {
        "secret"
    } else {
        "secret/data"
    });
    for _ in 0..=dice.below(3) {
        path.push('/');
        path.push_str(dice.of(&SEGMENTS));
    }
    path
}

fn pattern(dice: &mut Dice, layout: Layout) -> String {
    let mut segments: Vec<String> = path(dice, layout).split('/').map(str::to_owned).collect();
    let fixed = if layout == Layout::Native { 1 } else { 2 };
    for segment in segments.iter_mut().skip(fixed) {
        if dice.one_in(4) {
            "+".clone_into(segment);
        }
    }
    let mut text = segments.join("/");
    if layout == Layout::Vault && dice.one_in(3) && !text.ends_with('+') {
        text.push('*');
    } else if dice.one_in(2) {
        if segments.len() > fixed && dice.one_in(2) {
            text.truncate(text.rfind('/').unwrap());
        }
        text.push_str("/*");
    } else if layout == Layout::Vault && dice.one_in(6) {
        text.push('/');
    }
    text
}

fn request(dice: &mut Dice) -> Request {
    let mut paths = Vec::new();
    let both = dice.one_in(3);
    let layout = dice.of(&[Layout::Native, Layout::Native, Layout::Vault]);
    for layout in [Layout::Native, Layout::Vault]
        .into_iter()
        .filter(|each| both || *each == layout)
    {
        let mut path = path(dice, layout);
        if dice.one_in(4) {
            path.push('/');
        }
        paths.push((layout, path));
    }
    // A request to list names a folder.
    let lists = paths.iter().any(|(_, path)| path.ends_with('/')) && !dice.one_in(4);
    Request {
        paths,
        capability: if lists { Capability::List } else { capability(dice) },
        from: if dice.one_in(30) {
            None
        } else {
            dice.of(&SOURCES).parse().ok()
        },
    }
}

fn expected(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Allow => Decision::Allow,
        Verdict::Deny => Decision::Deny,
        Verdict::Lacks | Verdict::NoMatch => Decision::NoGrant,
    }
}

#[expect(clippy::disallowed_methods, reason = "how much of it runs is said from outside")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_decision_equals_the_reference() {
    const SETS: u64 = 20_000;
    let sets = SETS * setting("STRONGROOM_TEST_SCALE").unwrap_or(1);
    let seed = setting("STRONGROOM_TEST_SEED").unwrap_or(1);
    let (began, mut counted) = (Instant::now(), [0_u64; 4]);
    for at in 0..sets {
        let case = Case::random(seed.wrapping_mul(1 << 40).wrapping_add(at));
        for policy in case.policies.iter().filter(|policy| policy.layout == Layout::Native) {
            check_native(&policy.rules).unwrap();
        }
        let set = PolicySet::compile(&case.policies);
        for request in &case.requests {
            let needs: Vec<Need<'_>> = request.needs().collect();
            let verdict = reference::decide(&case.policies, &needs, request.from);
            let decided = set.decide(&needs, request.from);
            assert_eq!(
                decided,
                expected(verdict),
                "{needs:?} from {:?} by {:?}",
                request.from,
                case.policies
            );
            counted[verdict as usize] += 1;
        }
    }
    let all: u64 = counted.iter().sum();
    let [allow, deny, lacks, no_match] = counted.map(|count| count * 1000 / all);
    println!(
        "{sets} sets of policies, {all} decisions, seed {seed}: allow {allow}, deny {deny}, no match {no_match}, another \
         capability {lacks} of 1000; {:.1?}",
        began.elapsed()
    );
    assert!(
        [allow, deny, no_match].into_iter().all(|share| share >= 200),
        "each is tried often enough"
    );
}
