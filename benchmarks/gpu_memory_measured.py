"""GPU memory of each default network, measured on a card: `gpu_memory` of the lock file where that is "measured".

    python -m benchmarks.gpu_memory_measured [--json FILE] [NETWORK ...]

Each network runs in a process of its own, through its engine, at the largest batch that the engine forms on CUDA.
Held: what PyTorch has reserved once the network is loaded (and, for speech, once its steps are recorded). Pass: how
much more a batch takes at its peak. What CUDA takes for the process is read from the driver and printed beside them.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

GIB = 2**30
Steps = Iterator[int]
"""Loaded at the first yield, of bytes held that a setting asks for; ended after a pass."""


def ocr_detection() -> Steps:
    """Eight square pages at the longest side."""
    networks = _ocr_networks()
    del networks._recogniser, networks._classifiers
    yield 0
    networks.detect([torch.zeros(1, 3, 1600, 1600, device="cuda") for _ in range(networks.pages_per_batch)])()


def ocr_recognition() -> Steps:
    """A full batch of lines of 48 x 1,920 pixels among all symbols."""
    networks = _ocr_networks()
    del networks._detector
    yield 0
    networks.recognise(torch.zeros(networks.line_batches[-1], 3, 48, 1920, device="cuda", dtype=torch.float16))()


def _ocr_networks() -> Any:
    from encoders.ocr.config import OcrConfig
    from encoders.ocr.engines import load_networks

    return load_networks(OcrConfig(), "cuda")


def speech() -> Steps:
    """A batch of windows of 30 s, from sound to words with times; steps of one window and of all are recorded."""
    from encoders.checkpoints import resolve
    from encoders.speech.torch_engine import TorchEngine

    engine = TorchEngine(resolve("speech", variant="torch"), device="cuda")
    noise = np.random.default_rng(0).normal(0, 0.05, (engine.batch, 480_000)).astype(np.float32)

    def read(count: int) -> None:
        encoded = engine.encode(list(noise[:count]))
        found = engine.generate(encoded, ["en"] * count)
        engine.align(encoded, "en", [one.tokens for one in found], [30.0] * count)

    for power in range(7):
        read(min(engine.batch, 2**power))
    yield 0
    read(engine.batch)


def speaker() -> Steps:
    """256 windows of 1.6 s."""
    from encoders.speech.voices import SpeakerNetwork

    network = SpeakerNetwork().eval().to("cuda")
    yield 0
    network(torch.zeros(256, 160, 40, device="cuda"))


def detection_network() -> Steps:
    """A view of 1,792 x 1,792 pixels through the finder, 300 crops of 64 x 64 through the namer."""
    from encoders.detection.network import Finder, Namer

    finder, namer = Finder().eval().to("cuda"), Namer().eval().to("cuda")
    yield 0
    finder(torch.zeros(1, 3, 1792, 1792, device="cuda"))
    namer(torch.zeros(300, 3, 64, 64, device="cuda"))


def text_embedding() -> Steps:
    """256 phrases of 128 tokens."""
    from transformers import AutoModel

    from encoders.checkpoints import resolve

    model = AutoModel.from_pretrained(resolve("text_embedding")).eval().to("cuda")
    yield 0
    model(torch.zeros(256, 128, dtype=torch.long, device="cuda"))


def decoder() -> Steps:
    """256 prompts of 1,000 tokens at once, 16 new tokens; its cache is a setting and taken off."""
    from benchmarks.gpu_decoder import config_for, prompts, seconds_of, to_the_end
    from decoder.engine import Engine

    config = config_for("decoder", "bfloat16", 256)
    engine = Engine(config)
    engine.load("cuda")
    yield config.kv_cache_bytes
    with to_the_end(engine):
        seconds_of(engine, prompts(256, engine._loaded.vocabulary), 16)


NETWORKS: dict[str, Callable[[], Steps]] = {
    function.__name__: function
    for function in (ocr_detection, ocr_recognition, speech, decoder, detection_network, speaker, text_embedding)
}


@torch.inference_mode()
def measure(name: str) -> dict[str, float]:
    """GiB held, taken by a pass on top, and seen by the driver but not by PyTorch."""
    steps = NETWORKS[name]()
    setting = next(steps)
    gc.collect()
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    next(steps, None)
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_reserved()
    free, total = torch.cuda.mem_get_info()
    allocated = torch.cuda.max_memory_allocated()
    return {
        "held_gib": (held - setting) / GIB,
        "pass_gib": (peak - held) / GIB,
        "pass_allocated_gib": (allocated - held) / GIB,
        "others_and_context_gib": (total - free - torch.cuda.memory_reserved()) / GIB,
    }


def main() -> None:
    """Measure the networks one after another."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("networks", nargs="*", default=list(NETWORKS))
    options.add_argument("--json", type=Path)
    options.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.here:
        print(json.dumps(measure(chosen.networks[0])))
        return
    # Started together, run one by one would be slower: importing is most of it. The driver's figure then counts all.
    command = [sys.executable, "-m", "benchmarks.gpu_memory_measured", "--here"]
    running = {
        name: subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in chosen.networks
    }
    found: dict[str, Any] = {}
    for name, process in running.items():
        out, err = process.communicate()
        found[name] = json.loads(out.splitlines()[-1]) if process.returncode == 0 else err.strip().splitlines()[-1:]
        print(f"memory of {name}: {found[name]}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
