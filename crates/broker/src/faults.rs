//! Fail points: where the tests of rotations and leases stop a node. They are there with the feature `failpoints` alone,
//! which no release has; without it nothing happens here.
//!
//! `STRONGROOM_FAULTS` names a folder. A node that comes to a point and finds a file of the point's name there renames it to
//! `NAME.PID`, and goes on once that is gone. Where the file says `lost`, the node does not stop, and never hears what the
//! target answered. `STRONGROOM_FAULTS_HASTE` is by what the times are divided that the tests wait for.

#[cfg(not(feature = "failpoints"))]
mod none;
#[cfg(feature = "failpoints")]
mod points;

#[cfg(not(feature = "failpoints"))]
pub(crate) use none::{after, before, hasten, hastened, heard};
#[cfg(feature = "failpoints")]
pub(crate) use points::{after, before, hasten, hastened, heard};
