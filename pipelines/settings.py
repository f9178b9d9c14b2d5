"""One typed settings tree for flags, YAML and environment; every value knows where it came from.

Order, later wins: default, config file, environment (INTERLACE_OCR__OPENING__DPI=200), command line
(--set ocr.opening.dpi=200, and the named flags that are short for such paths).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from cluster.endpoint.config import ServeConfig
from cluster.pools import ClusterConfig
from decoder.config import DecoderConfig
from encoders.failures import InterlaceError
from encoders.registry import ENCODERS
from encoders.tracing import Tracing

ENVIRONMENT_PREFIX = "INTERLACE_"
# Of encoders.checkpoints and encoders.fault_points.
_NOT_SETTINGS = {"INTERLACE_HOME", "INTERLACE_MIRROR", "INTERLACE_FAULTS"}


class UsageError(InterlaceError):
    """The command or its settings are wrong; exit status 2."""


class RunConfig(BaseModel):
    """What a run does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[str, ...] = Field(("ocr", "speech_to_text"), description="encoders to run: " + ", ".join(ENCODERS))
    prompt: str | None = Field(None, description="a question asked of every asset")
    answer_schema: Path | None = Field(None, description="a JSON schema file that every answer follows")
    limit: int | None = Field(None, ge=1, description="at most this many assets")
    sample: float | None = Field(None, gt=0, le=1, description="a random but repeatable share of the assets")
    pages_per_part: int = Field(32, ge=1, le=512, description="pages of a document in one part")
    seconds_per_part: float = Field(1800.0, ge=30, description="seconds of a recording in one part")
    publish_every: float | None = Field(
        None, gt=0, description="minutes between publishes during a run; default: at its end"
    )
    prune: bool = Field(False, description="remove the rows of assets that are gone from the sources")
    keep_soft_tokens: bool = Field(
        False, description="store what the adapters make of each part, so that other questions read it too"
    )
    keep_features: bool = Field(
        False, description="store the encoders' features of each part, which adapters are trained on; up to 2 MB a page"
    )
    stall_seconds: float = Field(
        600.0, gt=0, description="end a worker that makes no progress for so long, and read its parts again"
    )
    log: Literal["text", "json"] = Field(
        "text", description="progress for people, or JSON lines with run_id and part_id"
    )
    strict: bool = Field(False, description="exit 1 when any part failed")
    price_per_gpu_hour: float = Field(2.5, ge=0, description="for the cost that interlace plan prints")
    price_per_cpu_hour: float = Field(0.04, ge=0, description="for the cost that interlace plan prints")

    @field_validator("answer_schema")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """A retry takes the settings of the last run, and may be started from another folder."""
        return path and path.expanduser().absolute()


class TraceConfig(BaseModel):
    """Where traces go. A collector is named as everywhere: OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path | None = Field(None, description="a file of JSON lines that spans are added to, on this machine")
    sample: float = Field(1.0, ge=0, le=1, description="the share of parts and requests that are traced")

    def tracing(self) -> Tracing:
        """As a value that travels to all processes. Raises UsageError for a file that cannot be written to here."""
        try:
            if self.file is not None:
                self.file.expanduser().open("a").close()
        except OSError as error:
            raise UsageError(f"cannot write traces to {self.file}: {error.strerror}") from error
        return Tracing.of(str(self.file.expanduser().absolute()) if self.file else None, self.sample)


class SettingsTree(BaseModel):
    """The root of the tree; encoders add a branch each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: RunConfig = Field(default_factory=RunConfig)
    decoder: DecoderConfig = Field(default_factory=DecoderConfig)
    cluster: ClusterConfig = Field(default_factory=ClusterConfig)
    serve: ServeConfig = Field(default_factory=ServeConfig)
    trace: TraceConfig = Field(default_factory=TraceConfig)
    adapters: dict[str, str] = Field(
        {
            "ocr": "ocr_adapter",
            "speech_to_text": "speech_adapter",
            "object_detection": "detection_adapter",
            "gui_detection": "detection_adapter",
        },
        description="task to the checkpoint of its adapter, whose soft tokens decoder.mode reads; empty: none",
    )

    @field_validator("adapters")
    @classmethod
    def _of_tasks(cls, adapters: dict[str, str]) -> dict[str, str]:
        """A task that is not named keeps its default."""
        if unknown := sorted(set(adapters) - set(ENCODERS)):
            raise ValueError(f"there is no task {unknown[0]}; there are {', '.join(ENCODERS)}")
        usual: dict[str, str] = cls.model_fields["adapters"].default
        return usual | adapters

    def encoder(self, task: str) -> Any:
        """The config of one encoder."""
        return getattr(self, task)


def _tree() -> type[SettingsTree]:
    branches: dict[str, Any] = {
        task: (entry.config_type(), Field(default_factory=entry.config_type())) for task, entry in ENCODERS.items()
    }
    return create_model("Settings", __base__=SettingsTree, **branches)


Settings = _tree()


class LoadedSettings:
    """The settings and, for every leaf, where its value came from."""

    def __init__(self, settings: SettingsTree, origins: Mapping[str, str]) -> None:
        self.settings = settings
        self.origins = dict(origins)

    def leaves(self) -> Iterator[tuple[str, Any, str]]:
        """(path, value, origin) of every setting."""
        for path, value in leaves(self.settings.model_dump(mode="json")):
            yield path, value, self.origins.get(path, "default")


def load_settings(
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    base: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """Read the tree from all its sources, over ``base``, the settings of an earlier run. Raises UsageError for unknown
    keys and wrong values."""
    origins: dict[str, str] = {}
    merged: dict[str, Any] = {}
    layers = [
        (dict(base or {}), "the last run"),
        (_read_yaml(file), str(file)),
        (_read_environment(os.environ if environment is None else environment), "environment"),
        (dict(overrides or {}), "command line"),
    ]
    for leaves, origin in layers:
        for path, value in leaves.items():
            _check_key(path, origin)
            _put(merged, path, value)
            origins = {known: where for known, where in origins.items() if not path.startswith(f"{known}.")}
            origins[path] = origin
    try:
        return LoadedSettings(Settings.model_validate(merged), origins)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        near = (o for p, o in reversed(origins.items()) if path.startswith(p) or p.startswith(f"{path}."))
        where = origins.get(path) or next(near, "settings")
        raise UsageError(f"{path} from {where}: {first['msg']}, got {first['input']!r}") from error


def _read_yaml(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        tree = yaml.safe_load(file.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the config file {file}: {error}") from error
    if not isinstance(tree, dict):
        raise UsageError(f"the config file {file} must hold a mapping such as 'ocr: {{opening: {{dpi: 200}}}}'")
    return dict(leaves(tree))


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX) and name not in _NOT_SETTINGS:
            found[name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")] = yaml.safe_load(text)
    return found


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every leaf of nested mappings."""
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *folders, leaf = path.split(".")
    for name in folders:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}  # one value for all, as decoder.mode may have, makes room for one by task
        tree = tree[name]
    tree[leaf] = value


def known_keys() -> list[str]:
    """Every path of the tree."""
    return [path for path, _ in _model_leaves(Settings, "")]


def _model_leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _model_leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def is_known(path: str) -> bool:
    """Whether a path is a setting, or one entry of a setting that is a mapping."""
    return any(path == key or path.startswith(f"{key}.") for key in known_keys())


def _check_key(path: str, origin: str) -> None:
    keys = known_keys()
    if is_known(path):
        return
    branch = [key for key in keys if key.startswith(f"{path}.")]
    if branch:
        raise UsageError(f"{path} from {origin} is a group, not a value; set one of {', '.join(branch[:4])}")
    near = difflib.get_close_matches(path, keys, n=1, cutoff=0.4)
    near = near or [key for key in keys if key.rpartition(".")[2] == path.rpartition(".")[2]][:1]
    hint = f"; did you mean {near[0]}?" if near else "; interlace config lists them all"
    raise UsageError(f"unknown setting {path} from {origin}{hint}")
