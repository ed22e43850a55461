"""The options that say where things lie that records know by their digests only."""

import argparse

from unlearnbench.cli.grammar import Pairs
from unlearnbench.running.again import Given


def add_given(verb: argparse.ArgumentParser) -> None:
    """Declare them."""
    verb.add_argument(
        "--model_args", "-a", nargs="+", action=Pairs, metavar="K=V", help="where the model is: pretrained=FOLDER"
    )
    verb.add_argument(
        "--method_args",
        nargs="+",
        action=Pairs,
        metavar="K=V",
        help="paths that its method was given",
    )
    verb.add_argument(
        "--facts_args", nargs="+", action=Pairs, metavar="K=V", help="paths that its facts were given: among=FILE"
    )
    verb.add_argument(
        "--task_args", nargs="+", action=Pairs, metavar="K=V", help="paths that its tasks were given: folder=FOLDER"
    )
    verb.add_argument("--facts_file", help="the user's own facts that the record is about")
    verb.add_argument("--retain_text", help="the file of retain text that the record is about")
    verb.add_argument("--threads", type=int, help="CPU threads (default: 1 for small models, torch's own for others)")


def given_of(chosen: argparse.Namespace) -> Given:
    """What was said."""
    return Given(
        model_args=chosen.model_args or {},
        method_args=chosen.method_args or {},
        facts_args=chosen.facts_args or {},
        task_args=chosen.task_args or {},
        facts_file=chosen.facts_file,
        retain_text=chosen.retain_text,
        threads=chosen.threads,
    )
