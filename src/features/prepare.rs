//! Image and region on the final grid (IBSI 2.4): interpolated where the settings say so, and rounded.

use ndarray::Array3;

use super::diagnostics::{ImageDiagnostics, RoiDiagnostics, StepDiagnostics};
use super::regrid::{SHARE_TOLERANCE, regrid, target_grid, touched};
use super::response::{self, Wide};
use super::roi::{BoundingBox, Roi};
use super::{Family, FeatureError, RoiStep, Settings, local};
use crate::image::{Geometry, Mask, Volume};

/// The most voxels that the block around a region may have: 2 GiB of intensities.
const MAX_BLOCK_VOXELS: f64 = (1u64 << 29) as f64;

/// What families and filters work on.
pub(super) struct Prepared {
    /// The block around the region.
    pub(super) roi: Roi,
    /// A larger one, where filters need it.
    pub(super) wide: Option<Wide>,
    /// The box around the region as it came, and the region in it.
    pub(super) bounds: BoundingBox,
    pub(super) before: RoiDiagnostics,
    /// The region on the final grid.
    pub(super) region: RoiDiagnostics,
}

/// Brings image and region onto the final grid, as the block that the families need.
pub(super) fn prepare(image: &Volume<f32>, mask: &Mask, settings: &Settings) -> Result<Prepared, FeatureError> {
    let (grid, mask_grid) = (&image.geometry, &mask.geometry);
    if image.voxels.dim() != mask.voxels.dim() || grid.size != mask_grid.size || grid.shape() != image.voxels.dim() {
        return Err(FeatureError::Grid { image: grid.size, mask: mask_grid.size });
    }
    let bounds = BoundingBox::around(mask.voxels.view()).ok_or(FeatureError::EmptyRoi(RoiStep::Initial))?;
    let Some(resample) = &settings.resample else {
        let blocks = Blocks::around(&bounds, settings, grid)?;
        let (voxels, wide) = blocks.cut(blocks.widest().cut(&image.voxels), grid, settings);
        let roi = Roi::new(voxels, blocks.block.cut(&mask.voxels), blocks.block.geometry(grid), grid.size);
        let region = roi.diagnostics();
        return Ok(Prepared { roi, wide, bounds, before: region, region });
    };
    let cut = bounds.geometry(grid);
    let before = Roi::new(bounds.cut(&image.voxels), bounds.cut(&mask.voxels), cut, grid.size).diagnostics();
    let align = settings.grid_align;
    let new = target_grid(grid, resample.spacing_mm.along_axes(grid.spacing_mm), align)?;
    let shape = touched(grid, &new, &bounds, align);
    limit(&shape)?;
    let share = regrid(&mask.voxels, grid, &new, &shape, (resample.mask_interpolation, align));
    let covered = share.mapv(|share| share >= resample.mask_threshold - SHARE_TOLERANCE);
    let inner = BoundingBox::around(covered.view()).ok_or(FeatureError::EmptyRoi(RoiStep::Interpolated))?;
    let exact = BoundingBox {
        first: [0, 1, 2].map(|axis| shape.first[axis] + inner.first[axis]),
        last: [0, 1, 2].map(|axis| shape.first[axis] + inner.last[axis]),
    };
    let blocks = Blocks::around(&exact, settings, &new)?;
    let voxels = regrid(&image.voxels, grid, &new, blocks.widest(), (resample.interpolation, align)).mapv(|v| v as f32);
    let (voxels, wide) = blocks.cut(voxels, &new, settings);
    let block = blocks.block;
    let mut morphological = Array3::from_elem(voxels.dim(), false);
    for ((z, y, x), _) in covered.indexed_iter().filter(|(_, inside)| **inside) {
        let at = [x, y, z];
        let [x, y, z] = [0, 1, 2].map(|axis| shape.first[axis] + at[axis] - block.first[axis]);
        morphological[[z, y, x]] = true;
    }
    let roi = Roi::new(voxels, morphological, block.geometry(&new), new.size);
    let region = roi.diagnostics();
    Ok(Prepared { roi, wide, bounds, before, region })
}

/// The boxes of the final grid that are interpolated.
struct Blocks {
    /// What the families look at.
    block: BoundingBox,
    /// What filters need for it.
    wide: Option<BoundingBox>,
}

impl Blocks {
    fn around(region: &BoundingBox, settings: &Settings, grid: &Geometry) -> Result<Self, FeatureError> {
        let block = region.grown(margin(settings, grid), grid.size);
        let wide = response::needed(settings, &block, grid);
        let blocks = Self { block, wide };
        limit(blocks.widest())?;
        Ok(blocks)
    }

    fn widest(&self) -> &BoundingBox {
        self.wide.as_ref().unwrap_or(&self.block)
    }

    /// From the voxels of the widest box to those of the block, and what filters need.
    fn cut(&self, mut voxels: Array3<f32>, grid: &Geometry, settings: &Settings) -> (Array3<f32>, Option<Wide>) {
        if settings.round_to_integers {
            voxels.par_mapv_inplace(f32::round);
        }
        let Some(wide) = &self.wide else { return (voxels, None) };
        let block = self.block.within(wide);
        let image = Volume { voxels, geometry: wide.geometry(grid) };
        (block.cut(&image.voxels), Some(Wide { image, block }))
    }
}

/// How far around the region's bounding box the families look.
fn margin(settings: &Settings, grid: &Geometry) -> [usize; 3] {
    let reach_mm = if settings.families.contains(&Family::Local) { local::RADIUS_MM } else { 0.0 };
    grid.spacing_mm.map(|d| (reach_mm / d).ceil().min(1e6) as usize)
}

/// Whether a block may be as large.
pub(super) fn limit(block: &BoundingBox) -> Result<(), FeatureError> {
    let voxels = block.size().iter().map(|n| *n as f64).product::<f64>();
    if voxels > MAX_BLOCK_VOXELS {
        return Err(FeatureError::TooLarge { voxels, limit: MAX_BLOCK_VOXELS });
    }
    Ok(())
}

/// The whole image, and a region of it within its box.
pub(super) fn initial_diagnostics(
    image: &Volume<f32>,
    bounds: &BoundingBox,
    region: &RoiDiagnostics,
) -> StepDiagnostics {
    let standard = image.voxels.as_standard_layout();
    StepDiagnostics {
        image: ImageDiagnostics::of(&image.geometry, standard.as_slice().unwrap_or_default()),
        roi: RoiDiagnostics {
            intensity_bounding_box: bounds.size(),
            morphological_bounding_box: bounds.size(),
            ..*region
        },
    }
}
