"""All figures of docs/gpu.md in one command, the most important first, each part with a limit on its time.

    python -m benchmarks.gpu_all --out FOLDER [--parts memory,bare,ray,...] [--seconds 240]

Each part is a process of its own, prints as soon as it has a figure and writes FOLDER/PART.json; one that fails or
takes too long costs only itself. Documents are those of `benchmarks.gpu`, 45 long lines a page.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cluster.gpu_memory import card_gib, gpu_needs
from cluster.session import available_cpus
from encoders.registry import ENCODERS


@dataclass(frozen=True, slots=True)
class Part:
    """A module of the benchmarks with its arguments, and the seconds that it may take."""

    name: str
    seconds: float
    arguments: tuple[str, ...]


def parts(chosen: argparse.Namespace) -> list[Part]:
    """In order of importance."""
    folder, out, processes, device, documents = (
        chosen.folder, chosen.out, chosen.processes, chosen.device, chosen.documents
    )  # fmt: skip
    clips = ("--clips", *map(str, chosen.clips)) if chosen.clips else ()
    work = ("--folder", str(folder), "--device", device, "--documents", str(documents))
    need = gpu_needs(ENCODERS, {task: entry.config_type()() for task, entry in ENCODERS.items()})["speech_to_text"].gib
    speakers = (
        min(processes, int((card_gib() or 80) / need)) if device != "cpu" else processes
    )  # as many as the card holds

    def gpu(part: str, seconds: float, *more: str, name: str = "") -> Part:
        name = name or part
        words = ("benchmarks.gpu", "--parts", part, *work, "--json", str(out / f"{name}.json"), *more)
        return Part(name, seconds, words)

    alone = ("--processes", str(processes), "--bare-seconds", "20")

    return [
        Part("memory", 60, ("benchmarks.gpu_memory_measured", "--json", str(out / "memory.json"))),
        *([gpu("parity", 40, "--ocr-reference", str(chosen.ocr_reference))] if chosen.ocr_reference else ()),
        gpu("networks", 60, "--pages", "64"),
        gpu("bare", 110, *alone),
        gpu("bare", 110, *alone, "--no-card-process", name="bare_apart"),
        gpu("ray", 120),
        gpu("ray", 120, "--no-card-process", name="ray_apart"),
        gpu("decoder", 60, "--sequences", "256", "--generate", ""),
        gpu("speech_processes", 80, "--processes", str(speakers), "--minutes", "10", *clips),
        gpu("answers", 120),
    ]


def run(part: Part, limit: float) -> int:
    """Run it for at most so many seconds; what it started ends with it."""
    process = subprocess.Popen([sys.executable, "-m", *part.arguments], start_new_session=True)
    try:
        return process.wait(min(limit, part.seconds))
    except subprocess.TimeoutExpired:
        print(f"{part.name}: ended after {min(limit, part.seconds):.0f} s", flush=True)
        process.terminate()  # it ends what it started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def main() -> None:
    """Run the parts in a folder."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--folder", type=Path, help="where to work; default: a temporary folder, gone at the end")
    options.add_argument("--parts", default="", help="names, in order; default: all")
    options.add_argument("--seconds", type=float, default=240, help="for all of them")
    options.add_argument("--processes", type=int, default=max(2, available_cpus() - 1))
    options.add_argument("--documents", type=int, default=300)
    options.add_argument("--clips", type=Path, nargs="*", help="folders of FLAC files with speech")
    options.add_argument("--ocr-reference", type=Path, help="readings of a CPU, from gpu_ocr.save_reading")
    options.add_argument("--device", default="cuda")
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.folder is None:  # all parts share its documents
        with tempfile.TemporaryDirectory(prefix="interlace-gpu-", ignore_cleanup_errors=True) as folder:
            chosen.folder = Path(folder)
            run_all(chosen)
    else:
        run_all(chosen)


def run_all(chosen: argparse.Namespace) -> None:
    """As many of the parts as there is time for."""
    known = {part.name: part for part in parts(chosen)}
    began = time.perf_counter()
    took = {}
    for name in chosen.parts.split(",") if chosen.parts else known:
        left = chosen.seconds - (time.perf_counter() - began)
        if left < 10:
            print(f"{name}: no time left", flush=True)
            continue
        started = time.perf_counter()
        print(f"== {name}", flush=True)
        status = run(known[name], left)
        took[name] = {"seconds": round(time.perf_counter() - started, 1), "status": status}
        print(f"== {name}: {took[name]}", flush=True)
        (chosen.out / "parts.json").write_text(json.dumps(took))


if __name__ == "__main__":
    main()
