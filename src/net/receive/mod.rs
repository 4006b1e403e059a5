//! Associations that others open: verification and storage.
//!
//! ```text
//! serve -> association -> admission    who may, how many
//!                      -> negotiate    which contexts, which transfer syntaxes
//!                      -> thread       of its own, from its acceptance on
//!                      -> store_scp    data set -> store -> status
//! ```
//!
//! A connection costs nothing but a socket until it asks for an association; it takes a place of `max_associations`, and a
//! thread, only when it is admitted.

mod admission;
mod association;
pub(super) mod file_meta;
pub mod negotiate;
mod node;
mod store_scp;
mod thread;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

pub use admission::Refusal;
pub use node::{NewInstance, Node, NodeCounts};

use node::count;

/// Connections that did not ask for an association yet, at most. They are small and short-lived (ARTIM); this keeps the
/// process from running out of file descriptors.
const WAITING_CONNECTIONS_MAX: usize = 4_096;
/// Pause after the system refuses a connection (no descriptors): until others have closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the listener until `shutdown`, then lets what is in the middle of a message finish.
///
/// Returns when the last association has ended: all that was answered is durable, all else was thrown away. The caller
/// bounds the wait by dropping the future.
pub async fn serve(listener: TcpListener, node: Arc<Node>, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let max = connections_max(node.settings().max_associations);
    let room = Arc::new(Semaphore::new(max));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        count(&node.counters.connections);
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            warn!(peer = %address, max, "connection closed: as many as are allowed are open");
            continue;
        };
        if let Err(error) = prepare(&stream) {
            debug!(peer = %address, %error, "connection lost at once");
            continue;
        }
        let connection = association::serve_connection(Arc::clone(&node), stream, address, shutdown.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    info!(n_open = connections.len(), "no more associations are accepted");
    connections.wait().await;
}

/// Answers are single small PDUs: they must not wait for more to send.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)
}

/// At most half of the descriptors that the process may have, so that the store and the index keep theirs.
fn connections_max(max_associations: usize) -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = descriptors.and_then(|n| usize::try_from(n / 2).ok()).unwrap_or(WAITING_CONNECTIONS_MAX);
    half.min(WAITING_CONNECTIONS_MAX).saturating_add(max_associations).max(1)
}
