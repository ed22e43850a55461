"""The command `unlearnbench`. Nothing here imports torch before a verb needs it."""

import argparse
import io
import json
import os
import sys
import traceback
from collections.abc import Sequence

from unlearnbench.errors import UnlearnBenchError

INTERRUPTED = 130
EXIT_CODES = """exit codes:
  0    everything that can be done here is done
  1    some runs failed, a record does not match its hashes, a repetition came out otherwise, or a document is stale
  2    a word, a setting or a file cannot be right as given
  4    a submission is refused, and nothing was written
  5    something is missing: weights, a folder that can be written, an extra
  130  interrupted; the same command resumes (localize begins anew)"""


def parser() -> argparse.ArgumentParser:
    """The whole command line, with a subcommand for each verb."""
    from unlearnbench.cli import (
        compare,
        doctor,
        grammar,
        known,
        leaderboard,
        listing,
        localize,
        organism_report,
        preview,
        repeat,
        run,
        show,
        show_method,
        submit,
        tasks_path,
        teach,
        tune,
        validate,
        validate_attacks,
    )

    root = grammar.Parser(
        prog="unlearnbench",
        description="Which method really removes or edits a fact in a language model, and which only hides it?",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    verbs = root.add_subparsers(metavar="VERB", required=True, parser_class=grammar.Parser)
    own = (run, localize, repeat, listing, show, show_method, leaderboard, organism_report, teach, tune, doctor)
    for verb in (*own, validate, preview, known, compare, submit, validate_attacks, tasks_path):
        verb.add_to(verbs)
    for sub in verbs.choices.values():  # after the verb too; suppressed, so that it does not undo the first place
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    chosen = argparse.Namespace(debug=False, format=None, resumes=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without these characters is no reason to stop
    try:
        from unlearnbench.cli.grammar import with_underscores

        words = with_underscores(sys.argv[1:] if arguments is None else arguments)
        chosen = parser().parse_args(words, chosen)
        code: int = chosen.perform(chosen)
        sys.stdout.flush()
        return code
    except UnlearnBenchError as error:
        if chosen.debug:
            traceback.print_exc()
        _report(error, as_json=chosen.format == "json")
        return error.exit_code
    except KeyboardInterrupt:
        told = "interrupted: the same command resumes where it was" if chosen.resumes else "interrupted"
        print(told, file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (`| head`): that is not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _report(error: UnlearnBenchError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": str(error), "hint": error.hint, "exit_code": error.exit_code}), file=sys.stderr)
        return
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
