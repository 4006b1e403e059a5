//! How pixels are stored, and what they mean as numbers (PS3.3 C.7.6.3, C.11.1; PS3.5 chapter 8).

#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // f64 to f32 is the purpose.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::attributes::{self, AttributeError};

/// How one pixel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Samples {
    /// Whole numbers.
    Integer(IntegerSamples),
    /// Float Pixel Data (7FE0,0008).
    Float32,
    /// Double Float Pixel Data (7FE0,0009).
    Float64,
}

/// Whole numbers of `bits_stored` bits in words of `bits_allocated`, the highest at `high_bit`. Bits above it may hold
/// overlays (retired), and hold nothing of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IntegerSamples {
    pub bits_allocated: u32,
    pub bits_stored: u32,
    pub high_bit: u32,
    pub signed: bool,
}

/// From stored values to the quantity (Modality LUT, PS3.3 C.11.1).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rescale {
    /// stored x slope + intercept
    Linear { slope: f64, intercept: f64 },
    /// A table: its first stored value, and the outputs. Values outside take the nearest end.
    Table { first: i64, outputs: Vec<f64> },
}

/// Pixel Padding Value (0028,0120) to Pixel Padding Range Limit (0028,0121), as stored values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Padding {
    pub low: i64,
    pub high: i64,
}

impl Samples {
    /// How the pixels of an image are stored, by the attribute that holds them.
    pub fn of(object: &InMemDicomObject, pixels: Tag) -> Result<Self, AttributeError> {
        if pixels == tags::FLOAT_PIXEL_DATA {
            return Ok(Self::Float32);
        }
        if pixels == tags::DOUBLE_FLOAT_PIXEL_DATA {
            return Ok(Self::Float64);
        }
        let count = |tag| attributes::count(object, tag)?.ok_or(AttributeError::Missing { tag, expected: "a number" });
        let refused = |tag, found: u32, expected| AttributeError::Range { tag, found: f64::from(found), expected };
        let bits_allocated = count(tags::BITS_ALLOCATED)?;
        if !matches!(bits_allocated, 8 | 16 | 32) {
            return Err(refused(tags::BITS_ALLOCATED, bits_allocated, "8, 16 or 32"));
        }
        let bits_stored = attributes::count(object, tags::BITS_STORED)?.unwrap_or(bits_allocated);
        if bits_stored == 0 || bits_stored > bits_allocated {
            return Err(refused(tags::BITS_STORED, bits_stored, "1 to BitsAllocated (0028,0100)"));
        }
        let high_bit = attributes::count(object, tags::HIGH_BIT)?.unwrap_or(bits_stored - 1);
        if high_bit >= bits_allocated || high_bit + 1 < bits_stored {
            return Err(refused(tags::HIGH_BIT, high_bit, "BitsStored - 1 to BitsAllocated - 1"));
        }
        let representation = count(tags::PIXEL_REPRESENTATION)?;
        if representation > 1 {
            return Err(refused(tags::PIXEL_REPRESENTATION, representation, "0 or 1"));
        }
        Ok(Self::Integer(IntegerSamples { bits_allocated, bits_stored, high_bit, signed: representation == 1 }))
    }

    /// Bytes of one pixel.
    pub fn bytes(self) -> usize {
        match self {
            Self::Integer(IntegerSamples { bits_allocated: 8, .. }) => 1,
            Self::Integer(IntegerSamples { bits_allocated: 16, .. }) => 2,
            Self::Integer(_) | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }
}

impl IntegerSamples {
    /// The stored value in a word.
    fn value(self, word: u32) -> i64 {
        let shifted = word >> (self.high_bit + 1 - self.bits_stored);
        let unused = 32 - self.bits_stored;
        if self.signed {
            i64::from((shifted << unused).cast_signed() >> unused)
        } else {
            i64::from((shifted << unused) >> unused)
        }
    }

    /// A word as a number with all its bits.
    fn whole_word(self, word: u32) -> i64 {
        Self { bits_stored: self.bits_allocated, high_bit: self.bits_allocated - 1, ..self }.value(word)
    }
}

impl Padding {
    /// What Pixel Padding Value and its range limit say. They come as US or SS, often the wrong one of the two.
    pub fn of(object: &InMemDicomObject, samples: Samples) -> Result<Option<Self>, AttributeError> {
        let Samples::Integer(integer) = samples else { return Ok(None) };
        let stored = |tag| -> Result<Option<i64>, AttributeError> {
            let Some(value) = attributes::number(object, tag)? else { return Ok(None) };
            let value = value as i64;
            let range = 1_i64 << integer.bits_allocated;
            Ok(Some(match integer.signed {
                true if value >= range / 2 => value - range,
                false if value < 0 => value + range,
                _ => value,
            }))
        };
        let Some(value) = stored(tags::PIXEL_PADDING_VALUE)? else { return Ok(None) };
        let limit = stored(tags::PIXEL_PADDING_RANGE_LIMIT)?.unwrap_or(value);
        Ok(Some(Self { low: value.min(limit), high: value.max(limit) }))
    }

    fn holds(self, value: i64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl Rescale {
    /// What an image says of its values: `None` when it says nothing.
    pub fn of(object: &InMemDicomObject, samples: Samples) -> Result<Option<Self>, AttributeError> {
        if let Some(table) = attributes::first_item(object, tags::MODALITY_LUT_SEQUENCE) {
            return Self::table(table, samples).map(Some);
        }
        let slope = attributes::number(object, tags::RESCALE_SLOPE)?;
        let intercept = attributes::number(object, tags::RESCALE_INTERCEPT)?;
        match (slope, intercept) {
            (Some(0.0), _) => {
                Err(AttributeError::Range { tag: tags::RESCALE_SLOPE, found: 0.0, expected: "another number than 0" })
            }
            (Some(slope), Some(intercept)) => Ok(Some(Self::Linear { slope, intercept })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(AttributeError::Missing { tag: tags::RESCALE_SLOPE, expected: "a number" }),
            (Some(_), None) => Err(AttributeError::Missing { tag: tags::RESCALE_INTERCEPT, expected: "a number" }),
        }
    }

    /// PS3.3 C.11.1.1: number of entries (0 means 65536), first stored value mapped, bits per entry.
    fn table(item: &InMemDicomObject, samples: Samples) -> Result<Self, AttributeError> {
        let tag = tags::LUT_DESCRIPTOR;
        let descriptor =
            attributes::array::<3>(item, tag)?.ok_or(AttributeError::Missing { tag, expected: "3 values" })?;
        let n_entries = if descriptor[0] <= 0.0 { 65536 + descriptor[0] as i64 } else { descriptor[0] as i64 };
        let first = match samples {
            Samples::Integer(IntegerSamples { signed: true, .. }) if descriptor[1] >= 32768.0 => {
                descriptor[1] as i64 - 65536
            }
            Samples::Integer(IntegerSamples { signed: false, .. }) if descriptor[1] < 0.0 => {
                descriptor[1] as i64 + 65536
            }
            _ => descriptor[1] as i64,
        };
        let tag = tags::LUT_DATA;
        let mut outputs = attributes::numbers(item, tag)?;
        // Entries of at most 8 bits may come two in a word (PS3.3 C.11.1.1.1).
        if outputs.len() as i64 * 2 == n_entries + n_entries % 2 && descriptor[2] <= 8.0 {
            outputs = outputs.iter().flat_map(|word| [word % 256.0, (word / 256.0).floor()]).collect();
        }
        if (outputs.len() as i64) < n_entries || n_entries < 1 {
            return Err(AttributeError::Count { tag, found: outputs.len(), expected: "as many as LUTDescriptor says" });
        }
        outputs.truncate(usize::try_from(n_entries).unwrap_or(0));
        Ok(Self::Table { first, outputs })
    }

    fn apply(&self, stored: i64) -> f64 {
        match self {
            Self::Linear { slope, intercept } => stored as f64 * slope + intercept,
            Self::Table { first, outputs } => {
                let last = outputs.len().saturating_sub(1) as i64;
                let index = (stored - first).clamp(0, last);
                usize::try_from(index).ok().and_then(|index| outputs.get(index)).copied().unwrap_or(f64::NAN)
            }
        }
    }
}

/// Turns the bytes of one frame into quantities: rescaled in `f64`, times `factor`, stored as `f32`. Padding becomes NaN.
///
/// Returns how many pixels are padding. `bytes` holds exactly `out.len()` pixels.
pub(super) fn to_quantity(
    bytes: &[u8],
    big_endian: bool,
    samples: Samples,
    padding: Option<Padding>,
    rescale: &Rescale,
    factor: f64,
    out: &mut [f32],
) -> usize {
    let linear = match rescale {
        Rescale::Linear { slope, intercept } if padding.is_none() => Some((*slope, *intercept)),
        _ => None,
    };
    match (samples, linear) {
        // The common case: whole words, a straight line.
        (Samples::Integer(IntegerSamples { bits_allocated: 16, bits_stored: 16, signed, .. }), Some(line)) => {
            match (signed, big_endian) {
                (true, false) => fill(bytes, out, |b| along(line, factor, f64::from(i16::from_le_bytes(b)))),
                (true, true) => fill(bytes, out, |b| along(line, factor, f64::from(i16::from_be_bytes(b)))),
                (false, false) => fill(bytes, out, |b| along(line, factor, f64::from(u16::from_le_bytes(b)))),
                (false, true) => fill(bytes, out, |b| along(line, factor, f64::from(u16::from_be_bytes(b)))),
            }
            0
        }
        (Samples::Integer(integer), _) => {
            let mut n_padding = 0;
            let mut quantity = |word: u32| {
                let is_padding = padding.is_some_and(|padding| {
                    padding.holds(integer.whole_word(word)) || padding.holds(integer.value(word))
                });
                if is_padding {
                    n_padding += 1;
                    return f32::NAN;
                }
                (rescale.apply(integer.value(word)) * factor) as f32
            };
            match (integer.bits_allocated, big_endian) {
                (8, _) => fill(bytes, out, |[byte]| quantity(u32::from(byte))),
                (16, false) => fill(bytes, out, |b| quantity(u32::from(u16::from_le_bytes(b)))),
                (16, true) => fill(bytes, out, |b| quantity(u32::from(u16::from_be_bytes(b)))),
                (_, false) => fill(bytes, out, |b| quantity(u32::from_le_bytes(b))),
                (_, true) => fill(bytes, out, |b| quantity(u32::from_be_bytes(b))),
            }
            n_padding
        }
        (Samples::Float32, _) => {
            let line = float_line(rescale);
            fill(bytes, out, |b| {
                along(line, factor, f64::from(if big_endian { f32::from_be_bytes(b) } else { f32::from_le_bytes(b) }))
            });
            0
        }
        (Samples::Float64, _) => {
            let line = float_line(rescale);
            fill(bytes, out, |b| {
                along(line, factor, if big_endian { f64::from_be_bytes(b) } else { f64::from_le_bytes(b) })
            });
            0
        }
    }
}

/// The quantity that the padding value of a frame would be if it were a measurement.
pub(super) fn padding_quantity(padding: Option<Padding>, rescale: Option<&Rescale>, factor: f64) -> f32 {
    let stored = padding.map_or(0, |padding| padding.low);
    (rescale.map_or(stored as f64, |rescale| rescale.apply(stored)) * factor) as f32
}

/// A table has no entries for floats.
fn float_line(rescale: &Rescale) -> (f64, f64) {
    match rescale {
        Rescale::Linear { slope, intercept } => (*slope, *intercept),
        Rescale::Table { .. } => (f64::NAN, f64::NAN),
    }
}

#[inline]
fn along((slope, intercept): (f64, f64), factor: f64, stored: f64) -> f32 {
    ((stored * slope + intercept) * factor) as f32
}

#[inline]
fn fill<const N: usize>(bytes: &[u8], out: &mut [f32], mut quantity: impl FnMut([u8; N]) -> f32) {
    let (words, _) = bytes.as_chunks::<N>();
    for (value, word) in out.iter_mut().zip(words) {
        *value = quantity(*word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, VR, dicom_value, value::DataSetSequence};

    const IDENTITY: Rescale = Rescale::Linear { slope: 1.0, intercept: 0.0 };

    fn integer(bits_allocated: u32, bits_stored: u32, high_bit: u32, signed: bool) -> Samples {
        Samples::Integer(IntegerSamples { bits_allocated, bits_stored, high_bit, signed })
    }

    fn quantities(bytes: &[u8], samples: Samples, rescale: &Rescale) -> Vec<f32> {
        let mut out = vec![0.0; bytes.len() / samples.bytes()];
        to_quantity(bytes, false, samples, None, rescale, 1.0, &mut out);
        out
    }

    #[test]
    fn twelve_bits_in_sixteen_ignore_the_overlay_bits_above_and_keep_their_sign() {
        // 0x?7FF with an overlay bit, 0x0800: 2047 and 2048 unsigned, 2047 and -2048 signed.
        let bytes = [0xFF, 0x17, 0x00, 0x08];
        assert_eq!(quantities(&bytes, integer(16, 12, 11, false), &IDENTITY), [2047.0, 2048.0]);
        assert_eq!(quantities(&bytes, integer(16, 12, 11, true), &IDENTITY), [2047.0, -2048.0]);
        // The same value in the upper twelve bits, rubbish in the lower four.
        assert_eq!(quantities(&[0xFA, 0x7F], integer(16, 12, 15, true), &IDENTITY), [2047.0]);
    }

    #[test]
    fn every_word_length_and_byte_order_gives_the_stored_number() {
        assert_eq!(quantities(&[200, 3], integer(8, 8, 7, false), &IDENTITY), [200.0, 3.0]);
        assert_eq!(quantities(&[200], integer(8, 8, 7, true), &IDENTITY), [-56.0]);
        assert_eq!(quantities(&(-70_000_i32).to_le_bytes(), integer(32, 32, 31, true), &IDENTITY), [-70_000.0]);
        assert_eq!(quantities(&2.5_f32.to_le_bytes(), Samples::Float32, &IDENTITY), [2.5]);
        assert_eq!(quantities(&(-2.5_f64).to_le_bytes(), Samples::Float64, &IDENTITY), [-2.5]);
        let mut out = [0.0; 2];
        for (samples, bytes, expected) in [
            (integer(16, 16, 15, true), vec![0xFF, 0xFE, 0x00, 0x05], [-2.0_f32, 5.0]),
            (integer(16, 16, 15, false), vec![0xFF, 0xFE, 0x00, 0x05], [65534.0, 5.0]),
            (integer(16, 12, 11, true), vec![0x0F, 0xFE, 0x00, 0x05], [-2.0, 5.0]),
        ] {
            to_quantity(&bytes, true, samples, None, &IDENTITY, 1.0, &mut out);
            assert_eq!(out.map(f32::to_bits), expected.map(f32::to_bits));
        }
    }

    #[test]
    fn rescaling_happens_in_double_precision() {
        let rescale = Rescale::Linear { slope: 0.000_073_510_886_62, intercept: 0.0 };
        let expected = (32767.0_f64 * 0.000_073_510_886_62) as f32;
        assert_eq!(quantities(&32767_i16.to_le_bytes(), integer(16, 16, 15, true), &rescale), [expected]);
    }

    #[test]
    fn padding_is_missing_whether_its_vr_is_right_or_wrong() {
        let bytes: Vec<u8> = [-2000_i16, -1990, 0, 7].iter().flat_map(|v| v.to_le_bytes()).collect();
        let samples = integer(16, 16, 15, true);
        for value in [dicom_value!(I16, [-2000]), dicom_value!(U16, [63536])] {
            let mut object =
                InMemDicomObject::from_element_iter([DataElement::new(tags::PIXEL_PADDING_VALUE, VR::US, value)]);
            let mut out = [0.0; 4];
            let padding = Padding::of(&object, samples).unwrap();
            assert_eq!(to_quantity(&bytes, false, samples, padding, &IDENTITY, 1.0, &mut out), 1);
            assert!(out[0].is_nan());
            assert_eq!(out[1..], [-1990.0, 0.0, 7.0]);
            object.put(DataElement::new(tags::PIXEL_PADDING_RANGE_LIMIT, VR::SS, dicom_value!(I16, [-1985])));
            let padding = Padding::of(&object, samples).unwrap();
            assert_eq!(to_quantity(&bytes, false, samples, padding, &IDENTITY, 1.0, &mut out), 2);
        }
        // A padding value above the stored bits must not be masked into a tissue value.
        let padding = Some(Padding { low: 63536, high: 63536 });
        let mut out = [0.0];
        to_quantity(&63536_u16.to_le_bytes(), false, integer(16, 12, 11, false), padding, &IDENTITY, 1.0, &mut out);
        assert!(out[0].is_nan());
    }

    #[test]
    fn a_modality_table_maps_and_ends_at_its_ends() {
        let item = InMemDicomObject::from_element_iter([
            DataElement::new(tags::LUT_DESCRIPTOR, VR::US, dicom_value!(U16, [3, 10, 16])),
            DataElement::new(tags::LUT_DATA, VR::US, dicom_value!(U16, [100, 200, 400])),
        ]);
        let object = InMemDicomObject::from_element_iter([DataElement::new(
            tags::MODALITY_LUT_SEQUENCE,
            VR::SQ,
            DataSetSequence::from(vec![item]),
        )]);
        let samples = integer(8, 8, 7, false);
        let rescale = Rescale::of(&object, samples).unwrap().unwrap();
        assert_eq!(quantities(&[0, 10, 11, 12, 255], samples, &rescale), [100.0, 100.0, 200.0, 400.0, 400.0]);
    }

    #[test]
    fn half_a_rescale_and_a_slope_of_zero_are_refused() {
        let samples = integer(16, 16, 15, true);
        let mut object = InMemDicomObject::new_empty();
        assert_eq!(Rescale::of(&object, samples), Ok(None));
        object.put_str(tags::RESCALE_SLOPE, VR::DS, "2");
        assert!(Rescale::of(&object, samples).is_err());
        object.put_str(tags::RESCALE_INTERCEPT, VR::DS, "-1024");
        assert_eq!(Rescale::of(&object, samples), Ok(Some(Rescale::Linear { slope: 2.0, intercept: -1024.0 })));
        object.put_str(tags::RESCALE_SLOPE, VR::DS, "0");
        assert!(Rescale::of(&object, samples).is_err());
    }

    #[test]
    fn impossible_sample_formats_are_refused() {
        for (allocated, stored, high, representation) in
            [(12, 12, 11, 0), (16, 17, 15, 0), (16, 12, 16, 0), (16, 12, 3, 0), (16, 16, 15, 2), (16, 0, 0, 0)]
        {
            let object = InMemDicomObject::from_element_iter([
                DataElement::new(tags::BITS_ALLOCATED, VR::US, dicom_value!(U16, [allocated])),
                DataElement::new(tags::BITS_STORED, VR::US, dicom_value!(U16, [stored])),
                DataElement::new(tags::HIGH_BIT, VR::US, dicom_value!(U16, [high])),
                DataElement::new(tags::PIXEL_REPRESENTATION, VR::US, dicom_value!(U16, [representation])),
            ]);
            assert!(Samples::of(&object, tags::PIXEL_DATA).is_err(), "{allocated} {stored} {high}");
        }
    }
}
