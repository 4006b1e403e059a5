//! Whatever is said to be an image: geometry, scaling, uptake and pixels. Nothing panics, whatever
//! of it fits together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radiomicsd::finding::Policies;
use radiomicsd::volume::SeriesVolume;

fuzz_target!(|input: &[u8]| {
    for role in ["CT", "PT"] {
        let _ = SeriesVolume::from_bytes(vec![input.to_vec()], role, &Policies::default());
    }
});
