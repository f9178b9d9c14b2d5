"""The command line: one verb per command, the same settings for all."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from encoders.failures import InterlaceError
from encoders.redaction import redact
from pipelines import cli_lake, cli_models, cli_watch
from pipelines.cli_options import ConfigFile, Out, PasswordFile, Prompt, Schema, Set, Trace, Wait, load
from pipelines.consoles import stderr, stdout

app = typer.Typer(
    name="interlace",
    help="Reads archives of documents, images and recordings into tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_lake.app)
app.add_typer(cli_watch.app)
app.add_typer(cli_models.app, name="models")

Sources = Annotated[list[str], typer.Argument(help="folders, globs, files, s3://bucket/prefix, or @FILE with uris")]


def _sample(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is not a share; write 1% or 0.01", param_hint="--sample") from None


def _flags(
    tasks: str | None,
    ocr: str | None,
    prompt: str | None,
    schema: Path | None,
    limit: int | None,
    sample: str | None,
    strict: bool | None = None,
    queries: list[str] | None = None,
) -> dict[str, Any]:
    asked = list(queries) if queries else None
    return {
        "run.tasks": tasks.split(",") if tasks else None,
        "object_detection.queries": asked,
        "gui_detection.queries": asked,
        "ocr.opening.ocr": ocr,
        "run.prompt": prompt,
        "run.answer_schema": str(schema) if schema else None,
        "run.limit": limit,
        "run.sample": _sample(sample),
        "run.strict": strict,
    }


Tasks = Annotated[str | None, typer.Option(help="encoders to run, by comma; default: ocr,speech_to_text")]
Ocr = Annotated[str | None, typer.Option(help="auto (a sound text layer is taken), always or never")]
Queries = Annotated[
    list[str] | None,
    typer.Option("--query", help="a phrase that the detection tasks look for; may be given often; default: everything"),
]
Limit = Annotated[int | None, typer.Option(help="at most this many assets")]
Sample = Annotated[str | None, typer.Option(help="a repeatable share of the assets, such as 1%")]


@app.command(epilog="Example: interlace run ./archive --out ./lake --prompt 'What is this about?'")
def run(
    sources: Sources,
    out: Annotated[str, typer.Option(help="where the tables go: a folder or s3://bucket/prefix")],
    tasks: Tasks = None,
    ocr: Ocr = None,
    prompt: Prompt = None,
    schema: Schema = None,
    limit: Limit = None,
    sample: Sample = None,
    query: Queries = None,
    strict: Annotated[bool | None, typer.Option("--strict", help="exit 1 when any part failed")] = None,
    publish_every: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="publish whole assets during the run, not only at its end")
    ] = None,
    prune: Annotated[
        bool | None, typer.Option("--prune", help="remove the rows of assets that are gone from SOURCES")
    ] = None,
    keep_soft_tokens: Annotated[
        bool | None,
        typer.Option(
            "--keep-soft-tokens", help="store what the adapters make of each part, for other questions (adapters.TASK)"
        ),
    ] = None,
    keep_features: Annotated[
        bool | None, typer.Option("--keep-features", help="store the encoders' features of each part, to train on")
    ] = None,
    passwords: PasswordFile = None,
    trace: Trace = None,
    wait: Wait = False,
    config: ConfigFile = None,
    settings: Set = [],  # noqa: B006  typer copies defaults
) -> None:
    """Read every asset of SOURCES into tables under OUT. Run it again to resume, or to read what is new."""
    from pipelines.log_lines import progress_for
    from pipelines.passwords import Passwords
    from pipelines.run import Run

    flags = _flags(tasks, ocr, prompt, schema, limit, sample, strict, query)
    flags |= {"run.publish_every": publish_every, "run.prune": prune, "run.keep_soft_tokens": keep_soft_tokens}
    flags |= {"run.keep_features": keep_features, "trace.file": trace and trace.absolute()}
    loaded = load(config, settings, flags)
    progress = progress_for(loaded.settings.run.log, stderr())
    job = Run(loaded.settings, sources, out, progress, wait=wait, passwords=Passwords.read(passwords))
    cli_lake.finish(job, strict=loaded.settings.run.strict)


@app.command(epilog="Example: interlace plan s3://archive/2024 --set run.price_per_gpu_hour=2.5")
def plan(
    sources: Sources,
    out: Annotated[str | None, typer.Option(help="leave out what these tables hold, and plan from their times")] = None,
    tasks: Tasks = None,
    prompt: Prompt = None,
    limit: Limit = None,
    sample: Sample = None,
    config: ConfigFile = None,
    settings: Set = [],  # noqa: B006
) -> None:
    """Say what a run would do, with which pools, for how long and for how much. Writes nothing.

    With RAY_ADDRESS set, that cluster says what it has; else this machine's cores and GPUs are taken."""
    from pipelines.forecast import print_forecast

    loaded = load(config, settings, _flags(tasks, None, prompt, None, limit, sample))
    print_forecast(stdout(), stderr(), loaded.settings, sources, out)


@app.command(epilog="Example: interlace search ./lake 'total amount'")
def search(
    out: Out,
    text: Annotated[str, typer.Argument(help="a word or phrase; a * at its end finds words that begin so")],
    limit: Annotated[int | None, typer.Option(help="at most this many hits")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per hit")] = False,
) -> None:
    """Find words and phrases; prints asset, page or time, and box. Exit 1 when there is no hit."""
    from pipelines.search import search as find
    from pipelines.search_output import show

    hits = show(find(out, text, limit=limit), stdout(), as_json=as_json)
    if not hits:
        stderr().print(f"no hit for {text!r} in {out}", soft_wrap=True, markup=False)
    raise typer.Exit(0 if hits else 1)


@app.command(epilog="Example: interlace export ./lake --markdown ./text")
def export(
    out: Out,
    markdown: Annotated[str | None, typer.Option(metavar="DIR", help="one .md file per asset")] = None,
    jsonl: Annotated[str | None, typer.Option(metavar="DIR", help="one .jsonl file per asset")] = None,
    srt: Annotated[str | None, typer.Option(metavar="DIR", help="one .srt file per recording")] = None,
) -> None:
    """Write what was read as one file per asset."""
    from pipelines.export import ExportFormat
    from pipelines.export import export as write
    from pipelines.settings import UsageError

    wanted = {ExportFormat.MARKDOWN: markdown, ExportFormat.JSONL: jsonl, ExportFormat.SRT: srt}
    if not any(wanted.values()):
        raise UsageError("say what to write: --markdown DIR, --jsonl DIR or --srt DIR")
    for kind, folder in wanted.items():
        if folder is None:
            continue
        with stderr().status(f"writing {kind.value}"):
            summary = write(out, folder, kind)
        stdout().print(f"{summary.written} files in {summary.folder}", soft_wrap=True)
        for reason, count in summary.skipped.items():
            stdout().print(f"{count} assets left out: {reason}", soft_wrap=True)


@app.command(epilog="Example: interlace report ./lake --html report.html")
def report(
    out: Out,
    html: Annotated[Path, typer.Option(help="the file to write")],
    assets: Annotated[int, typer.Option(help="show at most this many assets")] = 40,
    pages: Annotated[int, typer.Option(help="show at most this many pages of each")] = 3,
) -> None:
    """Draw one self-contained page: page images with boxes, recordings by speaker, answers, failures, throughput."""
    from pipelines.report import ReportLimits, write_report

    with stderr().status("drawing the report") as status:
        summary = write_report(
            out, html, ReportLimits(assets=assets, pages=pages), progress=lambda uri: status.update(escape(uri))
        )
    left = f", {summary.left_out} assets left out" if summary.left_out else ""
    size = f"{summary.size / 1e6:.1f} MB"
    stdout().print(f"{summary.path}: {size}, {summary.assets} assets{left}", soft_wrap=True)


@app.command(epilog="Example: interlace serve --port 8000 --warm ocr,decoder")
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on; other than loopback needs keys")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; default: 8000")] = None,
    warm: Annotated[str | None, typer.Option(help="tasks or decoder to keep loaded, by comma, or all")] = None,
    keys: Annotated[Path | None, typer.Option(help="a file of API keys, one a line: KEY [NAME]")] = None,
    trace: Trace = None,
    config: ConfigFile = None,
    settings: Set = [],  # noqa: B006
) -> None:
    """Answer the OpenAI chat API at http://HOST:PORT/v1, with a page to try it at /. Ctrl-C ends it."""
    from pipelines.cli_serve import serve_endpoint

    flags: dict[str, Any] = {"serve.host": host, "serve.port": port}
    flags |= {"trace.file": trace and trace.absolute()}
    flags |= {"serve.keys": keys.resolve() if keys else None, "serve.warm": warm.split(",") if warm else None}
    serve_endpoint(load(config, settings, flags).settings)


@app.command(name="config", epilog="Example: INTERLACE_OCR__OPENING__DPI=200 interlace config")
def config_(config: ConfigFile = None, settings: Set = []) -> None:  # noqa: B006
    """Print every setting as YAML, with where its value came from."""
    loaded = load(config, settings, {})
    console = stdout()
    width = max(len(path) for path, _, _ in loaded.leaves())
    for path, value, origin in loaded.leaves():
        console.print(
            redact(f"{path:<{width}}  {json.dumps(value, ensure_ascii=False)}  # {origin}"),
            markup=False,
            soft_wrap=True,
        )


def main() -> None:
    """Entry point: errors that are meant for the user are one line, and exit 2."""
    try:
        app()
    except InterlaceError as error:
        stderr().print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        _leave(2)
    except Exception:  # not meant for the user, but it must not show a secret either
        sys.stderr.write(redact(traceback.format_exc()))
        _leave(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(141)
    except SystemExit as ended:
        _leave(ended.code if isinstance(ended.code, int) else 1 if ended.code else 0)


def _leave(code: int) -> None:
    """Exit without interpreter teardown: deltalake's threads with pyarrow's can abort there, after all work is done."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
