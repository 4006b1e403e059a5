//! The command line of radiomicsd.
fn main() {}
