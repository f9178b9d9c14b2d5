"""What a config may say in place of a default: a folder, an s3:// prefix, a Hugging Face id."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from encoders.checkpoints import CheckpointError, checkpoint_digest, checkpoint_format, resolve


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialised decoder of 5 thousand parameters, saved by transformers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
    )
    folder = tmp_path_factory.mktemp("tiny") / "decoder-tiny"
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def _logits(folder: Path) -> torch.Tensor:
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        result: torch.Tensor = network(torch.arange(8)[None]).logits
    return result


# Folders


def test_a_folder_is_taken_as_it_is(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(str(tiny), variant="torch") == tiny
    monkeypatch.chdir(tiny.parent)
    assert resolve("./decoder-tiny", offline=True) == tiny
    assert resolve("decoder-tiny") == tiny
    assert checkpoint_format(tiny) == "torch"
    assert torch.equal(_logits(resolve(str(tiny))), _logits(tiny))


def test_a_folders_digest_follows_its_content_and_not_its_place(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in tiny.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / ".git").mkdir()
    (copy / ".git" / "HEAD").write_text("not part of the checkpoint")
    before = checkpoint_digest(str(copy))
    assert before == checkpoint_digest(str(tiny))
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert checkpoint_digest(str(copy)) != before


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["model.onnx"], "onnx"),
        (["model.bin", "vocabulary.json", "config.json"], "ctranslate2"),
        (["config.json"], "torch"),
    ],
)
def test_a_folders_format_is_told_by_its_files(tmp_path: Path, files: list[str], expected: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert checkpoint_format(tmp_path) == expected


def test_what_is_no_checkpoint_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Did you mean ocr_detection"):
        resolve("ocr_detektion")
    with pytest.raises(CheckpointError, match="does not exist"):
        resolve(str(tmp_path / "missing"))
    with pytest.raises(CheckpointError, match="has no variant 'gpu'; it has onnx, torch"):
        resolve("ocr_detection", variant="gpu")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint_format(tmp_path)
    with pytest.raises(CheckpointError, match="expected s3://bucket/prefix"):
        resolve("s3://only-a-bucket")


# S3


def _upload(folder: Path, ref: str) -> None:
    bucket, prefix = ref.removeprefix("s3://").split("/", 1)
    for file in folder.iterdir():
        boto3.client("s3").upload_file(str(file), bucket, f"{prefix}/{file.name}")


def _put(ref: str, body: bytes) -> None:
    bucket, key = ref.removeprefix("s3://").split("/", 1)
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def test_a_prefix_is_copied_once_per_state(s3: str, tiny: Path, tmp_path: Path) -> None:
    ref = f"{s3}/decoders/tiny"
    _upload(tiny, ref)
    _put(f"{ref}/", b"")  # a folder marker, as consoles make
    _put(f"{ref}-large/config.json", b"{}")  # a neighbour
    folder = resolve(ref, home=tmp_path)
    assert torch.equal(_logits(folder), _logits(tiny))
    assert sorted(path.name for path in folder.glob("[!.]*")) == sorted(path.name for path in tiny.iterdir())
    assert checkpoint_digest(str(folder)) == checkpoint_digest(str(tiny))
    made = folder.stat().st_ctime_ns
    assert resolve(ref + "/", home=tmp_path) == folder
    assert folder.stat().st_ctime_ns == made
    before = checkpoint_digest(ref)

    _put(f"{ref}/generation_config.json", b"{}")
    newer = resolve(ref, home=tmp_path)
    assert newer != folder
    assert (newer / "generation_config.json").read_bytes() == b"{}"
    assert checkpoint_digest(ref) != before
    assert (folder / "config.json").exists(), "a run in progress may still read the older copy"


def test_a_copied_prefix_works_offline(s3: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = f"{s3}/offline"
    _upload(tiny, ref)
    folder, digest = resolve(ref, home=tmp_path), checkpoint_digest(ref)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert resolve(ref, home=tmp_path, offline=True) == folder
    assert checkpoint_digest(ref, home=tmp_path, offline=True) == digest
    with pytest.raises(CheckpointError, match=r"cannot be listed.*AWS_ENDPOINT_URL"):
        resolve(ref, home=tmp_path)
    with pytest.raises(CheckpointError, match="has not been copied to this machine"):
        resolve(f"{s3}/other", home=tmp_path, offline=True)


def test_a_prefix_that_changes_while_it_is_copied_is_refused(
    s3: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _upload(tiny, f"{s3}/changing")
    real = boto3.client("s3")

    class OverwritesBeforeTheFirstDownload:
        def download_file(self, bucket: str, key: str, target: str) -> None:
            real.put_object(Bucket=bucket, Key="changing/config.json", Body=b"{}")
            real.download_file(bucket, key, target)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    monkeypatch.setattr(boto3, "client", lambda service, config: OverwritesBeforeTheFirstDownload())
    with pytest.raises(CheckpointError, match="was changed while it was downloaded"):
        resolve(f"{s3}/changing", home=tmp_path)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_prefix_without_objects_and_a_bucket_that_is_not_there_are_refused(s3: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"nothing under {s3}/empty"):
        resolve(f"{s3}/empty", home=tmp_path)
    with pytest.raises(CheckpointError, match="cannot be listed"):
        resolve("s3://no-such-bucket/prefix", home=tmp_path)


# Hugging Face

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class _Hub:
    endpoint: str
    folder: Path


@pytest.fixture
def hub(tiny: Path) -> Iterator[_Hub]:
    """A server with the four answers of the hub that a download asks for."""
    files = {file.name: file.read_bytes() for file in tiny.iterdir()} | {
        "tf_model.h5": b"",
        "pytorch_model.bin": b"",
        "model.fp16.safetensors": b"",
    }

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path.startswith("/api/models/someone/tiny"):
                siblings = [{"rfilename": name} for name in files]
                body, headers = json.dumps({"id": "someone/tiny", "sha": _COMMIT, "siblings": siblings}).encode(), {}
                if "/tree/" in path:
                    body = json.dumps(
                        [{"type": "file", "path": n, "size": len(d), "oid": "0"} for n, d in files.items()]
                    ).encode()
            elif path.startswith("/someone/tiny/resolve/") and path.rpartition("/")[2] in files:
                body = files[path.rpartition("/")[2]]
                headers = {"X-Repo-Commit": _COMMIT, "ETag": f'"{abs(hash(body)):x}"'}
            else:
                self.send_error(404)
                return
            self.send_response(200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield _Hub(f"http://127.0.0.1:{server.server_port}", tiny)
    server.shutdown()


_ASK = """
import json, sys
from encoders.checkpoints import CheckpointError, checkpoint_digest, resolve
offline = sys.argv[2] == "offline"
try:
    folder = resolve(sys.argv[1], offline=offline)
    print(json.dumps({"folder": str(folder), "digest": checkpoint_digest(sys.argv[1], offline=offline)}))
except CheckpointError as error:
    print(json.dumps({"error": str(error)}))
"""


def _ask(ref: str, mode: str, endpoint: str, cache: Path) -> dict[str, str]:
    """Resolve in a process of its own: the hub's library reads its settings when it is imported."""
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", _ASK, ref, mode], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_a_hugging_face_id_is_downloaded_and_works_offline(hub: _Hub, tmp_path: Path) -> None:
    answer = _ask("someone/tiny", "online", hub.endpoint, tmp_path)
    folder = Path(answer["folder"])
    assert answer["digest"] == _COMMIT
    assert torch.equal(_logits(folder), _logits(hub.folder))
    assert sorted(file.name for file in folder.iterdir()) == sorted(file.name for file in hub.folder.iterdir())
    assert _ask("someone/tiny", "offline", "http://127.0.0.1:1", tmp_path) == answer
    assert _ask(f"someone/tiny@{_COMMIT}", "offline", "http://127.0.0.1:1", tmp_path) == answer


def test_a_hugging_face_id_that_is_not_to_be_had_is_refused_in_words(hub: _Hub, tmp_path: Path) -> None:
    for ref, mode in (("someone/tiny", "offline"), ("someone/missing", "online")):
        answer = _ask(ref, mode, hub.endpoint, tmp_path)
        assert answer["error"].startswith(f"The Hugging Face checkpoint {ref} is not in this machine's cache")
        assert "local folder" in answer["error"]
