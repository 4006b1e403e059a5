//! Each matrix against the plainest way of counting it, on small random regions; and regions at the edge of sense.

use std::collections::BTreeMap;

use ndarray::{Array3, Axis};
use proptest::prelude::*;

use super::block::LevelBlock;
use super::directions::{Direction, forward};
use super::distance::Distances;
use super::matrix::{Cell, Matrix};
use super::neighbours::{Reach, Tones, dependences};
use super::zones::Zones;
use super::{pairs, runs};
use crate::features::discretise::GreyLevelCounts;
use crate::features::roi::Roi;
use crate::features::{Aggregation, BinAnchor, Discretise, Extraction, Family, Settings, Texture, WeightNorm, extract};
use crate::image::{Geometry, Mask, Volume};
use crate::math::linalg::IDENTITY;

/// Levels on a grid `[z, y, x]`, 0 outside the region.
type Levels = Array3<u32>;

fn geometry(levels: &Levels) -> Geometry {
    let (z, y, x) = levels.dim();
    Geometry::new([x, y, z], [1.0; 3], [0.0; 3], IDENTITY).unwrap()
}

fn roi(levels: &Levels) -> Roi {
    let geometry = geometry(levels);
    Roi::new(levels.mapv(|level| level as f32), levels.mapv(|level| level > 0), geometry, geometry.size)
}

fn block(levels: &Levels, border: usize) -> LevelBlock {
    let roi = roi(levels);
    let counts = GreyLevelCounts::of(&roi.values, &Settings::default()).unwrap().unwrap();
    LevelBlock::of(&roi, &counts, border).unwrap().unwrap()
}

/// Small regions: several levels or few, scattered or filled, flat or thick; `far` is one that lies far from the others.
fn regions() -> impl Strategy<Value = Levels> {
    let size = (1usize..6, 1usize..7, 1usize..9);
    let far = prop_oneof![Just(None), Just(Some(9000)), Just(Some(2_000_000))];
    let cell = (1u32..4, prop_oneof![Just(1u32), Just(3), Just(7)], far);
    (size, cell).prop_flat_map(|((z, y, x), (fill, top, far))| {
        let level = (0..fill + 1, 1..=top).prop_map(move |(outside, level)| match (outside, far) {
            (0, _) => 0,
            (_, Some(far)) if level == top => far,
            _ => level,
        });
        proptest::collection::vec(level, z * y * x)
            .prop_map(move |levels| Array3::from_shape_vec((z, y, x), levels).unwrap())
            .prop_filter("a region has voxels", |levels| levels.iter().any(|level| *level > 0))
    })
}

fn at(levels: &Levels, (z, y, x): (usize, usize, usize), step: Direction) -> Option<((usize, usize, usize), u32)> {
    let to = (z.checked_add_signed(step.dz)?, y.checked_add_signed(step.dy)?, x.checked_add_signed(step.dx)?);
    levels.get(to).filter(|level| **level > 0).map(|level| (to, *level))
}

fn voxels(levels: &Levels) -> impl Iterator<Item = ((usize, usize, usize), u32)> + '_ {
    levels.indexed_iter().filter(|(_, level)| **level > 0).map(|(at, level)| (at, *level))
}

fn matrix(counts: BTreeMap<(u32, u32), u32>, voxels: usize) -> Matrix {
    let cells = counts.into_iter().map(|((level, other), n)| Cell { level, other, count: f64::from(n) });
    Matrix { cells: cells.collect(), voxels: voxels as f64 }
}

fn plain_pairs(levels: &Levels, step: Direction) -> Matrix {
    let mut counts = BTreeMap::new();
    for (from, level) in voxels(levels) {
        if let Some((_, other)) = at(levels, from, step) {
            *counts.entry((level.min(other), level.max(other))).or_insert(0) += 1;
        }
    }
    matrix(counts, voxels(levels).count())
}

fn back(step: Direction) -> Direction {
    Direction { dx: -step.dx, dy: -step.dy, dz: -step.dz }
}

fn plain_runs(levels: &Levels, step: Direction) -> Matrix {
    let mut counts = BTreeMap::new();
    let starts = voxels(levels).filter(|(from, level)| at(levels, *from, back(step)).is_none_or(|(_, l)| l != *level));
    for (start, level) in starts {
        let (mut length, mut place) = (1, start);
        while let Some((next, _)) = at(levels, place, step).filter(|(_, other)| *other == level) {
            (length, place) = (length + 1, next);
        }
        *counts.entry((level, length)).or_insert(0) += 1;
    }
    matrix(counts, voxels(levels).count())
}

fn cube(reach: [isize; 3]) -> Vec<Direction> {
    let mut steps = Vec::new();
    for dz in -reach[2]..=reach[2] {
        for dy in -reach[1]..=reach[1] {
            for dx in -reach[0]..=reach[0] {
                steps.push(Direction { dx, dy, dz });
            }
        }
    }
    steps.retain(|step| *step != Direction { dx: 0, dy: 0, dz: 0 });
    steps
}

/// The least number of steps along axes of more than one voxel to a place outside: 1 where there is no such axis.
fn plain_distance(levels: &Levels, (z, y, x): (usize, usize, usize), in_slice: bool) -> u32 {
    let (nz, ny, nx) = levels.dim();
    let axes = [nx > 1, ny > 1, nz > 1 && !in_slice];
    let far = (nz + ny + nx + 2) as isize;
    let mut least = u32::MAX;
    for step in cube(axes.map(|axis| if axis { far } else { 0 })) {
        let length = (step.dx.abs() + step.dy.abs() + step.dz.abs()) as u32;
        if at(levels, (z, y, x), step).is_none() {
            least = least.min(length);
        }
    }
    if least == u32::MAX { 1 } else { least }
}

/// Sizes and distances of zones by flooding.
fn plain_zones(levels: &Levels, in_slice: bool) -> (Matrix, Matrix) {
    let mut seen = levels.mapv(|level| level == 0);
    let (mut sizes, mut distances) = (BTreeMap::new(), BTreeMap::new());
    let steps = cube([1, 1, isize::from(!in_slice)]);
    for (start, level) in voxels(levels) {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let (mut queue, mut size, mut distance) = (vec![start], 0, u32::MAX);
        while let Some(place) = queue.pop() {
            size += 1;
            distance = distance.min(plain_distance(levels, place, in_slice));
            for (next, _) in steps.iter().filter_map(|step| at(levels, place, *step)).filter(|(_, l)| *l == level) {
                if !std::mem::replace(&mut seen[next], true) {
                    queue.push(next);
                }
            }
        }
        *sizes.entry((level, size)).or_insert(0) += 1;
        *distances.entry((level, distance)).or_insert(0) += 1;
    }
    let n = voxels(levels).count();
    (matrix(sizes, n), matrix(distances, n))
}

fn plain_tones(levels: &Levels, reach: [isize; 3], norm: Option<WeightNorm>) -> Vec<(u32, u64, f64)> {
    let mut tones = BTreeMap::new();
    for (from, level) in voxels(levels) {
        let around = cube(reach).into_iter().filter_map(|step| at(levels, from, step).map(|(_, l)| (step, l)));
        let (weight, sum) = around.fold((0.0, 0.0), |(weight, sum), (step, other)| {
            (weight + step.weight(norm), sum + step.weight(norm) * f64::from(other))
        });
        if weight > 0.0 {
            let entry = tones.entry(level).or_insert((0, 0.0));
            *entry = (entry.0 + 1, entry.1 + (f64::from(level) - sum / weight).abs());
        }
    }
    tones.into_iter().map(|(level, (n, sum))| (level, n, sum)).collect()
}

fn assert_tones(found: &Tones, expected: &[(u32, u64, f64)]) {
    assert_eq!(found.levels.len(), expected.len());
    for ((level, n, sum), (l, m, s)) in found.levels.iter().zip(expected) {
        assert_eq!((level, n), (l, m));
        assert!((sum - s).abs() <= 1e-9 * (1.0 + s), "level {level}: {sum} is not {s}");
    }
}

fn plain_dependences(levels: &Levels, reach: [isize; 3], coarseness: u32) -> Matrix {
    let mut counts = BTreeMap::new();
    for (from, level) in voxels(levels) {
        let around = cube(reach).into_iter().filter_map(|step| at(levels, from, step));
        let dependent = around.filter(|(_, other)| level.abs_diff(*other) <= coarseness).count();
        *counts.entry((level, dependent as u32 + 1)).or_insert(0) += 1;
    }
    matrix(counts, voxels(levels).count())
}

/// Cells in order; merged matrices are compared with sums of plain ones.
fn sum(matrices: &[Matrix]) -> Matrix {
    Matrix::merged(matrices.iter().map(|matrix| (matrix, 1.0)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn pairs_and_runs_are_those_of_walking_along_each_direction(levels in regions(), distance in 1usize..3) {
        let block = block(&levels, 2);
        let all = block.slices();
        let directions = forward(distance, block.grid_size);
        let plain: Vec<Matrix> = directions.iter().map(|step| plain_pairs(&levels, *step)).collect();
        prop_assert_eq!(&pairs::by_direction(&block, &all, &directions), &plain);
        if !directions.is_empty() {
            prop_assert_eq!(pairs::merged(&block, &all, &directions), sum(&plain));
        }
        let directions = forward(1, block.grid_size);
        let plain: Vec<Matrix> = directions.iter().map(|step| plain_runs(&levels, *step)).collect();
        prop_assert_eq!(&runs::by_direction(&block, &all, &directions), &plain);
        if !directions.is_empty() {
            prop_assert_eq!(runs::merged(&block, &all, &directions), sum(&plain));
        }
    }

    #[test]
    fn zones_are_those_of_flooding(levels in regions()) {
        let (block, roi) = (block(&levels, 1), roi(&levels));
        let zones = Zones::of(&block);
        let planar = Distances::in_slices(&roi).unwrap();
        let slices = zones.by_slice(Some(&planar));
        for (z, slice) in (block.bounds.first[2]..).zip(&slices) {
            let alone = levels.index_axis(Axis(0), z).insert_axis(Axis(0)).to_owned();
            let (sizes, distances) = plain_zones(&alone, true);
            prop_assert_eq!(&slice.sizes, &sizes);
            prop_assert_eq!(&slice.distances, &distances);
        }
        let volume = zones.in_volume(Some(&planar.through_slices(&roi)));
        let (sizes, distances) = plain_zones(&levels, false);
        prop_assert_eq!(&volume.sizes, &sizes);
        prop_assert_eq!(&volume.distances, &distances);
    }

    #[test]
    fn neighbourhoods_are_those_of_looking_at_each_neighbour(
        levels in regions(),
        distance in 1usize..4,
        coarseness in 0u32..3,
    ) {
        let block = block(&levels, 3);
        let (all, d) = (block.slices(), distance as isize);
        let volume = Reach::in_volume(&block, distance);
        assert_tones(&Tones::of(&block, &all, volume, None), &plain_tones(&levels, [d, d, d], None));
        let norm = Some(WeightNorm::Euclidean);
        assert_tones(&Tones::of(&block, &all, volume, norm), &plain_tones(&levels, [d, d, d], norm));
        let slice = Reach::in_slice(&block, distance);
        assert_tones(&Tones::of(&block, &all, slice, None), &plain_tones(&levels, [d, d, 0], None));
        let found = dependences(&block, &all, volume, coarseness);
        prop_assert_eq!(found, plain_dependences(&levels, [d, d, d], coarseness));
    }
}

/// A blob of many levels and slices, so that every family works in several parts.
fn blob() -> (Volume<f32>, Mask) {
    let geometry = Geometry::new([40, 36, 30], [1.0, 1.0, 2.0], [0.0; 3], IDENTITY).unwrap();
    let mut image = Volume::filled(geometry, 0.0f32);
    let mut mask = Mask::filled(geometry, false);
    for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
        let [a, b, c] = [x, y, z].map(|i| i as f32);
        *value = 40.0 * (a * 0.37).sin() + 25.0 * (b * 0.53 + c * 0.21).cos() + ((x * 31 + y * 17 + z * 7) % 13) as f32;
        let [dx, dy, dz] = [(a - 20.0) / 19.0, (b - 17.0) / 16.0, (c - 14.0) / 14.5];
        mask.voxels[[z, y, x]] = dx * dx + dy * dy + dz * dz <= 1.0;
    }
    (image, mask)
}

fn every_texture() -> Settings {
    Settings {
        discretise: Discretise::BinWidth(5.0),
        texture: Texture { aggregations: Aggregation::ALL.to_vec(), ..Texture::default() },
        families: super::FAMILIES.to_vec(),
        ..Settings::default()
    }
}

fn bits(found: &Extraction) -> Vec<(&str, u64)> {
    found.values.iter().map(|value| (value.tag.as_str(), value.value.to_bits())).collect()
}

#[test]
fn values_are_the_same_to_the_last_bit_for_one_two_and_seven_threads() {
    let (image, mask) = blob();
    let mut settings = every_texture();
    settings.texture.weighting = Some(WeightNorm::Euclidean);
    settings.texture.ngtdm_weighting = Some(WeightNorm::Manhattan);
    for settings in [every_texture(), settings] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| extract(&image, &mask, &settings).unwrap())
        };
        let alone = with(1);
        assert_eq!(alone.values.len(), 6 * (25 + 16) + 3 * (16 + 16 + 5 + 17));
        for threads in [2, 7] {
            assert_eq!(bits(&with(threads)), bits(&alone));
        }
    }
}

/// The textures of a region given by its levels.
fn textures(levels: &Levels) -> Extraction {
    let image = Volume { voxels: levels.mapv(|level| level as f32), geometry: geometry(levels) };
    let mask = Volume { voxels: levels.mapv(|level| level > 0), geometry: geometry(levels) };
    extract(&image, &mask, &Settings { discretise: Discretise::None, ..every_texture() }).unwrap()
}

fn value(found: &Extraction, tag: &str) -> f64 {
    found.values.iter().find(|value| value.tag == tag).map_or(f64::NAN, |value| value.value)
}

#[test]
fn one_slice_is_measured_in_two_dimensions() {
    let levels = Array3::from_shape_fn((1, 12, 11), |(_, y, x)| ((x * 7 + y * 3 + x * y) % 5) as u32);
    let found = textures(&levels);
    for family in ["cm", "rlm", "szm", "dzm", "ngt", "ngl"] {
        let prefix = format!("{family}_");
        for volume in found.values.iter().filter(|value| value.tag.starts_with(&prefix) && value.tag.contains("_3D")) {
            let slice = value(&found, &volume.tag.replace("_3D", "_2D"));
            assert!((volume.value - slice).abs() <= 1e-12 * slice.abs(), "{}: {} {slice}", volume.tag, volume.value);
        }
    }
}

#[test]
fn a_single_voxel_has_zones_and_no_pairs() {
    let mut levels = Array3::zeros((3, 3, 3));
    levels[[1, 1, 1]] = 4;
    let found = textures(&levels);
    assert!(value(&found, "cm_joint_max_3D_comb").is_nan());
    assert!((value(&found, "rlm_sre_3D_comb") - 1.0).abs() < 1e-12);
    assert!((value(&found, "szm_hgze_3D") - 16.0).abs() < 1e-12);
    assert!((value(&found, "dzm_sde_2D") - 1.0).abs() < 1e-12);
    assert!((value(&found, "ngl_dc_energy_3D") - 1.0).abs() < 1e-12);
    let omitted = |tag: &str| found.diagnostics.omitted.iter().find(|omission| omission.tag == tag).unwrap();
    assert_eq!(omitted("cm_corr_3D_avg").reason, "no two voxels of the region are neighbours");
    assert_eq!(omitted("ngt_coarseness_3D").reason, "no voxel of the region has a neighbour");
    let alone = textures(&Array3::from_elem((1, 1, 1), 2));
    assert!((value(&alone, "dzm_lde_3D") - 1.0).abs() < 1e-12);
    assert!(found.values.iter().chain(&alone.values).all(|value| value.value.is_finite()));
}

#[test]
fn a_flat_region_is_coarse_correlated_and_without_contrast() {
    let found = textures(&Array3::from_elem((4, 5, 6), 3));
    for (tag, expected) in [
        ("cm_joint_max_3D_comb", 1.0),
        ("cm_corr_3D_avg", 1.0),
        ("cm_joint_entr_2D_avg", 0.0),
        ("cm_info_corr1_3D_comb", 0.0),
        ("cm_info_corr2_3D_comb", 0.0),
        ("ngt_coarseness_3D", 1e6),
        ("ngt_contrast_3D", 0.0),
        ("ngt_busyness_2D", 0.0),
        ("ngt_complexity_3D", 0.0),
        ("ngt_strength_2_5D", 0.0),
        ("szm_z_perc_3D", 1.0 / 120.0),
    ] {
        assert!((value(&found, tag) - expected).abs() < 1e-12, "{tag}: {}", value(&found, tag));
    }
    assert_eq!(found.diagnostics.omitted, []);
}

#[test]
fn too_many_levels_for_a_matrix_leave_out_the_textures_and_nothing_else() {
    let geometry = Geometry::new([100, 100, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
    let image = Volume::from_values(geometry, (0..10_000u16).map(f32::from).collect()).unwrap();
    let mask = Mask::filled(geometry, true);
    let settings = Settings { families: vec![Family::Histogram, Family::Glcm, Family::Ngldm], ..Settings::default() };
    let found = extract(&image, &mask, &settings).unwrap();
    assert_eq!(found.values.len(), 23);
    let omitted: Vec<&str> = found.diagnostics.omitted.iter().map(|omission| omission.tag.as_str()).collect();
    assert_eq!(omitted, ["glcm", "ngldm"]);
    assert!(found.diagnostics.omitted[0].reason.contains("10000 different grey levels"));
    // An outlier far away is one level more, however wide the gap.
    let mut few = image.voxels.mapv(|value| value % 7.0);
    few[[0, 0, 0]] = 1e8;
    let few = Volume { voxels: few, geometry };
    let settings = Settings {
        discretise: Discretise::BinWidth(0.5),
        bin_anchor: BinAnchor::Zero,
        families: super::FAMILIES.to_vec(),
        ..settings
    };
    let found = extract(&few, &mask, &settings).unwrap();
    assert_eq!(found.diagnostics.omitted, []);
    assert_eq!(found.diagnostics.grey_levels.unwrap().occupied, 8);
}
