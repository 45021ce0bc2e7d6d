//! The same random sequence against a store and the model: both must say the same and hold the same.

mod dice;
mod plan;
mod step;

use super::contents::Contents;
use crate::Store;
use crate::memory::MemoryStore;
use plan::Plan;

/// How often the whole contents are compared.
const STEPS_BETWEEN_LOOKS: usize = 10;
const STEPS: usize = 100;

/// Plays `steps` steps that follow from `seed` on `store`, which is empty, and on a model.
pub async fn random_sequences(store: &dyn Store, seed: u64, steps: usize) {
    let model = MemoryStore::new();
    let mut plan = Plan::new(seed);
    for number in 1..=steps {
        let step = plan.next(&model).await;
        let expected = step.play(&model).await;
        let found = step.play(store).await;
        assert_eq!(found, expected, "seed {seed}, step {number}: {step:#?}");
        if number % STEPS_BETWEEN_LOOKS == 0 || number == steps {
            let (found, expected) = (
                Contents::of(store, plan.now()).await,
                Contents::of(&model, plan.now()).await,
            );
            assert_eq!(found, expected, "seed {seed}, after step {number}: {step:#?}");
        }
    }
}

pub(super) async fn random_sequence_1(store: &dyn Store) {
    random_sequences(store, 1, STEPS).await;
}

pub(super) async fn random_sequence_2(store: &dyn Store) {
    random_sequences(store, 2, STEPS).await;
}

pub(super) async fn random_sequence_3(store: &dyn Store) {
    random_sequences(store, 0x5eed_5eed, STEPS).await;
}

pub(super) async fn random_sequence_4(store: &dyn Store) {
    random_sequences(store, 20_260_815, STEPS).await;
}
