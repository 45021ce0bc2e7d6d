//! Promise 7 under faults: whatever happens at whatever point of a rotation, a stored version logs in all the while, and once
//! the fault is over the rotation ends, as if nothing had happened. The nodes are the real program with fail points.

mod cell;
mod lease;
pub(crate) mod place;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use strongroom_testkit::scale;

use crate::harness::On;
use place::{Engine, Place};

/// Of a rotation, and of a lease.
const ROTATION: [&str; 5] = ["create", "set", "test", "finish", "verify"];
const LEASE: [&str; 5] = ["plan", "issue", "made", "revoke", "settle"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL of the node.
    Kill,
    StoreDown,
    TargetDown,
    TargetSlow,
    /// What was ordered is done, and nobody hears of it.
    ReplyLost,
    /// The node stands still for longer than its claim lasts.
    Paused,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Kill,
        Self::StoreDown,
        Self::TargetDown,
        Self::TargetSlow,
        Self::ReplyLost,
        Self::Paused,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) on: On,
    pub(crate) engine: Engine,
    pub(crate) step: &'static str,
    pub(crate) side: Side,
    pub(crate) fault: Fault,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.side == Side::Before { "before" } else { "after" };
        write!(
            f,
            "{side} {}, {:?}: {:?} on {:?}",
            self.step, self.fault, self.engine, self.on
        )
    }
}

impl Cell {
    /// As the program names it.
    pub(crate) fn point(self, machine: &str) -> String {
        let side = if self.side == Side::Before { "before" } else { "after" };
        format!("{machine}.{}.{side}", self.step)
    }

    /// Why there is no such fault here.
    pub(crate) fn is_none(self) -> Option<&'static str> {
        let embedded = self.on == On::Sqlite;
        match self.fault {
            Fault::StoreDown if embedded => Some("the embedded store is never away"),
            Fault::ReplyLost if embedded && !self.is_at_target() => {
                Some("the embedded store answers within the process")
            }
            _ => None,
        }
    }

    /// Whether the target does what it is told, and the node does not hear of it.
    pub(crate) fn loses_an_answer(self) -> bool {
        self.fault == Fault::ReplyLost && self.side == Side::After && self.is_at_target()
    }

    /// Whether the step is done at the target, and not in the store.
    pub(crate) fn is_at_target(self) -> bool {
        !["create", "finish", "plan", "made", "settle"].contains(&self.step)
    }
}

/// All cells of one engine on one store: those that are run, and those that are not. At scale 10 all of them are. In CI it is
/// one of each step and fault at PostgreSQL, on one side of the one and on one store; of the other engines each step and
/// each fault.
fn cells(on: On, engine: Engine, steps: &'static [&'static str]) -> (Vec<Cell>, Vec<Cell>) {
    let mut cells = Vec::new();
    for (row, step) in steps.iter().copied().enumerate() {
        for (column, fault) in Fault::ALL.into_iter().enumerate() {
            let cell = |on, side| Cell {
                on,
                engine,
                step,
                side,
                fault,
            };
            let side = [Side::Before, Side::After][usize::midpoint(row, column) % 2];
            let embedded = cell(On::Sqlite, side);
            let covering = if (row + column) % 2 == 0 || embedded.is_none().is_some() {
                cell(On::Postgres, side)
            } else {
                embedded
            };
            let is_sample = engine == Engine::Postgres || row == 2 * column % steps.len();
            for side in [Side::Before, Side::After] {
                let cell = cell(on, side);
                cells.push((cell, scale() >= 10.0 || is_sample && cell == covering));
            }
        }
    }
    let (run, left): (Vec<_>, Vec<_>) = cells.into_iter().partition(|(_, is_run)| *is_run);
    let only = |cells: Vec<(Cell, bool)>| cells.into_iter().map(|(cell, _)| cell).collect();
    (only(run), only(left))
}

/// Goes through cells, each of the lanes at a place of its own.
async fn go_through(on: On, engine: Engine, steps: &'static [&'static str], lanes: usize) {
    let began = Instant::now();
    let (run, skipped) = cells(on, engine, steps);
    let (run, none): (Vec<Cell>, Vec<Cell>) = run.into_iter().partition(|cell| cell.is_none().is_none());
    let ran = run.len();
    let queue = Arc::new(Mutex::new(VecDeque::from(run)));
    let lanes: Vec<_> = (0..lanes)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let Some(mut place) = Place::new(on, engine).await else {
                    return false;
                };
                loop {
                    let Some(cell) = queue.lock().unwrap().pop_front() else {
                        break;
                    };
                    let began = Instant::now();
                    let told = if LEASE.contains(&cell.step) {
                        lease::run(&mut place, cell).await
                    } else {
                        cell::run(&mut place, cell).await
                    };
                    println!("{cell}: {told}, {:.1?}", began.elapsed());
                }
                if steps == ROTATION {
                    place.promoted_nothing_twice().await;
                }
                true
            })
        })
        .collect();
    for lane in lanes {
        if !lane.await.unwrap() {
            return;
        }
    }
    for cell in &none {
        println!("NONE: {cell}: {}", cell.is_none().unwrap());
    }
    for cell in &skipped {
        println!("NOT RUN: {cell}");
    }
    println!(
        "{} at {engine:?} on {on:?}: {ran} cells in {:.1?}, {} that cannot be, {} not run",
        if steps == ROTATION { "Rotations" } else { "Leases" },
        began.elapsed(),
        none.len(),
        skipped.len()
    );
}

async fn rotations_at_postgresql(on: On) {
    go_through(on, Engine::Postgres, &ROTATION, 4).await;
}

async fn rotations_at_mariadb(on: On) {
    go_through(on, Engine::MariaDb, &ROTATION, 2).await;
}

async fn rotations_at_redis(on: On) {
    go_through(on, Engine::Redis, &ROTATION, 2).await;
}

async fn leases_at_postgresql(on: On) {
    go_through(on, Engine::Postgres, &LEASE, 4).await;
}

async fn leases_at_mariadb(on: On) {
    go_through(on, Engine::MariaDb, &LEASE, 2).await;
}

async fn leases_at_redis(on: On) {
    go_through(on, Engine::Redis, &LEASE, 2).await;
}

on_both_stores!(
    rotations_at_postgresql,
    rotations_at_mariadb,
    rotations_at_redis,
    leases_at_postgresql,
    leases_at_mariadb,
    leases_at_redis,
);
