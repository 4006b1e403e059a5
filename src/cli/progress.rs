//! Progress of long work: a bar on a terminal, nothing elsewhere (log lines tell there).

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `n` steps, on standard error; hidden where that is no terminal.
pub(super) fn bar(n: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(n as u64).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg:<28} {bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

/// Something that takes as long as it takes.
pub(super) fn spinner(what: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
