//! Separable wavelets, undecimated (IBSI 2, 25BO; stationary transform by the algorithm "à trous").
//!
//! Level j filters the low-pass band of level j - 1 with kernels that have 2^(j - 1) - 1 zeros between their weights. A
//! pattern such as `LLH` names low- or high-pass along x, y and z. Kernels of even length have their centre at the weight
//! after the middle.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, Dimensions};
use super::convolve::Taps;
use super::rotate::{Chain, Pooling, response};
use super::wavelet_tables as tables;

/// One band of a stationary wavelet transform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wavelet {
    /// Which wavelet.
    pub family: WaveletFamily,
    /// Low- or high-pass along each axis: `LH` filters slices, `LLH` the volume.
    pub pattern: Pattern,
    /// Decomposition level (GCEK), from 1.
    #[serde(default = "one")]
    pub level: u8,
    /// Pool the responses of all right-angled orientations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Pooling>,
    /// Beyond the edges.
    #[serde(default)]
    pub boundary: Boundary,
}

const fn one() -> u8 {
    1
}

/// The deepest level: its kernels span some hundred voxels or more.
pub(super) const LEVEL_MAX: u8 = 6;

/// Orthogonal wavelets by their usual names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum WaveletFamily {
    #[serde(alias = "db1")]
    Haar,
    Db2,
    Db3,
    Db4,
    Db5,
    Db6,
    Db7,
    Db8,
    Db9,
    Db10,
    Coif1,
    Coif2,
    Coif3,
    Coif4,
    Coif5,
}

impl WaveletFamily {
    const ALL: [(Self, &'static str, &'static [f64]); 15] = [
        (Self::Haar, "haar", &tables::DB1),
        (Self::Db2, "db2", &tables::DB2),
        (Self::Db3, "db3", &tables::DB3),
        (Self::Db4, "db4", &tables::DB4),
        (Self::Db5, "db5", &tables::DB5),
        (Self::Db6, "db6", &tables::DB6),
        (Self::Db7, "db7", &tables::DB7),
        (Self::Db8, "db8", &tables::DB8),
        (Self::Db9, "db9", &tables::DB9),
        (Self::Db10, "db10", &tables::DB10),
        (Self::Coif1, "coif1", &tables::COIF1),
        (Self::Coif2, "coif2", &tables::COIF2),
        (Self::Coif3, "coif3", &tables::COIF3),
        (Self::Coif4, "coif4", &tables::COIF4),
        (Self::Coif5, "coif5", &tables::COIF5),
    ];

    /// Its usual name.
    pub(super) fn name(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, &'static [f64]) {
        let row = Self::ALL.iter().find(|(family, ..)| *family == self);
        row.map_or(("haar", &tables::DB1[..]), |(_, name, low)| (*name, *low))
    }

    pub(super) fn low_pass(self) -> Vec<f64> {
        self.row().1.to_vec()
    }

    /// The quadrature mirror filter of the low-pass.
    pub(super) fn high_pass(self) -> Vec<f64> {
        let low = self.low_pass().into_iter().rev().enumerate();
        low.map(|(k, weight)| if k % 2 == 0 { -weight } else { weight }).collect()
    }
}

/// A word of `L` and `H`, two or three letters long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Vec<Band>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Band {
    Low,
    High,
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let band = |letter: char| match letter {
            'L' => Some(Band::Low),
            'H' => Some(Band::High),
            _ => None,
        };
        let bands: Option<Vec<Band>> = text.chars().map(band).collect();
        let bands = bands.filter(|bands| (2..=3).contains(&bands.len())).map(Self);
        bands.ok_or_else(|| format!("pattern is \"{text}\", expected two or three letters L and H"))
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.iter().map(|band| if *band == Band::Low { 'L' } else { 'H' }).collect()
    }
}

impl Wavelet {
    /// The first level of one band; mirrored beyond the edges.
    ///
    /// # Errors
    /// When the pattern is no two or three letters L and H.
    pub fn new(family: WaveletFamily, pattern: &str) -> Result<Self, String> {
        let pattern = Pattern::try_from(pattern.to_owned())?;
        Ok(Self { family, pattern, level: 1, rotation: None, boundary: Boundary::default() })
    }

    fn dimensions(&self) -> Dimensions {
        if self.pattern.0.len() == 2 { Dimensions::Slices } else { Dimensions::Volume }
    }

    pub(super) fn label(&self) -> String {
        let (pattern, rotation) = (String::from(self.pattern.clone()), self.rotation.map_or("", Pooling::label));
        format!("wavelet-{}-{pattern}-{}{rotation}{}", self.family.name(), self.level, self.boundary.label())
    }

    pub(super) fn reach(&self) -> [usize; 3] {
        let reach = |chain: Chain| chain.iter().map(Taps::reach).sum();
        self.dimensions().reach([reach(self.chain(Band::High)); 3])
    }

    /// The kernels of all levels along one axis.
    fn chain(&self, last: Band) -> Chain {
        let taps = |level: u8| {
            let low = level < self.level || last == Band::Low;
            let kernel = if low { self.family.low_pass() } else { self.family.high_pass() };
            Taps::new(&kernel, 1 << (level - 1))
        };
        (1..=self.level.clamp(1, LEVEL_MAX)).map(taps).collect()
    }

    pub(super) fn apply(&self, image: &Array3<f32>) -> Array3<f32> {
        let chains: Vec<Chain> = self.pattern.0.iter().map(|band| self.chain(*band)).collect();
        response(image, &chains, self.rotation, self.boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn every_wavelet_is_orthogonal_and_blind_to_its_polynomials() {
        for (family, name, low) in WaveletFamily::ALL {
            assert_relative_eq!(low.iter().sum::<f64>(), 2f64.sqrt(), epsilon = 1e-9);
            let high = family.high_pass();
            for shift in (0..low.len()).step_by(2) {
                let product = |a: &[f64], b: &[f64]| a.iter().skip(shift).zip(b).map(|(a, b)| a * b).sum::<f64>();
                let expected = if shift == 0 { 1.0 } else { 0.0 };
                assert_relative_eq!(product(low, low), expected, epsilon = 1e-9);
                assert_relative_eq!(product(low, &high), 0.0, epsilon = 1e-9);
            }
            let moments = if name.starts_with("coif") { low.len() / 3 } else { low.len() / 2 };
            for power in 0..moments {
                // From the middle and in units of the length, so that powers stay small.
                let at = |k: usize| (k as f64 / low.len() as f64 - 0.5).powi(i32::try_from(power).unwrap());
                let moment: f64 = high.iter().enumerate().map(|(k, weight)| at(k) * weight).sum();
                assert_relative_eq!(moment, 0.0, epsilon = 1e-7);
            }
        }
    }

    #[test]
    fn names_and_patterns_are_read_as_they_are_written() {
        for (family, name, _) in WaveletFamily::ALL {
            assert_eq!(serde_json::to_string(&family).unwrap(), format!("\"{name}\""));
        }
        assert!(Pattern::try_from("LHM".to_owned()).is_err());
        assert!(Pattern::try_from("L".to_owned()).is_err());
        assert_eq!(Wavelet::new(WaveletFamily::Db3, "HH").unwrap().label(), "wavelet-db3-HH-1");
    }
}
