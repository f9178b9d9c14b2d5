"""`interlace plan`: what a run would do, with which pools, for how long and for how much, before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from cluster.pools import ClusterConfig, Resources
from cluster.session import joins_a_cluster, local_resources, ray_session
from pipelines.batches import work_of
from pipelines.progress import Progress
from pipelines.row_file import RowFile
from pipelines.run import Run
from pipelines.settings import SettingsTree


def print_forecast(
    console: Console, progress: Console, settings: SettingsTree, sources: Sequence[str], out: str | None
) -> None:
    """Scan the sources and print counts, pools, bottleneck, hours and cost. Writes nothing."""
    run = Run(settings, sources, out or "/nonexistent", Progress(progress))
    manifest = run.scan()
    answers = manifest.count("new", "unchanged") if run.question else 0
    resources = _resources(settings.cluster)
    work, planner = work_of(manifest.parts, run.entries), run.planner
    plan, needs = planner.plan(work, resources, answers), planner.gpu_needs
    _print_listing(console, manifest.listing)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("pool", "device", "actors", "cpus", "gpus", "GiB", "batch", "per unit", "work", "times from"):
        table.add_column(name, justify="left" if name in ("pool", "device", "times from") else "right")
    for pool in [*plan.pools, *((plan.decoder,) if plan.decoder else ())]:
        actors = f"{pool.actors}" if pool.actors == pool.max_actors else f"{pool.actors}-{pool.max_actors}"
        gib = "" if pool.device == "cpu" else f"{pool.gib:.1f} {needs[pool.task].origin}" if pool.gib else "not known"
        share = [f"{pool.num_cpus:g}", f"{pool.num_gpus:g}", gib]
        times = [f"{pool.batch_units:.0f} {pool.unit}", f"{pool.service.seconds:.3g} s", f"{pool.seconds / 3600:.2f} h"]
        table.add_row(pool.task, pool.device, actors, *share, *times, pool.service.origin)
    console.print(table)
    for node, number in Counter((n.cpus, n.gpus, n.card_gib) for n in resources.machines()).items():
        cpus, gpus, card = node
        size = settings.cluster.card_gib or card
        cards = f" and {gpus:g} GPUs of {f'{size:.1f} GiB' if size else 'unknown memory'}" if gpus else ""
        console.print(f"nodes: {number} with {cpus:g} CPUs{cards}")
    price = resources.gpus * settings.run.price_per_gpu_hour + resources.cpus * settings.run.price_per_cpu_hour
    console.print(f"bottleneck: {plan.bottleneck}; about {plan.hours:.2f} h on {resources.cpus:g} CPUs", end="")
    console.print(f" and {resources.gpus:g} GPUs, {plan.hours * price:.2f} at {price:.2f} an hour")


def _resources(config: ClusterConfig) -> Resources:
    """What a run would have: of a cluster that it would join, what the cluster says."""
    if not joins_a_cluster():
        return local_resources(config)
    with ray_session(config) as resources:
        return resources


def _print_listing(console: Console, listing: RowFile) -> None:
    sums: dict[tuple[str, str], list[float]] = {}  # state and modality to assets, pages and seconds
    categories: Counter[str] = Counter()
    for rows in listing.tables():
        grouped = rows.group_by(["state", "modality"]).aggregate(
            [("uri", "count"), ("pages", "sum"), ("seconds", "sum")]
        )
        for row in grouped.to_pylist():
            found = sums.setdefault((row["state"], row["modality"]), [0, 0, 0.0])
            for number, name in enumerate(("uri_count", "pages_sum", "seconds_sum")):
                found[number] += row[name] or 0
        failed = pc.value_counts(pc.struct_field(rows["failure"], "category").drop_null()).to_pylist()
        categories.update({item["values"]: item["counts"] for item in failed})
    for (state, modality), found in sorted(sums.items()):
        console.print(f"{found[0]:>8} {modality or 'unreadable'} {state}")
    new = [found for (state, _), found in sums.items() if state == "new"]
    pages, hours = sum(found[1] for found in new), sum(found[2] for found in new) / 3600
    console.print(f"{pages:>8} pages and {hours:.2f} hours of audio to read")
    if categories:
        console.print("unreadable: " + ", ".join(f"{count} {category}" for category, count in categories.items()))
