//! What is done now and then: checkpoints of the index, and the end of what was kept long enough.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::now;
use super::settings::Live;
use crate::dicom::uid::Uid;
use crate::store::{Expired, Store};

const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);
/// Every so many checkpoints: once an hour.
const EXPIRE_EVERY: u32 = 120;
/// Every so many checkpoints models are looked at: one may have been put in force, or damaged.
const LOOK_EVERY: u32 = 10;

/// Does both until `stop`; `removed` is told of the series that went.
pub(super) async fn run(store: Store, live: Arc<Live>, removed: mpsc::Sender<Vec<Uid>>, stop: CancellationToken) {
    let mut n_turns: u32 = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
        }
        n_turns = n_turns.wrapping_add(1);
        let (store, config) = (store.clone(), live.config());
        let expire = n_turns.is_multiple_of(EXPIRE_EVERY);
        let look = n_turns.is_multiple_of(LOOK_EVERY).then(|| Arc::clone(&live));
        let done = tokio::task::spawn_blocking(move || {
            if let Some(live) = look {
                live.look_at_models();
            }
            store.checkpoint()?;
            if !expire {
                return Ok(Expired::default());
            }
            store.expire(now(), config.storage.retention, config.storage.parked_retention)
        });
        match done.await {
            Ok(Ok(Expired { files: 0, .. })) => {}
            Ok(Ok(Expired { series, files, bytes })) => {
                info!(series = series.len(), files, bytes, "expired inputs were removed");
                // Nobody listens only while the daemon stops.
                let _ = removed.send(series).await;
            }
            Ok(Err(error)) => error!(%error, "the upkeep of the storage failed"),
            Err(_) => error!("the upkeep of the storage failed"),
        }
    }
}
