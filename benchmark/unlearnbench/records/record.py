"""The record of one edit and of all that it was asked: a small JSON document that explains itself.

The JSON Schema in `leaderboard/schema/` is generated from here.
"""

from typing import Any, Literal

from pydantic import Field

from unlearnbench.hashing import content_hash
from unlearnbench.records.spec import EditSpec, Frozen, TaskSpec

SCHEMA_VERSION: Literal["3.4.0"] = "3.4.0"


class MetricResult(Frozen):
    """One number, and what is needed to recompute it."""

    name: str
    axis: Literal["forget", "retain", "robust", "general"]
    direction: Literal["min", "max", "oracle"]
    """Which way is better: lower, higher, or nearer to the model that never saw the facts."""
    primary: bool
    """Whether tables show it for its task."""
    value: float
    stderr: float | None
    """Cluster-robust; None with fewer than two clusters."""
    interval: tuple[float, float] | None
    """Of 95 % confidence (Wilson's for shares, also where all items agree); None with fewer than two clusters."""
    n: int
    n_clusters: int
    chance: float | None
    subset: str
    """The rows it is a mean over …"""
    sample_field: str
    """… and the field of `values` that is averaged."""
    at: dict[str, int | float | str] = Field(default_factory=dict)
    """The coordinates of these rows, for a metric that is a curve."""
    floor: str | float | None = None
    """The value may be (mean − floor) / (ceiling − floor): the subset whose mean is the floor, or a number …"""
    ceiling: str | None = None
    """… and the subset whose mean is the ceiling; None for a mere mean."""
    weight: str | None = None
    """The field of `values` by which each row counts in the mean; None where all count alike."""


class SamplesFile(Frozen):
    """The item log of a task, hashed before compression (gzip bytes vary)."""

    path: str = Field(pattern=r"^[A-Za-z0-9._-]+\.jsonl\.gz$")
    sha256_uncompressed: str
    bytes_uncompressed: int
    n: int


class TaskResult(Frozen):
    """What a task found. It is written once, and stays as it is when other tasks are asked later."""

    spec: TaskSpec
    spec_hash: str
    result_hash: str
    """Over edit, task, metrics and item log: the same command must give the same one. No time, no host."""
    session: int
    """In which of the record's sessions it was asked."""
    metrics: list[MetricResult]
    samples: SamplesFile


class RetainResult(Frozen):
    """How the model reads text that is never trained on and says nothing of the forgotten; None where not finite."""

    loss_before: float | None
    """Mean next-token loss of the base …"""
    loss_after: float | None
    """… and of the edited model."""
    kl: float | None
    """Mean KL(base‖edited) of next-token distributions, in nats."""


class LocalizationResult(Frozen):
    """Where the method was allowed to write, and where it wrote."""

    components: list[str]
    scores: dict[str, float]
    tensors: list[str]
    parameters: int
    share_of_blocks: float | None
    """Weights in the localization as a share of the weights in the blocks; above 1 with embeddings; None where
    the model's blocks are not known by name."""
    change_by_component: dict[str, float | None]
    """‖Δθ‖ per component, and of everything else under `other`; None where it is not finite."""
    change_inside: float | None
    change_outside: float
    """‖Δθ‖ outside the declared localization; anything but 0 is a defect."""


class WeightsResult(Frozen):
    """Digests of the model in memory, before and after."""

    base_sha256: str
    edited_sha256: str
    parameters: int


class Resources(Frozen):
    """What a session cost."""

    stages_s: dict[str, float]
    """Wall time of load, localize, edit and each task."""
    peak_rss_bytes: int
    peak_vram_bytes: int | None
    flops_estimate: float
    """2 × parameters × tokens forward, and twice that backward."""


class Session(Frozen):
    """When and on what the edit was made, or asked more tasks."""

    created_at: str
    benchmark_version: str
    resources: Resources
    environment: dict[str, Any]
    git: dict[str, Any] | None
    """Commit and state of the source tree, where the package runs from one."""


class Identity(Frozen):
    """Three hashes: what was asked, what came out, and the whole document."""

    edit_hash: str
    result_hash: str
    """Over the edit and the result hashes of its tasks."""
    record_hash: str
    """Over everything but itself: shows any later change."""


class Record(Frozen):
    """One edit, and what it was asked."""

    schema_version: Literal["3.4.0"] = SCHEMA_VERSION
    status: Literal["completed", "invalid"]
    """`invalid`: it ran, but is no result (it collapsed, diverged or changed nothing) and is in no mean."""
    invalid_reason: str | None
    label: str
    """The method's name, and the settings in which it departs from its defaults."""
    spec: EditSpec
    identity: Identity
    tasks: list[TaskResult]
    retain: RetainResult
    localization: LocalizationResult
    weights: WeightsResult
    history: list[dict[str, float]]
    """The training steps: losses and learning rate, and with `until` where training had got (`reached`, `kept`)."""
    seeds: dict[str, int]
    sessions: list[Session]
    unknown: dict[str, int] = Field(default_factory=dict)
    """How many facts of each subset the base does not know: they are neither edited nor asked."""
    used_sha256: str | None = None
    """Of the items that are left: what was edited and asked."""
    warnings: list[str] = Field(default_factory=list)

    def task(self, spec_hash: str) -> TaskResult | None:
        """What was found for this task, or None where it was not asked."""
        return next((one for one in self.tasks if one.spec_hash == spec_hash), None)

    def metric(self, task: str, name: str | None = None) -> MetricResult | None:
        """A task's metric by name, or its primary one; None where it was not asked, or is a curve."""
        for one in self.tasks:
            if one.spec.name == task:
                return metric_of(one, name)
        return None

    def problems(self) -> list[str]:
        """Which hashes do not match the contents; empty for an untouched record."""
        document = self.model_dump(mode="json")
        found = [] if self.identity.edit_hash == self.spec.hash else ["edit_hash"]
        for one in self.tasks:
            found += [] if one.spec_hash == one.spec.hash else [f"spec_hash of {one.spec.name}"]
            mine = task_result_hash(self.spec.hash, one.spec_hash, one.metrics, one.samples)
            found += [] if one.result_hash == mine else [f"result_hash of {one.spec.name}"]
        whole = result_hash(self.spec.hash, [one.result_hash for one in self.tasks])
        found += [] if self.identity.result_hash == whole else ["result_hash"]
        return found + ([] if self.identity.record_hash == record_hash(document) else ["record_hash"])


def metric_of(result: TaskResult, name: str | None = None) -> MetricResult | None:
    """A metric by name, or the primary one; None where there is none, or only a curve."""
    found = (m for m in result.metrics if not m.at and (m.primary if name is None else m.name == name))
    return next(found, None)


def task_result_hash(edit: str, task: str, metrics: list[MetricResult], samples: SamplesFile) -> str:
    """The hash of what one task found."""
    numbers = [metric.model_dump(mode="json") for metric in metrics]
    return content_hash({"edit": edit, "task": task, "metrics": numbers, "samples": samples.sha256_uncompressed})


def result_hash(edit: str, tasks: list[str]) -> str:
    """The hash of all that was found; the order in which tasks were asked does not matter."""
    return content_hash({"edit": edit, "tasks": sorted(tasks)})


def record_hash(document: dict[str, Any]) -> str:
    """The hash of a whole record without its own `record_hash`."""
    identity = {k: v for k, v in document["identity"].items() if k != "record_hash"}
    return content_hash({**document, "identity": identity})


def sealed(draft: Record) -> Record:
    """The record with hashes that match its contents."""
    whole = result_hash(draft.spec.hash, [one.result_hash for one in draft.tasks])
    identity = Identity(edit_hash=draft.spec.hash, result_hash=whole, record_hash="")
    draft = draft.model_copy(update={"identity": identity})
    final = record_hash(draft.model_dump(mode="json"))
    return draft.model_copy(update={"identity": identity.model_copy(update={"record_hash": final})})
