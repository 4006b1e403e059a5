//! `radiomicsd demo`: a synthetic patient with known truth through the real daemon, over loopback, in one command.
//!
//! The patient is made and sent by C-STORE to a daemon of this process on a free port. Its results come back by C-STORE to
//! a second node that plays the PACS. The report that arrived there is printed, with the truth beside it.

mod print;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use dicom_dictionary_std::uids;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::logging::{self, LogFormat};
use super::{CliError, progress, say};
use crate::config::{Config, HostPort, Receiver};
use crate::daemon::{self, Control, Listeners, store_settings};
use crate::dicom::sr::SrClass;
use crate::net::deliver::{self, Item, Source};
use crate::net::receive::{self, NewInstance, Node};
use crate::net::requestor::{Destination, Timeouts};
use crate::net::{AeTitle, NodeSettings};
use crate::phantom::{Phantom, PhantomSettings, SyntheticPatient, Truth};
use crate::store::{Store, StoreSettings};

/// How long the daemon may take from the last slice to the report.
const PATIENCE: Duration = Duration::from_secs(300);
/// The node that plays the PACS.
const PACS: &str = "DEMOPACS";
const DAEMON: &str = "RADIOMICSD";
const SCANNER: &str = "SCANNER";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Keep everything (sent objects, storage, report) in this folder, which must be empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Another patient
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print every measurement of the report, not only the first few of each group
    #[arg(long)]
    full: bool,
    /// How log lines are written
    #[arg(long, value_enum, default_value = "text")]
    log: LogFormat,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    logging::start(arguments.log, "warn");
    let folder = Folder::new(arguments.keep.as_deref())?;
    let (patient, truth) = make(arguments.seed)?;
    let sent = folder.path.join("sent");
    patient.write(&sent).map_err(|error| CliError::failed("the patient cannot be written", error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("the runtime cannot start", error))?;
    let outcome = runtime.block_on(send_and_wait(&folder.path, &patient));
    runtime.shutdown_timeout(Duration::from_millis(500));
    let arrived = outcome?;
    say(&print::report(&arrived.report, &truth, arguments.full)?)?;
    say(&format!(
        "\n{} objects sent, report and {} segmentations received {:.1} s after the last one.\n",
        arrived.n_sent, arrived.n_segmentations, arrived.seconds
    ))?;
    if arguments.keep.is_some() {
        say(&format!("sent     {}\nreceived {}\n", sent.display(), folder.path.join("pacs").display()))?;
    }
    Ok(())
}

/// Where the demo keeps its files while it runs, or longer.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn new(keep: Option<&Path>) -> Result<Self, CliError> {
        let failed = |error| CliError::failed("the demo's folder", error);
        let Some(path) = keep else {
            let path = std::env::temp_dir().join(format!("radiomicsd-demo-{}", uuid::Uuid::new_v4()));
            std::fs::create_dir(&path).map_err(failed)?;
            return Ok(Self { path, is_temporary: true });
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        if std::fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(CliError::Usage(format!("--keep: {} is not empty", path.display())));
        }
        Ok(Self { path: path.to_owned(), is_temporary: false })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            // What cannot be removed stays in the system's folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn make(seed: u64) -> Result<(SyntheticPatient, Truth), CliError> {
    let spinner = progress::spinner("making the patient");
    let made = Phantom::new(&PhantomSettings { seed, ..PhantomSettings::default() })
        .map_err(|error| CliError::failed("the patient cannot be made", error))?;
    let patient =
        SyntheticPatient::new(&made).map_err(|error| CliError::failed("the patient cannot be made", error))?;
    spinner.finish_and_clear();
    Ok((patient, made.truth))
}

/// What came back.
struct Arrived {
    report: PathBuf,
    n_sent: usize,
    n_segmentations: usize,
    seconds: f64,
}

async fn send_and_wait(folder: &Path, patient: &SyntheticPatient) -> Result<Arrived, CliError> {
    let pacs = Pacs::start(&folder.join("pacs")).await?;
    let daemon = Daemon::start(&folder.join("storage"), pacs.port).await?;
    let instances = patient.encode().map_err(|error| CliError::failed("the patient cannot be encoded", error))?;
    let items: Vec<Item> = instances
        .into_iter()
        .map(|instance| Item {
            sop_class: instance.sop_class,
            sop_instance: instance.sop_instance,
            transfer_syntax: instance.transfer_syntax,
            source: Source::Bytes(instance.bytes),
        })
        .collect();
    let bar = progress::bar(items.len(), "sending by C-STORE");
    for piece in items.chunks(16) {
        let outcomes = deliver::send(&daemon.destination, piece)
            .await
            .map_err(|error| CliError::failed("the patient cannot be sent", error))?;
        if let Some(failure) = outcomes.iter().find_map(|outcome| outcome.result.as_ref().err()) {
            return Err(CliError::failed("an object was not taken", &failure.reason));
        }
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    let since = Instant::now();
    let spinner = progress::spinner("waiting for the report");
    let arrived = tokio::time::timeout(PATIENCE, pacs.wait()).await;
    spinner.finish_and_clear();
    let seconds = since.elapsed().as_secs_f64();
    daemon.stop().await?;
    let (report, n_segmentations) = arrived
        .map_err(|_| CliError::Failed(format!("no report came within {} s", PATIENCE.as_secs())))?
        .ok_or_else(|| CliError::Failed("the receiving node ended".to_owned()))?;
    Ok(Arrived { report, n_sent: items.len(), n_segmentations, seconds })
}

/// The daemon under demonstration: the real one, on free ports.
struct Daemon {
    destination: Destination,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), daemon::DaemonError>>,
}

impl Daemon {
    async fn start(storage: &Path, pacs_port: u16) -> Result<Self, CliError> {
        let mut config = Config::from_toml(include_str!("../../../config/demo.toml"), "config/demo.toml")?;
        storage.clone_into(&mut config.storage.directory);
        for destination in &mut config.destinations {
            if let Receiver::Dimse { address, .. } = &mut destination.to {
                *address = HostPort::parse(&format!("127.0.0.1:{pacs_port}"))
                    .ok_or_else(|| CliError::Failed("the PACS has no port".to_owned()))?;
            }
        }
        let listeners = Listeners { dicom: bind().await?, http: bind().await? };
        let port = port_of(&listeners.dicom)?;
        let shutdown = CancellationToken::new();
        let control = Control { shutdown: shutdown.clone(), reload: None };
        let running = tokio::spawn(daemon::run(config, listeners, control));
        let destination = Destination {
            ae_title: title(DAEMON)?,
            address: format!("127.0.0.1:{port}"),
            calling_ae_title: title(SCANNER)?,
            timeouts: Timeouts::default(),
            tls: None,
        };
        Ok(Self { destination, shutdown, running })
    }

    async fn stop(self) -> Result<(), CliError> {
        self.shutdown.cancel();
        match self.running.await {
            Ok(outcome) => Ok(outcome?),
            Err(error) => Err(CliError::failed("the daemon", error)),
        }
    }
}

/// A storage SCP that plays the PACS.
struct Pacs {
    store: Store,
    arrived: mpsc::Receiver<NewInstance>,
    port: u16,
}

impl Pacs {
    async fn start(directory: &Path) -> Result<Self, CliError> {
        let config = Config::from_toml("[storage]\ndirectory = \"pacs\"\nreserve_bytes = 0\n", "the PACS of the demo")?;
        let settings = StoreSettings { directory: directory.to_owned(), ..store_settings(&config) };
        let opened = tokio::task::spawn_blocking(move || Store::open(&settings)).await;
        let (store, _) = opened
            .map_err(|error| CliError::failed("the PACS cannot start", error))?
            .map_err(|error| CliError::failed("the PACS cannot start", error))?;
        let (on_stored, arrived) = mpsc::channel(64);
        let settings = NodeSettings { accept_unknown_peers: true, ..NodeSettings::new(title(PACS)?) };
        let node = Arc::new(Node::new(settings, store.clone(), on_stored));
        let listener = bind().await?;
        let port = port_of(&listener)?;
        tokio::spawn(receive::serve(listener, node, CancellationToken::new()));
        Ok(Self { store, arrived, port })
    }

    /// Waits for the report: its file, and how many segmentations came before it.
    async fn wait(mut self) -> Option<(PathBuf, usize)> {
        let mut n_segmentations = 0;
        while let Some(new) = self.arrived.recv().await {
            if new.facts.sop_class.as_str() == uids::SEGMENTATION_STORAGE {
                n_segmentations += 1;
            }
            if SrClass::from_sop_class(new.facts.sop_class.as_str()).is_some() {
                let stored = self.store.instance(&new.facts.sop_instance).ok()??;
                return Some((stored.path, n_segmentations));
            }
        }
        None
    }
}

async fn bind() -> Result<TcpListener, CliError> {
    TcpListener::bind("127.0.0.1:0").await.map_err(|error| CliError::failed("no free port", error))
}

fn port_of(listener: &TcpListener) -> Result<u16, CliError> {
    listener.local_addr().map(|address| address.port()).map_err(|error| CliError::failed("no free port", error))
}

fn title(text: &str) -> Result<AeTitle, CliError> {
    AeTitle::parse(text).map_err(|error| CliError::failed("an AE title of the demo", error))
}
