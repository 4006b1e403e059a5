//! The voxels that both images have in a region.

use ndarray::Array3;

use super::empty;
use super::joint::PairLevels;
use crate::features::discretise::{Binning, Ungraded, range};
use crate::features::roi::BoundingBox;
use crate::features::{BinAnchor, Discretise, FeatureError};
use crate::image::{Geometry, Mask, Volume};

/// The box around a region in several images, and the voxels where all of them have a value.
pub(super) struct Shared {
    pub(super) images: Vec<Array3<f32>>,
    /// `[z, y, x]`, in standard layout as the images.
    pub(super) inside: Array3<bool>,
    pub(super) geometry: Geometry,
}

impl Shared {
    pub(super) fn of(images: &[&Volume<f32>], mask: &Mask) -> Result<Self, FeatureError> {
        for image in images {
            let (grid, mask_grid) = (image.geometry.size, mask.geometry.size);
            if image.voxels.dim() != mask.voxels.dim() || grid != mask_grid {
                return Err(FeatureError::Grid { image: grid, mask: mask_grid });
            }
        }
        let bounds = BoundingBox::around(mask.voxels.view()).ok_or(empty())?;
        let mut inside = bounds.cut(&mask.voxels);
        let images: Vec<Array3<f32>> = images.iter().map(|image| bounds.cut(&image.voxels)).collect();
        for image in &images {
            inside.zip_mut_with(image, |inside, value| *inside &= value.is_finite());
        }
        if !inside.iter().any(|inside| *inside) {
            return Err(empty());
        }
        Ok(Self { images, inside, geometry: bounds.geometry(&mask.geometry) })
    }

    /// The values of one image in the region, in `z, y, x` order.
    pub(super) fn values(&self, image: usize) -> Vec<f32> {
        crate::features::roi::masked(&self.images[image], &self.inside)
    }
}

/// Two images.
pub(super) struct Pair {
    pub(super) shared: Shared,
    /// The values of each image.
    pub(super) values: [Vec<f32>; 2],
}

impl Pair {
    pub(super) fn of(first: &Volume<f32>, second: &Volume<f32>, mask: &Mask) -> Result<Self, FeatureError> {
        let shared = Shared::of(&[first, second], mask)?;
        let values = [0, 1].map(|image| shared.values(image));
        Ok(Self { shared, values })
    }

    /// Both images in grey levels.
    pub(super) fn levels(&self, bins: u32) -> Result<PairLevels, Ungraded> {
        let binning = |image: usize| {
            let range = range(&self.values[image]).unwrap_or([0.0; 2]);
            Binning::new(Discretise::Bins(bins), BinAnchor::Ibsi, None, range)
        };
        let binnings = [binning(0)?, binning(1)?];
        Ok(PairLevels::new(&self.shared, binnings, bins as usize))
    }
}
