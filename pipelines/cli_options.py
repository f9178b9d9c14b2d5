"""Arguments and options that several commands share, and the settings that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

Out = Annotated[str, typer.Argument(help="the OUT of a run: a folder or s3://bucket/prefix")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="a YAML file; see: interlace config")]
Set = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="any setting; may be given again")]
Prompt = Annotated[str | None, typer.Option(help="a question asked of every asset")]
Schema = Annotated[Path | None, typer.Option(help="a JSON schema that every answer follows")]
Wait = Annotated[bool, typer.Option("--wait", help="wait when another command writes to OUT, instead of giving up")]
Trace = Annotated[
    Path | None, typer.Option("--trace", metavar="FILE", help="add spans of what is done to this file, as JSON lines")
]
PasswordFile = Annotated[
    Path | None, typer.Option("--passwords", help="for locked files: lines of PATTERN, a tab, PASSWORD")
]


def load(config: Path | None, settings: list[str], flags: dict[str, Any], *, base: dict[str, Any] | None = None) -> Any:
    """Settings from ``base``, the file, the environment, --set and the named flags (None means not given)."""
    from pipelines.settings import UsageError, load_settings

    overrides: dict[str, Any] = {}
    for item in settings:
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item} has no value; write --set {item}=VALUE")
        overrides[key] = yaml.safe_load(value)
    overrides |= {key: value for key, value in flags.items() if value is not None}
    return load_settings(config, overrides, base=base)
