#!/usr/bin/env bash
# The daemon's results by STOW-RS to a real Orthanc with its DICOMweb plugin (Debian: orthanc, orthanc-dicomweb, dcmtk, curl, jq):
# every document arrives, once, byte for byte. Before that C-FIND and C-MOVE from it. Usage: tests/net/orthanc.sh [PROGRAM]
set -euo pipefail
cargo test --locked --test net -- --ignored orthanc
program=$(readlink -f "${1:-target/debug/radiomicsd}")
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
web=$(port) dicom=$(port) ours=$(port) http=$(port)

cat >"$work/orthanc.json" <<JSON
{ "Name": "ARCHIVE", "HttpPort": $web, "DicomPort": $dicom, "RemoteAccessAllowed": false, "AuthenticationEnabled": false,
  "StorageDirectory": "$work/orthanc", "IndexDirectory": "$work/orthanc",
  "Plugins": ["$(dirname "$(find /usr -name 'libOrthancDicomWeb.so*' | head -1)")"],
  "DicomWeb": { "Enable": true, "Root": "/dicom-web/" } }
JSON
mkdir "$work/orthanc"
Orthanc "$work/orthanc.json" >"$work/orthanc.log" 2>&1 &
until curl -sf "http://127.0.0.1:$web/dicom-web/studies" >/dev/null; do sleep 0.5; done

# A synthetic patient.
"$program" demo --keep "$work/demo" >/dev/null
cat >"$work/radiomicsd.toml" <<TOML
[dicom]
listen = "127.0.0.1:$ours"
accept_unknown_peers = true
[storage]
directory = "$work/storage"
reserve_bytes = 0
[http]
listen = "127.0.0.1:$http"
[case]
series_settle = "300ms"
case_settle = "700ms"
[[protocol]]
name = "ct"
reference = "CT"
features = { families = ["morphology", "intensity"] }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  fwhm_mm = [1.0, 1.0, 3.0]
[[destination]]
name = "ARCHIVE"
url = "http://127.0.0.1:$web/dicom-web"
send = ["sr", "seg"]
TOML
"$program" serve --config "$work/radiomicsd.toml" >"$work/serve.log" 2>&1 &
until curl -sf "http://127.0.0.1:$http/ready" >/dev/null; do sleep 0.5; done
find "$work/demo/sent" -type f -print0 | xargs -0 dcmsend -aec RADIOMICSD 127.0.0.1 "$ours"

for _ in $(seq 120); do
    [ "$(curl -s "http://127.0.0.1:$web/instances" | jq length)" -ge 2 ] && break
    sleep 1
done
sleep 2
mapfile -t there < <(curl -s "http://127.0.0.1:$web/instances" | jq -r '.[]')
for id in "${there[@]}"; do curl -s "http://127.0.0.1:$web/instances/$id/file" | sha256sum; done | sort >"$work/there"
find "$work/storage/results" -name '*.dcm' -print0 | xargs -0 -n1 sha256sum | cut -d' ' -f1 | sed 's/$/  -/' | sort >"$work/made"
# A report is made in three classes, of which one goes: a segmentation and a report.
foreign=$(comm -13 "$work/made" "$work/there" | wc -l)
if [ "${#there[@]}" -ne 2 ] || [ "$foreign" -ne 0 ]; then
    echo "${#there[@]} documents came, expected 2; $foreign are not as they were made" >&2
    grep -v INFO "$work/serve.log" >&2
    exit 1
fi
echo "2 documents, byte for byte, in $(grep -c 'document delivered' "$work/serve.log") deliveries"
