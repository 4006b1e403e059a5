//! The synthetic patient as files, and programs that send them.

use std::path::{Path, PathBuf};
use std::process::Command;

use radiomicsd::phantom::{Phantom, PhantomSettings, SyntheticPatient, Truth};

use super::node::{Daemon, collect};
use super::shared::{dcmtk, run};

/// A patient in a folder, one sub-folder for each series.
pub struct Patient {
    folder: tempfile::TempDir,
    pub truth: Truth,
}

impl Patient {
    pub fn new(settings: &PhantomSettings) -> Self {
        Self::changed(settings, |_| ())
    }

    pub fn tiny() -> Self {
        Self::new(&PhantomSettings::tiny())
    }

    /// A patient whose objects are changed before they are written.
    pub fn changed(settings: &PhantomSettings, change: impl FnOnce(&mut SyntheticPatient)) -> Self {
        let phantom = Phantom::new(settings).unwrap();
        let mut patient = SyntheticPatient::new(&phantom).unwrap();
        change(&mut patient);
        let folder = tempfile::tempdir().unwrap();
        patient.write(folder.path()).unwrap();
        Self { folder, truth: phantom.truth }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The files of one series, by its folder.
    pub fn series(&self, name: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.path().join(name), &mut files);
        assert!(!files.is_empty(), "{name}");
        files.sort();
        files
    }

    pub fn all(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(self.path(), &mut files);
        files.sort();
        files
    }
}

/// `dcmsend` of all these files; must succeed.
pub fn dcmsend(daemon: &Daemon, files: &[PathBuf]) {
    let mut dcmsend = dcmtk("dcmsend").expect("dcmtk is here: the test asked before");
    // Else it sends the data of each instance only after the acknowledgement of its command, 40 ms later.
    dcmsend.env("TCP_NODELAY", "1");
    dcmsend.args(["-aet", "SCANNER", "-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    run(with_files(dcmsend, files));
}

/// `storescu -R`: only the contexts that the files need are proposed.
pub fn storescu(daemon: &Daemon, files: &[PathBuf]) {
    let mut storescu = dcmtk("storescu").expect("dcmtk is here: the test asked before");
    storescu.args(["-R", "-aet", "SCANNER", "-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    run(with_files(storescu, files));
}

pub fn with_files(mut command: Command, files: &[PathBuf]) -> Command {
    command.args(files);
    command
}
