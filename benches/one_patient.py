#!/usr/bin/env python3
"""From the last slice received to the report delivered: seconds and peak memory for one patient.

    cargo build --release
    python3 benches/one_patient.py PATIENT_FOLDER [--program target/release/radiomicsd] [--rounds 5] [--roi '(?i)^gtv']

The folder holds the DICOM files of one patient: CT, PET, MR and their structure sets. Needs dcmtk (dcmsend, storescp).
Each round starts the daemon on an empty storage, with every family of features in native and aligned space, sends the
patient over loopback, and waits for the Structured Report at storescp. The waits of the grouping, which a site chooses,
are 0.1 s here and are part of the time.
"""
import argparse, os, pathlib, re, socket, statistics, subprocess, tempfile, time

CONFIG = """
[dicom]
listen = "127.0.0.1:0"
accept_unknown_peers = true
[storage]
directory = "storage"
reserve_bytes = 0
[http]
listen = "127.0.0.1:0"
[case]
series_settle = "100ms"
case_settle = "100ms"
[[protocol]]
name = "bench"
reference = "CT"
registration = {{ error_draws = 0 }}
roi = {{ names = ['{roi}'] }}
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  [[protocol.input]]
  role = "MR"
  modality = "MR"
[[destination]]
ae_title = "PACS"
address = "127.0.0.1:{port}"
sr_classes = ["comprehensive-3d"]
"""


def dcmtk(name):
    """A program of dcmtk: other toolkits install programs of the same names."""
    for folder in os.get_exec_path():
        program = pathlib.Path(folder) / name
        if program.exists() and "dcmtk" in subprocess.run([program, "--version"], capture_output=True, text=True).stdout:
            return program
    raise SystemExit(f"{name} of dcmtk is not installed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(what, there, seconds=300):
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.005)


def one_round(arguments):
    with tempfile.TemporaryDirectory() as folder:
        folder, port = pathlib.Path(folder), free_port()
        (folder / "pacs").mkdir()
        (folder / "config.toml").write_text(CONFIG.format(roi=arguments.roi, port=port))
        pacs = subprocess.Popen([dcmtk("storescp"), "-aet", "PACS", "+xa", "-od", folder / "pacs", str(port)],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        daemon = subprocess.Popen([arguments.program, "serve", "--config", folder / "config.toml",
                                   "--addresses", folder / "addresses"], stderr=(folder / "log").open("w"))
        try:
            wait("the daemon", lambda: "receiving" in (folder / "log").read_text())
            address = re.search(r"dicom=127.0.0.1:(\d+)", (folder / "addresses").read_text()).group(1)
            subprocess.run([dcmtk("dcmsend"), "-aec", "RADIOMICSD", "127.0.0.1", address, "+sd", "+r", "-dn",
                            arguments.patient], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            begun = time.monotonic()
            wait("the report", lambda: list((folder / "pacs").glob("SR*")))
            seconds = time.monotonic() - begun
            status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
            ticks = pathlib.Path(f"/proc/{daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
            values = sum(1 for _ in next((folder / "storage/results").rglob("features.csv")).open()) - 1
            return seconds, int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024, (int(ticks[11]) + int(ticks[12])) / 100, values
        finally:
            daemon.kill()
            pacs.kill()
            daemon.wait()
            pacs.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patient")
    parser.add_argument("--program", default="target/release/radiomicsd")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--roi", default="(?i)^gtv")
    arguments = parser.parse_args()
    rounds = [one_round(arguments) for _ in range(arguments.rounds)]
    seconds, memory, cpu, values = (statistics.median(column) for column in zip(*rounds))
    cpu_name = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    print(f"{values:.0f} values; last slice received to report delivered: {seconds:.2f} s, "
          f"{cpu:.2f} CPU s in all, peak memory {memory:.0f} MiB (median of {arguments.rounds}; "
          f"{cpu_name.group(1) if cpu_name else 'unknown processor'}, {len(os.sched_getaffinity(0))} cores)")


if __name__ == "__main__":
    main()
