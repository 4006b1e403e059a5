//! Features of all roles on one grid, at one resolution.
//!
//! The grid is the isotropic one of the reference's images, cut to the lesion with a margin. Each role's image is blurred to
//! the coarsest resolution of all and interpolated once, through its registration; then it goes onto its modality's scale,
//! which was fitted on the whole image. The leading drawing serves all roles. Roles whose registration is not trusted are
//! left out: they neither are measured nor decide the resolution.

use rayon::prelude::*;
use serde_json::json;

use super::carry::{Placed, Scene, onto, reaches_beyond};
use super::crossed;
use super::fused;
use super::lesions::Lesion;
use super::measure::{self, Block, Scaled};
use super::misregistration::{self, AlignedBlocks};
use super::provenance::NUMERICS_VERSION;
use super::remarks::Remarks;
use super::resolution::KnownPsf;
use super::timing::{Stage, Watch};
use crate::align::{self, AlignError, Resolution, align, crop_grid, isotropic_grid, target_resolution};
use crate::config::Protocol;
use crate::features::filters::Filter;
use crate::features::{Extraction, Family, FeatureError, extract};
use crate::finding::FindingKind;
use crate::image::{Geometry, Mask, Psf};
use crate::report::{MeasurementGroup, Space};

/// What is kept around a lesion: the sphere of the local intensity peak (6.2 mm, IBSI 3.2) and some voxels.
const MARGIN_MM: f64 = 10.0;

/// What is kept around a lesion for the filters of a protocol; without end where a filter needs the whole image.
#[allow(clippy::cast_precision_loss)] // steps of a bounded filter
fn margin_mm(protocol: &Protocol) -> f64 {
    let spacing_mm = protocol.grid.spacing_mm;
    let reach_mm = |filter: &Filter| match filter.reach([spacing_mm; 3]) {
        Some(reach) => reach.into_iter().max().map_or(0.0, |steps| (steps + 1) as f64 * spacing_mm),
        None => f64::INFINITY,
    };
    let filters = protocol.inputs.iter().flat_map(|input| &input.filter);
    let averages = protocol.fused.iter().map(|fused| (fused.average.reach() + 1) as f64 * spacing_mm);
    MARGIN_MM + filters.map(reach_mm).chain(averages).fold(0.0, f64::max)
}

/// What all images of the case are brought to.
#[derive(Debug)]
pub(super) struct Target {
    /// The isotropic grid of the whole reference.
    grid: Geometry,
    /// The common resolution, where images are matched.
    resolution: Option<Resolution>,
    /// The roles that can be brought there.
    roles: Vec<usize>,
}

impl Target {
    /// The target of a case; `None`, with a finding, where there can be none.
    pub(super) fn of(scene: &Scene<'_>, scaled: &[Option<Scaled>], remarks: &mut Remarks<'_>) -> Option<Self> {
        let can_be_aligned = |role: &usize| scene.maps[*role].usable && scaled.get(*role).is_some_and(Option::is_some);
        let mut roles: Vec<usize> = (0..scene.roles.len()).filter(can_be_aligned).collect();
        for role in scene.roles.iter().filter(|role| measure::is_planar(role)) {
            let detail = "aligned: one or two slices are no volume, they are measured in their own planes only";
            remarks.find(FindingKind::NotMeasured, role.name(), detail);
            if role.name() == scene.protocol.reference {
                return None;
            }
        }
        roles.retain(|role| !measure::is_planar(&scene.roles[*role]));
        match Self::new(scene, roles) {
            Ok(target) => Some(target),
            Err(error) => {
                remarks.find(FindingKind::NotMeasured, "", format!("aligned: {error}"));
                None
            }
        }
    }

    fn new(scene: &Scene<'_>, roles: Vec<usize>) -> Result<Self, AlignError> {
        let protocol = scene.protocol;
        let reference =
            scene.roles.iter().find(|role| role.name() == protocol.reference).ok_or(AlignError::Transform)?;
        let grid = isotropic_grid(&reference.volume.geometry, protocol.grid.spacing_mm)?;
        let mut resolutions = Vec::with_capacity(roles.len());
        for idx in &roles {
            let role = &scene.roles[*idx];
            let resolution = Resolution::new(role.psf, &role.volume.geometry)?;
            resolutions.push((resolution, scene.maps[*idx].registration.fixed_to_moving.clone()));
        }
        let resolution = match protocol.resolution.matched {
            true => Some(target_resolution(&reference.volume.geometry, &resolutions)?),
            false => None,
        };
        Ok(Self { grid, resolution, roles })
    }

    /// The common resolution along the axes of the grid.
    fn psf(&self) -> Option<Psf> {
        self.resolution.as_ref().map(|resolution| resolution.along(&self.grid))
    }
}

/// Measures a lesion on every role that can be aligned.
pub(super) fn measure(
    scene: &Scene<'_>,
    target: &Target,
    lesion: &Lesion,
    placed: &[Option<Placed>],
    scaled: &[Option<Scaled>],
    watch: &mut Watch<'_>,
    remarks: &mut Remarks<'_>,
) -> Vec<MeasurementGroup> {
    let Some(mask) = watch.time(Stage::Align, || region(scene, target, lesion, remarks)) else { return Vec::new() };
    // A role on whose own grid nothing of the lesion lies has nothing to refer to.
    let roles: Vec<usize> = target.roles.iter().copied().filter(|role| placed[*role].is_some()).collect();
    let goal = align::Target {
        grid: &mask.geometry,
        resolution: target.resolution.as_ref(),
        interpolation: scene.protocol.grid.interpolation,
    };
    let images: Vec<Result<align::Aligned, AlignError>> = watch.time(Stage::Align, || {
        let bring = |idx: &usize| {
            let role = &scene.roles[*idx];
            align(&role.volume, role.psf, goal, &scene.maps[*idx].registration.fixed_to_moving)
        };
        roles.par_iter().map(bring).collect()
    });
    let mut aligned: Vec<(usize, align::Aligned)> = Vec::with_capacity(roles.len());
    for (role, image) in roles.into_iter().zip(images) {
        let name = scene.roles[role].name();
        match image {
            Ok(mut image) => {
                for finding in std::mem::take(&mut image.findings) {
                    remarks.find(finding.kind, name, finding.detail);
                }
                aligned.push((role, image));
            }
            Err(error) => {
                remarks.find(FindingKind::NotMeasured, &lesion.subject(), format!("{name}, aligned: {error}"));
            }
        }
    }
    watch.time(Stage::Normalise, || {
        aligned.par_iter_mut().for_each(|(role, image)| {
            if let Some(scaled) = &scaled[*role] {
                scaled.fitted.scale.apply(&mut image.volume);
            }
        });
    });
    let shared = Aligned { scene, target, lesion, mask: &mask };
    let blocks: Vec<Block> = watch.time(Stage::Extract, || {
        let measure = |(role, image): &(usize, align::Aligned)| {
            let (placed, scaled) = (placed[*role].as_ref()?, scaled[*role].as_ref()?);
            Some(Block { role: *role, measured: shared.block(*role, image, placed, scaled) })
        };
        aligned.par_iter().filter_map(measure).collect()
    });
    let mut groups = measure::groups(blocks, "aligned", lesion, scene.roles, remarks);
    if scene.protocol.features.families.contains(&Family::Cross) {
        watch.time(Stage::Extract, || crossed::add(&mut groups, scene, lesion, &mask, &aligned, remarks));
    }
    watch.time(Stage::Extract, || fused::add(&mut groups, scene, lesion, &mask, (&aligned, placed), remarks));
    watch.time(Stage::Extract, || {
        let blocks = AlignedBlocks { scene, goal, lesion, mask: &mask, images: &aligned, scaled };
        misregistration::add_aligned(&mut groups, &blocks);
    });
    groups
}

/// The lesion on the common grid: the leading drawing, on the part of the grid around it.
fn region(scene: &Scene<'_>, target: &Target, lesion: &Lesion, remarks: &mut Remarks<'_>) -> Option<Mask> {
    let leading = &scene.regions[lesion.leading];
    if lesion.ambiguous || !target.roles.contains(&leading.role) {
        return None;
    }
    let map = &scene.maps[leading.role].registration.fixed_to_moving;
    let grid = crop_grid(&target.grid, &leading.mask, map, margin_mm(scene.protocol));
    let mask = grid.map(|grid| onto(leading, scene.roles, &grid, map)).filter(|mask| mask.count() > 0);
    let drawn_on = &leading.origin.role;
    if mask.is_none() {
        let detail = format!("aligned: the drawing on {drawn_on} covers no voxel of the common grid");
        remarks.find(FindingKind::EmptyRoi, &lesion.subject(), detail);
    } else if map.inverse().is_some_and(|map| reaches_beyond(&leading.mask, &map, &target.grid)) {
        let detail = format!("aligned: the drawing on {drawn_on} reaches beyond the common grid");
        remarks.find(FindingKind::RoiTruncated, &lesion.subject(), detail);
    }
    mask
}

/// What the blocks of one lesion share.
struct Aligned<'a> {
    scene: &'a Scene<'a>,
    target: &'a Target,
    lesion: &'a Lesion,
    mask: &'a Mask,
}

impl Aligned<'_> {
    fn block(
        &self,
        role: usize,
        image: &align::Aligned,
        placed: &Placed,
        scaled: &Scaled,
    ) -> Result<(MeasurementGroup, Extraction), FeatureError> {
        let registration = &self.scene.maps[role].registration;
        let role = &self.scene.roles[role];
        let settings = measure::settings(role.input, self.scene.protocol, &scaled.fitted, None);
        let extraction = extract(&image.volume, self.mask, &settings)?;
        let grid = self.scene.protocol.grid;
        let target = self.target.psf().map(|psf| psf.fwhm_mm);
        let mut parameters = vec![
            format!("numerics_version={NUMERICS_VERSION}"),
            format!("grid=isotropic {} mm, {:?} interpolation", grid.spacing_mm, grid.interpolation).to_lowercase(),
            format!("registration={}", registration.note),
            format!("registration_quality={}", registration.quality.words()),
            format!("resolution={}", resolution_words(&role.known_psf, target)),
        ];
        parameters.extend(measure::parameters(&settings, &scaled.fitted.note));
        let diagnostics = json!({
            "alignment": {
                "quality": registration.quality,
                "fixed_to_moving": registration.fixed_to_moving,
                "fwhm_mm": role.psf.fwhm_mm,
                "fwhm": role.known_psf,
                "target_fwhm_mm": target,
                "kernel_covariance_mm2": image.kernel_covariance_mm2,
            },
            "normalisation": { "scale": scaled.fitted.scale, "note": scaled.fitted.note, "unit": scaled.unit },
            "steps": extraction.diagnostics,
        });
        let group = MeasurementGroup {
            lesion: self.lesion.told.number,
            role: role.name().to_owned(),
            made_of: Vec::new(),
            space: Space::Aligned,
            mask: placed.mask.clone(),
            drawn_on: self.scene.regions[self.lesion.leading].origin.clone(),
            values: measure::values(&extraction, scaled.unit),
            diagnostics,
            parameters,
        };
        Ok((group, extraction))
    }
}

fn resolution_words(known: &KnownPsf, target: Option<[f64; 3]>) -> String {
    let own = known.words();
    match target {
        Some([x, y, z]) => format!("{own} blurred to {x:.2} x {y:.2} x {z:.2} mm"),
        None => format!("{own}, not matched"),
    }
}
