"""Speech on CUDA: the torch engine against CTranslate2, and how many times real time it reads.

    python -m benchmarks.gpu_speech [--processes 15] [--minutes 10] [--rounds 3] [--no-card-process] [--json FILE]

Alone it reads MP3 in many processes at once, without speakers and with; the rest is part of `benchmarks.gpu`, and needs
nothing of Ray either. Windows are cut out of the FLAC files of the folders that ``--clips`` names. The
reference is CTranslate2 (int8, greedy) on CPU, computed here or read from a file that `save_reference` wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from benchmarks.busy_samples import BusySamples
from benchmarks.card_begun import begun, since, told
from benchmarks.core_seconds import CARD, CoreSeconds, cores_of
from benchmarks.speech_parity import compare, transcripts
from cluster.session import available_cpus
from encoders.base import MediaInput
from encoders.checkpoints import resolve
from encoders.results import Speech
from encoders.speech.config import SpeechConfig
from encoders.speech.encoder import SpeechEncoder
from encoders.speech.torch_engine import TorchEngine
from encoders.speech.transcriber import LanguageBelief, Transcriber
from encoders.speech.windows import Piece, Window

RATE = 16_000


def clips_of(folders: Sequence[Path]) -> list[NDArray[np.float32]]:
    """The first 30 s of every FLAC file of the folders."""
    paths = sorted(path for folder in folders for path in folder.glob("*.flac"))
    return [soundfile.read(path, dtype="float32")[0][: 30 * RATE] for path in paths]


def save_reference(clips: list[NDArray[np.float32]], path: Path, threads: int) -> None:
    """CTranslate2's transcripts of the clips, for a machine that has no CTranslate2 checkpoint."""
    from encoders.speech.ctranslate2_engine import CTranslate2Engine

    engine = CTranslate2Engine(resolve("speech"), compute_type="int8", beam_size=1, threads=threads)
    path.write_bytes(pickle.dumps(transcripts(engine, clips, 8)[0]))


def parity(engine: TorchEngine, clips: list[NDArray[np.float32]], reference: Path) -> dict[str, float]:
    """Texts and word times against the reference, and the windows that read differently."""
    ours, _ = transcripts(engine, clips, engine.batch)
    theirs = pickle.loads(reference.read_bytes())
    found: dict[str, Any] = compare(theirs, ours)
    texts = [
        ["".join(word.text for word in transcript.words).strip() for transcript in side] for side in (theirs, ours)
    ]
    found["different"] = [pair for pair in zip(*texts) if pair[0] != pair[1]][:8]
    return found


def engine_speed(engine: TorchEngine, clips: list[NDArray[np.float32]], batches: int) -> dict[str, float]:
    """Times real time of full 30 s windows in batches of the engine's size, by stage and with word times."""
    joined = np.concatenate(clips)
    full = [joined[at : at + 30 * RATE] for at in range(0, len(joined) - 30 * RATE, 10 * RATE)]
    windows = [full[index % len(full)] for index in range(engine.batch)]
    pieces = [Window(samples, (Piece(0, 0, 30.0),)) for samples in windows]
    read = Transcriber(engine)
    read(pieces, [LanguageBelief() for _ in pieces])  # records the steps
    audio = 30.0 * len(windows)
    seconds = {"encode": 0.0, "generate": 0.0, "align": 0.0, "transcriber": 0.0}
    tokens = 0
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    for _ in range(batches):
        wait()
        marks = [time.perf_counter()]
        encoded = engine.encode(windows)
        wait()
        marks.append(time.perf_counter())
        found = engine.generate(encoded, ["en"] * len(windows))
        marks.append(time.perf_counter())
        engine.align(encoded, "en", [one.tokens for one in found], [30.0] * len(windows))
        marks.append(time.perf_counter())
        for name, first, last in zip(seconds, marks, marks[1:]):
            seconds[name] += (last - first) / batches
        tokens = sum(len(one.tokens) for one in found)
        started = time.perf_counter()
        read(pieces, [LanguageBelief() for _ in pieces])
        seconds["transcriber"] += (time.perf_counter() - started) / batches
    return {
        "batch": len(windows),
        "tokens_per_window": tokens / len(windows),
        "text_x": audio / (seconds["encode"] + seconds["generate"]),
        "with_word_times_x": audio / seconds["transcriber"],
    } | {f"{name}_seconds": value for name, value in seconds.items()}


def write_recordings(folder: Path, clips: list[NDArray[np.float32]], count: int, minutes: float) -> None:
    """``count`` different recordings, each the clips in an order of its own."""
    orders = [np.random.default_rng(number).permutation(len(clips)) for number in range(count)]

    def write(number: int) -> None:
        write_recording(folder, [clips[index] for index in orders[number]], minutes, f"recording-{number:03d}")

    with ThreadPoolExecutor(available_cpus()) as pool:
        list(pool.map(write, range(count)))


def write_recording(folder: Path, clips: list[NDArray[np.float32]], minutes: float, name: str = "recording") -> Path:
    """One long recording of the clips in turn, as MP3 where the machine can write it, else FLAC."""
    folder.mkdir(parents=True, exist_ok=True)
    pause = np.zeros(RATE // 2, np.float32)
    pieces: list[NDArray[np.float32]] = []
    while sum(map(len, pieces)) < minutes * 60 * RATE:
        pieces += [clips[len(pieces) // 2 % len(clips)], pause]
    path = folder / f"{name}.mp3"
    try:
        soundfile.write(path, np.concatenate(pieces), RATE, format="MP3")
    except (soundfile.LibsndfileError, ValueError, TypeError):
        path = folder / f"{name}.flac"
        soundfile.write(path, np.concatenate(pieces), RATE)
    return path


def encoder_speed(path: Path, device: str, speakers: bool) -> dict[str, Any]:
    """Times real time of the whole speech encoder in one process: opening, activity, words and, if asked, speakers."""
    encoder = SpeechEncoder(SpeechConfig(speakers=speakers))
    encoder.load(device)
    item = MediaInput(path.name, str(path), "audio/mpeg" if path.suffix == ".mp3" else "audio/flac", path=path)
    encoder([item])
    started = time.perf_counter()
    perception = encoder([item])[0]
    wall = time.perf_counter() - started
    encoder.close()
    result = perception.result
    if not isinstance(result, Speech):
        return {"failures": [failure.message for failure in perception.failures]}
    return {
        "minutes": result.duration / 60,
        "x_real_time": result.duration / wall,
        "words": sum(len(chunk.words) for chunk in result.chunks),
        "speakers": len(result.speakers),
        "stages": {name: round(value, 3) for name, value in perception.seconds.items()},
        "failures": len(perception.failures),
    }


def encoder_worker(
    path: str, device: str, speakers: bool, ready: str, go: str, rounds: int, settings: dict[str, Any]
) -> None:
    """The speech encoder in this process over the recording, once to warm up and ``rounds`` times from ``go`` on."""
    encoder = SpeechEncoder(SpeechConfig.model_validate({**settings, "speakers": speakers}))
    encoder.load(device)
    media = "audio/mpeg" if path.endswith(".mp3") else "audio/flac"
    item = MediaInput(Path(path).name, path, media, path=Path(path))
    encoder([item])
    Path(ready).touch()
    while not Path(go).exists():
        time.sleep(0.01)
    done: dict[str, Any] = {"start": time.time(), "duration": 0.0, "stages": {}}
    cpu = time.process_time()
    for _ in range(rounds):
        perception = encoder([item])[0]
        assert isinstance(perception.result, Speech), perception.failures
        done["duration"] += perception.result.duration
        for name, value in perception.seconds.items():
            done["stages"][name] = done["stages"].get(name, 0.0) + value / rounds
    done |= {"end": time.time(), "cpu": time.process_time() - cpu}
    encoder.close()
    print(json.dumps(done))


def process_speed(
    path: Path, count: int, folder: Path, device: str, speakers: bool, rounds: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """Times real time of ``count`` encoders at once, each over the same recording; start-up apart. With more rounds
    they drift apart, as in a long run: some listen while others hold the card."""
    go = folder / "go-speech"
    go.unlink(missing_ok=True)
    workers = []
    with CoreSeconds() as cores, BusySamples() as busy:
        for index in range(count):
            ready = folder / f"ready-speech-{index}"
            ready.unlink(missing_ok=True)
            share = json.dumps([str(path), device, speakers, str(ready), str(go), rounds, settings])
            command = [sys.executable, "-m", "benchmarks.gpu_speech", "--worker", share]
            environment = cores.marked(os.environ)
            workers.append((subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment), ready))
        while not all(ready.exists() or process.poll() is not None for process, ready in workers):
            time.sleep(0.05)
        card = list(cores.alive(CARD))
        before = begun(card)
        go.touch()
        found = [json.loads(process.communicate()[0].splitlines()[-1]) for process, _ in workers]
        launched = since(before, begun(card))
        cores.end_all()  # a process on the card waits for others for a while
    first, last = min(one["start"] for one in found), max(one["end"] for one in found)
    wall = last - first
    audio = sum(one["duration"] for one in found)
    stages = {name: sum(one["stages"][name] for one in found) / count for name in found[0]["stages"]}
    return {
        "processes": count, "rounds": rounds, "x_real_time": audio / wall, "wall": wall, "file": path.suffix,
        "cpu_seconds_an_hour": sum(one["cpu"] for one in found) / audio * 3600, "stages": stages,
        "busy_samples": busy.mean(first, last), "cores_an_hour": cores_of(cores, first, last, audio / 3600),
        "begun": {"processes": len(card), "seconds": wall, "by_verb": told(launched, wall)},
    }  # fmt: skip


def many_processes(
    clips: list[NDArray[np.float32]],
    count: int,
    minutes: float,
    folder: Path,
    device: str,
    rounds: int = 1,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """`process_speed` over one recording of the clips, without speakers and with; ``settings`` are of the encoder."""
    write_recordings(folder / "audio", clips, 1, minutes)
    (path,) = (folder / "audio").glob("recording-000.*")
    found = {}
    for speakers in (False, True):
        name = f"speech_processes_{'with' if speakers else 'without'}_speakers"
        found[name] = process_speed(path, count, folder, device, speakers, rounds, settings or {})
        print(f"{name}: {found[name]}", flush=True)
    return found


def main() -> None:
    """Many processes at once."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--processes", type=int, default=15, help="at once; with --no-card-process each takes 5 to 7 GiB"
    )
    options.add_argument("--minutes", type=float, default=10, help="of the recording")
    options.add_argument("--rounds", type=int, default=1, help="how often each process reads it")
    options.add_argument("--clips", type=Path, nargs="*", default=[Path("../shared/data/dev/conversations/files")])
    options.add_argument("--device", default="cuda")
    options.add_argument(
        "--card-process", action=argparse.BooleanOptionalAction, default=True,
        help="whisper and voices computed by one process, not by each",
    )  # fmt: skip
    options.add_argument("--json", type=Path, help="all figures")
    options.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        encoder_worker(*json.loads(chosen.worker))
        sys.stdout.flush()
        os._exit(0)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not (clips := clips_of(chosen.clips)):
        options.error(f"no FLAC files in {', '.join(map(str, chosen.clips))}; name folders that have some by --clips")
    with tempfile.TemporaryDirectory(prefix="interlace-gpu-") as folder:
        found = many_processes(
            clips, chosen.processes, chosen.minutes, Path(folder), chosen.device, chosen.rounds,
            {"card_process": chosen.card_process},
        )  # fmt: skip
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
