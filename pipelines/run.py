"""`run`: list, probe, freeze, perceive, answer, publish, and check the ledger. The order of a run, in one file."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cluster.pools import PoolPlan, Resources, Work
from cluster.session import available_cpus, joins_a_cluster, local_resources, ray_session
from encoders.registry import EncoderEntry
from encoders.tracing import span
from pipelines.adapting import check_read, encoder_configs, read_adapters, run_adapters
from pipelines.batches import Branch, form_branches, left_parts, remaining_branches, work_of
from pipelines.figures import RunFigures
from pipelines.fingerprints import active_encoders, encoder_fingerprints, perception_fingerprints
from pipelines.formats import migrate
from pipelines.known import known_assets
from pipelines.lease import LEASE_SECONDS, Lease
from pipelines.ledger import read_ledger
from pipelines.live import Live
from pipelines.manifest import LISTING, Manifest, Prober, build_manifest, failed_rows, select
from pipelines.measured import plan_line
from pipelines.outcome import Outcome
from pipelines.passwords import Passwords
from pipelines.planning import RunPlanner
from pipelines.progress import Progress
from pipelines.prune import check_prunable, deleted_rows
from pipelines.publish import Published, finish_plans, publish
from pipelines.question import Question
from pipelines.row_file import RowFile
from pipelines.runfiles import RunFiles, list_runs
from pipelines.settings import SettingsTree
from pipelines.sources import list_assets
from pipelines.spool import Spool
from pipelines.stopping import DRAIN_SECONDS, Interrupted, StopRequest, store_failure
from pipelines.storage import Storage, StorageError
from pipelines.tables import ANSWERS, PARTS, rows_to_table
from pipelines.traces import RunTraces
from pipelines.transactions import fence

# Ray, the encoders and the decoder take seconds to import. The steps that start them import them, so that a run
# with nothing to do, which only lists and compares, does not wait.
if TYPE_CHECKING:
    from cluster.decoder_app import DecoderHandle
    from pipelines.perceive import Step
    from pipelines.stages import RunContext


class Run:
    """One run of a source into OUT. `execute` does it all; the other methods are its steps, in order."""

    verb = "run"
    closes: tuple[str, ...] = ("run", "retry", "ask")
    """Verbs whose unfinished runs end when this one begins: two manifests may name the same part, and the work that was
    done first would be published last."""

    def __init__(
        self,
        settings: SettingsTree,
        sources: Sequence[str],
        out: str,
        progress: Progress,
        entries: dict[str, EncoderEntry] | None = None,
        *,
        wait: bool = False,
        passwords: Passwords | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.settings, self.sources, self.progress = settings, list(sources), progress
        self.storage = Storage(out)
        self.passwords = passwords or Passwords()
        self.entries = entries or active_encoders(settings)
        self.question = Question.of(settings.run, settings.decoder, read_adapters(settings))
        self.adapters = run_adapters(settings, self.entries, asked=self.question is not None)
        self.configs = encoder_configs(settings, self.entries, self.adapters)
        if self.question is not None:
            check_read(settings, self.adapters)
        self.traces = RunTraces(settings.trace.tracing())
        self.lease = Lease(self.storage, self.verb, wait=wait, seconds=lease_seconds, note=progress.note)
        self._stop = StopRequest()
        self._live = Live()
        self._figures: RunFigures | None = None
        self._held = ExitStack()
        self._resources: Resources | None = None
        self._decoder_lease: DecoderHandle | None = None

    def execute(self) -> Outcome:
        """Do the run. Raises InterlaceError for a source or OUT that cannot be reached, LeaseHeld when somebody else
        writes to OUT, StorageError when the store fails, Interrupted for a signal before the manifest was frozen, or
        for a second one in the last publish."""
        started = time.monotonic()
        self.storage.check_writable()
        with self.lease, self._stop, self._live, self._held:
            fingerprints = self.fingerprints()
            self._take_over()
            files = self._resume(fingerprints) or self._begin(fingerprints)
            try:
                with self.traces.running(files.run_id, self.verb, uuid.uuid4().hex):
                    published, interrupted = self._work(files)
            except Exception as error:
                broken = store_failure(error)
                if broken is None:
                    raise
                with suppress(StorageError, Interrupted):
                    publish(files, self.lease)
                raise StorageError(f"{broken}; what was committed before is kept") from error
        ledger = read_ledger(self.storage)
        nothing_new = published is None and not interrupted
        outcome = Outcome(files.run_id, ledger, interrupted, nothing_new, time.monotonic() - started, self._figures)
        self.progress.ended(outcome)
        return outcome

    @cached_property
    def earlier(self) -> list[RunFiles]:
        """The runs before this one, read once: only the holder of the lease changes them."""
        return list_runs(self.storage)

    def _take_over(self) -> None:
        """Leave OUT as whoever wrote last meant it, before anything is read from its tables."""
        if self.lease.taken_over:
            fence(self.storage, self.lease)
        for sentence in migrate(self.storage, self.lease):
            self.progress.note(sentence)
        for files in self.earlier:
            if not files.state().get("finished"):
                finish_plans(files, self.lease)

    def _work(self, files: RunFiles) -> tuple[Published | None, bool]:
        """Read, publish, answer, publish; returns the last publish, and whether a signal cut it short."""
        published, interrupted = None, False
        try:
            with self._held:
                self._perceive(files)
                published = self.traces.publish(files, self.lease)
                if not self._stop.requested:
                    self._answer_rest(files)
                interrupted = self._stop.requested
        except (Interrupted, KeyboardInterrupt):
            interrupted = True
        return self._end(files, interrupted) or published, interrupted

    def _end(self, files: RunFiles, interrupted: bool) -> Published | None:
        """The last publish. A signal in it changes nothing: all work is done, and so is the run a moment later."""
        if self._figures is not None and interrupted:
            self._figures.ended = "interrupted"
        wait = partial(self.progress.note, "the last publish is under way and ends the run; again to stop at once")
        try:
            with self._stop.draining(wait):
                published = self.traces.publish(files, self.lease)
                if not interrupted:
                    files.write_state(files.state() | {"finished": datetime.now(UTC).isoformat()})
        except Interrupted:
            raise Interrupted("in the last publish; what was read is kept") from None
        return published

    # -- the manifest -----------------------------------------------------------------------------------------
    def fingerprints(self) -> dict[str, str]:
        """Per modality, what shapes a perception in this run."""
        kept = self.adapters if self.settings.run.keep_soft_tokens else {}
        return perception_fingerprints(self.entries, self._encoders, self.settings.run, kept)

    @cached_property
    def _encoders(self) -> dict[str, str]:
        run = self.settings.run
        unkept = () if run.keep_features or run.keep_soft_tokens else self.adapters  # what nobody keeps shapes nothing
        configs = self.configs | {task: self.settings.encoder(task) for task in unkept}
        return encoder_fingerprints(self.entries, configs)

    def _asked(self, fingerprints: dict[str, str]) -> list[Any]:
        """What tells this run from others: an unfinished run that was asked the same is resumed."""
        config = self.settings.run
        return [sorted(self.sources), fingerprints, config.limit, config.sample, *(["prune"] if config.prune else [])]

    def _signature(self, fingerprints: dict[str, str]) -> str:
        return hashlib.sha256(json.dumps(self._asked(fingerprints), sort_keys=True).encode()).hexdigest()

    def _earlier_attempts(self, uri: str) -> int:
        """How often the probe failed at an asset before this run."""
        return 0

    def _prober(self) -> Prober:
        ocr = self.settings.encoder("ocr")
        return Prober(ocr.opening, ocr.limits, Spool(), available_cpus(), self.passwords, self.traces.probes)

    def _resume(self, fingerprints: dict[str, str]) -> RunFiles | None:
        """The unfinished run of the same sources and encoders, if any. What others have committed is published first,
        so that nothing is answered twice, and those that could clash with this one are closed."""
        found = None
        for files in self.earlier:
            state = files.state()
            if state.get("finished"):
                continue
            if state["signature"] == self._signature(fingerprints):
                found = files
                continue
            publish(files, self.lease)
            if state.get("verb", "run") in self.closes:
                self.progress.note(f"closing the unfinished run {files.run_id}, which had other sources or settings")
                files.write_state(state | {"finished": datetime.now(UTC).isoformat(), "superseded": True})
        if found is not None:
            self.progress.note(f"resuming run {found.run_id}; files that arrived since wait for the next run")
        return found

    def _begin(self, fingerprints: dict[str, str]) -> RunFiles:
        """List, probe and freeze a new run."""
        now = datetime.now(UTC)
        # Runs have the order of their names, and two may start within a second.
        files = RunFiles(self.storage, f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}")
        manifest = self.scan(fingerprints)
        plan = self.plan(manifest)
        if manifest.parts.num_rows:  # what cannot be had is told before anything is frozen
            self.planner.fetch(plan)
        branches, parts = form_branches(manifest.parts, self.entries, plan)
        self.traces.scanned(files.run_id, parts)
        files.freeze(Manifest(manifest.listing, parts))
        for failed in failed_rows(manifest.listing, files.run_id, self._earlier_attempts):
            files.commit({"parts": rows_to_table(failed, PARTS), "answers": ANSWERS.empty_table()})
        self.lease.check()  # whoever took over may have removed what was frozen
        files.write_state(
            {
                "run_id": files.run_id,
                "verb": self.verb,
                "started": now.isoformat(),
                "sources": self.sources,
                "signature": self._signature(fingerprints),
                "settings": self.settings.model_dump(mode="json"),
                "branches": [[list(b.tasks), list(b.modalities), len(b.batches)] for b in branches],
            }
        )
        return files

    def scan(self, fingerprints: dict[str, str] | None = None) -> Manifest:
        """What there is to do, before anything is frozen."""
        fingerprints = fingerprints or self.fingerprints()
        run = self.settings.run
        if run.prune:
            check_prunable(self.sources, run)
        assets = select(list_assets(self.sources, exclude=self.storage.out), run)
        known = known_assets(self.storage, self.earlier)
        with self.progress.listing() as count:
            manifest = build_manifest(assets, known, fingerprints, run, self._prober(), count, self._found)
        gone = deleted_rows(self.storage, self.sources, manifest.listing) if run.prune else RowFile(LISTING)
        if gone.num_rows:
            self.progress.note(f"{gone.num_rows} assets are gone from the sources; their rows leave the tables")
        for rows in gone.tables():
            manifest.listing.add(rows)
        return manifest

    def _found(self, states: Counter[str]) -> None:
        """Say what will be opened before it is."""
        if states["unread"]:
            self.progress.note(f"{states['unread']} assets are read that earlier runs had no encoder for")
        if states["reread"]:
            self.progress.note(
                f"{states['reread']} assets are read again: the tables hold what other encoders or settings read"
            )

    def plan(self, manifest: Manifest) -> PoolPlan:
        """The pool plan that batches are sized by. A cluster is joined for it, since only it knows what it has; a local
        Ray is not started yet."""
        answers = manifest.count("new", "unchanged") if self.question else 0
        joined = joins_a_cluster() and manifest.parts.num_rows
        resources = self._ray() if joined else local_resources(self.settings.cluster)
        return self.planner.plan(work_of(manifest.parts, self.entries), resources, answers)

    @cached_property
    def planner(self) -> RunPlanner:
        """What sizes the pools."""
        given = self.settings, self.entries, self.configs, self._encoders
        return RunPlanner(*given, lambda: self.earlier, self.progress.note)

    # -- the work ---------------------------------------------------------------------------------------------
    def _perceive(self, files: RunFiles) -> None:
        """Read every part that is not committed yet. Ray is not started when there is none."""
        left = left_parts(files)
        if not left.num_rows:
            return
        branches = remaining_branches(files, {n for rows in left.tables() for n in rows["batch"].unique().to_pylist()})
        work = work_of(left, self.entries)
        plan = self.planner.plan(work, self._ray(), left.num_rows if self.question else 0)
        self.planner.fetch(plan)
        self.progress.note(plan_line(plan))
        attempt = uuid.uuid4().hex

        def drain() -> None:
            self.progress.note(f"stopping: work in hand gets {DRAIN_SECONDS:g} s to finish; again to stop at once")
            files.ask_to_stop(attempt)

        every = self.settings.run.publish_every
        due = time.monotonic() + (every or 0) * 60
        figures = self._telling(files, work, plan)
        with self.progress.running(figures) as told, self._stop.draining(drain):
            for rows in self._stream(files, attempt, branches, plan):
                begun = figures.advance(rows)
                for sentence in begun if joins_a_cluster() else ():
                    self.progress.note(sentence)
                self.traces.told(rows)
                told(rows)
                self.lease.check()
                if every and time.monotonic() >= due:
                    self.traces.publish(files, self.lease)
                    due = time.monotonic() + every * 60

    def _stream(
        self, files: RunFiles, attempt: str, branches: Sequence[Branch], plan: PoolPlan
    ) -> Iterator[list[dict[str, Any]]]:
        """Do the work; yields what `WritingStage` tells of one batch after the other, when they are committed."""
        from pipelines.perceive import perceive
        from pipelines.resizing import Resizing
        from pipelines.stages import unpack

        context, config = self._context(files, attempt), self.settings.cluster
        steps, grows = self._steps(context, plan), joins_a_cluster() and not config.actors
        resizing = Resizing(plan, branches, self._telling(files, (), plan), config, self._ray, self.progress.note)
        dataset = perceive(context, branches, self.entries, self.configs, plan, steps=steps, grows=grows)
        for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield unpack(pa.table(block))
            resizing.look()  # its figures have advanced by that batch

    def _context(self, files: RunFiles, attempt: str) -> RunContext:
        """What the actors of this attempt need to know."""
        from pipelines.stages import RunContext

        run = self.settings.run
        asked = (run.stall_seconds, self.adapters, run.keep_soft_tokens, run.keep_features, self.traces.tracing)
        return RunContext(self.storage.out, files.run_id, attempt, self.passwords, *asked)

    def _steps(self, context: RunContext, plan: PoolPlan) -> list[Step]:
        """What happens to a batch between reading and writing."""
        if self.question is None:
            return []
        from pipelines.answers import CALLS, AnswerStage, askers
        from pipelines.perceive import Step

        arguments = {"question": self.question, "decoder": self._decoder(plan), "context": context}
        actors = askers(plan)
        return [Step(AnswerStage, arguments, concurrent_calls=max(2, CALLS // actors), actors=actors)]

    def _answer_rest(self, files: RunFiles) -> None:
        """Ask the question of every asset that the stream did not answer: those of several parts, those read by
        earlier runs, and those whose parts were committed before a run was interrupted."""
        if self.question is None:
            return
        from pipelines.answers import answer_files, answer_tables, unanswered

        missing = unanswered(self.storage, self.question, files.listing_tables(["uri"]))
        if not missing:
            return
        resources = self._ray()
        plan = self.planner.plan([], resources, len(missing))
        self.planner.fetch(plan)
        figures = self._telling(files, (), plan)
        decoder = self._decoder(plan)
        figures.answers_expected = figures.answers + len(missing)
        with self.progress.answering(len(missing)) as advance, span("answer", assets=len(missing)):
            for rows in answer_tables(self.storage, missing, self.question, decoder, files.run_id, self.progress.note):
                files.commit(answer_files(rows))
                figures.answered(len(rows))
                advance(len(rows))

    def _telling(self, files: RunFiles, work: Sequence[Work], plan: PoolPlan) -> RunFigures:
        """What this attempt has done; from the first call on it is told to whoever watches."""
        if self._figures is None:
            self._figures = RunFigures.begin(files.run_id, self.verb)
            self._figures.plan(work, plan, self._encoders)
            self._live.begin(files, self._figures)
        return self._figures

    def _ray(self) -> Resources:
        """Start or join Ray, once, until the run ends."""
        if self._resources is None:
            self.progress.note("joining the Ray cluster" if joins_a_cluster() else "starting Ray")
            self._resources = self._held.enter_context(ray_session(self.settings.cluster, self.progress.note))
            self._stop.listen()
        return self._resources

    def _decoder(self, plan: PoolPlan) -> DecoderHandle:
        """A lease on the shared decoder, once, until the run ends; it is started when nobody runs it."""
        if self._decoder_lease is None:
            from cluster.decoder_app import DecoderResources
            from cluster.decoder_lease import ensure_decoder

            self.progress.note(f"starting the decoder {self.settings.decoder.checkpoint}")
            pool = plan.decoder
            share = DecoderResources(num_gpus=pool.num_gpus, labels=pool.labels) if pool else None
            self._decoder_lease = self._held.enter_context(ensure_decoder(self.settings.decoder, resources=share))
            if self._figures is not None:
                self._figures.decoder_loaded(self._decoder_lease.figures()["parameters"])
        return self._decoder_lease
