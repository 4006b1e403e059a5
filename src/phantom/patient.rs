//! From settings to images.

use super::anatomy::{Anatomy, Lesion};
use super::contour::{self, Contour};
use super::exact::{cos_turns, sin_turns};
use super::lesion::Shape;
use super::sample;
use super::settings::{GridSettings, LesionSettings, Offset, PhantomError, PhantomSettings, Scan};
use super::texture::correlated_textures;
use super::truth::{self, LesionTruth, ScanTruth, Truth};
use crate::image::{Affine, Geometry, Mask, Volume};
use crate::math::linalg::{self, IDENTITY};
use crate::math::random::Stream;

/// Purposes of random numbers.
const SHAPE: u64 = 1;
const NOISE: [u64; 3] = [10, 11, 12];

/// Voxels of one image, sub-samples included, at most: about 2 GB.
const N_SAMPLES_MAX: usize = 500_000_000;

/// A synthetic patient: three images, the contours drawn on them, and the truth.
#[derive(Debug, Clone)]
pub struct Phantom {
    /// What it was made from.
    pub settings: PhantomSettings,
    /// Hounsfield units.
    pub ct: Volume<f32>,
    /// SUV by body weight.
    pub pet: Volume<f32>,
    /// MR signal.
    pub mr: Volume<f32>,
    /// What is known of it.
    pub truth: Truth,
    /// Every lesion on every slice of every image, whatever the structure sets show of it.
    pub contours: Vec<Contour>,
    masks: Vec<[Mask; 3]>,
}

impl Phantom {
    /// Makes the patient. The same settings give the same bits, whatever the machine and the number of threads.
    ///
    /// # Errors
    /// When a setting is outside its range or a grid cannot be.
    pub fn new(settings: &PhantomSettings) -> Result<Self, PhantomError> {
        check(settings)?;
        let anatomy = anatomy(settings);
        let mut images = Vec::with_capacity(3);
        for scan in Scan::ALL {
            images.push(image(&anatomy, settings, scan)?);
        }
        let [ct, pet, mr]: [Volume<f32>; 3] = images.try_into().map_err(|_| PhantomError::Range {
            what: "the number of scans",
            found: 0.0,
            expected: "three",
        })?;
        let from_scan = Scan::ALL.map(|scan| movement(settings, scan).inverse());
        let geometries = [ct.geometry, pet.geometry, mr.geometry];
        let mut contours = Vec::new();
        let mut masks = Vec::new();
        let mut lesions = Vec::new();
        for (index, lesion) in anatomy.lesions.iter().enumerate() {
            for (at, scan) in Scan::ALL.into_iter().enumerate() {
                contours.extend(contour::contours((index, lesion), scan, &geometries[at], &from_scan[at]));
            }
            let in_images = [0, 1, 2].map(|at| truth::mask(lesion, geometries[at], &from_scan[at]));
            let in_scans = [0, 1, 2].map(|at| truth::lesion_in_scan([&ct, &pet, &mr][at], &in_images[at]));
            masks.push(in_images);
            lesions.push(LesionTruth {
                name: lesion.settings.name.clone(),
                volume_mm3: lesion.settings.volume_mm3,
                centre_mm: lesion.settings.centre_mm,
                mean: lesion.settings.mean,
                sd: lesion.settings.texture.sd,
                in_scans,
            });
        }
        let scans = [0, 1, 2].map(|at| ScanTruth {
            geometry: geometries[at],
            blur_fwhm_mm: settings.grid(Scan::ALL[at]).blur_fwhm_mm,
            effective_fwhm_mm: truth::effective_fwhm_mm(settings.grid(Scan::ALL[at])),
            from_ct: from_scan[0].then(&from_scan[at].inverse()),
        });
        Ok(Self { settings: settings.clone(), ct, pet, mr, truth: Truth { lesions, scans }, contours, masks })
    }

    /// One image.
    #[must_use]
    pub const fn image(&self, scan: Scan) -> &Volume<f32> {
        match scan {
            Scan::Ct => &self.ct,
            Scan::Pet => &self.pet,
            Scan::Mr => &self.mr,
        }
    }

    /// The voxels of an image whose centre lies in a lesion; `None` when there is no such lesion.
    #[must_use]
    pub fn mask(&self, lesion: usize, scan: Scan) -> Option<&Mask> {
        let [ct, pet, mr] = self.masks.get(lesion)?;
        Some(match scan {
            Scan::Ct => ct,
            Scan::Pet => pet,
            Scan::Mr => mr,
        })
    }
}

fn check(settings: &PhantomSettings) -> Result<(), PhantomError> {
    let within = |what, found: f64, ok: bool, expected| {
        if ok { Ok(()) } else { Err(PhantomError::Range { what, found, expected }) }
    };
    for LesionSettings { volume_mm3, proportions, bumpiness, texture, .. } in &settings.lesions {
        within("a lesion's volume", *volume_mm3, (1.0..=1e7).contains(volume_mm3), "1 to 1e7 mm3")?;
        within("a lesion's bumpiness", *bumpiness, (0.0..=0.5).contains(bumpiness), "0 to 0.5")?;
        for p in proportions {
            within("a lesion's proportion", *p, (0.1..=10.0).contains(p), "0.1 to 10")?;
        }
        let length = texture.length_mm;
        within("a texture's length", length, (0.1..=1000.0).contains(&length), "0.1 to 1000 mm")?;
        within("a texture's shared part", texture.shared, (0.0..=1.0).contains(&texture.shared), "0 to 1")?;
    }
    for scan in Scan::ALL {
        let GridSettings { size, supersampling, blur_fwhm_mm, .. } = settings.grid(scan);
        let n = size.iter().chain(supersampling).try_fold(1usize, |product, n| product.checked_mul(*n));
        let fits = n.is_some_and(|n| (1..=N_SAMPLES_MAX).contains(&n));
        #[allow(clippy::cast_precision_loss)]
        within("the number of samples", n.unwrap_or(usize::MAX) as f64, fits, "1 to 5e8")?;
        for moved in settings.offset(scan).rotation_rad.iter().chain(&settings.offset(scan).shift_mm) {
            within("the patient's movement", *moved, moved.abs() <= 1000.0, "at most 1000 (mm or radians)")?;
        }
        for fwhm in blur_fwhm_mm {
            within("the blur", *fwhm, (0.0..=50.0).contains(fwhm), "0 to 50 mm")?;
        }
    }
    let weight = settings.patient.weight_kg;
    within("the weight", weight, (1.0..=500.0).contains(&weight), "1 to 500 kg")?;
    let half_life = settings.pet.half_life_s;
    within("the half life", half_life, (60.0..=1e6).contains(&half_life), "60 to 1e6 s")?;
    let dose = settings.pet.dose_bq;
    within("the dose", dose, (1e3..=1e11).contains(&dose), "1e3 to 1e11 Bq")
}

fn anatomy(settings: &PhantomSettings) -> Anatomy {
    let lesions = settings
        .lesions
        .iter()
        .zip(0u64..)
        .map(|(lesion, index)| {
            let shape = Shape::new(lesion, &mut Stream::new(settings.seed, SHAPE, index));
            let texture = &lesion.texture;
            let textures = correlated_textures(&shape, texture.length_mm, texture.shared, settings.seed, index);
            Lesion { settings: lesion.clone(), shape, textures }
        })
        .collect();
    Anatomy { lesions }
}

/// From the body's space to a scan's.
fn movement(settings: &PhantomSettings, scan: Scan) -> Affine {
    let Offset { rotation_rad, shift_mm } = *settings.offset(scan);
    let angle = linalg::norm(rotation_rad);
    if angle <= 0.0 {
        return Affine::translation(shift_mm);
    }
    // Rodrigues: R = cos I + sin [u]x + (1 - cos) u u'.
    let [x, y, z] = linalg::scale(1.0 / angle, rotation_rad);
    let (c, s) = (cos_turns(angle / std::f64::consts::TAU), sin_turns(angle / std::f64::consts::TAU));
    let v = 1.0 - c;
    let linear = [
        [c + v * x * x, v * x * y - s * z, v * x * z + s * y],
        [v * x * y + s * z, c + v * y * y, v * y * z - s * x],
        [v * x * z - s * y, v * y * z + s * x, c + v * z * z],
    ];
    // A rotation of finite angle is always invertible; a shift alone is what remains of an infinite one.
    Affine::new(linear, shift_mm).unwrap_or_else(|_| Affine::translation(shift_mm))
}

fn geometry(grid: &GridSettings, scan: Scan) -> Result<Geometry, PhantomError> {
    let [about_x, about_y] = grid.tilt_turns.map(|turns| (cos_turns(turns), sin_turns(turns)));
    let turn_x = [[1.0, 0.0, 0.0], [0.0, about_x.0, -about_x.1], [0.0, about_x.1, about_x.0]];
    let turn_y = [[about_y.0, 0.0, about_y.1], [0.0, 1.0, 0.0], [-about_y.1, 0.0, about_y.0]];
    let turn = linalg::mul(&turn_y, &turn_x);
    // The axes of the grid are the columns of the rotation.
    let directions = linalg::transpose(&linalg::mul(&turn, &IDENTITY));
    let straight = Geometry::new(grid.size, grid.spacing_mm, [0.0; 3], directions)
        .map_err(|source| PhantomError::Grid { scan, source })?;
    let origin_mm = linalg::sub(grid.centre_mm, straight.centre_mm());
    Ok(Geometry { origin_mm, ..straight })
}

fn image(anatomy: &Anatomy, settings: &PhantomSettings, scan: Scan) -> Result<Volume<f32>, PhantomError> {
    let grid = settings.grid(scan);
    let geometry = geometry(grid, scan)?;
    let to_body = movement(settings, scan).inverse();
    let mut image = sample::scan(geometry, grid, |point| anatomy.value(scan, to_body.apply(point)));
    let seed = settings.seed;
    match scan {
        Scan::Ct => sample::add_noise(&mut image, seed, NOISE[0], |v, s| v + settings.ct.noise_hu * s.normal()),
        Scan::Pet => sample::add_noise(&mut image, seed, NOISE[1], |v, s| {
            (v + settings.pet.noise_suv * v.max(0.0).sqrt() * s.normal()).max(0.0)
        }),
        Scan::Mr => {
            receive(&mut image, settings.mr.bias);
            sample::add_noise(&mut image, seed, NOISE[2], |v, s| {
                let (re, im) = (v + settings.mr.noise * s.normal(), settings.mr.noise * s.normal());
                (re * re + im * im).sqrt()
            });
        }
    }
    Ok(image)
}

/// Multiplies by the receive field of a surface coil: 1 + bias at the front left, 1 - bias at the back right.
fn receive(image: &mut Volume<f32>, bias: f64) {
    if bias <= 0.0 {
        return;
    }
    let geometry = image.geometry;
    let extent_mm =
        [0, 1, 2].map(|axis| f64::from(u32::try_from(geometry.size[axis]).unwrap_or(1)) * geometry.spacing_mm[axis]);
    for ((k, j, i), value) in image.voxels.indexed_iter_mut() {
        #[allow(clippy::cast_precision_loss)]
        let p = linalg::sub(geometry.voxel_to_world([i as f64, j as f64, k as f64]), geometry.centre_mm());
        let [x, y, z] = [0, 1, 2].map(|axis| 2.0 * p[axis] / extent_mm[axis]);
        let field = 1.0 + bias * (0.5 * x - 0.4 * y + 0.1 * x * y - 0.2 * z * z);
        #[allow(clippy::cast_possible_truncation)]
        {
            *value = (f64::from(*value) * field) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn quiet() -> PhantomSettings {
        let mut settings = PhantomSettings::default();
        settings.ct.noise_hu = 0.0;
        settings.pet.noise_suv = 0.0;
        settings.mr.noise = 0.0;
        settings
    }

    /// Coarser than the demo, finer than the fixtures.
    fn small() -> PhantomSettings {
        let mut settings = quiet();
        settings.ct.grid = GridSettings::new([80, 64, 40], [1.953_125, 1.953_125, 3.0], [3, 3, 4]);
        settings.mr.grid.size = [64, 64, 30];
        settings.mr.grid.spacing_mm = [2.1875, 2.1875, 4.0];
        settings
    }

    #[test]
    fn the_same_settings_give_the_same_bits_on_any_number_of_threads() {
        let make = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Phantom::new(&PhantomSettings::tiny()).unwrap())
        };
        let (one, three) = (make(1), make(3));
        for scan in Scan::ALL {
            assert_eq!(one.image(scan), three.image(scan));
        }
        assert_eq!(one.truth, three.truth);
        assert_eq!(one.contours, three.contours);
        let other = Phantom::new(&PhantomSettings { seed: 2, ..PhantomSettings::tiny() }).unwrap();
        assert_ne!(one.ct, other.ct);
    }

    #[test]
    fn voxel_counts_are_the_volume_and_the_inner_values_are_those_prescribed() {
        let phantom = Phantom::new(&small()).unwrap();
        let truth = &phantom.truth.lesions[0];
        for scan in Scan::ALL {
            let found = truth.in_scan(scan);
            #[allow(clippy::cast_precision_loss)]
            let volume = found.n_voxels as f64 * phantom.image(scan).geometry.voxel_volume_mm3();
            assert_relative_eq!(volume, truth.volume_mm3, max_relative = 0.04);
        }
        // Partial volume pulls the edge towards the muscle around it, by less than a third of the contrast.
        assert_relative_eq!(truth.in_scan(Scan::Ct).mean, 35.0, epsilon = 3.0);
        assert_relative_eq!(truth.in_scan(Scan::Mr).mean, 450.0, epsilon = 40.0);
        let suv = truth.in_scan(Scan::Pet).mean;
        assert!(suv > 5.5 && suv < 7.5, "{suv}");
    }

    #[test]
    fn a_homogeneous_lesion_has_its_exact_value_in_every_voxel_away_from_the_edge() {
        let mut settings = small();
        settings.lesions[0].texture.sd = crate::phantom::Tissue::default();
        let phantom = Phantom::new(&settings).unwrap();
        let centre = settings.lesions[0].centre_mm;
        for (scan, expected, tolerance) in [(Scan::Ct, 35.0, 1e-4), (Scan::Pet, 8.0, 0.05), (Scan::Mr, 450.0, 1e-3)] {
            let image = phantom.image(scan);
            let at = image.geometry.world_to_voxel(centre).map(f64::round);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let [i, j, k] = at.map(|x| x as usize);
            assert_relative_eq!(f64::from(image.voxels[[k, j, i]]), expected, epsilon = tolerance);
        }
    }

    #[test]
    fn a_moved_patient_is_found_where_the_truth_says() {
        let mut settings = small();
        settings.mr.offset = Offset { rotation_rad: [0.05, -0.1, 0.2], shift_mm: [6.0, -4.0, 9.0] };
        settings.ct.offset = Offset { rotation_rad: [0.0, 0.0, 0.1], shift_mm: [1.0, 2.0, 3.0] };
        let phantom = Phantom::new(&settings).unwrap();
        let centroid = |scan: Scan| {
            let mask = phantom.mask(0, scan).unwrap();
            let mut sum = [0.0; 3];
            for ((k, j, i), _) in mask.voxels.indexed_iter().filter(|(_, inside)| **inside) {
                #[allow(clippy::cast_precision_loss)]
                let p = mask.geometry.voxel_to_world([i as f64, j as f64, k as f64]);
                sum = linalg::add(sum, p);
            }
            #[allow(clippy::cast_precision_loss)]
            linalg::scale(1.0 / mask.count() as f64, sum)
        };
        let expected = phantom.truth.scan(Scan::Mr).from_ct.apply(centroid(Scan::Ct));
        let distance = linalg::norm(linalg::sub(centroid(Scan::Mr), expected));
        assert!(distance < 0.4, "{distance} mm");
        assert!(phantom.truth.scan(Scan::Mr).from_ct.is_rigid(1e-9));
    }

    #[test]
    fn contours_lie_on_their_slices_and_enclose_the_volume() {
        let phantom = Phantom::new(&PhantomSettings::tiny()).unwrap();
        for scan in Scan::ALL {
            let geometry = phantom.image(scan).geometry;
            let mut volume = 0.0;
            for contour in phantom.contours.iter().filter(|contour| contour.scan == scan) {
                let mut doubled = 0.0;
                let indices: Vec<_> = contour.points_mm.iter().map(|p| geometry.world_to_voxel(*p)).collect();
                for (at, p) in indices.iter().enumerate() {
                    #[allow(clippy::cast_precision_loss)]
                    let slice = contour.slice as f64;
                    assert_relative_eq!(p[2], slice, epsilon = 1e-6);
                    let q = indices[(at + 1) % indices.len()];
                    doubled += p[0] * q[1] - q[0] * p[1];
                }
                volume += 0.5 * doubled * geometry.voxel_volume_mm3();
            }
            // Three slices of 12 mm: the sum over slices is a coarse quadrature of the volume.
            assert_relative_eq!(volume, phantom.truth.lesions[0].volume_mm3, max_relative = 0.12);
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let refused = |change: fn(&mut PhantomSettings)| {
            let mut settings = PhantomSettings::tiny();
            change(&mut settings);
            Phantom::new(&settings).is_err()
        };
        assert!(refused(|s| s.lesions[0].volume_mm3 = f64::NAN));
        assert!(refused(|s| s.lesions[0].bumpiness = 0.7));
        assert!(refused(|s| s.ct.grid.size = [usize::MAX, 2, 2]));
        assert!(refused(|s| s.mr.grid.spacing_mm[1] = 0.0));
        assert!(refused(|s| s.pet.grid.blur_fwhm_mm[0] = -1.0));
        assert!(refused(|s| s.pet.half_life_s = 0.0));
        assert!(refused(|s| s.mr.offset.shift_mm[0] = f64::INFINITY));
    }
}
