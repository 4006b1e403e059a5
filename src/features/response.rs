//! Response maps: the image after a filter, under the region's masks.

use super::filters::{Filter, FilterError};
use super::regrid::{regrid, target_grid};
use super::roi::{BoundingBox, Roi, masked};
use super::{FeatureError, Settings};
use crate::image::{Geometry, Volume};

/// The part of the image that filters need for the block around the region.
pub(super) struct Wide {
    pub(super) image: Volume<f32>,
    /// The block in it.
    pub(super) block: BoundingBox,
}

/// The box that the settings' filters need; `None` when nothing is filtered.
///
/// A filter that cannot be applied to this grid needs nothing: it says so later.
pub(super) fn needed(settings: &Settings, block: &BoundingBox, grid: &Geometry) -> Option<BoundingBox> {
    settings.filters().next()?;
    let possible = settings.filters().filter(|filter| filter.bounds(grid.size, grid.spacing_mm).is_ok());
    let mut reach = [0; 3];
    for filter in possible {
        let Some(of_this) = filter.reach(grid.spacing_mm) else {
            return Some(BoundingBox { first: [0; 3], last: grid.size.map(|n| n - 1) });
        };
        reach.iter_mut().zip(of_this).for_each(|(reach, steps)| *reach = steps.max(*reach));
    }
    Some(block.grown(reach, grid.size))
}

impl Wide {
    /// The region on the response map of a filter: same masks, other intensities.
    pub(super) fn respond(&self, filter: &Filter, roi: &Roi) -> Result<Roi, FilterError> {
        if filter.reach(roi.image.geometry.spacing_mm).is_none() {
            // The grid as a whole, of which `image` may be a part only when the whole is too large.
            filter.bounds(roi.grid_size, roi.image.geometry.spacing_mm)?;
        }
        let response = self.block.cut(&filter.apply(&self.image)?.voxels);
        let mut intensity = roi.intensity.clone();
        intensity.zip_mut_with(&response, |inside, value| *inside &= value.is_finite());
        let values = masked(&response, &intensity);
        Ok(Roi {
            image: Volume { voxels: response, geometry: roi.image.geometry },
            morphological: roi.morphological.clone(),
            intensity,
            values,
            grid_size: roi.grid_size,
        })
    }
}

/// The response map of a whole image: interpolated and rounded as the settings say, then filtered.
///
/// # Errors
/// When a setting is out of range, the grid would be too large, or the filter does not fit it.
pub fn response_map(image: &Volume<f32>, filter: &Filter, settings: &Settings) -> Result<Volume<f32>, FeatureError> {
    settings.validate()?;
    if let Some(expected) = filter.fault() {
        return Err(FeatureError::Setting { setting: "filter", expected });
    }
    let old = &image.geometry;
    if old.shape() != image.voxels.dim() {
        let (nz, ny, nx) = image.voxels.dim();
        return Err(FeatureError::Grid { image: [nx, ny, nz], mask: old.size });
    }
    let mut prepared = match &settings.resample {
        None => image.clone(),
        Some(resample) => {
            let new = target_grid(old, resample.spacing_mm.along_axes(old.spacing_mm), settings.grid_align)?;
            let all = BoundingBox { first: [0; 3], last: new.size.map(|n| n - 1) };
            super::prepare::limit(&all)?;
            let voxels = regrid(&image.voxels, old, &new, &all, (resample.interpolation, settings.grid_align))
                .mapv(|v| v as f32);
            Volume { voxels, geometry: new }
        }
    };
    if settings.round_to_integers {
        prepared.voxels.par_mapv_inplace(f32::round);
    }
    Ok(filter.apply(&prepared)?)
}
