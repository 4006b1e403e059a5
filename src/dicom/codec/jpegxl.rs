//! JPEG XL (ISO/IEC 18181), decoded by the jxl-oxide library.

use jxl_oxide::{JxlImage, JxlThreadPool};

use super::{CodecError, FrameFormat, contained};

const CODEC: &str = "JPEG XL";

pub(super) fn decode(stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
    contained(CODEC, || {
        let damaged = |what: &str| CodecError::Damaged { codec: CODEC, what: what.to_owned() };
        // Slices are decoded side by side already.
        let reader = JxlImage::builder().pool(JxlThreadPool::none());
        let image = reader.read(stream).map_err(|_| damaged("it cannot be read"))?;
        format.expect_size(CODEC, image.width() as usize, image.height() as usize)?;
        let bits = image.image_header().metadata.bit_depth.bits_per_sample();
        format.expect_bits(CODEC, bits as usize)?;
        if bits > 16 {
            return Err(CodecError::Unsupported(format!("JPEG XL with {bits} bits")));
        }
        let frame = image.render_frame(0).map_err(|_| damaged("it cannot be decoded"))?;
        let mut samples = frame.stream();
        if samples.channels() != 1 {
            let found = format!("{} channels", samples.channels());
            return Err(CodecError::Mismatch { codec: CODEC, found, expected: "one sample per pixel".to_owned() });
        }
        // The library's samples are 0 to 1: single precision holds 16 bits exactly.
        let most = ((1u32 << bits) - 1) as f32;
        let mut row = vec![0.0f32; format.columns];
        words.reserve(format.bytes());
        for _ in 0..format.rows {
            samples.write_to_buffer(&mut row);
            for sample in &row {
                #[allow(clippy::cast_possible_truncation)] // within 0 ..= 65535
                format.push(words, (sample * most).round().clamp(0.0, most) as i32);
            }
        }
        Ok(())
    })
}
