//! Size and shape of the region, and how its intensities lie in space (IBSI 3.1, HCUG).
//!
//! Shape is that of the morphological mask, whatever was re-segmented: volume and area of its mesh (marching cubes at one
//! half), extent of the mesh and of its convex hull, principal axes of its voxel centres (4 sqrt(lambda) of their
//! covariance over n - 1, as the reference values have it). Intensities are those of the intensity mask. Positions are voxel centres.
//!
//! A region that has no extent along a principal axis has axis lengths of zero; ratios to them have no value.

mod autocorrelation;
mod moments;

use std::f64::consts::PI;

use super::Family;
use super::results::Results;
use super::roi::Roi;
use super::table::{Row, Unit};
use crate::image::hull::{Hull, enclosing_ellipsoid};
use crate::image::mesh::{MeshMeasures, mesh_measures};
use crate::image::packed::PackedMask;
use crate::math::ellipsoid;
use crate::math::linalg::{Vec3, norm, sub};
use autocorrelation::Autocorrelation;
use moments::{Moments, intensity_centre};

const NO_EXTENT: &str = "the region has no extent along any axis";
const FLAT: &str = "the region is flat: its approximate enclosing ellipsoid has no volume";
const SUM_ZERO: &str = "the intensities add up to zero";
const EQUAL: &str = "the region has one voxel, or equal intensities";
const NO_HULL: &str = "the region's grid is too long for an exact convex hull";

/// What the features of the family are computed from.
pub(super) struct Shape {
    mesh: MeshMeasures,
    voxel_volume_mm3: f64,
    moments: Moments,
    /// Sides of the box along the grid around the mesh.
    aligned_box_mm: Vec3,
    hull: Option<HullMeasures>,
    /// Mean intensity.
    mean: f64,
    centre_shift_mm: f64,
    autocorrelation: Option<Autocorrelation>,
}

/// What is measured on the convex hull.
struct HullMeasures {
    volume_mm3: f64,
    area_mm2: f64,
    diameter_mm: f64,
    oriented_box_mm: Vec3,
    ellipsoid_mm: Option<Vec3>,
}

/// Which features are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All.
    Whole,
    /// Those that depend on intensities: the shape is the same on every response map.
    Intensities,
}

/// Which features, and how exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effort {
    pub(super) part: Part,
    /// Voxels of which all pairs are summed at most.
    pub(super) paired_voxels: usize,
}

impl Effort {
    /// All features from all voxels.
    pub(super) const WHOLE: Self = Self { part: Part::Whole, paired_voxels: usize::MAX };
}

/// Tags of the rows that depend on intensities.
const OF_INTENSITIES: [&str; 4] = ["morph_com", "morph_integ_int", "morph_moran_i", "morph_geary_c"];

/// Whether a feature is one of the region's shape, whatever its intensities.
#[must_use]
pub fn is_shape(tag: &str) -> bool {
    tag.starts_with("morph_") && !OF_INTENSITIES.contains(&tag)
}

/// The family's features of a region; those of its autocorrelation where they are asked for: they cost more than all others.
pub(super) fn measure(roi: &Roi, autocorrelation: bool, effort: Effort, results: &mut Results) {
    let rows: &'static [Row<Shape>] = if autocorrelation { &ROWS } else { &ROWS[..ROWS.len() - AUTOCORRELATION_ROWS] };
    if let Some(shape) = Shape::of(roi, autocorrelation, effort) {
        let whole = effort.part == Part::Whole;
        for row in rows.chunks(1).filter(|row| whole || OF_INTENSITIES.contains(&row[0].feature.tag)) {
            results.add_plain(row, &shape);
        }
    }
}

impl Shape {
    fn of(roi: &Roi, autocorrelation: bool, effort: Effort) -> Option<Self> {
        let geometry = &roi.image.geometry;
        let spacing = geometry.spacing_mm;
        let packed = PackedMask::new(&roi.morphological);
        let moments = Moments::of(&packed, spacing)?;
        let (sum, centre) = intensity_centre(&roi.image.voxels, &roi.intensity, spacing);
        let size = super::diagnostics::box_size(super::roi::BoundingBox::around(roi.morphological.view()));
        Some(Self {
            mesh: mesh_measures(&packed, spacing),
            voxel_volume_mm3: geometry.voxel_volume_mm3(),
            moments,
            // The mesh ends half a voxel beyond the outermost centres.
            aligned_box_mm: [0, 1, 2].map(|axis| size[axis] as f64 * spacing[axis]),
            hull: if effort.part == Part::Whole {
                Hull::around(&packed, spacing).map(|hull| HullMeasures::of(&hull))
            } else {
                None
            },
            mean: sum / roi.values.len() as f64,
            centre_shift_mm: norm(sub(moments.centre_mm, centre)),
            autocorrelation: autocorrelation.then(|| Autocorrelation::of_at_most(roi, effort.paired_voxels)),
        })
    }

    /// (36 pi V^2)^(1/3): the area of the sphere of the same volume.
    fn sphere_area(&self) -> f64 {
        (36.0 * PI * self.mesh.volume_mm3 * self.mesh.volume_mm3).cbrt()
    }

    fn axis_length(&self, axis: usize) -> f64 {
        4.0 * self.moments.variances_mm2[axis].sqrt()
    }

    fn axis_ratio(&self, axis: usize) -> f64 {
        (self.moments.variances_mm2[axis] / self.moments.variances_mm2[0]).sqrt()
    }

    /// Semi-axes of the ellipsoid of the principal axes.
    fn approximate_ellipsoid(&self) -> Vec3 {
        [0, 1, 2].map(|axis| 2.0 * self.moments.variances_mm2[axis].sqrt())
    }

    /// Volume of the mesh over another one; not finite where that is zero or unknown.
    fn volume_density(&self, volume: Option<f64>) -> f64 {
        volume.map_or(f64::NAN, |volume| self.mesh.volume_mm3 / volume)
    }

    fn area_density(&self, area: Option<f64>) -> f64 {
        area.map_or(f64::NAN, |area| self.mesh.area_mm2 / area)
    }

    fn smallest_ellipsoid(&self) -> Option<Vec3> {
        self.hull.as_ref().and_then(|hull| hull.ellipsoid_mm)
    }
}

impl HullMeasures {
    fn of(hull: &Hull) -> Self {
        let corners = hull.corners_mm();
        Self {
            volume_mm3: hull.volume_mm3(),
            area_mm2: hull.area_mm2(),
            diameter_mm: hull.diameter_mm(),
            oriented_box_mm: hull.oriented_box_mm(),
            ellipsoid_mm: enclosing_ellipsoid(&corners),
        }
    }
}

fn box_volume(sides: Vec3) -> f64 {
    sides.iter().product()
}

fn box_area([a, b, c]: Vec3) -> f64 {
    2.0 * (a * b + a * c + b * c)
}

const fn row(
    id: &'static str,
    tag: &'static str,
    name: &'static str,
    unit: Unit,
    eval: fn(&Shape) -> f64,
) -> Row<Shape> {
    Row::new(Family::Morphology, id, tag, name, unit, eval)
}

/// The rows of the family.
pub(super) static ROWS: [Row<Shape>; 29] = [
    row("RNU0", "morph_volume", "Volume (mesh)", Unit::Mm3, |s| s.mesh.volume_mm3),
    row("YEKZ", "morph_vol_approx", "Volume (voxel counting)", Unit::Mm3, |s| s.moments.n as f64 * s.voxel_volume_mm3),
    row("C0JK", "morph_area_mesh", "Surface area (mesh)", Unit::Mm2, |s| s.mesh.area_mm2),
    row("2PR5", "morph_av", "Surface to volume ratio", Unit::PerMm, |s| s.mesh.area_mm2 / s.mesh.volume_mm3),
    row("SKGS", "morph_comp_1", "Compactness 1", Unit::One, |s| {
        s.mesh.volume_mm3 / (PI.sqrt() * s.mesh.area_mm2.powf(1.5))
    }),
    row("BQWJ", "morph_comp_2", "Compactness 2", Unit::One, |s| (s.sphere_area() / s.mesh.area_mm2).powi(3)),
    row("KRCK", "morph_sph_dispr", "Spherical disproportion", Unit::One, |s| s.mesh.area_mm2 / s.sphere_area()),
    row("QCFX", "morph_sphericity", "Sphericity", Unit::One, |s| s.sphere_area() / s.mesh.area_mm2),
    row("25C7", "morph_asphericity", "Asphericity", Unit::One, |s| s.mesh.area_mm2 / s.sphere_area() - 1.0),
    row("KLMA", "morph_com", "Centre of mass shift", Unit::Mm, |s| s.centre_shift_mm).undefined_when(SUM_ZERO),
    row("L0JK", "morph_diam", "Maximum 3D diameter", Unit::Mm, |s| {
        s.hull.as_ref().map_or(f64::NAN, |hull| hull.diameter_mm)
    })
    .undefined_when(NO_HULL),
    row("TDIC", "morph_pca_maj_axis", "Major axis length", Unit::Mm, |s| s.axis_length(0)),
    row("P9VJ", "morph_pca_min_axis", "Minor axis length", Unit::Mm, |s| s.axis_length(1)),
    row("7J51", "morph_pca_least_axis", "Least axis length", Unit::Mm, |s| s.axis_length(2)),
    row("Q3CK", "morph_pca_elongation", "Elongation", Unit::One, |s| s.axis_ratio(1)).undefined_when(NO_EXTENT),
    row("N17B", "morph_pca_flatness", "Flatness", Unit::One, |s| s.axis_ratio(2)).undefined_when(NO_EXTENT),
    row("PBX1", "morph_vol_dens_aabb", "Volume density (axis-aligned bounding box)", Unit::One, |s| {
        s.volume_density(Some(box_volume(s.aligned_box_mm)))
    }),
    row("R59B", "morph_area_dens_aabb", "Area density (axis-aligned bounding box)", Unit::One, |s| {
        s.area_density(Some(box_area(s.aligned_box_mm)))
    }),
    row("ZH1A", "morph_vol_dens_ombb", "Volume density (oriented minimum bounding box)", Unit::One, |s| {
        s.volume_density(s.hull.as_ref().map(|hull| box_volume(hull.oriented_box_mm)))
    })
    .undefined_when(NO_HULL),
    row("IQYR", "morph_area_dens_ombb", "Area density (oriented minimum bounding box)", Unit::One, |s| {
        s.area_density(s.hull.as_ref().map(|hull| box_area(hull.oriented_box_mm)))
    })
    .undefined_when(NO_HULL),
    row("6BDE", "morph_vol_dens_aee", "Volume density (approximate enclosing ellipsoid)", Unit::One, |s| {
        s.volume_density(Some(ellipsoid::volume(s.approximate_ellipsoid())))
    })
    .undefined_when(FLAT),
    row("RDD2", "morph_area_dens_aee", "Area density (approximate enclosing ellipsoid)", Unit::One, |s| {
        s.area_density(Some(ellipsoid::series_area(s.approximate_ellipsoid())))
    })
    .undefined_when(NO_EXTENT),
    row("SWZ1", "morph_vol_dens_mvee", "Volume density (minimum volume enclosing ellipsoid)", Unit::One, |s| {
        s.volume_density(s.smallest_ellipsoid().map(ellipsoid::volume))
    })
    .undefined_when(NO_HULL),
    row("BRI8", "morph_area_dens_mvee", "Area density (minimum volume enclosing ellipsoid)", Unit::One, |s| {
        s.area_density(s.smallest_ellipsoid().map(ellipsoid::series_area))
    })
    .undefined_when(NO_HULL),
    row("R3ER", "morph_vol_dens_conv_hull", "Volume density (convex hull)", Unit::One, |s| {
        s.volume_density(s.hull.as_ref().map(|hull| hull.volume_mm3))
    })
    .undefined_when(NO_HULL),
    row("7T7F", "morph_area_dens_conv_hull", "Area density (convex hull)", Unit::One, |s| {
        s.area_density(s.hull.as_ref().map(|hull| hull.area_mm2))
    })
    .undefined_when(NO_HULL),
    row("99N0", "morph_integ_int", "Integrated intensity", Unit::SameTimesMm3, |s| s.mean * s.mesh.volume_mm3),
    row("N365", "morph_moran_i", "Moran’s I index", Unit::One, moran).undefined_when(EQUAL),
    row("NPT7", "morph_geary_c", "Geary’s C measure", Unit::One, geary).undefined_when(EQUAL),
];

/// The last rows, which are computed from the autocorrelation.
const AUTOCORRELATION_ROWS: usize = 2;

fn moran(shape: &Shape) -> f64 {
    shape.autocorrelation.as_ref().map_or(f64::NAN, |found| found.moran)
}

fn geary(shape: &Shape) -> f64 {
    shape.autocorrelation.as_ref().map_or(f64::NAN, |found| found.geary)
}

#[cfg(test)]
mod tests;
