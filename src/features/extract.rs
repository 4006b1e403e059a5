//! From an image and a region to feature values: the steps of the IBSI processing scheme, in their order.

use ndarray::Array3;
use rayon::prelude::*;

use super::diagnostics::{Diagnostics, GreyLevels, ImageDiagnostics, StepDiagnostics};
use super::discretise::{GreyLevelCounts, Ungraded};
use super::morphology::{Effort, Part};
use super::prepare::{Prepared, initial_diagnostics, prepare};
use super::response::Wide;
use super::results::{FeatureValue, Results};
use super::roi::Roi;
use super::statistics::Statistics;
use super::{
    Family, FeatureError, Resegment, RoiStep, Settings, histogram, intensity, ivh, local, morphology, texture,
};
use crate::image::{Mask, Volume};

/// What [`extract`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Extraction {
    /// The values, by filter and then by family in the order of [`Family::ALL`]; all finite.
    pub values: Vec<FeatureValue>,
    /// Image and region at each step, and what has no value.
    pub diagnostics: Diagnostics,
}

/// Extracts the features of one region.
///
/// Interpolates the block around the region (where [`Settings::resample`] says so), rounds, re-segments the intensity
/// mask, discretises, and computes the families of [`Settings::families`]; the same on the response map of each filter of
/// [`Settings::filter`], under the same masks. Voxels that are not finite never enter a feature. The cost is that of the
/// region's bounding box, not of the image, but for filters that need all of it.
///
/// # Errors
/// When a setting is out of range, image and mask are on different grids, or the region is empty at some step.
pub fn extract(image: &Volume<f32>, mask: &Mask, settings: &Settings) -> Result<Extraction, FeatureError> {
    settings.validate()?;
    let Prepared { mut roi, wide, bounds, before, region } = prepare(image, mask, settings)?;
    let initial = initial_diagnostics(image, &bounds, &before);
    let interpolated = StepDiagnostics {
        image: ImageDiagnostics {
            dimensions: roi.grid_size,
            ..ImageDiagnostics::of(&roi.image.geometry, slice(&roi.image.voxels))
        },
        roi: region,
    };
    let changed = resegment(&mut roi, settings.resegment)?;
    let resegmented = if changed { roi.diagnostics() } else { region };
    let (results, grey_levels) = measure_all(&roi, wide, settings, Effort::WHOLE);
    let diagnostics = Diagnostics { initial, interpolated, resegmented, grey_levels, omitted: results.omitted };
    Ok(Extraction { values: results.values, diagnostics })
}

/// The values alone, of a region that is measured in many places, to compare them with each other.
///
/// They are those of [`extract`], but for what takes longer than all others: Moran's I and Geary's C are of a lattice of at
/// most [`PAIRED_VOXELS`] of the region's voxels.
///
/// # Errors
/// As [`extract`].
pub fn values(image: &Volume<f32>, mask: &Mask, settings: &Settings) -> Result<Vec<FeatureValue>, FeatureError> {
    values_of(image, mask, settings, Part::Whole)
}

/// The values alone, of many images under one region: as [`values`], without its shape, which is the same under all of them.
///
/// # Errors
/// As [`extract`].
pub fn values_of_intensities(
    image: &Volume<f32>,
    mask: &Mask,
    settings: &Settings,
) -> Result<Vec<FeatureValue>, FeatureError> {
    values_of(image, mask, settings, Part::Intensities)
}

/// Voxels of which all pairs are summed where a region is measured many times.
pub const PAIRED_VOXELS: usize = 8_000;

fn values_of(
    image: &Volume<f32>,
    mask: &Mask,
    settings: &Settings,
    part: Part,
) -> Result<Vec<FeatureValue>, FeatureError> {
    settings.validate()?;
    let Prepared { mut roi, wide, .. } = prepare(image, mask, settings)?;
    resegment(&mut roi, settings.resegment)?;
    Ok(measure_all(&roi, wide, settings, Effort { part, paired_voxels: PAIRED_VOXELS }).0.values)
}

/// The features of the image and of all its response maps; the grey levels of the image.
fn measure_all(roi: &Roi, wide: Option<Wide>, settings: &Settings, effort: Effort) -> (Results, Option<GreyLevels>) {
    let mut results = Results::default();
    let mut grey_levels = None;
    if settings.measures_image() {
        grey_levels = measure_image(roi, settings, effort, &mut results);
    }
    if let Some(wide) = wide {
        let settings = settings.of_responses();
        let of_response = Effort { part: Part::Intensities, ..effort };
        for filter in settings.filters() {
            let mut found = Results::default();
            match wide.respond(filter, roi) {
                Ok(roi) => _ = measure_image(&roi, &settings, of_response, &mut found),
                Err(reason) => found.omit_all(&reason),
            }
            results.append_filtered(found, filter);
        }
    }
    (results, grey_levels)
}

/// The features of every family; the grey levels that they are of.
///
/// Families are measured side by side, so that what one of them does in a single thread leaves the others busy.
fn measure_image(roi: &Roi, settings: &Settings, effort: Effort, results: &mut Results) -> Option<GreyLevels> {
    let levels = grey_levels(roi, settings);
    let textures = || match &levels {
        Some(Ok(levels)) => texture::measure(&settings.families, roi, levels, settings),
        _ => Vec::new(),
    };
    let others = || -> Vec<(Family, Results)> {
        let measured = |family: &Family| (*family, measure(*family, roi, levels.as_ref(), settings, effort));
        Family::ALL.par_iter().filter(|family| settings.families.contains(family)).map(measured).collect()
    };
    let (textures, others) = rayon::join(textures, others);
    let mut done: Vec<(Family, Results)> = others.into_iter().chain(textures).collect();
    done.sort_by_key(|(family, _)| Family::ALL.iter().position(|of| of == family));
    results.append(done);
    levels.and_then(Result::ok).map(|levels| levels.diagnostics())
}

/// The region's grey levels, where a family needs them.
fn grey_levels(roi: &Roi, settings: &Settings) -> Option<Result<GreyLevelCounts, Ungraded>> {
    let needed = settings.families.iter().any(|family| family.is_discretised());
    needed.then(|| GreyLevelCounts::of(&roi.values, settings)).flatten()
}

/// The features of one family that is no texture; that there are no grey levels, for any.
fn measure(
    family: Family,
    roi: &Roi,
    levels: Option<&Result<GreyLevelCounts, Ungraded>>,
    settings: &Settings,
    effort: Effort,
) -> Results {
    let mut results = Results::default();
    match (family, levels) {
        (Family::Morphology, _) => morphology::measure(roi, settings.autocorrelation, effort, &mut results),
        (Family::Local, _) => local::measure(roi, &mut results),
        (Family::Intensity, _) => intensity::measure(roi, settings.kurtosis, &mut results),
        (Family::Ivh, _) => ivh::measure(roi, settings, &mut results),
        (family, Some(Err(reason))) if family.is_discretised() => results.omit(family, reason),
        (Family::Histogram, Some(Ok(levels))) => histogram::measure(levels, settings, &mut results),
        _ => {}
    }
    results
}

/// The values of an array in standard layout.
fn slice<T>(array: &Array3<T>) -> &[T] {
    array.as_slice().unwrap_or_default()
}

/// Takes intensities outside the range, then outliers of the rest, from the intensity mask; whether it lost any.
///
/// Fails where none is left.
fn resegment(roi: &mut Roi, settings: Resegment) -> Result<bool, FeatureError> {
    let before = roi.values.len();
    let low = settings.low.unwrap_or(f64::NEG_INFINITY);
    let high = settings.high.unwrap_or(f64::INFINITY);
    if settings.low.is_some() || settings.high.is_some() {
        roi.keep(low, high);
    }
    if let (Some(sigma), Some(statistics)) = (settings.outlier_sigma, Statistics::of(&roi.values)) {
        let reach = sigma * statistics.variance.sqrt();
        roi.keep(statistics.mean - reach, statistics.mean + reach);
    }
    if roi.values.is_empty() {
        return Err(FeatureError::EmptyRoi(RoiStep::Resegmented));
    }
    Ok(roi.values.len() < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Resample, Spacing};
    use crate::image::{Geometry, Interpolation};
    use crate::math::linalg::IDENTITY;
    use approx::assert_relative_eq;

    fn ramp(size: [usize; 3]) -> Volume<f32> {
        let geometry = Geometry::new(size, [1.0, 1.0, 3.0], [-5.0, 4.0, 2.0], IDENTITY).unwrap();
        let values = (0..geometry.n_voxels()).map(|i| (i % size[0]) as f32).collect();
        Volume::from_values(geometry, values).unwrap()
    }

    fn ball(image: &Volume<f32>, radius_mm: f64) -> Mask {
        let centre = image.geometry.centre_mm();
        let mut mask = Mask::filled(image.geometry, false);
        for ((z, y, x), inside) in mask.voxels.indexed_iter_mut() {
            let at = image.geometry.voxel_to_world([x as f64, y as f64, z as f64]);
            *inside = crate::math::linalg::norm(crate::math::linalg::sub(at, centre)) <= radius_mm;
        }
        mask
    }

    fn value(found: &Extraction, tag: &str) -> f64 {
        found.values.iter().find(|value| value.tag == tag).unwrap().value
    }

    #[test]
    fn a_ramp_keeps_its_mean_through_every_interpolation() {
        let image = ramp([21, 21, 11]);
        let mask = ball(&image, 8.0);
        for interpolation in [Interpolation::Linear, Interpolation::Cubic] {
            let resample = Resample::new(Spacing::Isotropic(1.5), interpolation);
            let settings = Settings { resample: Some(resample), ..Settings::default() };
            let found = extract(&image, &mask, &settings).unwrap();
            assert_relative_eq!(value(&found, "stat_mean"), 10.0, epsilon = 1e-4);
            assert_eq!(found.diagnostics.interpolated.image.dimensions, [14, 14, 22]);
        }
    }

    #[test]
    fn missing_voxels_and_voxels_out_of_range_enter_no_intensity_feature() {
        let mut image = ramp([21, 21, 11]);
        let mask = ball(&image, 8.0);
        image.voxels[[5, 10, 10]] = f32::NAN;
        image.voxels[[5, 10, 11]] = 1e30;
        let settings = Settings { resegment: Resegment::range(5.0, 12.0), ..Settings::default() };
        let found = extract(&image, &mask, &settings).unwrap();
        assert_relative_eq!(value(&found, "stat_max"), 12.0);
        assert_relative_eq!(value(&found, "stat_min"), 5.0);
        assert_eq!(found.diagnostics.initial.roi.intensity_voxels, mask.count() - 1);
        assert_eq!(found.diagnostics.resegmented.morphological_voxels, mask.count());
        assert!(found.values.iter().all(|value| value.value.is_finite()));
    }

    #[test]
    fn empty_regions_are_refused_by_the_step_that_emptied_them() {
        let image = ramp([5, 5, 5]);
        let empty = Mask::filled(image.geometry, false);
        let settings = Settings::default();
        assert_eq!(extract(&image, &empty, &settings), Err(FeatureError::EmptyRoi(RoiStep::Initial)));
        let settings = Settings { resegment: Resegment::range(100.0, 200.0), ..settings };
        let refused = extract(&image, &ball(&image, 2.0), &settings);
        assert_eq!(refused, Err(FeatureError::EmptyRoi(RoiStep::Resegmented)));
    }

    #[test]
    fn a_region_on_another_grid_is_refused() {
        let image = ramp([5, 5, 5]);
        let mask = Mask::filled(ramp([5, 5, 6]).geometry, true);
        assert!(matches!(extract(&image, &mask, &Settings::default()), Err(FeatureError::Grid { .. })));
    }
}
