//! `radiomicsd register`: two images of one patient, the map between them, and how far it can be trusted.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::process::created_at;
use super::{CliError, progress, say, say_json};
use crate::finding::Policies;
use crate::image::{Interpolation, Modality, resample};
use crate::pipeline::{ImageFile, PairJob, PairResult, register_files};
use crate::register::{Estimation, SameFrame, Settings, Similarity, TransformKind};
use crate::report;
use crate::table::ResolutionTable;
use crate::volume::nifti;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The reference: a NIfTI file, a DICOM file, or a folder with the DICOM files of one series
    #[arg(long, value_name = "PATH")]
    fixed: PathBuf,
    /// The image that is brought to it
    #[arg(long, value_name = "PATH")]
    moving: PathBuf,
    /// Where registration.json goes, and registration.dcm where both images are DICOM
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The kind of map
    #[arg(long, value_enum, default_value_t = Kind::Rigid)]
    transform: Kind,
    /// What images that share a Frame of Reference are taken for
    #[arg(long, value_enum, default_value_t = Frame::Verify)]
    same_frame: Frame,
    /// What the first estimator maximises
    #[arg(long, value_enum, default_value_t = Measure::Nmi)]
    measure: Measure,
    /// The site's table of resolutions, as in `[psf] table`
    #[arg(long, value_name = "CSV")]
    psf: Option<PathBuf>,
    /// What made the fixed image, where its file does not say: CT, PT, MR
    #[arg(long, value_name = "CODE")]
    fixed_modality: Option<String>,
    /// What made the moving image, where its file does not say
    #[arg(long, value_name = "CODE")]
    moving_modality: Option<String>,
    /// Draws of the bootstrap behind the covariance; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = Estimation::default().bootstrap_draws)]
    bootstrap: usize,
    /// Write a checkerboard and an overlay, before and after, in three planes (PNG)
    #[arg(long)]
    picture: bool,
    /// Write the moving image on the fixed grid (NIfTI, one cubic interpolation)
    #[arg(long)]
    resampled: bool,
    /// Print registration.json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Rigid,
    Affine,
    Bspline,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Frame {
    Verify,
    Trust,
    Refine,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Measure {
    /// Normalised mutual information
    Nmi,
    /// Mutual information, not normalised
    Mattes,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let settings = Settings {
        transform: match arguments.transform {
            Kind::Rigid => TransformKind::Rigid,
            Kind::Affine => TransformKind::Affine,
            Kind::Bspline => TransformKind::Bspline,
        },
        same_frame: match arguments.same_frame {
            Frame::Verify => SameFrame::Verify,
            Frame::Trust => SameFrame::Trust,
            Frame::Refine => SameFrame::Refine,
        },
        estimation: Estimation {
            measure: match arguments.measure {
                Measure::Nmi => Similarity::Nmi,
                Measure::Mattes => Similarity::Mattes,
            },
            bootstrap_draws: arguments.bootstrap,
            ..Estimation::default()
        },
    };
    let modality = |code: &Option<String>| code.as_deref().map(Modality::from_code);
    let resolutions =
        ResolutionTable::read(arguments.psf.as_deref()).map_err(|error| CliError::failed("--psf", error))?;
    let job = PairJob {
        fixed: &arguments.fixed,
        moving: &arguments.moving,
        fixed_modality: modality(&arguments.fixed_modality),
        moving_modality: modality(&arguments.moving_modality),
        resolutions: &resolutions,
        settings: &settings,
        policies: &Policies::default(),
    };
    let spinner = progress::spinner("registering");
    let began = Instant::now();
    let result = register_files(&job);
    let seconds = began.elapsed().as_secs_f64();
    spinner.finish_and_clear();
    let result = result.map_err(|error| CliError::Failed(error.to_string()))?;
    let told = told(&result, &settings, seconds);
    write(&result, &told, arguments)?;
    for finding in &result.findings {
        eprintln!("radiomicsd: {finding}");
    }
    if arguments.json {
        return say_json(&told);
    }
    let trust = if result.registration.trusted { "trusted" } else { "NOT trusted" };
    say(&format!("{trust}: {}\n", result.registration.note))
}

/// `registration.json`.
fn told(result: &PairResult, settings: &Settings, seconds: f64) -> Value {
    let registration = &result.registration;
    let matrix = registration.fixed_to_moving.linear_part().matrix();
    let image = |image: &ImageFile, resolution: &Value| {
        json!({
            "modality": image.role,
            "series": image.series.as_ref().map(|series| &series.series),
            "frame_of_reference": image.series.as_ref().and_then(|series| series.frame_of_reference.as_ref()),
            "geometry": image.volume.geometry,
            "resolution": resolution,
        })
    };
    json!({
        "fixed_to_moving": matrix,
        "transform": registration.fixed_to_moving,
        "source": registration.source,
        "trusted": registration.trusted,
        "quality": registration.quality,
        "findings": result.findings,
        "note": registration.note,
        "settings": settings,
        "fixed": image(&result.fixed, &result.resolutions[0]),
        "moving": image(&result.moving, &result.resolutions[1]),
        "seconds": seconds,
        "intended_use": "for research use only",
    })
}

fn write(result: &PairResult, told: &Value, arguments: &Arguments) -> Result<(), CliError> {
    let out = |error: &dyn std::fmt::Display| CliError::failed("--out", error);
    let folder: &Path = &arguments.out;
    std::fs::create_dir_all(folder).map_err(|error| out(&error))?;
    let text = serde_json::to_vec_pretty(told).map_err(|error| out(&error))?;
    std::fs::write(folder.join("registration.json"), text).map_err(|error| out(&error))?;
    let now = created_at()?;
    if let Some(case) = result.case(now, jiff::tz::TimeZone::system().to_offset(now).seconds()) {
        let documents = report::registration_documents(&case)
            .map_err(|error| CliError::failed("the registration object could not be made", error))?;
        for document in documents {
            std::fs::write(folder.join("registration.dcm"), document.bytes).map_err(|error| out(&error))?;
        }
    }
    let (fixed, moving, map) = (&result.fixed.volume, &result.moving.volume, &result.registration.fixed_to_moving);
    if arguments.picture {
        let pictures = report::compare(fixed, moving, map).map_err(|error| out(&error))?;
        for (name, file) in [("checkerboard.png", pictures.checkerboard), ("overlay.png", pictures.overlay)] {
            std::fs::write(folder.join(name), file).map_err(|error| out(&error))?;
        }
    }
    if arguments.resampled {
        let image = resample(moving, &fixed.geometry, map, Interpolation::Cubic);
        nifti::write_image(&folder.join("moving_on_fixed.nii.gz"), &image).map_err(|error| out(&error))?;
    }
    Ok(())
}
