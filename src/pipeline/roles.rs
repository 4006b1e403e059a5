//! The image of each role.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::error::PipelineError;
use super::job::Job;
use super::remarks::Remarks;
use super::resolution::KnownPsf;
use crate::case::RoleInput;
use crate::config::{Input, Protocol};
use crate::error::{Duty, Retry};
use crate::finding::{FindingKind, Policies, Policy};
use crate::image::{Psf, Volume};
use crate::normalise::bias::{self, BiasSettings};
use crate::normalise::{Method, SuvKind};
use crate::report::ImageSeries;
use crate::table::ResolutionTable;
use crate::volume::{SeriesVolume, Units, VolumeError, VolumeOrigin, VolumeSettings, suv};

/// One role's image and what is known of it.
#[derive(Debug)]
pub(super) struct Role<'a> {
    /// What the protocol says of it.
    pub(super) input: &'a Input,
    /// The values on their own grid.
    pub(super) volume: Arc<Volume<f32>>,
    /// What the values are.
    pub(super) units: Units,
    /// How they came about.
    pub(super) origin: VolumeOrigin,
    /// The series, as documents refer to it.
    pub(super) series: ImageSeries,
    /// Its resolution.
    pub(super) psf: Psf,
    /// Who says so.
    pub(super) known_psf: KnownPsf,
}

impl Role<'_> {
    /// The role's name.
    pub(super) fn name(&self) -> &str {
        &self.input.role
    }
}

/// Reads the series of every role, in the protocol's order.
///
/// A series that is no volume is dropped with a finding; when its role is the reference or required, the case ends here.
/// What may be better another time (a file that cannot be read, no memory) always ends it.
pub(super) fn read<'a>(
    job: &Job<'_>,
    protocol: &'a Protocol,
    remarks: &mut Remarks<'_>,
) -> Result<Vec<Role<'a>>, PipelineError> {
    let mut wanted: Vec<(&'a Input, &RoleInput)> = Vec::new();
    for input in &protocol.inputs {
        wanted.extend(job.spec.inputs.iter().find(|came| came.role == input.role).map(|came| (input, came)));
    }
    let table = ResolutionTable::read(job.config.psf.table.as_deref())?;
    let policies = remarks.policies();
    let volumes: Vec<Result<SeriesVolume, Refusal>> = wanted
        .par_iter()
        .map(|(input, came)| {
            let paths: Vec<PathBuf> =
                came.instances.iter().map(|uid| job.path(uid, &came.role)).collect::<Result<_, _>>()?;
            let mut image =
                SeriesVolume::read_with(&paths, &came.role, policies, &settings(input)).map_err(Refusal::Volume)?;
            if input.mr.is_some_and(|mr| mr.bias_correction) {
                correct_bias(&mut image, &came.role, policies)?;
            }
            Ok(image)
        })
        .collect();
    let mut roles = Vec::with_capacity(wanted.len());
    for ((input, _), volume) in wanted.into_iter().zip(volumes) {
        match volume {
            Ok(mut image) => {
                remarks.extend(std::mem::take(&mut image.findings));
                roles.push(role(input, image, &table));
            }
            Err(Refusal::Missing(error)) => return Err(error),
            Err(Refusal::Volume(error)) if error.retry() != Retry::Never => {
                return Err(PipelineError::Series { role: input.role.clone(), error });
            }
            Err(Refusal::Volume(error)) => {
                remarks.extend(error.finding().cloned());
                refuse(input, &error.to_string(), remarks)?;
            }
            Err(Refusal::Reason(reason)) => refuse(input, &reason, remarks)?,
        }
    }
    if !roles.iter().any(|role| role.name() == protocol.reference) {
        return Err(PipelineError::NoReference {
            role: protocol.reference.clone(),
            findings: remarks.findings.clone(),
        });
    }
    Ok(roles)
}

/// Why a role has no volume.
enum Refusal {
    Missing(PipelineError),
    Volume(VolumeError),
    Reason(String),
}

impl From<PipelineError> for Refusal {
    fn from(error: PipelineError) -> Self {
        Self::Missing(error)
    }
}

/// Drops a role with a finding, or ends the case where it cannot be done without.
pub(super) fn refuse(input: &Input, reason: &str, remarks: &mut Remarks<'_>) -> Result<(), PipelineError> {
    remarks.find(FindingKind::RoleRefused, &input.role, reason);
    if !input.required {
        return Ok(());
    }
    let (role, reason, findings) = (input.role.clone(), reason.to_owned(), remarks.findings.clone());
    Err(PipelineError::RoleRefused { role, reason, findings })
}

/// How a role's series is read.
fn settings(input: &Input) -> VolumeSettings {
    let suv_kind = match &input.normalise {
        Method::Suv { kind, .. } => match kind {
            SuvKind::BodyWeight => suv::SuvKind::Bw,
            SuvKind::LeanBodyMass => suv::SuvKind::Lbm,
            SuvKind::LeanBodyMassJames128 => suv::SuvKind::LbmJames128,
            SuvKind::LeanBodyMassJanmahasatian => suv::SuvKind::LbmJanma,
            SuvKind::BodySurfaceArea => suv::SuvKind::Bsa,
            SuvKind::IdealBodyWeight => suv::SuvKind::Ibw,
        },
        _ => suv::SuvKind::Bw,
    };
    VolumeSettings { suv_kind, mr_scaling: input.mr.unwrap_or_default().scaling, ..VolumeSettings::default() }
}

/// Takes the bias field out of an image, and says so.
fn correct_bias(image: &mut SeriesVolume, role: &str, policies: &Policies) -> Result<(), Refusal> {
    let corrected = bias::correct(&image.volume, None, &BiasSettings::default());
    let corrected = corrected.map_err(|error| Refusal::Reason(error.to_string()))?;
    let finding = policies.finding(FindingKind::BiasFieldCorrected, role, corrected.note);
    if finding.policy == Policy::Reject {
        return Err(Refusal::Reason(finding.to_string()));
    }
    image.volume = corrected.volume;
    image.findings.push(finding);
    Ok(())
}

fn role<'a>(input: &'a Input, image: SeriesVolume, table: &ResolutionTable) -> Role<'a> {
    let known_psf = KnownPsf::of(input.fwhm_mm, table, &image.header, input.modality, &image.volume);
    let series = series(&input.role, &image);
    let psf = known_psf.psf;
    Role { input, volume: Arc::new(image.volume), units: image.units, origin: image.origin, series, psf, known_psf }
}

/// A series as documents refer to it.
pub(super) fn series(role: &str, image: &SeriesVolume) -> ImageSeries {
    // The number of a frame says something only where an instance has several.
    let several = image.frames.iter().any(|frame| *frame != 1);
    ImageSeries {
        role: role.to_owned(),
        modality: image.modality.clone(),
        study: image.study.clone(),
        series: image.series.clone(),
        frame_of_reference: image.frame_of_reference.clone(),
        slices: image.slices.clone(),
        frames: if several { image.frames.clone() } else { Vec::new() },
        geometry: image.volume.geometry,
        header: image.header.clone(),
    }
}
