//! A thread for each association.
//!
//! An association takes an object from its socket, digests it, writes it, waits for the disk and answers, one after the
//! other, because its peer waits for the answer. On one thread that costs no switch between threads, each piece is still
//! in the processor's cache when it is digested and written, and a disk that stalls stops nobody but who waits for it.
//! There are as many such threads as admitted associations. Whoever only connects has none.

use std::io;

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// Runs a task on a thread that may wait for the disk, with a runtime of its own, until the task ends or the returned
/// future is dropped.
pub async fn on_own_thread<T, F>(task: T)
where
    T: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let abandoned = CancellationToken::new();
    let _abandon = abandoned.clone().drop_guard();
    let done = tokio::task::spawn_blocking(move || -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        runtime.block_on(async {
            tokio::select! {
                () = task() => {}
                () = abandoned.cancelled() => {}
            }
        });
        Ok(())
    });
    match done.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error!(%error, "an association could not be given its thread"),
        // It said so when it ended.
        Err(_) => error!("the thread of an association failed"),
    }
}
