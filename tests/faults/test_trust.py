"""Sources are strangers: what they hold reaches no network and no other file, and secrets reach no table or message."""

from __future__ import annotations

import ast
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from encoders.base import MediaInput
from encoders.failures import Failure, FailureCategory, InterlaceError, MediaError
from encoders.media.config import OpeningConfig
from encoders.media.opener import MediaOpener
from encoders.redaction import redact
from pipelines.cli import app
from pipelines.sources import fetch, list_assets
from pipelines.storage import s3_client
from tests.encoders.media_files import OFFICE, RELATIONSHIPS, docx, noise, sound, zipped
from tests.faults.arming import wait_until
from tests.faults.poison import _page_of

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-7f3a9b21c4"


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """host:port of a socket, and what connected to it so far."""
    server = socket.create_server(("127.0.0.1", 0))
    heard: list[str] = []

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.settimeout(1)
            heard.append(connection.recv(200).decode("latin-1"))
            connection.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}", heard
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def _fetching(folder: Path, host: str, local: Path) -> dict[str, bytes]:
    """Documents of every kind that ask for something elsewhere: on the network, and in another file."""
    url = f"http://{host}/x"
    html = (
        f"<html><head><link rel=stylesheet href='{url}.css'><style>@import url({url}2.css);"
        f"p{{background:url({url}.png)}}</style><base href='http://{host}/'></head><body><p>text</p>"
        f"<img src='{url}.png'>"
        f"<img src='y.png'><object data='{url}.svg'></object><iframe src='{url}.html'></iframe>"
        f"<img src='file://{local}'><embed src='{local}'></body></html>"
    )
    entity = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{url}"><!ENTITY y SYSTEM "file://{local}">]>'
    links = RELATIONSHIPS.format(
        f'<Relationship Id="r0" Type="{OFFICE}/image" Target="{url}.png" TargetMode="External"/>'
        f'<Relationship Id="r1" Type="{OFFICE}/attachedTemplate" Target="{url}.dotm" TargetMode="External"/>'
        f'<Relationship Id="r2" Type="{OFFICE}/image" Target="../../../../../../..{local}"/>'
    )
    body = "<w:p><w:r><w:t>text</w:t></w:r></w:p>"
    body += "".join(f'<a xmlns:r="{OFFICE}" r:embed="{link}"/>' for link in ("r0", "r2"))
    word = docx(folder / "a.docx", body)
    parts, main = {"word/_rels/document.xml.rels": links}, "word/document.xml"
    with zipfile.ZipFile(word) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()} | parts
    action = f"/OpenAction << /S /URI /URI ({url}) >> /AA << /O << /S /Launch /F ({local}) >> >>"
    remote = "<< /Type /XObject /Subtype /Image /Width 9 /Height 9 /BitsPerComponent 8 /ColorSpace /DeviceGray"
    remote += " /Length 0 "
    stream = f"{remote} /F << /FS /URL /F ({url}) >> >>\nstream\n\nendstream"
    local_stream = f"{remote} /F ({local}) >>\nstream\n\nendstream"
    pdf = _page_of("/X Do /Y Do", "/XObject << /X 5 0 R /Y 6 0 R >>", stream, local_stream)
    film = sound(folder / "a.mp4", "mp4", "aac", 16000, noise(1, 16000, 1)).read_bytes()
    reference = b"\0\0\0\x0curl \0\0\0\x01"
    assert reference in film
    elsewhere = len(url.encode()) + 13
    return {
        "a.html": html.encode(),
        "entity.docx": zipped(folder / "e.docx", parts | {main: entity + parts[main]}).read_bytes(),
        "linked.docx": zipped(folder / "l.docx", parts).read_bytes(),
        "a.pdf": pdf.replace(b"/Type /Catalog", b"/Type /Catalog " + action.encode()),
        "a.fb2": f'<?xml version="1.0"?>{entity}<FictionBook xmlns:l="http://www.w3.org/1999/xlink"><body><section><p>text'
        f'</p><image l:href="{url}.png"/></section></body></FictionBook>'.encode(),
        "a.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>'.encode(),
        "a.mp4": film.replace(reference, elsewhere.to_bytes(4, "big") + b"url \0\0\0\0" + url.encode() + b"\0"),
        "a.mp3": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}.ts\n#EXTINF:9,\nfile://{local}\n".encode(),
        "b.mp3": b"ID3\x04\0\0\0\0\0\0" + f"#EXTM3U\n#EXTINF:9,\n{url}.ts\n".encode(),
        "a.wav": f"ffconcat version 1.0\nfile {url}\nfile {local}\n".encode(),
    }


def test_no_document_reaches_the_network_or_another_file(tmp_path: Path, listener: tuple[str, list[str]]) -> None:
    host, heard = listener
    local = tmp_path / "private" / "secret.txt"
    local.parent.mkdir()
    local.write_text(CANARY)
    opened = 0
    with MediaOpener() as auto, MediaOpener(OpeningConfig(ocr="always")) as always:
        for name, data in _fetching(tmp_path, host, local).items():
            path = tmp_path / name
            path.write_bytes(data)
            for opener in (auto, always):
                part = MediaInput("part", str(path), "", path)
                for values in (opener.pages(part), opener.audio(part)):
                    for value in values:
                        opened += not isinstance(value, Failure)
                        text = " ".join(line.text for line in getattr(value, "lines", None) or ())
                        assert CANARY not in text and CANARY not in str(value)
    assert opened >= 10  # they are documents all the same, and are read
    with socket.create_connection(host.split(":")) as connection:  # the listener does listen
        connection.sendall(b"a real one")
    wait_until(lambda: bool(heard), "the listener's connection")
    assert heard == ["a real one"]


def test_secrets_do_not_reach_messages() -> None:
    texts = {
        f'Could not connect to the endpoint URL: "http://me:{CANARY}@store:9000/b"': "http://***@store:9000/b",
        f"403 for https://s3/b/k?X-Amz-Credential={CANARY}&X-Amz-Signature={CANARY}&x=1": "&x=1",
        f"Authorization: Bearer {CANARY}xyz": "Authorization",
        f"https://hub/model?token={CANARY}": "https://hub/model?token=***",
    }
    for text, kept in texts.items():
        for said in (redact(text), str(InterlaceError(text)), Failure(FailureCategory.CORRUPT, "open", text).message):
            assert CANARY not in said and kept in said
    assert redact("s3://bucket/a@b.txt?x and user@example.org at 10:30") == (
        "s3://bucket/a@b.txt?x and user@example.org at 10:30"
    )
    assert "\udcff" not in redact("broken \udcff name")


def test_a_secret_of_the_environment_is_hidden_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    assert redact(f"the store says: wrong {CANARY}!") == "the store says: wrong ***!"


def test_failing_s3_calls_and_sources_tell_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:{CANARY}@127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{CANARY}-secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("pipelines.storage.ATTEMPTS", 1)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials that it found first
    s3_client.cache_clear()
    said = []
    try:
        with pytest.raises(MediaError) as caught:
            fetch("s3://bucket/key")
        said.append(str(caught.value))
        with pytest.raises(InterlaceError) as listed:
            list(list_assets(["s3://bucket/prefix"]))
        said.append(str(listed.value))
        with pytest.raises(InterlaceError) as refused:
            list(list_assets([f"s3://me:{CANARY}@bucket/prefix"]))
        said.append(str(refused.value))
        assert "credentials" in said[-1]
        out = CliRunner().invoke(app, ["run", f"s3://me:{CANARY}@bucket/in", "--out", str(tmp_path / "out")])
        said += [out.output, str(out.exception)]
        said.append(CliRunner().invoke(app, ["config"]).output)
    finally:
        s3_client.cache_clear()
    assert all(CANARY not in text for text in said), said
    assert [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()] == []


def test_nothing_is_unpickled_or_loaded_with_code() -> None:
    """Checkpoints are data: no pickle is read, torch.load takes weights only, YAML is safe, no hub code is run."""
    found = []
    floors = ("encoders", "decoder", "cluster", "pipelines")
    for path in (path for floor in floors for path in (ROOT / floor).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (complaint := _unsafe(ast.unparse(node.func), node)):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {complaint}")
    assert found == []


def _unsafe(name: str, call: ast.Call) -> str | None:
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name.endswith(("pickle.load", "pickle.loads", "joblib.load", "yaml.load", "yaml.unsafe_load", "extractall")):
        return name
    if name == "torch.load" and given.get("weights_only") != "True":
        return "torch.load without weights_only=True"
    if name.endswith("np.load") and given.get("allow_pickle", "False") != "False":
        return "np.load with pickles"
    if given.get("trust_remote_code", "False") != "False":
        return "trust_remote_code"
    if name in ("eval", "exec") or given.get("shell") == "True":
        return name
    return None


def test_the_process_that_opens_strangers_files_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    with MediaOpener() as opener:
        assert opener.probe(MediaInput("part", "a.txt", "", data=b"text")).pages == 1
        assert opener._child is not None
        environment = Path(f"/proc/{opener._child.pid}/environ").read_bytes()
    assert b"PYTHONPATH" in environment and CANARY.encode() not in environment


def test_a_link_does_not_lead_out_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "private.txt").write_text(CANARY)
    source = tmp_path / "in"
    source.mkdir()
    (source / "own.txt").write_text("own")
    (source / "inside.txt").symlink_to(source / "own.txt")
    (source / "outside.txt").symlink_to(tmp_path / "private.txt")
    assert [Path(asset.uri).name for asset in list_assets([str(source)])] == ["inside.txt", "own.txt"]
