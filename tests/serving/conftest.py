"""One endpoint for all tests: `interlace serve` itself, with the real encoders, a tiny decoder and an adapter of random
weights."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import save_adapter
from tests.decoder.tiny import save_tiny
from tests.serving.site import serve_folder

KEY, OTHER_KEY = "key-of-the-tests", "key-of-somebody-else"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where it is, and how to ask it without a client."""

    url: str
    key: str
    keys: Path
    ray: str  # the address of its cluster
    process: int
    decoder: dict[str, Any]  # the settings of decoder and adapters, for a run that shares it
    spans: Path  # where it traces to

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"

    def processes(self, name: str) -> list[psutil.Process]:
        """The processes of its Ray whose title has that name."""
        children = psutil.Process(self.process).children(recursive=True)
        return [child for child in children if name in _title(child)]

    def call(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """(status, JSON or text, headers) of a request; ``body`` bytes or what becomes JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, data, {k: v for k, v in sent.items() if v})
        try:
            response = urllib.request.urlopen(request, timeout=120)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            text = response.read().decode("utf-8", "replace")
            found = {name.lower(): value for name, value in response.headers.items()}
        kind = found.get("content-type", "")
        return response.status, json.loads(text) if "json" in kind else text, found

    def chat(self, content: Any = "hi", **fields: Any) -> tuple[int, Any, dict[str, str]]:
        """A chat request with one user turn, unless ``messages`` are given."""
        messages = [{"role": "user", "content": content}]
        headers = fields.pop("headers", None)
        return self.call("/v1/chat/completions", {"model": "interlace", "messages": messages, **fields}, headers)

    def events(self, content: Any = "hi", **fields: Any) -> list[Any]:
        """The events of a stream, parsed; ``[DONE]`` as it is."""
        status, text, headers = self.chat(content, stream=True, **fields)
        assert status == 200 and headers["content-type"].startswith("text/event-stream"), text
        lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line and not line.startswith(":")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """An HTTP server on 127.0.0.2, from where the endpoint may fetch."""
    yield from serve_folder("127.0.0.2")


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("endpoint")
    torch.manual_seed(0)
    shape = AdapterConfig(task="ocr", d_encoder=120, d_model=64, embedding_scale=0.02)
    save_adapter(Adapter(shape), folder / "adapter")
    with started(folder, {"adapters.ocr": str(folder / "adapter"), "decoder.mode.ocr": "both"}) as running:
        yield running


@contextmanager
def started(folder: Path, more: dict[str, Any]) -> Iterator[Endpoint]:
    """An endpoint that runs until the block ends, with more settings."""
    keys = folder / "keys"
    keys.write_text(f"{KEY} tests\n{OTHER_KEY} others\n")
    tiny = save_tiny(folder / "tiny", "llama")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings: dict[str, Any] = {
        **more,
        "decoder.checkpoint": str(tiny),
        "decoder.dtype": "float32",
        "decoder.prompt_tokens": 384,
        "decoder.max_new_tokens": 64,
        "decoder.context_tokens": 512,
        "cluster.num_cpus": 2,
        "cluster.object_store_gib": 0.5,
        "serve.allow_urls": '["127.0.0.2/32"]',
        "trace.file": str(folder / "spans"),
        "serve.limits.pages": 3,
        "serve.limits.pixels": 4_000_000,
        "serve.limits.audio_seconds": 120,
        "serve.limits.body_bytes": 30_000_000,
        "serve.limits.body_seconds": 3,
        "serve.limits.per_key_rate": 1000,
        "serve.limits.per_key_burst": 1000,
    }
    command = [sys.executable, "-m", "pipelines.cli", "serve", "--port", str(port), "--keys", str(keys)]
    command += [argument for name, value in settings.items() for argument in ("--set", f"{name}={value}")]
    # Without RAY_ADDRESS it starts a Ray of its own, which the tests of killed replicas may break.
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    ready = threading.Event()
    threading.Thread(target=_listen, args=(process, said, ready), daemon=True).start()
    try:
        assert ready.wait(150) and process.poll() is None, "".join(said)
        address = re.search(r"RAY_ADDRESS=(\S+)", "".join(said))
        assert address is not None
        decoder = {name: value for name, value in settings.items() if name.startswith(("decoder.", "adapters."))}
        yield Endpoint(f"http://127.0.0.1:{port}", KEY, keys, address[1], process.pid, decoder, folder / "spans")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, "".join(said)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _title(process: psutil.Process) -> str:
    """Empty once it has ended, waited for or not."""
    try:
        return " ".join(process.cmdline()[:1])
    except psutil.NoSuchProcess:
        return ""


def _listen(process: subprocess.Popen[str], said: list[str], ready: threading.Event) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        if "Ctrl-C ends it" in line:
            ready.set()
    ready.set()


def until(seconds: float, check: Any) -> Any:
    """The first true value of ``check``; fails when there is none in time."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return value
