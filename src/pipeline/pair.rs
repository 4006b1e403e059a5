//! Two images, each from a file or a folder, and the map between them: no case, no protocol, the same estimators.

use std::path::Path;

use serde_json::Value;

use super::image_file::{self, ImageFile};
use super::resolution::KnownPsf;
use super::single::SingleError;
use crate::clock::Timestamp;
use crate::config::Fwhm;
use crate::finding::{Finding, FindingKind, Policies, Policy};
use crate::image::Modality;
use crate::register::{self, Pair, Registration, RegistrationSource, Settings};
use crate::report::{CaseResult, RegistrationResult};
use crate::table::ResolutionTable;

/// What is registered to what.
#[derive(Debug, Clone, Copy)]
pub struct PairJob<'a> {
    /// The reference: a NIfTI file, a DICOM file, or a folder with the DICOM files of one series.
    pub fixed: &'a Path,
    /// The other image.
    pub moving: &'a Path,
    /// What physics made the fixed image, where its file does not say.
    pub fixed_modality: Option<Modality>,
    /// The same of the moving image.
    pub moving_modality: Option<Modality>,
    /// How sharp the site's scanners are.
    pub resolutions: &'a ResolutionTable,
    /// How.
    pub settings: &'a Settings,
    /// What is done about remarks on the data.
    pub policies: &'a Policies,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct PairResult {
    /// The reference.
    pub fixed: ImageFile,
    /// The other image.
    pub moving: ImageFile,
    /// The map from the reference's space to the other's.
    pub registration: Registration,
    /// How sharp the reference and the other image are, and who says so, per axis.
    pub resolutions: [Value; 2],
    /// Remarks on both images and on the map.
    pub findings: Vec<Finding>,
}

/// Registers one image to another.
///
/// # Errors
/// When a file cannot be read, or is not what it must be.
pub fn register_files(job: &PairJob<'_>) -> Result<PairResult, SingleError> {
    let fixed = image_file::read(job.fixed, job.policies)?;
    let moving = image_file::read(job.moving, job.policies)?;
    let mut findings: Vec<Finding> = fixed.findings.iter().chain(&moving.findings).cloned().collect();
    if let Some(refused) = findings.iter().find(|finding| finding.policy == Policy::Reject) {
        return Err(SingleError::Refused(refused.clone()));
    }
    let modalities = [job.fixed_modality.unwrap_or(fixed.modality()), job.moving_modality.unwrap_or(moving.modality())];
    let frame = |image: &ImageFile| image.series.as_ref().and_then(|series| series.frame_of_reference.clone());
    let known = [(&fixed, modalities[0]), (&moving, modalities[1])]
        .map(|(image, modality)| KnownPsf::of(Fwhm::Auto, job.resolutions, &image.header, modality, &image.volume));
    for (image, known) in [&fixed, &moving].into_iter().zip(&known).filter(|(_, known)| known.is_assumed()) {
        findings.push(job.policies.finding(FindingKind::ResolutionAssumed, image.role.clone(), known.words()));
    }
    let pair = Pair {
        fixed: &fixed.volume,
        moving: &moving.volume,
        fixed_modality: modalities[0],
        moving_modality: modalities[1],
        fixed_psf: known[0].psf,
        moving_psf: known[1].psf,
        same_frame: frame(&fixed).is_some() && frame(&fixed) == frame(&moving),
        given: None,
        subject: &moving.role,
    };
    let registration = register::register(&pair, job.settings);
    let made = registration.findings.iter();
    findings.extend(made.map(|f| job.policies.finding(f.kind, f.subject.clone(), f.detail.clone())));
    let resolutions = known.map(|known| serde_json::to_value(known).unwrap_or_default());
    Ok(PairResult { fixed, moving, registration, resolutions, findings })
}

impl PairResult {
    /// The pair as a case without measurements, for its registration object; `None` where an image is not DICOM.
    #[must_use]
    pub fn case(&self, created_at: Timestamp, utc_offset_s: i32) -> Option<CaseResult> {
        let (mut fixed, mut moving) = (self.fixed.series.clone()?, self.moving.series.clone()?);
        if fixed.role == moving.role {
            fixed.role.push_str(" fixed");
            moving.role.push_str(" moving");
        }
        let registration = RegistrationResult {
            role: moving.role.clone(),
            fixed_to_moving: self.registration.fixed_to_moving.clone(),
            estimated: self.registration.source == RegistrationSource::Estimate,
            trusted: self.registration.trusted,
            quality: self.registration.quality.clone(),
            note: self.registration.note.clone(),
        };
        Some(CaseResult {
            // Objects of two runs are two contents: the moment is part of what their identifiers are made from.
            installation: format!("offline {created_at}"),
            case_id: format!("{} {}", fixed.series, moving.series),
            revision: 1,
            reference_role: fixed.role.clone(),
            created_at,
            utc_offset_s,
            images: vec![fixed, moving],
            registrations: vec![registration],
            findings: self.findings.clone(),
            ..CaseResult::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Geometry, Volume};
    use crate::math::linalg::IDENTITY;
    use crate::volume::nifti;

    #[test]
    fn two_nifti_images_of_one_thing_are_registered_and_have_no_registration_object() {
        let folder = tempfile::tempdir().unwrap();
        let grid = |x: f64| Geometry::new([40, 40, 30], [3.0, 3.0, 4.0], [x, 0.0, 0.0], IDENTITY).unwrap();
        let mut image = Volume::filled(grid(0.0), 0.0f32);
        for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
            let [dx, dy, dz] = [x as f32 - 20.0, y as f32 - 18.0, z as f32 - 14.0];
            let body = 1.0 / (1.0 + (0.8 * ((dx * dx + 1.4 * dy * dy + 2.0 * dz * dz).sqrt() - 13.0)).exp());
            *value =
                body * (100.0 + 30.0 * (0.7 * x as f32).sin() * (0.5 * y as f32).cos() + 20.0 * (0.6 * z as f32).sin());
        }
        let paths = ["fixed.nii.gz", "moving.nii.gz"].map(|name| folder.path().join(name));
        nifti::write_image(&paths[0], &image).unwrap();
        nifti::write_image(&paths[1], &Volume { geometry: grid(14.0), ..image }).unwrap();
        let settings = Settings::default();
        let policies = Policies::default();
        let resolutions = ResolutionTable::default();
        let job = PairJob {
            fixed: &paths[0],
            moving: &paths[1],
            fixed_modality: Some(Modality::Mr),
            moving_modality: Some(Modality::Mr),
            resolutions: &resolutions,
            settings: &settings,
            policies: &policies,
        };
        let result = register_files(&job).unwrap();
        let at = result.registration.fixed_to_moving.apply([60.0, 55.0, 55.0]);
        assert!((at[0] - 74.0).abs() < 0.5 && (at[1] - 55.0).abs() < 0.5, "{at:?} {}", result.registration.note);
        assert!(result.case(Timestamp::default(), 0).is_none());
        assert!(result.resolutions.iter().all(|told| told["source"].as_array().is_some_and(|axes| axes.len() == 3)));
    }
}
