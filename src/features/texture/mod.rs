//! Texture: how grey levels lie beside each other (IBSI 3.6 to 3.11).
//!
//! One block of grey levels serves all families; each counts its matrices in integers, in parts whose sum does not depend
//! on the number of threads. Matrices are then combined over directions and slices as the aggregations say, and features
//! computed from them: of several matrices, a feature is the mean over those that are not empty.

mod block;
mod directions;
mod distance;
mod emphasis;
pub(super) mod glcm;
mod gldzm;
mod glrlm;
mod glszm;
mod lanes;
mod matrix;
mod neighbours;
mod ngldm;
pub(super) mod ngtdm;
mod pairs;
mod runs;
mod zones;

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use self::block::LevelBlock;
use self::directions::{Direction, forward};
use self::distance::Distances;
use self::emphasis::Emphasis;
use self::glcm::Glcm;
use self::matrix::Matrix;
use self::neighbours::{Reach, Tones, dependences};
use self::ngtdm::Ngtdm;
use self::zones::{ZoneMatrices, Zones};
use super::discretise::GreyLevelCounts;
use super::results::Results;
use super::roi::Roi;
use super::table::Row;
use super::{Aggregation, Family, Settings, Texture};

/// The texture families among `families`, each with its results.
pub(super) fn measure(
    families: &[Family],
    roi: &Roi,
    counts: &GreyLevelCounts,
    settings: &Settings,
) -> Vec<(Family, Results)> {
    let wanted: Vec<Family> = families.iter().copied().filter(|family| FAMILIES.contains(family)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let block = match LevelBlock::of(roi, counts, settings.texture.reach()) {
        None => return Vec::new(),
        Some(Ok(block)) => block,
        Some(Err(reason)) => {
            let omitted = wanted.into_iter().map(|family| {
                let mut results = Results::default();
                results.omit(family, &reason);
                (family, results)
            });
            return omitted.collect();
        }
    };
    let task = Task { block: &block, roi, texture: &settings.texture, label: settings.discretise.label() };
    // Zones of both kinds are found together.
    let jobs: Vec<Family> =
        wanted.iter().copied().filter(|family| *family != Family::Gldzm || !wanted.contains(&Family::Glszm)).collect();
    let done: Vec<Vec<(Family, Results)>> = jobs.into_par_iter().map(|family| task.run(family, &wanted)).collect();
    done.into_iter().flatten().collect()
}

const FAMILIES: [Family; 6] = [Family::Glcm, Family::Glrlm, Family::Glszm, Family::Gldzm, Family::Ngtdm, Family::Ngldm];

/// The rows of the families that count elements by level and extent.
pub(super) fn counted() -> impl Iterator<Item = &'static Row<Emphasis>> {
    glrlm::ROWS.iter().chain(&glszm::ROWS).chain(&gldzm::ROWS).chain(&ngldm::ROWS)
}

/// What the families share.
struct Task<'a> {
    block: &'a LevelBlock,
    roi: &'a Roi,
    texture: &'a Texture,
    label: String,
}

impl Task<'_> {
    fn run(&self, family: Family, wanted: &[Family]) -> Vec<(Family, Results)> {
        match family {
            Family::Glcm => vec![(family, self.glcm())],
            Family::Glrlm => vec![(family, self.glrlm())],
            Family::Ngtdm => vec![(family, self.ngtdm())],
            Family::Ngldm => vec![(family, self.ngldm())],
            _ => self.zones(wanted),
        }
    }

    fn glcm(&self) -> Results {
        let directions: Vec<Direction> = self
            .texture
            .glcm_distances
            .iter()
            .flat_map(|distance| forward(usize::from(*distance), self.block.grid_size))
            .collect();
        let source = Source { by_direction: pairs::by_direction, merged: pairs::merged };
        let n_levels = self.block.n_levels;
        self.directional(&glcm::ROWS, &directions, &source, |matrix| Glcm::of(matrix, n_levels))
    }

    fn glrlm(&self) -> Results {
        let directions = forward(1, self.block.grid_size);
        let source = Source { by_direction: runs::by_direction, merged: runs::merged };
        self.directional(&glrlm::ROWS, &directions, &source, Emphasis::of)
    }

    /// Families whose matrices have directions.
    fn directional<T>(
        &self,
        rows: &'static [Row<T>],
        directions: &[Direction],
        source: &Source,
        features: impl Fn(&Matrix) -> Option<T> + Sync,
    ) -> Results
    where
        T: Send,
    {
        let mut results = Results::default();
        for aggregation in sorted(&self.texture.aggregations) {
            let matrices = self.matrices(aggregation, directions, source);
            let features: Vec<T> = matrices.par_iter().filter_map(&features).collect();
            let (suffix, name) = directional_names(aggregation);
            results.add_mean(rows, &features, suffix, name, &self.label);
        }
        results
    }

    /// The matrices whose features are averaged.
    fn matrices(&self, aggregation: Aggregation, directions: &[Direction], source: &Source) -> Vec<Matrix> {
        let (block, all) = (self.block, self.block.slices());
        let planar: Vec<Direction> = directions.iter().copied().filter(|direction| direction.in_plane()).collect();
        let merge = |slices: &std::ops::Range<usize>, directions: &[Direction]| match self.texture.weighting {
            None => (source.merged)(block, slices, directions),
            norm => {
                let matrices = (source.by_direction)(block, slices, directions);
                Matrix::merged(
                    matrices.iter().zip(directions).map(|(matrix, direction)| (matrix, direction.weight(norm))),
                )
            }
        };
        let slices = all.clone().into_par_iter().map(|z| z..z + 1);
        match aggregation {
            Aggregation::Averaged2d => {
                slices.flat_map_iter(|slice| (source.by_direction)(block, &slice, &planar)).collect()
            }
            Aggregation::SliceMerged2d => slices.map(|slice| merge(&slice, &planar)).collect(),
            Aggregation::DirectionMerged25d => (source.by_direction)(block, &all, &planar),
            Aggregation::Merged25d => vec![merge(&all, &planar)],
            Aggregation::Averaged3d => (source.by_direction)(block, &all, directions),
            Aggregation::Merged3d => vec![merge(&all, directions)],
        }
    }

    fn zones(&self, wanted: &[Family]) -> Vec<(Family, Results)> {
        let dimensions = Dimension::of(&self.texture.aggregations);
        let needs_distances = wanted.contains(&Family::Gldzm);
        let zones = Zones::of(self.block);
        let (mut sizes, mut distances) = (Results::default(), Results::default());
        let mut add = |dimension: Dimension, matrices: &[&ZoneMatrices]| {
            let of = |matrix: fn(&ZoneMatrices) -> &Matrix| -> Vec<Emphasis> {
                matrices.iter().filter_map(|matrices| Emphasis::of(matrix(matrices))).collect()
            };
            let (suffix, name) = dimension.names();
            sizes.add_mean(&glszm::ROWS, &of(|matrices| &matrices.sizes), suffix, name, &self.label);
            distances.add_mean(&gldzm::ROWS, &of(|matrices| &matrices.distances), suffix, name, &self.label);
        };
        let planar = if needs_distances { Distances::in_slices(self.roi) } else { None };
        if dimensions.iter().any(|dimension| *dimension != Dimension::Volume) {
            let slices = zones.by_slice(planar.as_ref());
            for dimension in dimensions.iter().copied().filter(|dimension| *dimension != Dimension::Volume) {
                match dimension {
                    Dimension::Slice => add(dimension, &slices.iter().collect::<Vec<_>>()),
                    _ => add(dimension, &[&ZoneMatrices::merged(&slices)]),
                }
            }
        }
        if dimensions.contains(&Dimension::Volume) {
            let through = planar.map(|planar| planar.through_slices(self.roi));
            add(Dimension::Volume, &[&zones.in_volume(through.as_ref())]);
        }
        let results = [(Family::Glszm, sizes), (Family::Gldzm, distances)];
        results.into_iter().filter(|(family, _)| wanted.contains(family)).collect()
    }

    fn ngtdm(&self) -> Results {
        let distance = usize::from(self.texture.ngtdm_distance);
        let norm = self.texture.ngtdm_weighting;
        let of = |slices: &std::ops::Range<usize>, reach: Reach| Tones::of(self.block, slices, reach, norm);
        self.dimensional(&ngtdm::ROWS, distance, of, Tones::merged, Ngtdm::of)
    }

    fn ngldm(&self) -> Results {
        let distance = usize::from(self.texture.ngldm_distance);
        let coarseness = self.texture.ngldm_coarseness;
        let of = |slices: &std::ops::Range<usize>, reach: Reach| dependences(self.block, slices, reach, coarseness);
        let merged = |all: &[Matrix]| Matrix::merged(all.iter().map(|matrix| (matrix, 1.0)));
        self.dimensional(&ngldm::ROWS, distance, of, merged, Emphasis::of)
    }

    /// Families whose matrices have no directions.
    fn dimensional<M: Send + Sync, T>(
        &self,
        rows: &'static [Row<T>],
        distance: usize,
        matrix: impl Fn(&std::ops::Range<usize>, Reach) -> M + Sync,
        merged: impl Fn(&[M]) -> M,
        features: impl Fn(&M) -> Option<T>,
    ) -> Results {
        let mut results = Results::default();
        let (block, all) = (self.block, self.block.slices());
        let in_slice = Reach::in_slice(block, distance);
        for dimension in Dimension::of(&self.texture.aggregations) {
            let by_slice =
                || -> Vec<M> { all.clone().into_par_iter().map(|z| matrix(&(z..z + 1), in_slice)).collect() };
            let matrices = match dimension {
                Dimension::Slice => by_slice(),
                Dimension::MergedSlices => vec![merged(&by_slice())],
                Dimension::Volume => vec![matrix(&all, Reach::in_volume(block, distance))],
            };
            let features: Vec<T> = matrices.iter().filter_map(&features).collect();
            let (suffix, name) = dimension.names();
            results.add_mean(rows, &features, suffix, name, &self.label);
        }
        results
    }
}

/// Where matrices with directions come from.
struct Source {
    by_direction: fn(&LevelBlock, &std::ops::Range<usize>, &[Direction]) -> Vec<Matrix>,
    merged: fn(&LevelBlock, &std::ops::Range<usize>, &[Direction]) -> Matrix,
}

/// The aggregations once each, in the order of the results.
fn sorted(aggregations: &[Aggregation]) -> Vec<Aggregation> {
    Aggregation::ALL.iter().copied().filter(|aggregation| aggregations.contains(aggregation)).collect()
}

/// Tag suffix and name in the IBSI reference tables.
const fn directional_names(aggregation: Aggregation) -> (&'static str, &'static str) {
    match aggregation {
        Aggregation::Averaged2d => ("_2D_avg", "2D avg"),
        Aggregation::SliceMerged2d => ("_2D_comb", "2D slice-merged"),
        Aggregation::DirectionMerged25d => ("_2_5D_avg", "2.5D direction-merged"),
        Aggregation::Merged25d => ("_2_5D_comb", "2.5D merged"),
        Aggregation::Averaged3d => ("_3D_avg", "3D avg"),
        Aggregation::Merged3d => ("_3D_comb", "3D merged"),
    }
}

/// What an aggregation is to a family without directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Slice,
    MergedSlices,
    Volume,
}

impl Dimension {
    fn of(aggregations: &[Aggregation]) -> Vec<Self> {
        let mut dimensions: Vec<Self> = sorted(aggregations)
            .into_iter()
            .map(|aggregation| match aggregation {
                Aggregation::Averaged2d | Aggregation::SliceMerged2d => Self::Slice,
                Aggregation::DirectionMerged25d | Aggregation::Merged25d => Self::MergedSlices,
                Aggregation::Averaged3d | Aggregation::Merged3d => Self::Volume,
            })
            .collect();
        dimensions.dedup();
        dimensions
    }

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Slice => ("_2D", "2D"),
            Self::MergedSlices => ("_2_5D", "2.5D"),
            Self::Volume => ("_3D", "3D"),
        }
    }
}
