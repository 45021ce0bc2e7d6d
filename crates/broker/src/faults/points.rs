#![expect(
    clippy::disallowed_methods,
    reason = "tests say what is to happen by the environment"
)]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use strongroom_domain::Time;
use strongroom_ports::TargetError;

static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("STRONGROOM_FAULTS").map(PathBuf::from));
static HASTE: LazyLock<u32> = LazyLock::new(|| {
    let haste = std::env::var("STRONGROOM_FAULTS_HASTE").unwrap_or_default();
    haste.parse().unwrap_or(1)
});
const POLL: Duration = Duration::from_millis(5);

/// Of a step: before it is done.
pub(crate) async fn before(step: &str) {
    reach(&format!("{step}.before")).await;
}

/// And after that.
pub(crate) async fn after(step: &str) {
    reach(&format!("{step}.after")).await;
}

/// After the target answered, which the node may never hear.
pub(crate) async fn heard<T>(step: &str, answer: Result<T, TargetError>) -> Result<T, TargetError> {
    if reach(&format!("{step}.after")).await {
        return Err(TargetError::Unreachable);
    }
    answer
}

/// Whether the answer is lost.
async fn reach(point: &str) -> bool {
    let Some(folder) = &*FOLDER else { return false };
    let stopped = folder.join(format!("{point}.{}", std::process::id()));
    // Of several that come to it at once one finds the file.
    if std::fs::rename(folder.join(point), &stopped).is_err() {
        return false;
    }
    if std::fs::read(&stopped).is_ok_and(|says| says == b"lost") {
        let _ = std::fs::remove_file(&stopped);
        return true;
    }
    while Path::exists(&stopped) {
        tokio::time::sleep(POLL).await;
    }
    false
}

pub(crate) fn hastened(time: Duration) -> Duration {
    time / *HASTE
}

/// What was to last for so long from now.
pub(crate) fn hasten(until: &mut Time, now: Time, most: Duration) {
    *until = (*until).min(now + hastened(most));
}
