"""The Ray session of a run: join the cluster that is running, else start a local one."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cluster.gpu_memory import card_gib
from cluster.local_ray import start_local_ray
from cluster.placing import Node
from cluster.pools import ClusterConfig, Resources
from encoders.failures import InterlaceError

# Ray warns and reports by default; a run prints its own progress and sends nothing anywhere.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Actors that book a sliver of a CPU outnumber the cores; Ray warns of that at every start unless this is larger.
    "RAY_worker_maximum_startup_concurrency": "8",
    # Nobody asks for the history of tasks; the driver and the GCS kept some of every batch.
    "RAY_task_events_report_interval_ms": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # of this process alone; workers and daemons log to their own files
}
# Bound before numpy, torch and onnxruntime load in a worker: an actor is one core, whatever the machine has.
WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}

ASKING_SECONDS = 30.0  # that nodes have to tell what cards they have
_SENT = ("INTERLACE_MIRROR",)  # variables of the driver that workers of a joined cluster get as well


def available_cpus() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_resources(config: ClusterConfig) -> Resources:
    """What a local Ray would have; counts GPUs without touching CUDA, which must not start before a fork."""
    gpus = config.num_gpus
    if gpus is None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = _gpus_of_the_driver() if visible is None else _gpus_named(visible)
    cpus = config.num_cpus or available_cpus()
    return Resources(cpus, gpus, (Node(cpus, gpus, card_gib=card_gib()),) if gpus else ())


def joins_a_cluster() -> bool:
    """Whether `ray_session` will join a cluster that runs already. Only the cluster knows what it has."""
    return bool(os.environ.get("RAY_ADDRESS"))


def _gpus_of_the_driver() -> int:
    """GPUs as the driver lists them; in a sandbox that hides its list, their device files."""
    listed = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return listed or sum(path.name.removeprefix("nvidia").isdigit() for path in Path("/dev").glob("nvidia*"))


def _gpus_named(visible: str) -> int:
    """How many GPUs CUDA_VISIBLE_DEVICES leaves: those behind -1 or an empty name do not count, as in CUDA."""
    names = [name.strip() for name in visible.split(",")]
    return next((index for index, name in enumerate(names) if name in ("", "-1")), len(names))


@contextmanager
def ray_session(config: ClusterConfig, note: Callable[[str], None] | None = None) -> Iterator[Resources]:
    """Join or start Ray; yields what it has. What this started it stops, what it joined it leaves running.

    With ``note``, a cluster that was joined and has no workers is asked to start some, and ``note`` is told. Raises
    `InterlaceError` when there is nothing to join, or Ray does not start.
    """
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    import ray

    quiet_logs()
    if ray.is_initialized():
        yield cluster_resources()
        return
    address = os.environ.get("RAY_ADDRESS")
    common = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address:
        show_the_token()
        code = code_to_send(Path(__file__).resolve().parent.parent)
        try:
            with _native_stderr_to_null():
                sent = WORKER_ENVIRONMENT | {name: os.environ[name] for name in _SENT if name in os.environ}
                ray.init(address=address, runtime_env={**code, "env_vars": sent}, **common)
        except ConnectionError as error:
            message = f"no Ray cluster answers at RAY_ADDRESS={address}: "
            message += "start it, unset RAY_ADDRESS to run locally, or name its token in RAY_AUTH_TOKEN"
            raise InterlaceError(message) from error
    else:
        resources = local_resources(config)
        # Workers inherit the driver's environment. In a runtime_env the same variables would cost every worker a second
        # start of Python and leave the workers idle that Ray starts ahead.
        with _native_stderr_to_null(), _environment(WORKER_ENVIRONMENT):
            start_local_ray(
                note,
                address="local",  # without it Ray joins whatever cluster somebody else started on this machine
                num_cpus=int(resources.cpus),
                num_gpus=int(resources.gpus),
                object_store_memory=int(config.object_store_gib * 2**30),
                include_dashboard=False,
                **common,
            )
    try:
        yield _awaited_resources(config, note) if address and note else cluster_resources()
    finally:
        ray.shutdown()


def code_to_send(root: Path) -> dict[str, Any]:
    """What of a `runtime_env` carries our code: the checkout that it runs from; of an installation the packages alone,
    since all else that was installed lies around them."""
    if (root / "pyproject.toml").exists():
        return {"working_dir": str(root), "excludes": [".venv", ".git", "examples", "tests", "docs"]}
    packages = [str(root / name) for name in ("encoders", "decoder", "cluster", "pipelines")]
    return {"py_modules": packages, "excludes": ["__pycache__"]}


def show_the_token() -> None:
    """Join with a token when there is one: `ray start` demands it as soon as it exists, but a joining driver only
    shows it when told to, and is turned away with "failed to connect". A cluster that wants none does not mind."""
    from ray._private.authentication import authentication_token_setup as setup

    setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that are set while daemons start, and as they were afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _native_stderr_to_null() -> Iterator[None]:
    """Ray's native code announces its log level on file descriptor 2; Python errors come as exceptions anyway."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def quiet_logs() -> None:
    """Ray's own progress and notices go to its log files; warnings and errors still reach the user."""
    from ray.data import DataContext

    for name in ("ray.data", "ray._private.worker"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # it warns that its bars are off
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # it tells that it is on, at every start
    # It warns of every pool on GPUs that num_cpus beside num_gpus is experimental; it ran on an H200 (docs/gpu.md).
    logging.getLogger("ray.data._internal.execution.operators.map_operator").setLevel(logging.ERROR)
    serve = logging.getLogger("ray.serve")  # Serve sets level and handlers anew whenever it likes; filters stay
    if not serve.filters:
        serve.addFilter(lambda record: record.levelno >= logging.WARNING)
    warnings.filterwarnings("ignore", module="ray.data")
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.use_ray_tqdm = False
    context.issue_detectors_config.detectors = []  # they advise on memory= for actors that hold a network


def cluster_resources() -> Resources:
    """What the cluster that this process has joined consists of, node by node. Cards are asked for their memory where
    they are, by a task on each node that has any."""
    import ray
    from ray._private.state import available_resources_per_node

    alive = [node for node in ray.nodes() if node["Alive"]]
    cards = _cards_of({node["NodeID"] for node in alive if node["Resources"].get("GPU")})
    free = available_resources_per_node() if cards else {}
    nodes = []
    for node in alive:
        name, has = node["NodeID"], node["Resources"]
        gpus = has.get("GPU", 0.0)
        held = round(gpus - free[name].get("GPU", 0.0), 3) if name in free else 0.0
        nodes.append(Node(has.get("CPU", 0.0), gpus, held, cards.get(name), dict(node["Labels"])))
    return Resources(sum(node.cpus for node in nodes), sum(node.gpus for node in nodes), tuple(nodes))


_cards: dict[str, float | None] = {}  # by the ID of a node, which is its own for ever


def _cards_of(nodes: set[str]) -> dict[str, float | None]:
    """GiB of the smallest card of each node; a node that does not answer in time is left out."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(card_gib)
    on = {name: NodeAffinitySchedulingStrategy(name, soft=False) for name in nodes - _cards.keys()}
    asked = {ask.options(scheduling_strategy=strategy).remote(): name for name, strategy in on.items()}
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=ASKING_SECONDS) if asked else ([], [])
    for reference in answered:
        with suppress(ray.exceptions.RayError):
            _cards[asked[reference]] = ray.get(reference)
    return {name: _cards[name] for name in nodes if name in _cards}


def _awaited_resources(config: ClusterConfig, note: Callable[[str], None]) -> Resources:
    """What a joined cluster has, once it has anything for encoders. An idle one may have given back all its workers:
    the autoscaler is asked for the first, the pools ask for more. Raises InterlaceError for GPUs that do not come."""
    import ray
    from ray.autoscaler.sdk import request_resources

    def there() -> bool:
        total = ray.cluster_resources()
        return bool(total.get("CPU")) and total.get("GPU", 0) >= config.wait_gpus

    if not there():
        wanted = f"{config.wait_gpus} GPUs" if config.wait_gpus else "a worker"
        note(f"waiting up to {config.wait_seconds:g} s (cluster.wait_seconds) for the cluster to start {wanted}")
        end = time.monotonic() + config.wait_seconds
        request_resources(bundles=[{"GPU": 1}] * config.wait_gpus or [{"CPU": 1}])
        try:
            while not there() and time.monotonic() < end:
                time.sleep(0.5)
        finally:
            request_resources(bundles=[])
    found = cluster_resources()
    if found.gpus < config.wait_gpus:
        raise InterlaceError(
            f"the cluster has {found.gpus:g} of {config.wait_gpus} GPUs (cluster.wait_gpus) after "
            f"{config.wait_seconds:g} s; see what its autoscaler says, or ask for fewer"
        )
    return found
