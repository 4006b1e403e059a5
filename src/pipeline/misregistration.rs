//! What the uncertainty of the registration does to every feature.
//!
//! The error of a feature is the root mean square of its change under motions that are drawn from the covariance of the map:
//! the image (aligned) or the carried region (native) is moved, interpolated and measured anew; what takes longest, on fewer
//! voxels ([`features::values`]). For the mean, which has a
//! Taylor expansion, the expansion is used instead of draws. `delta_mm` is the root mean square change under the six shifts
//! of one millimetre along the axes.
//!
//! A role that carries its own drawing is not misregistered to it. Where the drawing is on another role, both maps count.
//! What is not covered: a map whose uncertainty nobody estimated (a trusted header, a registration object), and one that
//! bends.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::carry::{Scene, onto};
use super::lesions::Lesion;
use super::measure::{self, Scaled};
use super::{crossed, fused, maps, native};
use crate::align::{self, Blurred};
use crate::features::cross::Habitats;
use crate::features::{self, Family, Settings, is_shape, values_of_intensities};
use crate::image::{Mask, Transform, Volume};
use crate::math::linalg::Vec3;
use crate::register::{MeanSensitivity, Motion, Uncertainty, draw_motions, motion_map};
use crate::report::{MeasurementGroup, Space};

/// The feature that has a Taylor expansion.
const MEAN: &str = "stat_mean";
/// The seed of the draws.
const SEED: u64 = 1;

/// Values by role, filter and tag.
type Values = BTreeMap<Key, f64>;
type Key = (String, String, String);

/// How sure the place of a region that was drawn on one role is on another; `None` where it is the same role, or nobody
/// knows.
fn relative(scene: &Scene<'_>, role: usize, drawn: usize) -> Option<Uncertainty> {
    let of = |idx: usize| -> Option<Option<Uncertainty>> {
        if scene.roles[idx].name() == scene.protocol.reference {
            return Some(None);
        }
        scene.maps[idx].registration.quality.uncertainty.map(Some)
    };
    if role == drawn {
        return None;
    }
    match (of(role)?, of(drawn)?) {
        (Some(own), Some(other)) => {
            let other = other.about(own.centre_mm);
            let sum = |i: usize, j: usize| own.covariance[i][j] + other.covariance[i][j];
            let covariance = std::array::from_fn(|i| std::array::from_fn(|j| sum(i, j)));
            Some(Uncertainty { covariance, ..own })
        }
        (own, other) => own.or(other),
    }
}

/// One way in which the roles may lie: a motion for each, about a centre of its own.
struct Shot {
    motions: Vec<Option<(Motion, Vec3)>>,
    kind: Kind,
}

/// What a shot is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No motion: what the others are compared with.
    Still,
    /// A motion drawn from the covariance.
    Draw,
    /// A shift of one millimetre.
    Shift,
}

impl Shot {
    /// No motion, the draws and the shifts, for roles of which some are sure to a degree.
    fn all(sure: &[Option<Uncertainty>], n_draws: usize) -> Vec<Self> {
        let drawn: Vec<Option<(Vec<Motion>, Vec3)>> = sure
            .iter()
            .enumerate()
            .map(|(which, sure)| sure.map(|sure| (draw_motions(&sure, n_draws, SEED, which as u64), sure.centre_mm)))
            .collect();
        let of_draw = |draw: usize| {
            let motions = drawn.iter().map(|role| {
                let (motions, centre) = role.as_ref()?;
                motions.get(draw).map(|motion| (*motion, *centre))
            });
            Self { motions: motions.collect(), kind: Kind::Draw }
        };
        let of_all = |motion: Motion, kind: Kind| {
            let motions = sure.iter().map(|sure| sure.map(|sure| (motion, sure.centre_mm)));
            Self { motions: motions.collect(), kind }
        };
        let of_shift = |k: usize| {
            let mut motion = [0.0; 6];
            motion[k / 2] = if k.is_multiple_of(2) { 1.0 } else { -1.0 };
            of_all(motion, Kind::Shift)
        };
        let still = of_all([0.0; 6], Kind::Still);
        std::iter::once(still).chain((0..n_draws).map(of_draw)).chain((0..6).map(of_shift)).collect()
    }
}

/// Sums of squared changes.
#[derive(Default)]
struct Changes(BTreeMap<Key, [(f64, f64); 2]>);

impl Changes {
    /// The changes of all shots against those without motion, which come first; shots are added in their order.
    fn of(shots: &[Shot], found: Vec<Values>) -> Self {
        let mut nominal = Values::new();
        let mut changes = Self::default();
        for (shot, values) in shots.iter().zip(found) {
            if shot.kind == Kind::Still {
                nominal = values;
                continue;
            }
            for (key, value) in values {
                let Some(before) = nominal.get(&key) else { continue };
                let (sum, n) = &mut changes.0.entry(key).or_default()[usize::from(shot.kind == Kind::Shift)];
                *sum += (value - before).powi(2);
                *n += 1.0;
            }
        }
        changes
    }

    /// Writes the root mean square changes into the groups.
    fn write(&self, groups: &mut [&mut MeasurementGroup]) {
        for group in groups {
            for measured in &mut group.values {
                let key = (group.role.clone(), measured.filter.clone(), measured.tag.clone());
                let Some(sums) = self.0.get(&key) else { continue };
                let root = |(sum, n): (f64, f64)| (n > 0.0).then(|| (sum / n).sqrt());
                measured.misregistration_error = root(sums[0]);
                measured.delta_mm = root(sums[1]);
            }
        }
    }
}

/// What the aligned blocks of one lesion were measured with.
pub(super) struct AlignedBlocks<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) goal: align::Target<'a>,
    pub(super) lesion: &'a Lesion,
    pub(super) mask: &'a Mask,
    pub(super) images: &'a [(usize, align::Aligned)],
    pub(super) scaled: &'a [Option<Scaled>],
}

/// What all shots of one lesion share.
struct StillBlocks {
    /// The images of the roles that any shot moves, ready to be interpolated.
    blurred: Vec<Option<Blurred>>,
    /// The habitats of the images where they lie.
    habitats: Option<Habitats>,
}

/// Adds the errors to the aligned blocks of a lesion.
pub(super) fn add_aligned(groups: &mut [MeasurementGroup], blocks: &AlignedBlocks<'_>) {
    let scene = blocks.scene;
    let drawn = scene.regions[blocks.lesion.leading].role;
    let sure: Vec<Option<Uncertainty>> = blocks.images.iter().map(|(role, _)| relative(scene, *role, drawn)).collect();
    let mut groups: Vec<&mut MeasurementGroup> = groups.iter_mut().collect();
    let n_draws = scene.protocol.registration.error_draws;
    if n_draws > 0 && sure.iter().any(Option::is_some) {
        let shots = Shot::all(&sure, n_draws);
        let still = blocks.still(&shots);
        let found: Vec<Values> = shots.par_iter().map(|shot| blocks.values(shot, &still)).collect();
        Changes::of(&shots, found).write(&mut groups);
        for ((role, _), _) in blocks.images.iter().zip(&sure).filter(|(_, sure)| sure.is_some()) {
            let name = scene.roles[*role].name();
            groups.iter_mut().filter(|group| group.role == name).for_each(|group| leave_shape(group));
        }
    }
    for ((role, image), sure) in blocks.images.iter().zip(&sure) {
        let name = scene.roles[*role].name();
        let Some(group) = groups.iter_mut().find(|group| group.role == name) else { continue };
        let Some(settings) = blocks.settings(*role) else { continue };
        expand(group, &image.volume, blocks.mask, &settings, sure.as_ref(), n_draws);
    }
}

impl AlignedBlocks<'_> {
    fn settings(&self, role: usize) -> Option<Settings> {
        let scaled = self.scaled.get(role)?.as_ref()?;
        Some(measure::settings(self.scene.roles[role].input, self.scene.protocol, &scaled.fitted, None))
    }

    fn crosses(&self) -> bool {
        self.scene.protocol.features.families.contains(&Family::Cross)
    }

    /// What the shots begin with.
    fn still(&self, shots: &[Shot]) -> StillBlocks {
        let of_role = |(at, (role, _)): (usize, &(usize, align::Aligned))| {
            let motions = shots.iter().filter_map(|shot| shot.motions.get(at)?.as_ref());
            let mut maps = motions.map(|motion| self.map(*role, motion)).peekable();
            maps.peek()?;
            let image = &self.scene.roles[*role];
            let nominal = &self.scene.maps[*role].registration.fixed_to_moving;
            Blurred::new(&image.volume, image.psf, self.goal, nominal, maps).ok()
        };
        let blurred = self.images.par_iter().enumerate().map(of_role).collect();
        let images = self.images.iter().map(|(role, image)| (self.scene.roles[*role].name(), &image.volume)).collect();
        let habitats = || crossed::habitats_of(images, &self.scene.protocol.reference, self.mask);
        StillBlocks { blurred, habitats: self.crosses().then(habitats).flatten() }
    }

    /// A motion, then the role's own map.
    fn map(&self, role: usize, (motion, centre): &(Motion, Vec3)) -> Transform {
        Transform::Affine(motion_map(motion, *centre)).then(&self.scene.maps[role].registration.fixed_to_moving)
    }

    /// The values of the roles that are moved, and of all roles together.
    fn values(&self, shot: &Shot, still: &StillBlocks) -> Values {
        let moved: Vec<Option<Volume<f32>>> = self
            .images
            .iter()
            .zip(&shot.motions)
            .zip(&still.blurred)
            .map(|(((role, _), motion), blurred)| self.moved(*role, motion.as_ref()?, blurred.as_ref()?))
            .collect();
        let mut values = Values::new();
        for ((role, _), moved) in self.images.iter().zip(&moved) {
            let (Some(image), Some(settings)) = (moved, self.settings(*role)) else { continue };
            let Ok(found) = values_of_intensities(image, self.mask, &settings) else { continue };
            let name = self.scene.roles[*role].name();
            values.extend(found.into_iter().map(|v| ((name.to_owned(), v.filter, v.tag), v.value)));
        }
        let name = |role: &usize| self.scene.roles[*role].name();
        let images = self.images.iter().zip(&moved);
        let images: Vec<(&str, &Volume<f32>)> =
            images.map(|((role, image), moved)| (name(role), moved.as_ref().unwrap_or(&image.volume))).collect();
        let both = self.images.iter().zip(&moved);
        let names: Vec<&str> = both.filter(|(_, moved)| moved.is_some()).map(|((role, _), _)| name(role)).collect();
        let of_fused = fused::values(&images, &names, self.scene.protocol, self.mask);
        values.extend(of_fused.into_iter().map(|(role, v)| ((role, v.filter, v.tag), v.value)));
        if self.crosses() {
            let found = crossed::values(images, &self.scene.protocol.reference, self.mask, still.habitats.as_ref());
            values.extend(found.into_iter().map(|(role, tag, value)| ((role, "none".to_owned(), tag), value)));
        }
        values
    }

    /// A role's image where a motion puts it, in one interpolation, on its scale.
    fn moved(&self, role: usize, motion: &(Motion, Vec3), blurred: &Blurred) -> Option<Volume<f32>> {
        let mut image = blurred.onto(self.goal, &self.map(role, motion));
        self.scaled.get(role)?.as_ref()?.fitted.scale.apply(&mut image);
        Some(image)
    }
}

/// What is a property of the region alone does not change when an image moves under it.
fn leave_shape(group: &mut MeasurementGroup) {
    for measured in group.values.iter_mut().filter(|measured| is_shape(&measured.tag)) {
        (measured.misregistration_error, measured.delta_mm) = (Some(0.0), Some(0.0));
    }
}

/// Adds the errors to the native blocks of a lesion: those of carried regions.
pub(super) fn add_native(
    groups: &mut [MeasurementGroup],
    scene: &Scene<'_>,
    lesion: &Lesion,
    scaled: &[Option<Scaled>],
) {
    let leading = &scene.regions[lesion.leading];
    let n_draws = scene.protocol.registration.error_draws;
    for group in groups {
        let Some(role) = scene.roles.iter().position(|role| role.name() == group.role) else { continue };
        let Some(scaled) = scaled.get(role).and_then(Option::as_ref) else { continue };
        let settings = native::settings(scene, role, scaled);
        let carried = group.drawn_on.role != group.role;
        let sure = if carried { relative(scene, role, leading.role) } else { None };
        if let Some(sure) = sure.filter(|_| n_draws > 0) {
            let shots = Shot::all(&[Some(sure)], n_draws);
            let values = |shot: &Shot| -> Option<Values> {
                let (motion, centre) = shot.motions.first()?.as_ref()?;
                let to_reference = maps::from_reference(scene.maps, role)?.inverse()?;
                let moved = to_reference
                    .then(&Transform::Affine(motion_map(motion, *centre)))
                    .then(maps::from_reference(scene.maps, leading.role)?);
                let mask = onto(leading, scene.roles, &scene.roles[role].volume.geometry, &moved);
                let found = features::values(&scaled.volume, &mask, &settings).ok()?;
                Some(found.into_iter().map(|v| ((group.role.clone(), v.filter, v.tag), v.value)).collect())
            };
            let found: Vec<Values> = shots.par_iter().map(|shot| values(shot).unwrap_or_default()).collect();
            Changes::of(&shots, found).write(&mut [&mut *group]);
        }
        let mask = group.mask.clone();
        // In the image's own space the covariance, which is of the reference's, does not apply: the draws stand.
        expand(group, &scaled.volume, &mask, &settings, None, if sure.is_some() { n_draws } else { 0 });
    }
}

/// The Taylor expansion of the mean, which is always told; with an uncertainty also the error that follows from it.
fn expand(
    group: &mut MeasurementGroup,
    image: &Volume<f32>,
    mask: &Mask,
    settings: &Settings,
    sure: Option<&Uncertainty>,
    n_draws: usize,
) {
    let range = (settings.resegment.low.unwrap_or(f64::NEG_INFINITY), settings.resegment.high.unwrap_or(f64::INFINITY));
    let centre = middle(mask);
    let Some(mean) = MeanSensitivity::of(image, mask, centre, range) else { return };
    let measured = group.values.iter_mut().find(|measured| measured.tag == MEAN && measured.filter == "none");
    let mut told = json!({
        "centre_mm": mean.centre_mm,
        "mean_gradient": mean.gradient,
        "mean_delta_mm": mean.delta_mm(),
        "draws": if group.space == Space::Aligned && sure.is_none() { 0 } else { n_draws },
    });
    if let Some(measured) = measured {
        measured.delta_mm = Some(mean.delta_mm());
        if let Some(sure) = sure {
            measured.misregistration_error = Some(mean.root_mean_square(sure));
            told["mean_first_order"] = json!(mean.first_order(sure));
            told["mean_second_order"] = json!(mean.root_mean_square(sure));
            told["sigma_mm"] = json!(sure.sigma_mm_at(centre));
        }
    }
    if let Value::Object(diagnostics) = &mut group.diagnostics {
        diagnostics.insert("misregistration".to_owned(), told);
    }
}

/// The mean position of a mask's voxels.
fn middle(mask: &Mask) -> Vec3 {
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    for ((z, y, x), _) in mask.voxels.indexed_iter().filter(|(_, inside)| **inside) {
        #[allow(clippy::cast_precision_loss)] // voxel indices
        let at = [x as f64, y as f64, z as f64];
        for (sum, at) in sum.iter_mut().zip(at) {
            *sum += at;
        }
        n += 1.0;
    }
    mask.geometry.voxel_to_world(sum.map(|v| v / f64::max(n, 1.0)))
}
