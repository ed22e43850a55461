"""CounterFact from the Hugging Face hub, at a pinned revision, or from the copy that is cached here.

The files are fetched as they are and read like any other folder. `datasets.load_dataset` would do as well
online, and what it has downloaded is found here; but offline it takes the revision that was cached last,
whichever was asked for, and without a network it retries for half a minute.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from unlearnbench.counterfact.sources import Reading, read
from unlearnbench.errors import MissingPrerequisite, UnknownName

PATIENCE_S = 3.0
FILES = "*.parquet"


@dataclass(frozen=True)
class HubSet:
    """A data set on the hub."""

    repository: str
    revision: str
    cases: int = 21_919
    """How many cases it has; a cached copy with fewer is a download that was broken off."""

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:7]}"


HUB_SETS = {
    # The revision that a published dataset_info.json records.
    "azhx": HubSet("azhx/counterfact", "c01c413f856ee38f5c080c9fc5e87aff478e2ff9"),
    # The revision that public code pins it to; no copy of the repository's history was at hand.
    "tracing": HubSet("NeelNanda/counterfact-tracing", "c945b082ca08d0a8f3ba227fb78404a09614c36e"),
}


def download(name: str) -> Reading:
    """One of `HUB_SETS`; without a network only if it is cached."""
    if name not in HUB_SETS:
        raise UnknownName("CounterFact set", name, HUB_SETS)
    hub_set = HUB_SETS[name]
    return _cached(hub_set) or _fetched(hub_set)


def _cached(hub_set: HubSet) -> Reading | None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _snapshot(hub_set, only_cached=True)
    except LocalEntryNotFoundError:
        return None
    if not any(folder.rglob(FILES)):
        return None
    reading = read(folder)
    return reading if len(reading.records) == hub_set.cases else None


def _fetched(hub_set: HubSet) -> Reading:
    from huggingface_hub import HfApi

    try:
        # One quick question first: the download itself retries for half a minute where nobody answers.
        HfApi().dataset_info(hub_set.repository, revision=hub_set.revision, timeout=PATIENCE_S)
        folder = _snapshot(hub_set, only_cached=False)
    except Exception as error:  # the hub raises a dozen kinds for "not there" and "not reachable"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise MissingPrerequisite(
            f"the data set {hub_set} is neither cached nor to be had from the hub ({reason})",
            "go online once, or give --facts_file PATH: counterfact.json or another file or folder of CounterFact",
        ) from error
    reading = read(folder)
    if len(reading.records) == hub_set.cases:
        return reading
    warning = f"{hub_set} has {len(reading.records):,} cases where {hub_set.cases:,} were expected"
    return replace(reading, warnings=(*reading.warnings, warning))


def _snapshot(hub_set: HubSet, *, only_cached: bool) -> Path:
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        hub_set.repository,
        repo_type="dataset",
        revision=hub_set.revision,
        allow_patterns=FILES,
        local_files_only=only_cached,
    )
    return Path(folder)
