//! The colour of a lesion: the same in the segmentation and in the pictures.

/// A colour for a lesion: hues a golden angle apart at one lightness and chroma, as CIELab.
fn cie_lab(lesion: usize) -> [f64; 3] {
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let hue = (lesion as f64 * 137.507_764).to_radians();
    let (lightness, chroma) = (65.0, 60.0);
    [lightness, chroma * hue.cos(), chroma * hue.sin()]
}

/// In the 16-bit encoding of PS3.3 C.10.7.1.1 (L* 0 to 100 over 0 to 65535, a* and b* -128 to 127 over the same).
pub(super) fn cie_lab_of_lesion(lesion: usize) -> [u16; 3] {
    let [lightness, a, b] = cie_lab(lesion);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded and clamped to 16 bits")]
    let encode =
        |value: f64, low: f64, high: f64| ((value - low) / (high - low) * 65_535.0).round().clamp(0.0, 65_535.0) as u16;
    [encode(lightness, 0.0, 100.0), encode(a, -128.0, 127.0), encode(b, -128.0, 127.0)]
}

/// In sRGB (IEC 61966-2-1), from the D50 white of PS3.3 C.10.7.1.1; what sRGB cannot show is cut.
pub(super) fn srgb_of_lesion(lesion: usize) -> [u8; 3] {
    let [lightness, a, b] = cie_lab(lesion);
    let fy = (lightness + 16.0) / 116.0;
    let value = |f: f64| if f > 6.0 / 29.0 { f.powi(3) } else { 3.0 * (6.0f64 / 29.0).powi(2) * (f - 4.0 / 29.0) };
    let [x, y, z] = [0.964_22 * value(fy + a / 500.0), value(fy), 0.825_21 * value(fy - b / 200.0)];
    // From D50 to D65 by Bradford, then to the primaries of sRGB.
    let linear = [
        3.133_856_1 * x - 1.616_866_7 * y - 0.490_614_6 * z,
        -0.978_768_4 * x + 1.916_141_5 * y + 0.033_454_0 * z,
        0.071_945_3 * x - 0.228_991_4 * y + 1.405_242_7 * z,
    ];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 8 bits")]
    linear.map(|channel| {
        let channel = channel.clamp(0.0, 1.0);
        let encoded = if channel <= 0.003_130_8 { 12.92 * channel } else { 1.055 * channel.powf(1.0 / 2.4) - 0.055 };
        (255.0 * encoded).round().clamp(0.0, 255.0) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_lesions_have_colours_that_differ() {
        let distance = |a: [u16; 3], b: [u16; 3]| {
            a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(b)).powi(2)).sum::<f64>().sqrt() / 257.0
        };
        for lesion in 1..20 {
            assert!(distance(cie_lab_of_lesion(lesion), cie_lab_of_lesion(lesion + 1)) > 40.0);
        }
    }

    #[test]
    fn neighbouring_lesions_have_colours_that_a_person_tells_apart() {
        for lesion in 1..10 {
            let (a, b) = (srgb_of_lesion(lesion), srgb_of_lesion(lesion + 1));
            let far = a.iter().zip(b).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0);
            assert!(far > 60, "{lesion}: {a:?} {b:?}");
        }
        // Green: what lies opposite to red on the a* axis.
        let [red, green, _] = srgb_of_lesion(1);
        assert!(green > red, "{:?}", srgb_of_lesion(1));
    }
}
