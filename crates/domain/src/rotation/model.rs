//! Every order in which two workers, their target, people and time can come between each other, by [`Rotation::step`]
//! itself. The number of versions is bounded and nothing else is: nodes die, calls are slow, late or lost, and leases run out
//! as often as they like. Two states that differ only in what no step compares are one, so that there are finitely many.

use serde_json::json;
use stateright::Model;

use super::{Act, Answer, Effect, Event, Goal, Rotation, RotationPolicy, Seen, Told};
use crate::ObjectId;

mod checks;
mod state;

use state::{NOW, Order, Row, State, User, Worker};

/// The first, and two that follow.
const VERSIONS: i64 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Take(usize),
    Commit(usize),
    Die(usize),
    /// The target does it, and says so.
    Do(usize),
    /// The target will never do it.
    Refuse(usize),
    /// The target does it, and the answer is lost.
    DoUnheard(usize),
    /// The target does not do it now.
    Fail(usize),
    Tell(usize),
    /// Until something is due or a lease has run out.
    TimePasses,
    /// Somebody writes a version that works.
    Write(User),
    /// Somebody writes a version whose login is that of the current one.
    Edit,
    Told(Told),
}

/// What is compared, so that it can be left out.
#[derive(Debug, Clone, Copy)]
struct Compared {
    /// The row's revision, by the store.
    rows: bool,
    /// The fence of who answers, by the step.
    answers: bool,
    /// The fence of an order, by the target.
    orders: bool,
}

struct Rotating {
    template: Rotation,
    compared: Compared,
    /// Two take turns.
    two_users: bool,
    versions: i64,
    /// What people say.
    said: &'static [Told],
    /// Somebody changes something of the current version, and keeps its password.
    edits: bool,
}

impl Rotating {
    fn new(compared: Compared, two_users: bool, said: &'static [Told]) -> Self {
        let policy = json!({ "rotator": "postgres", "target": "db", "interval": "1h" });
        let policy: RotationPolicy = serde_json::from_value(policy).unwrap();
        Self {
            template: Rotation::new(ObjectId([7; 16]), policy, String::new(), NOW),
            compared,
            two_users,
            versions: VERSIONS,
            said,
            edits: false,
        }
    }

    fn rotation(&self, row: &Row) -> Rotation {
        Rotation {
            paused: row.paused,
            next_at: row.next_at,
            run: row.run.clone(),
            claim: row.claim,
            fence: row.fence,
            ..self.template.clone()
        }
    }

    /// Whose password the next version is.
    fn next_user(&self, state: &State) -> User {
        match state.user(state.seen.current) {
            Some(User::A) if self.two_users => User::B,
            _ => User::A,
        }
    }

    fn step(&self, state: &State, event: &Event) -> Option<(Row, Effect)> {
        let stepped = self.rotation(&state.row).step(event, state.seen, NOW).ok()?;
        let too_many = stepped.effect == Effect::Create && state.seen.next > self.versions;
        (!too_many).then(|| (Row::of(&stepped.rotation), stepped.effect))
    }

    fn write(&self, state: &mut State, row: Row, effect: Effect) {
        let goal = row.run.as_ref().map(|run| run.goal);
        state.row = row;
        match effect {
            Effect::Nothing | Effect::Keep(_) => {}
            Effect::Create => {
                state.another_version(self.next_user(state), state.seen.next);
                (state.seen.pending, state.seen.next) = (state.seen.next, state.seen.next + 1);
            }
            Effect::Replace => unreachable!("there is a target"),
            Effect::Finish(version) => {
                if goal == Some(Goal::Rotate) {
                    let times = &mut state.promoted[index(version)];
                    *times = (*times + 1).min(2);
                }
                if state.seen.current != version {
                    (state.seen.previous, state.seen.current) = (state.seen.current, version);
                }
                state.seen.pending = 0;
            }
        }
    }

    /// Whether the target did it.
    fn set(&self, state: &mut State, order: Order) -> bool {
        let slot = match state.user(order.version) {
            Some(User::A) => &mut state.set[0],
            Some(User::B) => &mut state.set[1],
            _ => return true,
        };
        let done = !self.compared.orders || slot.fence <= order.fence;
        if done {
            *slot = order;
        }
        done
    }

    fn act(&self, state: &mut State, act: Act, fence: i64) -> Answer {
        match act {
            Act::Set { version, .. } if self.set(state, Order { version, fence }) => Answer::Done,
            Act::Set { .. } => failed(true),
            Act::Test { version } if state.lets_in(version) => Answer::Done,
            Act::Test { .. } => Answer::LoginRefused,
            Act::Rest => unreachable!("who rests does nothing"),
        }
    }

    /// What a worker is to write, as things stand.
    fn prepare(&self, state: &State, fence: i64, answer: Option<&Answer>) -> Worker {
        let event = match answer {
            None => Event::Take,
            Some(answer) if self.compared.answers => Event::Answered(fence, answer.clone()),
            Some(answer) => Event::Answered(state.row.fence, answer.clone()),
        };
        let Some((next, effect)) = self.step(state, &event) else {
            return Worker::Idle;
        };
        Worker::Writing {
            fence: if answer.is_none() { next.fence } else { fence },
            answers: answer.is_some(),
            next,
            effect,
        }
    }

    /// Where rows are compared, reading and writing is one: whoever came between refuses the change.
    fn write_from(&self, state: &mut State, at: usize, fence: i64, answer: Option<&Answer>) {
        state.workers[at] = self.prepare(state, fence, answer);
        if self.compared.rows {
            self.commit(state, at);
        }
    }

    fn commit(&self, state: &mut State, at: usize) {
        let Worker::Writing {
            fence,
            answers,
            next,
            effect,
        } = state.workers[at].clone()
        else {
            return;
        };
        state.overtaken |= answers && state.row.fence != fence;
        state.workers[at] = match self.rotation(&next).act() {
            Act::Rest => Worker::Idle,
            act => Worker::Acting { fence, act },
        };
        self.write(state, next, effect);
    }
}

fn index(version: i64) -> usize {
    usize::try_from(version - 1).unwrap()
}

fn failed(permanent: bool) -> Answer {
    Answer::Failed {
        reason: String::new(),
        permanent,
    }
}

impl Model for Rotating {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![
            State {
                row: Row::of(&self.template),
                seen: Seen {
                    current: 1,
                    next: 2,
                    ..Seen::default()
                },
                users: vec![User::A],
                passwords: vec![1],
                set: [Order { version: 1, fence: 0 }, Order { version: 0, fence: 0 }],
                workers: [Worker::Idle, Worker::Idle],
                promoted: vec![0],
                overtaken: false,
            }
            .canonical(),
        ]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let idle = state.workers.iter().position(|worker| *worker == Worker::Idle);
        actions.extend(idle.map(Action::Take));
        for (at, worker) in state.workers.iter().enumerate() {
            match worker {
                Worker::Idle => {}
                Worker::Writing { .. } => actions.extend([Action::Commit(at), Action::Die(at)]),
                Worker::Acting { .. } => {
                    let calls = [Action::Do, Action::DoUnheard, Action::Fail, Action::Refuse, Action::Die];
                    actions.extend(calls.map(|call| call(at)));
                }
                Worker::Knows { .. } => actions.extend([Action::Tell(at), Action::Die(at)]),
            }
        }
        actions.push(Action::TimePasses);
        if state.seen.next <= self.versions {
            actions.push(Action::Write(User::Other));
            if self.edits {
                actions.push(Action::Edit);
            }
            let user = state.user(state.seen.current).filter(|user| *user != User::Other);
            // Nobody changes a password by hand while an order to change it is under way.
            actions.extend(user.filter(|user| !state.is_being_set(*user)).map(Action::Write));
        }
        actions.extend(self.said.iter().copied().map(Action::Told));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Take(at) => self.write_from(&mut state, at, 0, None),
            Action::Commit(at) => self.commit(&mut state, at),
            Action::Die(at) => state.workers[at] = Worker::Idle,
            Action::Do(at) | Action::DoUnheard(at) | Action::Fail(at) | Action::Refuse(at) => {
                let Worker::Acting { fence, act } = last.workers[at] else {
                    return None;
                };
                let is_done = matches!(action, Action::Do(_) | Action::DoUnheard(_));
                let done = is_done.then(|| self.act(&mut state, act, fence));
                let heard = done.filter(|_| matches!(action, Action::Do(_)));
                let answer = heard.unwrap_or(failed(matches!(action, Action::Refuse(_))));
                state.workers[at] = Worker::Knows { fence, answer };
            }
            Action::Tell(at) => {
                let Worker::Knows { fence, answer } = &last.workers[at] else {
                    return None;
                };
                self.write_from(&mut state, at, *fence, Some(answer));
            }
            Action::TimePasses => state.row.time_passes(),
            Action::Write(user) => state.somebody_writes(user),
            Action::Edit => state.somebody_edits(),
            Action::Told(told) => {
                let (row, effect) = self.step(last, &Event::Told(told))?;
                self.write(&mut state, row, effect);
            }
        }
        let state = state.canonical();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        checks::properties()
    }
}
