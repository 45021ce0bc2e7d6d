use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model as _, Property};

use super::super::Step;
use super::*;

const EVERYTHING: Compared = Compared {
    rows: true,
    answers: true,
    orders: true,
};
const EVERY_WORD: [Told; 4] = [Told::Rotate, Told::Pause, Told::Resume, Told::Rollback];
const SOMEBODY_GETS_IN: &str = "what current or previous is logs in";
const CURRENT_GETS_IN: &str = "current logs in";
const AT_REST: &str = "current logs in where nothing is under way";
const ONCE: &str = "no version is promoted twice";
const NOT_OVERTAKEN: &str = "who was overtaken writes nothing";
const CONVERGES: &str = "once faults stop, a rotation ends and current logs in";

pub(super) fn properties() -> Vec<Property<Rotating>> {
    vec![
        Property::always(SOMEBODY_GETS_IN, somebody_gets_in),
        Property::always(CURRENT_GETS_IN, current_gets_in),
        Property::always(AT_REST, |model: &Rotating, state: &State| {
            let is_idle = state.workers.iter().all(|worker| *worker == Worker::Idle);
            let may_be_undone = !model.compared.orders;
            !is_idle || may_be_undone || state.row.run.is_some() || state.lets_in(state.seen.current)
        }),
        Property::always(ONCE, |_, state: &State| state.promoted.iter().all(|times| *times < 2)),
        Property::always(NOT_OVERTAKEN, |_, state: &State| !state.overtaken),
        Property::always(CONVERGES, converges),
        Property::sometimes("two rotations end", |_, state: &State| {
            state.promoted.iter().sum::<u8>() == 2 && state.row.run.is_none()
        }),
        Property::sometimes("one is rolled back", |_, state: &State| {
            state.seen.previous > state.seen.current && state.row.run.is_none()
        }),
        Property::sometimes("one begins anew with what somebody wrote", |_, state: &State| {
            let run = state.row.run.as_ref();
            state.seen.current == 3 && state.seen.pending == 2 && run.is_some_and(|run| run.step == Step::Create)
        }),
    ]
}

/// A version that consumers may have: one user alone is without one while it is changed, until they read again.
fn somebody_gets_in(model: &Rotating, state: &State) -> bool {
    let versions = [state.seen.current, state.seen.previous];
    let pending = Some(state.seen.pending).filter(|_| !model.two_users);
    // The one password of a version that is edited while it is gone back from is in no other then.
    model.edits
        || versions
            .into_iter()
            .chain(pending)
            .any(|version| state.lets_in(version))
}

/// Where the version before is of the same user, a rollback takes the password from current before it has moved it.
fn current_gets_in(model: &Rotating, state: &State) -> bool {
    let is_alone = !model.two_users || state.user(state.seen.current) == state.user(state.seen.previous);
    is_alone || !model.compared.orders || state.lets_in(state.seen.current)
}

/// Nobody is at work. Somebody tells it to go on, and one node does as it should.
fn converges(model: &Rotating, state: &State) -> bool {
    // Whoever is at work may go at any time, and that is a state of its own.
    if state.workers.iter().any(|worker| *worker != Worker::Idle) {
        return true;
    }
    let model = Rotating {
        template: model.template.clone(),
        versions: i64::MAX,
        ..*model
    };
    let mut state = state.clone();
    let go = |state: &mut State, action| {
        if let Some(next) = model.next_state(state, action) {
            *state = next;
        }
    };
    go(&mut state, Action::TimePasses);
    go(&mut state, Action::Told(Told::Resume));
    go(&mut state, Action::Told(Told::Rotate));
    for _ in 0..30 {
        if state.row.run.is_none() {
            return state.lets_in(state.seen.current);
        }
        let busy = state.workers.iter().position(|worker| *worker != Worker::Idle);
        let action = match busy.map(|at| (at, &state.workers[at])) {
            None | Some((_, Worker::Idle)) if model.rotation(&state.row).due() > Some(NOW) => Action::TimePasses,
            None | Some((_, Worker::Idle)) => Action::Take(0),
            Some((at, Worker::Writing { .. })) => Action::Commit(at),
            Some((at, Worker::Acting { .. })) => Action::Do(at),
            Some((at, Worker::Knows { .. })) => Action::Tell(at),
        };
        go(&mut state, action);
    }
    false
}

fn holds(name: &str, model: Rotating) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!("{name}: {} states", checker.unique_state_count());
    assert!(checker.is_done());
    checker.assert_properties();
}

#[test]
fn two_users_in_turn() {
    holds("two users in turn", Rotating::new(EVERYTHING, true, &EVERY_WORD));
}

#[test]
fn one_user_alone() {
    holds(
        "one user alone",
        Rotating::new(EVERYTHING, false, &[Told::Rotate, Told::Rollback]),
    );
}

#[test]
fn one_user_whose_version_is_edited() {
    let model = Rotating {
        edits: true,
        ..Rotating::new(EVERYTHING, false, &[Told::Rotate, Told::Rollback])
    };
    holds("one user whose version is edited", model);
}

/// Not every server can keep a fence.
#[test]
fn a_target_that_compares_nothing() {
    let compared = Compared {
        orders: false,
        ..EVERYTHING
    };
    let model = Rotating::new(compared, true, &[Told::Rotate, Told::Rollback]);
    holds("a target that compares nothing", model);
}

fn is_found(compared: Compared, property: &'static str) {
    let wanted = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = Rotating::new(compared, true, &[]).checker().threads(2);
    let checker = checker.finish_when(wanted).spawn_bfs().join();
    let path = checker.assert_any_discovery(property);
    let states = checker.unique_state_count();
    println!(
        "not so that {property}, after {states} states: {:?}",
        path.into_actions()
    );
}

/// The model can find what fencing is there for.
#[test]
fn without_fencing_a_version_is_promoted_twice() {
    let compared = Compared {
        rows: false,
        ..EVERYTHING
    };
    is_found(compared, ONCE);
    let compared = Compared {
        answers: false,
        ..EVERYTHING
    };
    is_found(compared, NOT_OVERTAKEN);
}
