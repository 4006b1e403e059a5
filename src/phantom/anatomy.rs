//! The body: ellipsoids in ellipsoids, lesions on top.

use serde::{Deserialize, Serialize};

use super::lesion::Shape;
use super::settings::{LesionSettings, Scan};
use super::texture::Texture;
use crate::math::linalg::{self, Vec3};

/// What a point looks like to the three scanners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tissue {
    /// Hounsfield units.
    pub hu: f64,
    /// Standardised uptake value by body weight, g/ml.
    pub suv: f64,
    /// MR signal, arbitrary units.
    pub mr: f64,
}

impl Tissue {
    /// The value that one scanner sees.
    #[must_use]
    pub const fn of(&self, scan: Scan) -> f64 {
        match scan {
            Scan::Ct => self.hu,
            Scan::Pet => self.suv,
            Scan::Mr => self.mr,
        }
    }
}

const fn tissue(hu: f64, suv: f64, mr: f64) -> Tissue {
    Tissue { hu, suv, mr }
}

/// Around the body.
pub(super) const AIR: Tissue = tissue(-1000.0, 0.0, 0.0);

/// An ellipsoid of one tissue.
struct Organ {
    centre_mm: Vec3,
    semi_axes_mm: Vec3,
    tissue: Tissue,
}

const fn organ(centre_mm: Vec3, semi_axes_mm: Vec3, tissue: Tissue) -> Organ {
    Organ { centre_mm, semi_axes_mm, tissue }
}

/// Later organs cover earlier ones. No two mirror each other: a registration has one right answer.
const ORGANS: [Organ; 9] = [
    // Fat layer, and the muscle that it covers.
    organ([0.0, 0.0, 0.0], [66.0, 52.0, 105.0], tissue(-100.0, 0.3, 700.0)),
    organ([0.0, 0.0, 0.0], [59.0, 45.0, 98.0], tissue(50.0, 0.7, 250.0)),
    // Air-filled, like lung.
    organ([-30.0, -8.0, 22.0], [17.0, 20.0, 30.0], tissue(-780.0, 0.4, 40.0)),
    // Liver-like: homogeneous, moderate uptake.
    organ([-24.0, -4.0, -34.0], [25.0, 26.0, 22.0], tissue(60.0, 2.2, 330.0)),
    // Kidney-like: hot, away from the lesion.
    organ([32.0, 12.0, -32.0], [10.0, 12.0, 17.0], tissue(35.0, 4.0, 380.0)),
    // Spine: cortex and marrow.
    organ([3.0, 27.0, 0.0], [13.0, 12.0, 160.0], tissue(700.0, 0.6, 60.0)),
    organ([3.0, 27.0, 0.0], [9.0, 8.0, 150.0], tissue(220.0, 1.0, 500.0)),
    // Great vessel.
    organ([-8.0, 8.0, 0.0], [7.0, 7.0, 150.0], tissue(45.0, 1.6, 120.0)),
    // Bowel gas.
    organ([6.0, -32.0, -18.0], [9.0, 6.0, 12.0], tissue(-900.0, 0.3, 20.0)),
];

/// One lesion, ready to be asked.
pub(super) struct Lesion {
    pub(super) settings: LesionSettings,
    pub(super) shape: Shape,
    /// In the order of [`Scan::ALL`].
    pub(super) textures: [Texture; 3],
}

/// The whole body with its lesions.
pub(super) struct Anatomy {
    pub(super) lesions: Vec<Lesion>,
}

impl Anatomy {
    /// The ideal value at a point of the body's space: no blur, no noise.
    pub(super) fn value(&self, scan: Scan, point: Vec3) -> f64 {
        for lesion in &self.lesions {
            if lesion.shape.contains(point) {
                return lesion.value(scan, point);
            }
        }
        ORGANS.iter().rev().find(|organ| organ.contains(point)).map_or(AIR, |organ| organ.tissue).of(scan)
    }
}

impl Lesion {
    /// The ideal value at a point inside.
    pub(super) fn value(&self, scan: Scan, point: Vec3) -> f64 {
        let texture = match scan {
            Scan::Ct => &self.textures[0],
            Scan::Pet => &self.textures[1],
            Scan::Mr => &self.textures[2],
        };
        let sd = self.settings.texture.sd.of(scan);
        let mean = self.settings.mean.of(scan);
        if sd > 0.0 { mean + sd * texture.at(point) } else { mean }
    }
}

impl Organ {
    fn contains(&self, point: Vec3) -> bool {
        let offset = linalg::sub(point, self.centre_mm);
        let q = [0, 1, 2].map(|axis| offset[axis] / self.semi_axes_mm[axis]);
        linalg::dot(q, q) <= 1.0
    }
}
