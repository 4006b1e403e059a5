//! The command line of radiomicsd.

use std::process::ExitCode;

use radiomicsd::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = match Cli::from_arguments() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("radiomicsd: {error}");
            error.exit_code()
        }
    }
}
