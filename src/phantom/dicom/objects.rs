//! A synthetic patient as Part-10 files, in memory or in a folder.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};

use super::super::patient::Phantom;
use super::super::settings::{PhantomError, PhantomSettings};
use super::super::truth::Truth;
use super::build::SyntheticPatient;
use super::plan::uid_constant;
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::uid::Uid;
use crate::dicom::write::{WriteError, part10};
use crate::error::{Duty, Fault, Retry};

/// One instance as a file, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedInstance {
    /// Its file name: the name of the series and the instance's place in it, such as `CT/0007.dcm`.
    pub name: PathBuf,
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// Transfer syntax of the file.
    pub transfer_syntax: Uid,
    /// The whole Part-10 file.
    pub bytes: Vec<u8>,
}

/// What was written to a folder.
#[derive(Debug, Clone)]
pub struct Written {
    /// The files, in the order of the series.
    pub files: Vec<PathBuf>,
    /// What is true of the patient.
    pub truth: Truth,
}

/// Why a synthetic patient could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteOutError {
    /// The settings do not make a patient.
    #[error(transparent)]
    Phantom(#[from] PhantomError),
    /// A data set cannot be encoded.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A data set without its identifiers.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// The settings cannot be digested.
    #[error("the settings of the synthetic patient cannot be written as JSON: {0}")]
    Settings(#[from] serde_json::Error),
    /// The operating system refused.
    #[error("a file of the synthetic patient cannot be written: {0}")]
    Io(#[from] std::io::Error),
}

impl Duty for WriteOutError {
    fn fault(&self) -> Fault {
        match self {
            Self::Phantom(_) => Fault::Config,
            _ => Fault::Internal,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Io(_) => Retry::Later,
            _ => Retry::Never,
        }
    }
}

impl SyntheticPatient {
    /// Every instance as a Part-10 file in Explicit VR Little Endian.
    ///
    /// # Errors
    /// When a data set cannot be encoded.
    pub fn encode(&self) -> Result<Vec<EncodedInstance>, WriteOutError> {
        let transfer_syntax = uid_constant(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let mut files = Vec::new();
        for series in &self.series {
            for (index, object) in series.instances.iter().enumerate() {
                files.push(EncodedInstance {
                    name: Path::new(&series.name).join(format!("{:04}.dcm", index + 1)),
                    sop_class: attributes::required_uid(object, tags::SOP_CLASS_UID)?,
                    sop_instance: attributes::required_uid(object, tags::SOP_INSTANCE_UID)?,
                    series: attributes::required_uid(object, tags::SERIES_INSTANCE_UID)?,
                    transfer_syntax: transfer_syntax.clone(),
                    bytes: part10(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)?,
                });
            }
        }
        Ok(files)
    }

    /// Writes every instance under a folder, one sub-folder per series.
    ///
    /// # Errors
    /// When a data set cannot be encoded or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, WriteOutError> {
        let mut files = Vec::new();
        for instance in self.encode()? {
            let path = folder.join(&instance.name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, &instance.bytes)?;
            files.push(path);
        }
        Ok(files)
    }
}

/// Makes a synthetic patient and writes it under a folder.
///
/// # Errors
/// When the settings do not make a patient, or a file cannot be written.
pub fn write_patient(folder: &Path, settings: &PhantomSettings) -> Result<Written, WriteOutError> {
    let phantom = Phantom::new(settings)?;
    let files = SyntheticPatient::new(&phantom)?.write(folder)?;
    Ok(Written { files, truth: phantom.truth })
}
