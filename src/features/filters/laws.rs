//! Laws' kernels and texture energy (IBSI 2, JTXT).

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, Dimensions};
use super::convolve::{Taps, box_mean};
use super::rotate::{Pooling, response};

/// The response to a product of Laws' kernels, or its texture energy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Laws {
    /// One kernel for each axis (JVAD): `L5E5` filters slices, `L5E5E5` the volume.
    pub kernels: Kernels,
    /// Pool the responses of all right-angled orientations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Pooling>,
    /// Mean magnitude over the voxels up to so many steps away (I176) instead of the response itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_distance: Option<usize>,
    /// Beyond the edges.
    #[serde(default)]
    pub boundary: Boundary,
}

/// Two or three of Laws' kernels, as a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kernels(Vec<Kernel>);

/// One of Laws' kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    L5,
    E5,
    S5,
    W5,
    R5,
    L3,
    E3,
    S3,
}

impl Kernel {
    const ALL: [(Self, &'static str); 8] = [
        (Self::L5, "L5"),
        (Self::E5, "E5"),
        (Self::S5, "S5"),
        (Self::W5, "W5"),
        (Self::R5, "R5"),
        (Self::L3, "L3"),
        (Self::E3, "E3"),
        (Self::S3, "S3"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kernel, _)| *kernel == self).map_or("", |(_, name)| name)
    }

    /// The weights: level, edge, spot, wave and ripple, of unit energy.
    fn taps(self) -> Taps {
        let weights: &[f64] = match self {
            Self::L5 => &[1.0, 4.0, 6.0, 4.0, 1.0],
            Self::E5 => &[-1.0, -2.0, 0.0, 2.0, 1.0],
            Self::S5 => &[-1.0, 0.0, 2.0, 0.0, -1.0],
            Self::W5 => &[-1.0, 2.0, 0.0, -2.0, 1.0],
            Self::R5 => &[1.0, -4.0, 6.0, -4.0, 1.0],
            Self::L3 => &[1.0, 2.0, 1.0],
            Self::E3 => &[-1.0, 0.0, 1.0],
            Self::S3 => &[-1.0, 2.0, -1.0],
        };
        let norm = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
        Taps::new(&weights.iter().map(|weight| weight / norm).collect::<Vec<_>>(), 1)
    }
}

impl TryFrom<String> for Kernels {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("kernels is \"{text}\", expected two or three of L5 E5 S5 W5 R5 L3 E3 S3 in one word");
        let named =
            |pair: &[u8]| Kernel::ALL.iter().find(|(_, name)| name.as_bytes() == pair).map(|(kernel, _)| *kernel);
        let kernels: Option<Vec<Kernel>> = text.as_bytes().chunks(2).map(named).collect();
        kernels.filter(|kernels| (2..=3).contains(&kernels.len())).map(Self).ok_or_else(wrong)
    }
}

impl From<Kernels> for String {
    fn from(kernels: Kernels) -> Self {
        kernels.0.into_iter().map(Kernel::name).collect()
    }
}

impl Laws {
    /// The filter of these kernels; mirrored beyond the edges.
    ///
    /// # Errors
    /// When the word is no two or three kernels.
    pub fn new(kernels: &str) -> Result<Self, String> {
        let kernels = Kernels::try_from(kernels.to_owned())?;
        Ok(Self { kernels, rotation: None, energy_distance: None, boundary: Boundary::default() })
    }

    fn dimensions(&self) -> Dimensions {
        if self.kernels.0.len() == 2 { Dimensions::Slices } else { Dimensions::Volume }
    }

    pub(super) fn label(&self) -> String {
        let rotation = self.rotation.map_or("", Pooling::label);
        let energy = self.energy_distance.map_or_else(String::new, |distance| format!("-energy{distance}"));
        format!("laws-{}{rotation}{energy}{}", String::from(self.kernels.clone()), self.boundary.label())
    }

    pub(super) fn reach(&self) -> [usize; 3] {
        self.dimensions().reach([2 + self.energy_distance.unwrap_or(0); 3])
    }

    pub(super) fn apply(&self, image: &Array3<f32>) -> Array3<f32> {
        let chains: Vec<Vec<Taps>> = self.kernels.0.iter().map(|kernel| vec![kernel.taps()]).collect();
        let response = response(image, &chains, self.rotation, self.boundary);
        match self.energy_distance {
            None => response,
            Some(distance) => {
                box_mean(&response.mapv_into(f32::abs), distance, self.dimensions().count(), self.boundary)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_read_from_one_word() {
        let kernels = Kernels::try_from("L5S3R5".to_owned()).unwrap();
        assert_eq!(kernels.0, [Kernel::L5, Kernel::S3, Kernel::R5]);
        assert_eq!(String::from(kernels), "L5S3R5");
        for wrong in ["", "L5", "L5X5", "L5E5S5W5", "L5é", "L5E"] {
            assert!(Kernels::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
