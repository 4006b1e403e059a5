//! The summary of a result as an Encapsulated PDF (PS3.3 A.45.1).

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::header::{self, Own};
use super::pdf::{PLAIN, Writer};
use super::{CaseResult, DocumentReference, ImageSeries, ReportError, identity, picture, summary};
use crate::dicom::codes::{code_item, concepts as c};
use crate::dicom::uid::Uid;
use crate::dicom::write::{put_bytes, put_empty, put_items, put_text, put_u32s, reference_item};

/// One document, not yet encoded.
pub(super) struct Encapsulated {
    pub(super) object: InMemDicomObject,
    pub(super) series: Uid,
    pub(super) sop_instance: Uid,
}

/// Document Title (0042,0010), and that of the PDF.
const TITLE: &str = "Radiomics summary";
/// Its name among the documents of a case.
pub(super) const NAME: &str = "pdf";

/// The summary, with the documents that it sums up.
///
/// # Errors
/// When the PDF cannot be written.
pub(super) fn encapsulated(
    case: &CaseResult,
    reference: &ImageSeries,
    sources: &[DocumentReference],
) -> Result<Encapsulated, ReportError> {
    let pdf = pdf(case).map_err(|error| ReportError::Pdf(error.to_string()))?;
    let sop_instance = identity::instance(case, NAME);
    let series = identity::series(case, NAME);
    let mut object = InMemDicomObject::new_empty();
    let own = Own {
        sop_class: uids::ENCAPSULATED_PDF_STORAGE,
        sop_instance: &sop_instance,
        series: &series,
        modality: "DOC",
        series_number: 9350,
        series_description: "Radiomics summary (research use)".to_owned(),
    };
    header::put_own(&mut object, case, &own);
    header::put_patient_and_study(&mut object, reference);
    // PS3.3 C.8.6.1, C.24.2.
    put_text(&mut object, tags::CONVERSION_TYPE, "WSD");
    put_empty(&mut object, tags::ACQUISITION_DATE_TIME);
    // Neither name nor identifier nor date of the patient is on the pages.
    put_text(&mut object, tags::BURNED_IN_ANNOTATION, "NO");
    let sources: Vec<_> = sources.iter().map(|of| reference_item(&of.sop_class, &of.sop_instance)).collect();
    if !sources.is_empty() {
        put_items(&mut object, tags::SOURCE_INSTANCE_SEQUENCE, sources);
    }
    put_text(&mut object, tags::DOCUMENT_TITLE, TITLE);
    put_items(&mut object, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code_item(&c::IMAGING_MEASUREMENT_REPORT)]);
    put_text(&mut object, tags::VERIFICATION_FLAG, "UNVERIFIED");
    put_text(&mut object, tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf");
    put_pdf(&mut object, pdf)?;
    Ok(Encapsulated { object, series, sop_instance })
}

/// PS3.3 C.24.2.1: the length without the byte that makes it even.
fn put_pdf(object: &mut InMemDicomObject, mut pdf: Vec<u8>) -> Result<(), ReportError> {
    let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    let length = u32::try_from(pdf.len());
    let length = length.map_err(|_| ReportError::TooMany { what: "bytes of the PDF", found: pdf.len(), most })?;
    put_u32s(object, tags::ENCAPSULATED_DOCUMENT_LENGTH, [length]);
    if pdf.len() % 2 == 1 {
        pdf.push(0);
    }
    put_bytes(object, tags::ENCAPSULATED_DOCUMENT, VR::OB, pdf);
    Ok(())
}

/// The pages: what was done; the largest lesion; the numbers of each lesion with what models said of it; warnings; the
/// cards of the models.
pub(super) fn pdf(case: &CaseResult) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new(TITLE);
    writer.sentences("What was done", &summary::done(case));
    let largest = picture::pictured(case).max_by_key(|lesion| {
        let of_lesion = case.groups.iter().filter(|group| group.lesion == lesion.number);
        // The first of equals: the later number counts less.
        (of_lesion.map(|group| group.mask.count()).max().unwrap_or(0), std::cmp::Reverse(lesion.number))
    });
    if let Some(picture) = largest.and_then(|lesion| picture::lesion(case, lesion)) {
        // Smaller than on its own page: what was done stands above it.
        let height = writer.left().max(420.0) - 12.0;
        writer.picture(picture.pixels, height);
    }
    for lesion in picture::pictured(case) {
        let table = summary::table(case, lesion);
        writer.table(&summary::title(lesion), &table.columns, &table.rows);
        for sentence in summary::predictions(case, lesion.number) {
            writer.sentence(&sentence, PLAIN);
        }
    }
    writer.sentences("Warnings", &summary::warnings(case));
    writer.sentences("Models, from their cards", &summary::cards(case));
    writer.finish(TITLE)
}
