//! Habitats: sub-regions whose intensities in several images are alike.
//!
//! Each image is scaled to mean 0 and variance 1 in the region; voxels are then put together by k-means or by a mixture of
//! Gaussians, both from a seed. Habitats are numbered from 1 by their mean in the first image. Of each: its share of the
//! region, how many connected pieces it has (26 neighbours) and the share of the largest, and the area of its faces towards
//! other habitats.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::means::{Clusters, Points, cluster, cluster_from};
use super::region::Shared;
use super::{Crossed, gaussian};
use crate::features::results::Results;
use crate::features::settings::check;
use crate::features::table::{Feature, Row, Unit};
use crate::features::{Family, FeatureError};
use crate::image::{Geometry, Mask, Volume};

/// How voxels are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HabitatMethod {
    /// By the nearest mean.
    #[default]
    KMeans,
    /// By the likeliest component of a mixture of Gaussians with full covariances.
    GaussianMixture,
}

/// How habitats are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HabitatSettings {
    /// How voxels are put together.
    pub method: HabitatMethod,
    /// How many habitats.
    pub count: u8,
    /// Where the random beginnings come from.
    pub seed: u64,
}

impl Default for HabitatSettings {
    fn default() -> Self {
        Self { method: HabitatMethod::KMeans, count: 3, seed: 1 }
    }
}

/// The most habitats of a region.
pub const MAX_HABITATS: u8 = 8;

/// The most images that habitats are made from.
const MAX_IMAGES: usize = 8;

/// The habitats of a region.
#[derive(Debug, Clone, PartialEq)]
pub struct Habitats {
    /// The number of each voxel's habitat on the box around the region, 0 outside.
    pub labels: Volume<u8>,
    /// Their values; tags end in the habitat's number.
    pub features: Crossed,
    /// The centres of k-means, in standardised intensities.
    centres: Vec<Vec<f64>>,
}

/// The habitats of a region by its intensities in one or more images on one grid.
///
/// # Errors
/// When a setting is out of range, images and mask are not on one grid, or no voxel of the region has a value in all images.
pub fn habitats(images: &[&Volume<f32>], mask: &Mask, settings: HabitatSettings) -> Result<Habitats, FeatureError> {
    made(images, mask, settings, |points| cluster(points, usize::from(settings.count), settings.seed))
}

/// The habitats of images that differ by little from others, whose habitats they begin with.
///
/// # Errors
/// As [`habitats`], and when the others are not of as many images and as many habitats.
pub fn habitats_near(
    images: &[&Volume<f32>],
    mask: &Mask,
    settings: HabitatSettings,
    others: &Habitats,
) -> Result<Habitats, FeatureError> {
    let alike = others.centres.len() == usize::from(settings.count)
        && others.centres.iter().all(|centre| centre.len() == images.len());
    check("habitats.others", alike, "as many images and habitats")?;
    made(images, mask, settings, |points| cluster_from(points, &others.centres))
}

fn made(
    images: &[&Volume<f32>],
    mask: &Mask,
    settings: HabitatSettings,
    cluster: impl FnOnce(Points) -> Clusters,
) -> Result<Habitats, FeatureError> {
    check("habitats.count", (2..=MAX_HABITATS).contains(&settings.count), "2 to 8 habitats")?;
    check("habitats.images", (1..=MAX_IMAGES).contains(&images.len()), "1 to 8 images")?;
    let shared = Shared::of(images, mask)?;
    let points = standardised(&shared);
    let points = Points { values: &points, d: images.len() };
    let clusters = cluster(points);
    let centres = clusters.centres.clone();
    let labels = match settings.method {
        HabitatMethod::KMeans => clusters.labels,
        HabitatMethod::GaussianMixture => gaussian::refine(points, clusters),
    };
    let numbers = by_first_image(points, &labels, usize::from(settings.count));
    let mut next = labels.iter().map(|label| numbers[usize::from(*label)]);
    let labels = shared.inside.mapv(|inside| if inside { next.next().unwrap_or(0) } else { 0 });
    let mut results = Results::default();
    for number in 1..=settings.count {
        let habitat = Habitat::of(&labels, number, &shared.geometry, points.len());
        results.add(&ROWS, &habitat, &format!("_{number}"), "", "");
    }
    let labels = Volume { voxels: labels, geometry: shared.geometry };
    Ok(Habitats { labels, features: results.into(), centres })
}

/// The voxels' intensities, each image with mean 0 and variance 1; a flat one is 0 everywhere.
fn standardised(shared: &Shared) -> Vec<f64> {
    let d = shared.images.len();
    let mut points = vec![0.0; 0];
    for image in 0..d {
        let values = shared.values(image);
        points.resize(values.len() * d, 0.0);
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        let scale = if variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 };
        for (at, value) in values.iter().enumerate() {
            points[at * d + image] = (f64::from(*value) - mean) * scale;
        }
    }
    points
}

/// The number of each cluster: from 1, by the mean in the first image; clusters without points come last.
fn by_first_image(points: Points, labels: &[u8], k: usize) -> Vec<u8> {
    let mut sums = vec![(0.0, 0.0); k];
    for (at, label) in labels.iter().enumerate() {
        let sum = &mut sums[usize::from(*label)];
        *sum = (sum.0 + points.get(at)[0], sum.1 + 1.0);
    }
    let mean = |cluster: usize| if sums[cluster].1 > 0.0 { sums[cluster].0 / sums[cluster].1 } else { f64::INFINITY };
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|a, b| mean(*a).total_cmp(&mean(*b)));
    let mut numbers = vec![0; k];
    (1u8..).zip(order).for_each(|(number, cluster)| numbers[cluster] = number);
    numbers
}

/// What the rows are computed from.
struct Habitat {
    voxels: usize,
    region: usize,
    /// Connected pieces, and voxels of the largest.
    pieces: usize,
    largest: usize,
    /// Area towards other habitats, mm2.
    interface: f64,
}

impl Habitat {
    fn of(labels: &Array3<u8>, number: u8, geometry: &Geometry, region: usize) -> Self {
        let (pieces, largest) = pieces(labels, number);
        let voxels = labels.iter().filter(|label| **label == number).count();
        Self { voxels, region, pieces, largest, interface: interface(labels, number, geometry) }
    }
}

/// How many connected pieces a habitat has, and the voxels of the largest.
fn pieces(labels: &Array3<u8>, number: u8) -> (usize, usize) {
    let (nz, ny, nx) = labels.dim();
    let mut left = labels.mapv(|label| label == number);
    let (mut pieces, mut largest, mut open) = (0, 0, Vec::new());
    for (start, _) in labels.indexed_iter().filter(|(_, label)| **label == number) {
        if !std::mem::replace(&mut left[start], false) {
            continue;
        }
        pieces += 1;
        let mut size = 0;
        open.push(start);
        while let Some((z, y, x)) = open.pop() {
            size += 1;
            for z in z.saturating_sub(1)..(z + 2).min(nz) {
                for y in y.saturating_sub(1)..(y + 2).min(ny) {
                    for x in x.saturating_sub(1)..(x + 2).min(nx) {
                        if std::mem::replace(&mut left[[z, y, x]], false) {
                            open.push((z, y, x));
                        }
                    }
                }
            }
        }
        largest = largest.max(size);
    }
    (pieces, largest)
}

/// The area of the faces between a habitat and other ones.
fn interface(labels: &Array3<u8>, number: u8, geometry: &Geometry) -> f64 {
    let [dx, dy, dz] = geometry.spacing_mm;
    let areas = [dx * dy, dx * dz, dy * dz];
    let differ = |a: u8, b: u8| (a == number) != (b == number) && a > 0 && b > 0;
    let mut area = 0.0;
    for (axis, face) in areas.iter().enumerate() {
        let axis = ndarray::Axis(axis);
        let faces = labels.axis_windows(axis, 2).into_iter().map(|pair| {
            let (a, b) = (pair.index_axis(axis, 0), pair.index_axis(axis, 1));
            a.iter().zip(&b).filter(|(a, b)| differ(**a, **b)).count()
        });
        area += faces.sum::<usize>() as f64 * face;
    }
    area
}

const fn row(tag: &'static str, name: &'static str, unit: Unit, eval: fn(&Habitat) -> f64) -> Row<Habitat> {
    Row::new(Family::Cross, "", tag, name, unit, eval).undefined_when("the habitat has no voxels")
}

static ROWS: [Row<Habitat>; 4] = [
    row("habitat_share", "Habitat volume share", Unit::One, |h| h.voxels as f64 / h.region as f64),
    row("habitat_pieces", "Habitat connected pieces", Unit::One, |h| h.pieces as f64),
    row("habitat_connected", "Habitat share of its largest piece", Unit::One, |h| h.largest as f64 / h.voxels as f64),
    row("habitat_interface", "Habitat area towards other habitats", Unit::Mm2, |h| h.interface),
];

/// The features of habitats.
pub(super) fn rows() -> impl Iterator<Item = (&'static Feature, &'static str)> {
    ROWS.iter().map(Row::told)
}
