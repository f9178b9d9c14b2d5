"""What the encoders do on a GPU, in one command on any machine with CUDA: parity, speed alone, and through Ray.

    python -m benchmarks.gpu [--parts ocr,bare,...] [--documents 60] [--processes 1,15] [--json FILE]

Prints one table. Bare networks: the recorded inputs of a pass, played again with nothing around them. Bare encoder:
`OcrEncoder` in processes without Ray, start-up apart. Through Ray: `interlace run --ocr always`, whole (from the start
of the process) and steady (between the first and the last commit, or the stretch that is asked for). Where the cores'
seconds of a page went is told by kind of process. Busy: seconds of the bare networks for the same pages over the run's
seconds. See docs/gpu.md for what came out where.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import gpu_ocr
from benchmarks.core_seconds import ACTORS, ANSWERING, CARD, DECODER
from benchmarks.gpu_run import Stretch, time_run
from benchmarks.stack_samples import told
from cluster.session import available_cpus
from encoders.ocr.config import OcrConfig


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``floor`` is what the design asks for, where it asks."""

    name: str
    value: float
    unit: str
    floor: float | None = None

    def text(self) -> str:
        held = (
            "" if self.floor is None else f"floor {self.floor:g}: " + ("held" if self.value >= self.floor else "MISSED")
        )
        return f"{self.name:56}{self.value:12.4g} {self.unit:14}{held}"


def machine() -> str:
    """GPU, driver, torch and cores."""
    import torch

    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    gpu = (
        subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip() if _has("nvidia-smi") else "?"
    )
    return f"{gpu}, torch {torch.__version__}, CUDA {torch.version.cuda}, {available_cpus()} cores"


def _has(program: str) -> bool:
    return shutil.which(program) is not None


def _config(chosen: argparse.Namespace) -> OcrConfig:
    return OcrConfig(engine="torch", card_process=chosen.card_process)


def ocr(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """Parity, the networks alone, and the encoder in processes."""
    found["ocr_parity"] = gpu_ocr.parity(chosen.parity_pages or 6, available_cpus(), chosen.device, _config(chosen))
    images = [page.image for document in found["truths"] for page in document][: chosen.pages]
    started = time.perf_counter()
    recorded = gpu_ocr.Recorded(images, chosen.device)
    found["ocr_first_pass_seconds"] = time.perf_counter() - started
    found["ocr_networks"] = recorded.seconds()
    found["ocr_reader"] = gpu_ocr.reader_seconds(recorded, images)


def networks(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """The networks alone over pages of the documents, and the page reader in one process."""
    images = gpu_ocr.images_of(sorted((folder / "in").glob("*.pdf")), chosen.pages)
    started = time.perf_counter()
    recorded = gpu_ocr.Recorded(images, chosen.device)
    found["ocr_first_pass_seconds"] = time.perf_counter() - started
    found["ocr_networks"] = recorded.seconds()
    found["ocr_reader"] = gpu_ocr.reader_seconds(recorded, images)
    found["ocr_reader_again"] = gpu_ocr.reader_seconds(recorded, images)
    found["ocr_gpu"] = gpu_ocr.card_seconds(recorded, images)


def bare(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """The encoder in processes, for every number of them asked for."""
    paths = sorted((folder / "in").glob("*.pdf"))
    for count in map(int, chosen.processes.split(",")):
        some = paths[: max(count, len(paths) * count // max(map(int, chosen.processes.split(","))))]
        result = gpu_ocr.bare_processes(
            some, count, folder / "bare", chosen.device, chosen.bare_seconds, _config(chosen)
        )
        lines = result.pop("lines")
        result["character_error"] = gpu_ocr.error_of(lines, found["truths"], 4)
        found[f"ocr_bare_{count}"] = result


def _settings(chosen: argparse.Namespace) -> list[str]:
    """Of the run, as interlace takes them."""
    return [*chosen.set, *([] if chosen.card_process is None else [f"ocr.card_process={chosen.card_process}"])]


def ray(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """The pipeline over the same documents."""
    pages = sum(map(len, found["truths"])) / len(found["truths"])
    stretch = Stretch(chosen.settle, chosen.steady_seconds, chosen.stacks)
    found["ocr_ray"] = time_run(folder / "in", folder / "out", "ocr", _settings(chosen), pages=pages, stretch=stretch)


def speech(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """Parity, the engine alone, and the whole encoder in one process."""
    from benchmarks import gpu_speech
    from encoders.checkpoints import resolve
    from encoders.speech.torch_engine import TorchEngine

    clips = gpu_speech.clips_of(chosen.clips)
    reference = chosen.reference or folder / "reference.pkl"
    if not reference.exists():
        gpu_speech.save_reference(clips, reference, available_cpus())
    engine = TorchEngine(resolve("speech", variant="torch"), device=chosen.device)
    found["speech_parity"] = gpu_speech.parity(engine, clips, reference)
    found["speech_engine"] = gpu_speech.engine_speed(engine, clips, 3)
    del engine
    path = gpu_speech.write_recording(folder / "audio", clips, chosen.minutes)
    for speakers in (False, True):
        name = "speech_encoder_with_speakers" if speakers else "speech_encoder"
        found[name] = gpu_speech.encoder_speed(path, chosen.device, speakers) | {"file": path.suffix}


def mixed(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """Documents and recordings in one run: two pools on fractions of one GPU, and a ledger that balances."""
    from benchmarks import gpu_speech

    documents = sorted((folder / "in").glob("*.pdf"))[:14]
    source = folder / "mixed"
    gpu_speech.write_recordings(source, gpu_speech.clips_of(chosen.clips), len(documents), 3.0)
    for path in documents:
        shutil.copy(path, source)
    result = time_run(source, folder / "mixed-out", "ocr,speech_to_text", chosen.set)
    found["mixed"] = result | {"assets": 2 * len(documents)}


def speech_ray(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """The pipeline over recordings, words and speakers: a few different ones, the others are links to them."""
    from benchmarks import gpu_speech

    source = folder / "recordings"
    gpu_speech.write_recordings(source, gpu_speech.clips_of(chosen.clips), min(6, chosen.recordings), chosen.minutes)
    different = sorted(source.glob("recording-*"))
    for number in range(len(different), chosen.recordings):
        path = different[number % len(different)]
        with suppress(FileExistsError):
            (source / f"recording-{number:05d}{path.suffix}").hardlink_to(path)
    stretch = Stretch(chosen.settle, chosen.steady_seconds, chosen.stacks)
    found["speech_ray"] = time_run(
        source, folder / "speech-out", "speech_to_text", chosen.set, pages=60 * chosen.minutes, stretch=stretch
    )


def decoder(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """The engine at several numbers of sequences, and `generate()`."""
    from benchmarks import gpu_decoder

    sequences, generate = ([int(n) for n in text.split(",") if n] for text in (chosen.sequences, chosen.generate))
    found["decoder"] = gpu_decoder.run("decoder", "bfloat16", sequences, generate, chosen.device)


def _spent(run: dict[str, Any], unit: str = "page") -> list[Row]:
    """Of a run's steady part: how busy its cards were, where the cores' seconds of a page or another unit went, and for
    what part of the time the process on a card could begin nothing else."""
    table = [Row(f"  GPU {number} busy", share, "") for number, share in enumerate(run["busy_samples"])]
    cores = run["cores"]
    for kind, of in cores["kinds"].items():
        spent = f"  core-milliseconds a {unit}, {of['processes']} {kind}"
        table += [Row(spent, 1000 * of["each"], f"{of['cores']:.2f} cores")]
        table += [Row("    of them in the kernel", 100 * of["in the kernel"], "%")]
        if kind in (ACTORS, CARD, ANSWERING, DECODER):
            table += [
                Row(f"    in threads {name}", 1000 * value, "") for name, value in list(of["threads"].items())[:5]
            ]
    table += [Row("  cores at work in all, whoever they work for", cores["machine"] / cores["seconds"], "cores")]
    if launched := run.get("begun", {}).get("by_verb"):
        seconds = sum(of.seconds for of in launched.values() if not of.apart)
        wall = run["begun"]["seconds"] * run["begun"]["processes"]
        table += [Row("  of the time a process on the card could begin nothing else", seconds / wall, "")]
        for verb, of in sorted(launched.items(), key=lambda item: -item[1].seconds):
            table += [Row(f"    {verb}, {of.asked} in {of.times} times", 1000 * of.seconds / of.times, "ms each time")]
    return table


def rows(found: dict[str, Any]) -> list[Row]:
    """The table."""
    table = []
    if parity := found.get("ocr_parity"):
        table += [
            Row("OCR lines equal to ONNX Runtime's", 100 * parity["equal"], f"% of {parity['lines']}", 99.5),
            Row("OCR word boxes at IoU >= 0.9", 100 * (1 - parity["low_overlaps"] / max(1, parity["words"])), "%", 100),
            Row("OCR lowest IoU of a word's box", parity["worst_overlap"], "", 0.9),
        ]
    networks = sum(found.get("ocr_networks", {}).values())
    if networks:
        table += [Row("OCR, bare networks", 1 / networks, "pages/s")]
        if card := found.get("ocr_gpu"):
            table += [Row("OCR, the card alone, cutting out included", 1 / card["all"], "pages/s")]
        table += [Row("OCR, page reader in one process", 1 / found["ocr_reader"], "pages/s")]
    counts = sorted(int(name.rpartition("_")[2]) for name in found if name.startswith("ocr_bare_"))
    best = 0.0
    for count in counts:
        alone = found[f"ocr_bare_{count}"]
        best = max(best, alone["pages_per_second"])
        table += [Row(f"OCR, bare encoder in {count} processes", alone["pages_per_second"], "pages/s")]
        table += [Row("  seconds of a core for a page, opening apart", alone["cpu_seconds_per_page"], "s")]
        table += [Row("  character error", 100 * alone["character_error"], "%")]
        table += _spent(alone)
    if run := found.get("ocr_ray"):
        table += [
            Row("OCR through Ray, start-up included", run["pages_per_second"], "pages/s"),
            Row("OCR through Ray, steady", run["steady_pages_per_second"], "pages/s"),
            Row("  first row after", run["first_row"], "s"),
            Row("  pages read in the steady part", run["steady_pages"], f"in {run['steady_seconds']:.0f} s"),
            *_spent(run),
        ]
        if best:
            table += [Row("  of the bare encoder, steady", run["steady_pages_per_second"] / best, "x", 0.75)]
        if networks:
            table += [Row("  busy, steady", run["steady_pages_per_second"] * networks, "", 0.75)]
    if parity := found.get("speech_parity"):
        table += [
            Row("speech windows with CTranslate2's text", 100 * parity["windows with the same text"], "%"),
            Row("speech words that differ", 100 * parity["words that differ"], "%"),
            Row("speech word starts apart, median", parity["word start difference, median s"], "s"),
        ]
    if engine := found.get("speech_engine"):
        table += [
            Row("speech engine, text, batch 64", engine["text_x"], "x real time"),
            Row("speech engine, languages and word times", engine["with_word_times_x"], "x real time"),
        ]
    for name, title in (("speech_encoder", "without"), ("speech_encoder_with_speakers", "with")):
        if "x_real_time" in found.get(name, {}):
            table += [Row(f"speech encoder, one process, {title} speakers", found[name]["x_real_time"], "x real time")]
    for name in ("without", "with"):
        if many := found.get(f"speech_processes_{name}_speakers"):
            text = f"speech from {many['file']}, {many['processes']} processes, {name} speakers"
            table += [Row(text, many["x_real_time"], "x real time")]
    if run := found.get("speech_ray"):
        table += [
            Row("speech with words and speakers through Ray", run["pages_per_second"], "x, start-up included"),
            Row("  the same, steady", run["steady_pages_per_second"], "x real time", 5000),
            Row("  first row after", run["first_row"], "s"),
            Row("  hours heard in the steady part", run["steady_pages"] / 3600, f"in {run['steady_seconds']:.0f} s"),
            *_spent(run, "second"),
        ]
    if run := found.get("answers"):
        table += [
            Row("page to answer, start-up included", run["pages_per_second"], "pages/s"),
            Row("page to answer, steady", run["steady_answers_per_second"], "pages/s", 110),
            Row("  first row after", run["first_row"], "s"),
            Row("  pages answered in the steady part", run["steady_pages"], f"in {run['steady_seconds']:.0f} s"),
            Row("  answers written in all", run["answers"]["written"], f"{run['answers']['failed']} failed"),
            Row("  characters of an answer", run["answers"]["characters"], ""),
            *_spent(run),
        ]
    for name, figures in found.get("decoder", {}).items():
        if name.startswith("engine "):
            count = name.removeprefix("engine ")
            table += [Row(f"decoder, {count} sequences", figures[count]["answers_per_s"], "answers/s")]
    if run := found.get("mixed"):  # interlace ends with 1, and this bench with it, when the ledger does not balance
        table += [Row("assets of a mixed run, ledger balanced", run["assets"], f"in {run['seconds']:.0f} s")]
    return table


def parity(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """Against what `gpu_ocr.save_reading` kept of another machine's CPU."""
    found["ocr_parity"] = gpu_ocr.parity_with(chosen.ocr_reference, chosen.device, _config(chosen), chosen.parity_pages)


def speech_processes(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """The whole speech encoder over MP3 in as many processes as asked for, with speakers and without."""
    from benchmarks import gpu_speech

    count = max(map(int, chosen.processes.split(",")))
    clips = gpu_speech.clips_of(chosen.clips)
    settings = {} if chosen.card_process is None else {"card_process": chosen.card_process}
    found |= gpu_speech.many_processes(clips, count, chosen.minutes, folder, chosen.device, settings=settings)


def answers(chosen: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    """Page to answer: the pipeline over one-page pictures of pages, each asked one question."""
    source = gpu_ocr.write_pictures(folder, chosen.documents, available_cpus())
    more = [
        "decoder.max_new_tokens=64",
        "decoder.max_sequences=256",
        "decoder.kv_cache_bytes=7000000000",
    ]
    result = time_run(
        source,
        folder / "answers-out",
        "ocr",
        [*_settings(chosen), *more],
        prompt="What is this page about?",
        stretch=Stretch(chosen.settle, chosen.steady_seconds, chosen.stacks),
    )
    result["steady_answers_per_second"] = result["steady_pages_per_second"]
    found["answers"] = result


PARTS = {
    "networks": networks,
    "parity": parity,
    "speech_processes": speech_processes,
    "answers": answers,
    "ocr": ocr,
    "bare": bare,
    "ray": ray,
    "speech": speech,
    "speech_ray": speech_ray,
    "mixed": mixed,
    "decoder": decoder,
}


def main() -> None:
    """Run the parts asked for and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--parts", default="ocr,bare,ray,speech,mixed,decoder")
    options.add_argument("--device", default="cuda")
    options.add_argument(
        "--parity-pages", type=int, help="default: 6 clean ones and as many scan-like; all of --ocr-reference"
    )
    options.add_argument("--pages", type=int, default=16, help="for the bare networks")
    options.add_argument("--documents", type=int, default=60, help="PDFs of eight pages")
    options.add_argument("--unique", type=int, default=48, help="different pages among them")
    options.add_argument("--processes", default=f"1,{max(2, available_cpus() - 2)}")
    options.add_argument("--bare-seconds", type=float, default=30, help="for the encoder in processes, start-up apart")
    options.add_argument("--clips", type=Path, nargs="*", default=[Path("../shared/data/dev/conversations/files")])
    options.add_argument("--reference", type=Path, help="transcripts of CTranslate2, from gpu_speech.save_reference")
    options.add_argument("--sequences", default="1,16,64,256", help="of the decoder's engines")
    options.add_argument("--generate", default="1,16,64", help="batches of generate(); empty: none")
    options.add_argument("--ocr-reference", type=Path, help="readings of a CPU, from gpu_ocr.save_reading")
    options.add_argument("--minutes", type=float, default=20, help="of a recording for the whole speech encoder")
    options.add_argument("--recordings", type=int, default=600, help="of so many minutes each, for a run")
    options.add_argument("--set", action="append", default=[], help="a setting of the run, as interlace takes it")
    options.add_argument(
        "--card-process",
        action=argparse.BooleanOptionalAction,
        help="actors share a process that computes for them; default: on CUDA they do",
    )
    options.add_argument("--settle", type=float, default=0, help="seconds after the first row that are not steady yet")
    options.add_argument("--steady-seconds", type=float, help="end a run after so many more, whatever is left to read")
    options.add_argument("--stacks", type=Path, help="folder for py-spy's samples of a run, taken before it is ended")
    options.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    options.add_argument("--json", type=Path, help="all figures")
    options.add_argument("--encoder-worker", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.encoder_worker:
        gpu_ocr.encoder_worker(*json.loads(chosen.encoder_worker))
        sys.stdout.flush()
        os._exit(0)
    if chosen.device.startswith("cuda") and not _has("nvidia-smi"):
        options.error("no NVIDIA driver here; --device cpu only shows that the bench runs")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends as well
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="interlace-gpu-"))
    found: dict[str, Any] = {"machine": machine()}
    parts = chosen.parts.split(",")
    if not set(parts) <= {"speech", "speech_processes", "speech_ray", "decoder", "answers", "parity"}:
        found["truths"] = gpu_ocr.documents(folder / "in", chosen.documents, chosen.unique, available_cpus())
    for part in parts:
        started = time.perf_counter()
        PARTS[part](chosen, folder, found)
        print(f"{part}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps({k: v for k, v in found.items() if k != "truths"}, indent=1, default=str))
    print(found["machine"])
    print("\n".join(row.text() for row in rows(found)))
    for name in ("ocr_ray", "speech_ray", "answers"):
        print("\n".join(told(found.get(name, {}).get("stacks", {}))))
    if chosen.folder is None:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
