//! What a synthetic patient is made from.

use jiff::civil::{Date, DateTime, date, datetime};
use serde::{Deserialize, Serialize};

use super::anatomy::Tissue;
use crate::image::GeometryError;
use crate::math::linalg::Vec3;

/// Which scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// Computed tomography.
    Ct,
    /// Positron emission tomography.
    Pet,
    /// Magnetic resonance.
    Mr,
}

impl Scan {
    /// All scanners, in the order of a [`Tissue`]'s values.
    pub const ALL: [Self; 3] = [Self::Ct, Self::Pet, Self::Mr];

    /// Its Modality (0008,0060).
    #[must_use]
    pub const fn modality(self) -> &'static str {
        match self {
            Self::Ct => "CT",
            Self::Pet => "PT",
            Self::Mr => "MR",
        }
    }
}

/// A whole synthetic patient. The default is the demo's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhantomSettings {
    /// Decides lesion bumps, texture and noise; also part of every UID.
    pub seed: u64,
    /// Who.
    pub patient: PatientSettings,
    /// When the CT began; everything else follows. Local time without a zone, as in DICOM.
    pub scanned_at: DateTime,
    /// Body Part Examined (0018,0015) of all series.
    pub body_part: String,
    /// The lesions; usually one.
    pub lesions: Vec<LesionSettings>,
    /// The CT.
    pub ct: CtSettings,
    /// The PET.
    pub pet: PetSettings,
    /// The MR.
    pub mr: MrSettings,
    /// Whether the three images name one Frame of Reference.
    pub same_frame_of_reference: bool,
    /// The structure sets.
    pub drawings: Vec<Drawing>,
}

/// Identity and body, as the headers tell them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatientSettings {
    /// Patient's Name (0010,0010).
    pub name: String,
    /// Patient ID (0010,0020).
    pub id: String,
    /// Issuer of Patient ID (0010,0021); left out where empty.
    pub issuer: String,
    /// Patient's Birth Date (0010,0030).
    pub birth_date: Date,
    /// Patient's Sex (0010,0040): `M`, `F` or `O`.
    pub sex: String,
    /// Patient's Weight (0010,1030).
    pub weight_kg: f64,
    /// Patient's Size (0010,1020).
    pub size_m: f64,
    /// Specific Character Set (0008,0005); several values joined by a backslash.
    pub character_set: String,
}

/// One lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LesionSettings {
    /// The stem of its ROI names.
    pub name: String,
    /// Its middle in the body's space (that of the CT unless the CT is moved).
    pub centre_mm: Vec3,
    /// Its volume, kept exactly whatever the shape.
    pub volume_mm3: f64,
    /// Proportion of its axes along x, y, z.
    pub proportions: Vec3,
    /// 0: an ellipsoid. Otherwise the largest relative change of the radius, below 0.5.
    pub bumpiness: f64,
    /// Mean over the lesion of each image's ideal value.
    pub mean: Tissue,
    /// Its texture.
    pub texture: TextureSettings,
}

/// Correlated variation inside a lesion: a stationary Gaussian random field.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextureSettings {
    /// Standard deviation over the lesion, exact.
    pub sd: Tissue,
    /// Length l of the correlation exp(-r^2 / (2 l^2)).
    pub length_mm: f64,
    /// 0 to 1: the part of each image's field (by amplitude) that all three share.
    pub shared: f64,
}

/// A grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GridSettings {
    /// Columns, rows, slices.
    pub size: [usize; 3],
    /// Voxel spacing along them.
    pub spacing_mm: Vec3,
    /// The position of its middle.
    pub centre_mm: Vec3,
    /// Turn of the grid about its x axis, then about its y axis: an oblique scan. In full turns (1/360 is a degree).
    pub tilt_turns: [f64; 2],
    /// Sub-samples per voxel along each axis, for partial volume.
    pub supersampling: [usize; 3],
    /// Gaussian blur of the scanner before it samples, FWHM along the grid's axes.
    pub blur_fwhm_mm: Vec3,
}

/// How far the patient moved before a scan: a turn about the body's middle, then a shift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Offset {
    /// Rotation vector: its direction is the axis, its length the angle.
    pub rotation_rad: Vec3,
    /// The shift.
    pub shift_mm: Vec3,
}

/// Which device and reconstruction made an image: what batches are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerSettings {
    /// Manufacturer (0008,0070).
    pub manufacturer: String,
    /// Manufacturer's Model Name (0008,1090).
    pub model: String,
    /// Convolution Kernel (0018,1210) of CT and PET, Protocol Name (0018,1030) of MR.
    pub reconstruction: String,
}

/// The CT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CtSettings {
    /// What made it.
    pub scanner: ScannerSettings,
    /// Its grid.
    pub grid: GridSettings,
    /// The patient's movement.
    pub offset: Offset,
    /// Standard deviation of its white noise.
    pub noise_hu: f64,
}

/// The PET.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PetSettings {
    /// What made it.
    pub scanner: ScannerSettings,
    /// Its grid.
    pub grid: GridSettings,
    /// The patient's movement.
    pub offset: Offset,
    /// Noise: the standard deviation at SUV 1; it grows with the root of the SUV.
    pub noise_suv: f64,
    /// In what units it is written.
    pub units: PetUnits,
    /// To which time its activity is corrected.
    pub decay: PetDecay,
    /// Radionuclide Total Dose (0018,1074).
    pub dose_bq: f64,
    /// Radionuclide Half Life (0018,1075).
    pub half_life_s: f64,
    /// Whole seconds from injection to the start of the PET.
    pub uptake_s: u32,
}

/// Units (0054,1001) of the PET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PetUnits {
    /// Becquerel per millilitre.
    Bqml,
    /// Gram per millilitre: SUV by body weight.
    Gml,
}

/// Decay Correction (0054,1102).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PetDecay {
    /// To the start of the scan.
    Start,
    /// To the injection.
    Admin,
}

/// The MR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MrSettings {
    /// What made it.
    pub scanner: ScannerSettings,
    /// Its grid.
    pub grid: GridSettings,
    /// The patient's movement.
    pub offset: Offset,
    /// Noise of each of the two channels whose magnitude is the image (Rician), in signal units.
    pub noise: f64,
    /// Largest relative change by the receive field; 0: none.
    pub bias: f64,
    /// Its place among the studies.
    pub study: MrStudy,
}

/// In which DICOM study the MR is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MrStudy {
    /// With CT and PET.
    Same,
    /// In its own, this many days later.
    Own {
        /// Days.
        days_later: u16,
    },
}

/// One structure set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawing {
    /// Structure Set Label (3006,0002).
    pub label: String,
    /// On which images each lesion is drawn. With several, ROI names end in `_CT`, `_PT`, `_MR`.
    pub on: Vec<Scan>,
    /// Minutes from the CT to Structure Set Time (3006,0009).
    pub minutes_later: u16,
    /// Approval Status (300E,0002).
    pub approval: String,
}

/// Why there is no such patient.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PhantomError {
    /// A grid that cannot be.
    #[error("the grid of the synthetic {scan:?}: {source}")]
    Grid {
        /// Whose.
        scan: Scan,
        /// Why.
        source: GeometryError,
    },
    /// A value outside its range.
    #[error("{what} of the synthetic patient is {found}, expected {expected}")]
    Range {
        /// Which value.
        what: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
}

impl Default for PhantomSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            patient: PatientSettings::default(),
            scanned_at: datetime(2024, 3, 14, 9, 30, 0, 0),
            body_part: "ABDOMEN".into(),
            lesions: vec![LesionSettings::default()],
            ct: CtSettings {
                scanner: ScannerSettings::new("Synthetic CT", "STANDARD"),
                grid: GridSettings::new([160, 128, 40], [0.976_562_5, 0.976_562_5, 3.0], [2, 2, 3]),
                offset: Offset::default(),
                noise_hu: 12.0,
            },
            pet: PetSettings {
                scanner: ScannerSettings::new("Synthetic PET", "GAUSS 6 MM"),
                grid: GridSettings {
                    blur_fwhm_mm: [6.0; 3],
                    ..GridSettings::new([48, 40, 36], [4.072_83, 4.072_83, 3.27], [3, 3, 3])
                },
                offset: Offset::default(),
                noise_suv: 0.05,
                units: PetUnits::Bqml,
                decay: PetDecay::Start,
                dose_bq: 3.7e8,
                half_life_s: 6586.2,
                uptake_s: 3600,
            },
            mr: MrSettings {
                scanner: ScannerSettings::new("Synthetic MR", "T1 SE OBLIQUE"),
                grid: GridSettings {
                    tilt_turns: [8.0 / 360.0, -5.0 / 360.0],
                    ..GridSettings::new([128, 128, 30], [1.09375, 1.09375, 4.0], [2, 2, 3])
                },
                offset: Offset::default(),
                noise: 8.0,
                bias: 0.0,
                study: MrStudy::Same,
            },
            same_frame_of_reference: true,
            drawings: vec![Drawing::default()],
        }
    }
}

impl PhantomSettings {
    /// A patient of the same body on coarse grids: a few thousand voxels per image, for fixtures and quick tests.
    #[must_use]
    pub fn tiny() -> Self {
        let mut settings = Self::default();
        settings.ct.grid = GridSettings::new([40, 32, 10], [3.906_25, 3.906_25, 12.0], [3, 3, 4]);
        settings.pet.grid = GridSettings {
            blur_fwhm_mm: [6.0; 3],
            ..GridSettings::new([24, 20, 9], [8.145_66, 8.145_66, 13.08], [4, 4, 5])
        };
        settings.mr.grid = GridSettings {
            tilt_turns: settings.mr.grid.tilt_turns,
            ..GridSettings::new([32, 32, 10], [4.375, 4.375, 12.0], [3, 3, 4])
        };
        settings
    }

    /// The grid of one scan.
    #[must_use]
    pub const fn grid(&self, scan: Scan) -> &GridSettings {
        match scan {
            Scan::Ct => &self.ct.grid,
            Scan::Pet => &self.pet.grid,
            Scan::Mr => &self.mr.grid,
        }
    }

    /// What made one scan.
    #[must_use]
    pub const fn scanner(&self, scan: Scan) -> &ScannerSettings {
        match scan {
            Scan::Ct => &self.ct.scanner,
            Scan::Pet => &self.pet.scanner,
            Scan::Mr => &self.mr.scanner,
        }
    }

    /// How far the patient moved before one scan.
    #[must_use]
    pub const fn offset(&self, scan: Scan) -> &Offset {
        match scan {
            Scan::Ct => &self.ct.offset,
            Scan::Pet => &self.pet.offset,
            Scan::Mr => &self.mr.offset,
        }
    }
}

impl Default for PatientSettings {
    fn default() -> Self {
        Self {
            name: "Phantom^Synthetic".into(),
            id: "PHANTOM-1".into(),
            issuer: String::new(),
            birth_date: date(1960, 1, 1),
            sex: "F".into(),
            weight_kg: 75.0,
            size_m: 1.7,
            character_set: "ISO_IR 192".into(),
        }
    }
}

impl Default for LesionSettings {
    fn default() -> Self {
        Self {
            name: "GTV".into(),
            centre_mm: [20.0, -14.0, 14.0],
            volume_mm3: 14_000.0,
            proportions: [1.0, 0.85, 1.15],
            bumpiness: 0.12,
            mean: Tissue { hu: 35.0, suv: 8.0, mr: 450.0 },
            texture: TextureSettings { sd: Tissue { hu: 15.0, suv: 1.2, mr: 45.0 }, length_mm: 4.0, shared: 0.6 },
        }
    }
}

impl Default for Drawing {
    /// On CT and PET, not on MR: there the CT's drawing is carried over.
    fn default() -> Self {
        Self { label: "GTV".into(), on: vec![Scan::Ct, Scan::Pet], minutes_later: 240, approval: "APPROVED".into() }
    }
}

impl ScannerSettings {
    /// A device of the synthetic manufacturer.
    #[must_use]
    pub fn new(model: &str, reconstruction: &str) -> Self {
        Self {
            manufacturer: "Synthetic Imaging".into(),
            model: model.to_owned(),
            reconstruction: reconstruction.to_owned(),
        }
    }
}

impl GridSettings {
    /// A straight grid about the middle of the body, without blur.
    #[must_use]
    pub const fn new(size: [usize; 3], spacing_mm: Vec3, supersampling: [usize; 3]) -> Self {
        Self { size, spacing_mm, centre_mm: [0.0; 3], tilt_turns: [0.0; 2], supersampling, blur_fwhm_mm: [0.0; 3] }
    }
}
