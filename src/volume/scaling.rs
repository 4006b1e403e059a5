//! Which of the scales that an MR image offers its numbers are brought to.
//!
//! | scale | value |
//! |---|---|
//! | display | stored x Rescale Slope + Rescale Intercept; where neither is there, the stored value |
//! | Philips | (stored + Rescale Intercept / Rescale Slope) / Scale Slope (2005,100E): the signal before it was scaled for display (Chenevert et al., Transl Oncol 2014;7:65) |
//! | real world | stored x Real World Value Slope + Intercept (PS3.3 C.7.6.16.2.11) |

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::{Deserialize, Serialize};

use super::samples::{Rescale, Samples};
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::layers::Layers;
use crate::dicom::private;

/// The scale of an MR image's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MrScaling {
    /// What a viewer shows: the Modality LUT of the standard.
    #[default]
    Display,
    /// Philips' signal before it was scaled for display.
    Philips,
    /// The first Real World Value Mapping.
    RealWorld,
}

/// The creator of the block that holds Scale Slope.
const PHILIPS_CREATOR: &str = "Philips MR Imaging DD 001";
/// Scale Slope in that block.
const PHILIPS_SCALE_SLOPE: u8 = 0x0E;
/// Where it lies in almost every file.
const PHILIPS_SCALE_SLOPE_IN_FIRST_BLOCK: Tag = Tag(0x2005, 0x100E);

/// The rescaling of one frame under a scale; `None` where the image offers no such scale.
pub(super) fn rescale(
    layers: &Layers<'_>,
    samples: Samples,
    scaling: MrScaling,
) -> Result<Option<Rescale>, AttributeError> {
    let display = display(layers, samples)?;
    match scaling {
        MrScaling::Display => Ok(display),
        MrScaling::Philips => philips(layers, display),
        MrScaling::RealWorld => real_world(layers),
    }
}

/// Modality LUT (PS3.3 C.11.1) or Pixel Value Transformation (C.7.6.16.2.9).
fn display(layers: &Layers<'_>, samples: Samples) -> Result<Option<Rescale>, AttributeError> {
    if attributes::has_value(layers.root(), tags::MODALITY_LUT_SEQUENCE) {
        return Rescale::of(layers.root(), samples);
    }
    Rescale::of(layers.holder(tags::RESCALE_SLOPE), samples)
}

fn philips(layers: &Layers<'_>, display: Option<Rescale>) -> Result<Option<Rescale>, AttributeError> {
    let (slope, intercept) = match display {
        Some(Rescale::Linear { slope, intercept }) => (slope, intercept),
        Some(Rescale::Table { .. }) => return Ok(None),
        None => (1.0, 0.0),
    };
    let Some(scale) = philips_scale_slope(layers)? else { return Ok(None) };
    Ok(Some(Rescale::Linear { slope: 1.0 / scale, intercept: intercept / (slope * scale) }))
}

fn philips_scale_slope(layers: &Layers<'_>) -> Result<Option<f64>, AttributeError> {
    let is_philips = attributes::text(layers.root(), tags::MANUFACTURER).to_ascii_uppercase().contains("PHILIPS");
    // An enhanced object has it in a functional group of Philips' own.
    let object = layers.holder(PHILIPS_SCALE_SLOPE_IN_FIRST_BLOCK);
    let found = private::find(object, 0x2005, PHILIPS_CREATOR, PHILIPS_SCALE_SLOPE, is_philips);
    let Some(tag) = found else { return Ok(None) };
    Ok(number_of_private(object, tag)?.filter(|slope| slope.is_finite() && *slope != 0.0))
}

/// Scale Slope is FL; under implicit VR or VR UN its bytes say nothing of that.
fn number_of_private(object: &InMemDicomObject, tag: Tag) -> Result<Option<f64>, AttributeError> {
    use dicom_core::value::{PrimitiveValue, Value};
    if let Some(Value::Primitive(PrimitiveValue::U8(bytes))) = object.get(tag).map(|element| element.value()) {
        return Ok(bytes.first_chunk().filter(|_| bytes.len() == 4).map(|word| f64::from(f32::from_le_bytes(*word))));
    }
    attributes::number(object, tag)
}

fn real_world(layers: &Layers<'_>) -> Result<Option<Rescale>, AttributeError> {
    let mapping = layers.holder(tags::REAL_WORLD_VALUE_SLOPE);
    let from_root = || attributes::first_item(layers.root(), tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE);
    let mapping =
        if attributes::has_value(mapping, tags::REAL_WORLD_VALUE_SLOPE) { Some(mapping) } else { from_root() };
    let Some(mapping) = mapping else { return Ok(None) };
    let slope = attributes::number(mapping, tags::REAL_WORLD_VALUE_SLOPE)?;
    let intercept = attributes::number(mapping, tags::REAL_WORLD_VALUE_INTERCEPT)?;
    match (slope, intercept) {
        (Some(slope), Some(intercept)) if slope != 0.0 => Ok(Some(Rescale::Linear { slope, intercept })),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::IntegerSamples;
    use super::*;
    use dicom_core::{DataElement, VR, dicom_value, value::DataSetSequence};

    const SAMPLES: Samples =
        Samples::Integer(IntegerSamples { bits_allocated: 16, bits_stored: 12, high_bit: 11, signed: false });

    fn philips_image() -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::MANUFACTURER, VR::LO, "Philips Medical Systems");
        object.put_str(tags::RESCALE_SLOPE, VR::DS, "2.5");
        object.put_str(tags::RESCALE_INTERCEPT, VR::DS, "10");
        object.put_str(Tag(0x2005, 0x0010), VR::LO, PHILIPS_CREATOR);
        object.put(DataElement::new(Tag(0x2005, 0x100E), VR::FL, dicom_value!(F32, [0.5])));
        let mut mapping = InMemDicomObject::new_empty();
        mapping.put(DataElement::new(tags::REAL_WORLD_VALUE_SLOPE, VR::FD, dicom_value!(F64, [7.0])));
        mapping.put(DataElement::new(tags::REAL_WORLD_VALUE_INTERCEPT, VR::FD, dicom_value!(F64, [-3.0])));
        let items = DataSetSequence::from(vec![mapping]);
        object.put(DataElement::new(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE, VR::SQ, items));
        object
    }

    fn line(object: &InMemDicomObject, scaling: MrScaling) -> Option<(f64, f64)> {
        match rescale(&Layers::of(object), SAMPLES, scaling).unwrap() {
            Some(Rescale::Linear { slope, intercept }) => Some((slope, intercept)),
            _ => None,
        }
    }

    #[test]
    fn each_scale_has_its_own_line() {
        let object = philips_image();
        assert_eq!(line(&object, MrScaling::Display), Some((2.5, 10.0)));
        assert_eq!(line(&object, MrScaling::Philips), Some((2.0, 8.0)));
        assert_eq!(line(&object, MrScaling::RealWorld), Some((7.0, -3.0)));
    }

    #[test]
    fn a_scale_that_is_not_there_is_none() {
        let mut object = InMemDicomObject::new_empty();
        for scaling in [MrScaling::Display, MrScaling::Philips, MrScaling::RealWorld] {
            assert_eq!(line(&object, scaling), None);
        }
        object.put_str(tags::RESCALE_SLOPE, VR::DS, "1");
        object.put_str(tags::RESCALE_INTERCEPT, VR::DS, "0");
        assert_eq!(line(&object, MrScaling::Philips), None);
    }

    #[test]
    fn scale_slope_is_read_from_bytes_without_a_vr_and_without_its_creator() {
        let mut object = philips_image();
        object.remove_element(Tag(0x2005, 0x0010));
        let bytes = dicom_core::value::PrimitiveValue::U8(0.5_f32.to_le_bytes().as_slice().into());
        object.put(DataElement::new(Tag(0x2005, 0x100E), VR::UN, bytes));
        assert_eq!(line(&object, MrScaling::Philips), Some((2.0, 8.0)));
    }
}
