#!/usr/bin/env bash
# Feeds random bytes to everything that reads foreign ones: fuzz/run.sh [SECONDS] [FOLDER OF DICOM FILES]
# Needs a nightly toolchain and cargo-fuzz. What breaks is kept under fuzz/artifacts/ with the command that repeats it.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
seeds=${2:-}
mkdir -p corpus/pdu corpus/header corpus/volume
if [ -n "$seeds" ]; then
    # Small files only: what makes a reader fail is in the header.
    find "$seeds" -name '*.dcm' -size -64k | sort | awk 'NR <= 40' | while read -r file; do
        name=$(cksum <"$file" | cut -d' ' -f1)
        cp "$file" "corpus/header/$name"
        cp "$file" "corpus/volume/$name"
    done
fi
cargo +nightly fuzz build --sanitizer none
# What is read is safe Rust: its own checks find what an address sanitizer would.
limits=(-max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1)
cargo +nightly fuzz run --sanitizer none pdu corpus/pdu seeds/pdu -- "${limits[@]}" -max_len=8192 2>&1 | tail -n 8
cargo +nightly fuzz run --sanitizer none header corpus/header -- "${limits[@]}" -max_len=65536 2>&1 | tail -n 8
cargo +nightly fuzz run --sanitizer none volume corpus/volume -- "${limits[@]}" -max_len=65536 2>&1 | tail -n 8
