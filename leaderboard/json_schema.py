"""The JSON Schema of records, generated: `python -m unlearnbench.leaderboard.json_schema`."""

import json
import sys

from unlearnbench.records.record import Record


def schema_text() -> str:
    """The schema as it is committed in `leaderboard/schema/result-3.schema.json`."""
    return json.dumps(Record.model_json_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
