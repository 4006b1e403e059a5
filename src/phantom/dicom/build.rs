//! A synthetic patient as data sets, ready to be changed by a test or encoded.

use dicom_object::InMemDicomObject;

use super::super::patient::Phantom;
use super::super::settings::Scan;
use super::objects::WriteOutError;
use super::plan::Plan;
use super::{ct, mr, pet, structures};
use crate::dicom::uid::Uid;

/// One series.
#[derive(Debug, Clone)]
pub struct SeriesObjects {
    /// How it is called in file names: `CT`, `PT`, `MR`, `RTSTRUCT1` ...
    pub name: String,
    /// Series Instance UID.
    pub series: Uid,
    /// Study Instance UID.
    pub study: Uid,
    /// Its instances, in the order of the slices.
    pub instances: Vec<InMemDicomObject>,
}

/// All series of a patient: CT, PET, MR, then the structure sets.
#[derive(Debug, Clone)]
pub struct SyntheticPatient {
    /// The series.
    pub series: Vec<SeriesObjects>,
}

impl SyntheticPatient {
    /// The data sets of a patient.
    ///
    /// # Errors
    /// When a value cannot be written as DICOM.
    pub fn new(phantom: &Phantom) -> Result<Self, WriteOutError> {
        let plan = Plan::new(&phantom.settings)?;
        let image_series = |scan: Scan, instances| SeriesObjects {
            name: scan.modality().to_owned(),
            series: plan.series(scan),
            study: plan.study(scan),
            instances,
        };
        let mut series = vec![
            image_series(Scan::Ct, ct::images(phantom, &plan)?),
            image_series(Scan::Pet, pet::images(phantom, &plan)?),
            image_series(Scan::Mr, mr::images(phantom, &plan)?),
        ];
        for (index, drawing) in phantom.settings.drawings.iter().enumerate() {
            series.push(SeriesObjects {
                name: format!("RTSTRUCT{}", index + 1),
                series: plan.uid(&["series", "RTSTRUCT", &index.to_string()]),
                study: plan.study(Scan::Ct),
                instances: vec![structures::structure_set(phantom, &plan, index, drawing)?],
            });
        }
        Ok(Self { series })
    }

    /// The image series of one scanner, while it is there.
    #[must_use]
    pub fn scan(&self, scan: Scan) -> Option<&SeriesObjects> {
        self.series.iter().find(|series| series.name == scan.modality())
    }

    /// The same, to be changed.
    pub fn scan_mut(&mut self, scan: Scan) -> Option<&mut SeriesObjects> {
        self.series.iter_mut().find(|series| series.name == scan.modality())
    }

    /// The structure sets, to be changed.
    pub fn structure_sets_mut(&mut self) -> impl Iterator<Item = &mut SeriesObjects> {
        self.series.iter_mut().filter(|series| series.name.starts_with("RTSTRUCT"))
    }
}
