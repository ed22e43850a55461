"""The page's text: template, style, scripts and data in one file, with a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

FOLDER = Path(__file__).parent
BUNDLE = FOLDER / "vendor" / "vega.js"
SCRIPTS = (
    "dom.js",
    "state.js",
    "table.js",
    "details.js",
    "labels.js",
    "charts.js",
    "comparison.js",
    "matrix.js",
    "main.js",
)
"""In order; they share one scope."""
ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def page(contents: Mapping[str, Any]) -> str:
    """One HTML file. Names in `contents` are data: they never become markup."""
    own = "\n".join(FOLDER.joinpath(name).read_text("utf-8") for name in SCRIPTS)
    vega, script = f"(() => {{\n{_bundle()}\n}})();", f'"use strict";\n(() => {{\n{own}\n}})();'
    data = json.dumps(contents, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(ESCAPED)
    policy = (
        f"default-src 'none'; script-src '{_hash(vega)}' '{_hash(script)}'; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "data": data, "vega": vega, "script": script}
    return Template(FOLDER.joinpath("template.html").read_text("utf-8")).substitute(
        parts, style=FOLDER.joinpath("style.css").read_text("utf-8")
    )


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed (BSD-3): no end of a script in it."""
    return BUNDLE.read_text("utf-8").replace("</script", "<\\/script")


def _hash(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
