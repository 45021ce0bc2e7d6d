//! What every store must do, one behaviour a function, each on a fresh and empty store. A store crate's tests hold
//!
//! ```ignore
//! async fn fresh() -> (Arc<dyn Store>, impl Sized) { /* an empty store, and what keeps its database alive */ }
//!
//! strongroom_ports::conformance!(fresh);
//! ```
//!
//! and so get each behaviour as a test of its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test suite in a library's clothes: what is not as it should be must panic"
)]

mod contents;
mod dumps;
mod entries;
mod fence;
mod fixtures;
mod groups;
mod lanes;
mod log;
mod random;
mod reads;
mod rows;
mod upkeep;
mod writer;

pub use random::random_sequences;

use crate::Store;

/// From one list, the behaviours' public functions and the macro that makes tests of them. What is missing in the list
/// is dead code, so nobody can write a behaviour that no store is put to. (`$d` is the dollar of the inner macro.)
macro_rules! behaviours {
    ($d:tt $($module:ident { $($behaviour:ident)+ })+) => {
        $($(
            pub async fn $behaviour(store: &dyn Store) {
                $module::$behaviour(store).await;
            }
        )+)+

        /// Makes each behaviour a test. `fresh` is an async function that gives an empty store behind a pointer, and a
        /// guard that is dropped after it.
        #[macro_export]
        macro_rules! conformance {
            ($d fresh:expr) => {
                $($(
                    #[tokio::test]
                    async fn $behaviour() {
                        let (store, guard) = $d fresh().await;
                        $d crate::conformance::$behaviour(&*store).await;
                        drop(store);
                        drop(guard);
                    }
                )+)+
            };
        }
    };
}

behaviours! { $
    rows {
        a_record_comes_back_as_it_was_written
        a_record_of_each_kind_comes_back
        a_version_comes_back_as_it_was_written
        a_replacement_changes_every_column_but_the_key
        a_version_is_replaced_and_removed
        a_stale_row_revision_conflicts
        a_row_that_is_absent_is_neither_replaced_nor_removed
        a_taken_key_conflicts
        a_taken_name_conflicts
        names_and_ids_are_taken_within_namespace_and_kind_only
        a_removed_row_leaves_its_key_and_name_free
    }
    groups {
        a_change_is_all_or_nothing_and_the_others_still_apply
        of_two_changes_of_one_row_the_later_conflicts
        a_large_group_with_many_conflicts_keeps_its_order
        a_group_of_conflicts_asks_for_no_verdict_and_writes_nothing
        what_the_verdict_takes_out_leaves_nothing_behind
        taking_out_every_change_writes_nothing
        an_abandoned_group_leaves_nothing_behind
        a_group_with_a_taken_batch_number_leaves_nothing_behind
    }
    fence {
        revisions_have_no_gap_and_follow_the_order
        a_change_without_touches_takes_no_revision
        a_fence_tells_the_changes_above_and_only_them
        a_verdict_sees_the_fence_that_is_returned
        more_than_a_hundred_changes_are_too_many
        touches_are_bounded_by_their_limit
        changes_come_in_pages_that_follow_each_other
        changes_that_are_not_kept_are_told_from_none
        a_read_tells_the_revision_of_its_snapshot
        the_databases_time_does_not_go_backwards
    }
    log {
        a_recorded_batch_comes_back_as_it_was_sealed
        a_batch_applied_with_a_group_comes_back_as_it_was_sealed
        a_large_batch_comes_back_whole
        batches_come_in_the_order_of_their_ids
        a_taken_batch_number_is_refused
        settling_a_lost_batch_keeps_it_out_for_ever
        settling_a_batch_that_was_committed_says_so
        settling_again_gives_the_same_answer
    }
    lanes {
        of_several_swaps_of_one_row_exactly_one_wins
        of_several_inserts_of_one_name_exactly_one_wins
        fences_beside_other_lanes_miss_no_change
    }
    reads {
        find_leaves_out_what_is_absent
        find_takes_keys_of_several_namespaces_and_kinds
        a_record_is_found_by_its_id
        a_listing_is_in_byte_order
        a_listing_holds_to_its_prefix_byte_for_byte
        a_listing_goes_on_after_a_name
        records_of_a_kind_are_found_in_every_namespace
        records_that_fell_due_come_oldest_first
        versions_under_old_keys_are_found
        a_boot_number_is_taken_once
        a_fresh_schema_takes_this_program
        sizes_count_rows
    }
    entries {
        entries_come_newest_first
        pages_of_entries_leave_none_out_and_repeat_none
        every_condition_on_entries_holds
        a_path_of_entries_is_matched_byte_for_byte
        a_page_of_filtered_entries_goes_on_before_a_place
        entries_of_any_month_are_stored_and_found
        the_newest_granted_are_found_by_action
    }
    upkeep {
        pruning_removes_what_expired
        counts_are_added_and_nothing_else
        pruning_many_change_ids_comes_to_an_end
        pruning_keeps_young_changes_and_the_counter
        pruned_changes_are_too_many_not_none
        dropping_entries_keeps_the_young_and_the_other_class
        erasing_a_principal_empties_its_clear_columns_alone
        making_partitions_again_changes_nothing
        the_newest_use_of_a_secret_is_kept
    }
    dumps {
        what_was_dumped_fills_another_store
        an_empty_store_is_filled
        the_keys_and_nothing_else_come_first
        large_rows_go_in_several_parts
        a_dump_is_of_one_moment
        whoever_takes_a_dump_can_end_it
        a_store_with_rows_is_not_filled
        an_unfinished_fill_leaves_nothing_to_the_next
        a_part_that_is_there_already_is_refused
    }
    random {
        random_sequence_1
        random_sequence_2
        random_sequence_3
        random_sequence_4
    }
}
