//! What is done at targets: rotations, leases, notices.

use std::sync::atomic::Ordering;

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts};

use super::{BrokerMetrics, counter};

impl BrokerMetrics {
    pub(super) fn outside(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let stats = self.0.stats();
        let mut all = [self.rotations()?, self.seen()?].concat();
        for (name, help, value) in [
            (
                "strongroom_rotations_total",
                "Rotations that this node brought to their end.",
                &stats.rotations,
            ),
            (
                "strongroom_rotation_failures_total",
                "Steps of rotations that failed, each time they are tried.",
                &stats.rotations_failed,
            ),
            (
                "strongroom_leases_ended_total",
                "Leases that this node took back.",
                &stats.leases_ended,
            ),
            (
                "strongroom_lease_failures_total",
                "Leases that could not be taken back, each time they are tried.",
                &stats.leases_failed,
            ),
            (
                "strongroom_notices_total",
                "Notices that a webhook took.",
                &stats.notices_sent,
            ),
            (
                "strongroom_notice_failures_total",
                "Notices that a webhook did not take, each time they are tried.",
                &stats.notices_failed,
            ),
            (
                "strongroom_dead_letters_dropped_total",
                "Dead letters that this node dropped to make room for newer ones.",
                &stats.dead_letters_dropped,
            ),
        ] {
            all.extend(counter(name, help, &[(&[], "", value.load(Ordering::Relaxed))])?);
        }
        Ok(all)
    }

    fn seen(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let (leases, mut all) = (self.0.leases_seen(), Vec::new());
        for (name, help, value) in [
            (
                "strongroom_leases",
                "Leases that there are, seen every minute.",
                leases.all,
            ),
            (
                "strongroom_leases_stuck",
                "Leases that could not be taken back for several times, seen every minute.",
                leases.stuck,
            ),
            (
                "strongroom_lease_overdue_seconds",
                "How long the oldest lease that is not taken back should have been gone, seen every minute.",
                i64::try_from(leases.overdue.as_secs()).unwrap_or(i64::MAX),
            ),
            (
                "strongroom_lease_strays",
                "Users of targets that are named as ours are, and that no lease explains, asked for every ten minutes; of a target that cannot be asked, as many as the last time.",
                self.0.strays_seen(),
            ),
            (
                "strongroom_dead_letters",
                "Notices that no webhook took and that were given up, until somebody sends them again or discards them: up to 1,000, seen every minute.",
                self.0.dead_letters_seen(),
            ),
            (
                "strongroom_outside_held",
                "1 while nothing is done at systems outside since a restore, seen every minute.",
                self.0.is_held_seen().into(),
            ),
        ] {
            let gauge = IntGauge::new(name, help)?;
            gauge.set(value);
            all.extend(gauge.collect());
        }
        Ok(all)
    }

    fn rotations(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let seen = self.0.rotations_seen();
        let gauge = IntGaugeVec::new(
            Opts::new(
                "strongroom_rotations",
                "Rotations, seen every minute: all; overdue by more than they bear; failing, and tried again; stopped, until an operator says something.",
            ),
            &["state"],
        )?;
        for (state, count) in [
            ("all", seen.all),
            ("overdue", seen.overdue),
            ("failing", seen.failing),
            ("stopped", seen.stopped),
        ] {
            gauge.with_label_values(&[state]).set(count);
        }
        Ok(gauge.collect())
    }
}
