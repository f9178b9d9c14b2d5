"""The npm openai client, installed by npm into a cache folder the first time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster.endpoint.api import PAGE
from encoders.checkpoints.home import interlace_home
from tests.serving.conftest import Endpoint
from tests.serving.site import data_uri, receipt

NODE = Path(__file__).with_name("node")


@pytest.fixture(scope="module")
def node_folder() -> Path:
    """The script with its node_modules. Needs node 20 and npm: Debian's packages nodejs and npm (make system)."""
    npm = shutil.which("npm")
    assert npm is not None and shutil.which("node") is not None, "install nodejs and npm (make system)"
    folder = interlace_home() / "tests" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "chat.mjs"):
        shutil.copy(NODE / name, folder / name)
    if not (folder / "node_modules" / "openai").is_dir():
        subprocess.run([npm, "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, timeout=240)
    return folder


def test_snippets_of_the_page_take_any_file_name(tmp_path: Path) -> None:
    """What people copy into a shell must not be steered by the name of a file that somebody sent them."""
    name, page = "a $& $' $` $(touch gone) 'b'.txt", PAGE / "chat.js"
    (tmp_path / name).write_text("hello")
    shutil.copy(page, tmp_path / "chat.mjs")
    script = f"""
      import {{ body, curl, python }} from "./chat.mjs";
      const names = [{json.dumps(name)}], parts = [{{ type: "file", file: {{ file_data: "", filename: names[0] }} }}];
      const request = body({{ model: "m", mode: "ask", question: "What's it?", parts, schema: null, earlier: [] }});
      console.log(JSON.stringify([curl, python].map((snippet) => snippet(request, names, "http://h/", false))));
    """
    told = subprocess.run(
        ["node", "--input-type=module", "-e", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    shell, python = json.loads(told.stdout)
    sent = subprocess.run(
        ["bash", "-c", shell.rpartition("|\n")[0]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    file = json.loads(sent.stdout)["messages"][0]["content"][1]["file"]
    assert file == {"file_data": "data:application/octet-stream;base64,aGVsbG8=", "filename": name}
    assert not (tmp_path / "gone").exists()
    assert f"data_uri({json.dumps(name)})" in python and compile(python, "snippet", "exec")


def test_the_javascript_client(node_folder: Path, endpoint: Endpoint) -> None:
    variables = {"BASE_URL": endpoint.v1, "API_KEY": endpoint.key, "PICTURE": data_uri(receipt(), "image/png")}
    command = ["node", "chat.mjs"]
    ran = subprocess.run(
        command, cwd=node_folder, env=os.environ | variables, capture_output=True, text=True, timeout=120
    )
    assert ran.stdout == "all well\n", ran.stderr
