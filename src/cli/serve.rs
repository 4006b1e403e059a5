//! `radiomicsd serve`: the daemon, under systemd or on a terminal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::CliError;
use super::logging::{self, LogFormat};
use crate::config::Config;
use crate::daemon::{self, Control, Listeners, Reload};

/// Threads that may wait for the disk, beside those of the associations: as many as tokio allows by itself.
const BLOCKING_THREADS: usize = 512;
/// How long threads that compute may go on after the drain.
const LAST_WORD: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/radiomicsd/radiomicsd.toml")]
    config: PathBuf,
    /// How log lines are written
    #[arg(long, value_enum, default_value = "auto")]
    log: LogFormat,
    /// Write the addresses that were bound to this file, as `dicom=ADDRESS` and `http=ADDRESS`
    #[arg(long, value_name = "FILE")]
    addresses: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    logging::start(arguments.log, "info");
    info!(version = env!("CARGO_PKG_VERSION"), "radiomicsd");
    let config = Config::load(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("radiomicsd-io")
        // Each association takes one of them, and must not take the last.
        .max_blocking_threads(BLOCKING_THREADS.saturating_add(config.dicom.max_associations as usize))
        .build()
        .map_err(|error| CliError::failed("the runtime cannot start", error))?;
    let outcome = runtime.block_on(serve(arguments, config));
    runtime.shutdown_timeout(LAST_WORD);
    outcome
}

async fn serve(arguments: &Arguments, config: Config) -> Result<(), CliError> {
    let signals = Signals::listen().map_err(|error| CliError::failed("signals cannot be received", error))?;
    let bind = |what: &'static str, address: std::net::SocketAddr| async move {
        TcpListener::bind(address).await.map_err(|error| CliError::Failed(format!("{what} {address}: {error}")))
    };
    let listeners = Listeners {
        dicom: bind("dicom.listen", config.dicom.listen).await?,
        http: bind("http.listen", config.http.listen).await?,
    };
    tell_addresses(arguments, &listeners).map_err(|error| CliError::failed("the bound addresses", error))?;
    let shutdown = CancellationToken::new();
    let asked = Arc::new(Notify::new());
    let reload = Reload { asked: Arc::clone(&asked), read: Config::load, path: arguments.config.clone() };
    let control = Control { shutdown: shutdown.clone(), reload: Some(reload) };
    let listening = tokio::spawn(signals.pass_on(shutdown, asked));
    let outcome = daemon::run(config, listeners, control).await;
    listening.abort();
    Ok(outcome?)
}

/// The addresses as bound: port 0 lets the system choose.
fn tell_addresses(arguments: &Arguments, listeners: &Listeners) -> std::io::Result<()> {
    let (dicom, http) = (listeners.dicom.local_addr()?, listeners.http.local_addr()?);
    info!(%dicom, %http, "listening");
    if let Some(path) = &arguments.addresses {
        std::fs::write(path, format!("dicom={dicom}\nhttp={http}\n"))?;
    }
    Ok(())
}

/// SIGTERM and SIGINT drain, SIGHUP reads the configuration again. SIGXFSZ, which ends a process by default, is taken so that
/// the write which it is about fails instead: its sender hears that there is no room.
struct Signals {
    _file_too_large: Signal,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            _file_too_large: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn pass_on(mut self, shutdown: CancellationToken, reload: Arc<Notify>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => shutdown.cancel(),
                _ = self.interrupt.recv() => {
                    if shutdown.is_cancelled() {
                        // Somebody at a terminal does not want to wait: what is durable stays so.
                        std::process::exit(130);
                    }
                    shutdown.cancel();
                }
                _ = self.hangup.recv() => reload.notify_one(),
            }
        }
    }
}
