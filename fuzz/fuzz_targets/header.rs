//! Whatever is said to be a DICOM file: its header, its facts, and what it says of regions and rejections. Nothing panics, and
//! an identifier that gets through is one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radiomicsd::dicom::part10::{Keep, Part10};
use radiomicsd::dicom::uid::Uid;
use radiomicsd::dicom::{facts, rejection};
use radiomicsd::volume::{Segmentation, StructureSet};

fuzz_target!(|input: &[u8]| {
    if let Ok(read) = facts::from_bytes(input, &["SeriesDescription".to_owned()]) {
        for uid in [&read.sop_class, &read.sop_instance, &read.series, &read.study] {
            assert_eq!(Uid::parse(uid.as_str()).as_ref(), Ok(uid));
        }
    }
    let Ok(file) = Part10::from_bytes(input.to_vec(), Keep::All) else { return };
    let _ = StructureSet::from_object(&file.object);
    let _ = Segmentation::from_part10(&file);
    let _ = rejection::read(&file.object);
});
