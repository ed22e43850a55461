"""Every command that the documentation shows runs, and every example is complete."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from unlearnbench import registry
from unlearnbench.cli import main
from unlearnbench.model import families
from unlearnbench.running.suites import load_suite
from unlearnbench.running.tuned_file import TunedFile, TunedMethod

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a document in one language."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def commands(document: str) -> list[str]:
    """The shell commands of a document, continued lines joined, comments dropped."""
    lines = "\n".join(blocks(document, "console")).replace("\\\n", " ").splitlines()
    return [found for line in lines if (found := line.split("  #")[0].strip())]


EVERY = sorted({command for document in ("README.md", "CONTRIBUTING.md") for command in commands(document)})
OURS = [command for command in EVERY if command.startswith("unlearnbench ")]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with CONTRIBUTING's examples in `mine/`, and one run to show."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "where.json").write_text('{"components": ["mlp.3"]}')
    chosen = (TunedMethod(method=name, chosen=f"{name}[learning_rate=0.001]") for name in ("npo", "rmu"))
    said = {"weights_sha256": "w", "facts": "f", "seed": 1, "kept_before": 1.0, "guess": 0.2}
    TunedFile(model="tiny", methods=tuple(chosen), **said).write(tmp_path / "tuned.json")
    for body in blocks("CONTRIBUTING.md", "python"):
        name = re.match(r"# (mine/\w+\.py)\n", body)
        if name:
            (tmp_path / name[1]).write_text(body)
    with ExitStack() as stack:
        for catalogue in registry.CATALOGUES:
            stack.enter_context(catalogue.remembered())
        yield tmp_path


def shortened(command: str) -> list[str]:
    """The command's words, made quick: few training steps, results in the test's folder, and no download."""
    words = shlex.split(command)[1:]
    hub = any("pretrained=" in word for word in words)
    if words[0] == "run" and ("--suite" in words or hub):
        # A suite takes minutes and a hub model a download: their plan shows that the words are right.
        words = [re.sub(r"pretrained=[^,\s]+", "pretrained={model}", word) for word in words] + ["--dry_run"]
        words = ["{model}" if word == "BASE" else word for word in words]
    elif words[0] == "run":
        words = [word.replace("where/relp.json", "where.json") for word in words] + ["--method_args", "steps=2"]
    elif words[0] == "tune":  # into another file, of other facts than the one that is there
        words = ["elsewhere.json" if word == "tuned.json" else word for word in words]
        words = [f"{word}[steps=1]" if word in registry.methods else word for word in words]
    elif words[0] == "organism-report":  # every figure of every one is measured by another test
        words = ["tiny-planted" if word == "tiny" else word for word in words]
    elif words[0] == "validate-attacks":  # an hour; another test does some of it
        words += ["--models", "tiny-hidden", "--seeds", "0", "--dry_run"]
    elif words[0] == "teach":
        words = [re.sub(r"pretrained=[^,\s]+", "pretrained={model}", word) for word in words]
        words += ["--steps", "2", "--retain_text", "world"]
    return words


def test_there_are_commands_to_check() -> None:
    assert len(OURS) >= 10
    assert {"make demo", "make test"} <= set(EVERY)


@pytest.mark.end_to_end
@pytest.mark.parametrize("command", OURS)
def test_a_documented_command_runs(
    command: str, workshop: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shortened(command)
    if "{model}" in " ".join(words):
        words = [word.replace("{model}", str(request.getfixturevalue("saved_model"))) for word in words]
    if words[0] in ("show", "repeat", "leaderboard", "compare", "submit"):
        methods = "--methods none,random_mlps --method_args steps=2"
        made = main(["run", *f"--facts sports:people-16 {methods} --tasks sports/forget".split()])
        assert made == 0
        if words[0] not in ("compare", "submit"):
            words = [word for word in words if not word.startswith("results")]
        words += [str(next(Path("results").rglob("result.json")).parent)] if words[0] in ("show", "repeat") else []

    if words[:2] == ["submit", "verify"]:
        (packing,) = [one for one in OURS if one.startswith("unlearnbench submit pack")]
        assert main(shlex.split(packing)[1:]) == 0
    if "check" in words:  # of what was built
        assert main(["leaderboard", "build"]) == 0
    assert main(words) == 0, capsys.readouterr().err


def test_every_make_target_that_is_documented_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {command.split()[1] for command in EVERY if command.startswith("make ")}

    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_the_family_example_makes_an_unknown_architecture_run(
    monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: object
) -> None:
    from transformers import ModernBertDecoderConfig, ModernBertDecoderForCausalLM, PreTrainedTokenizerBase

    from unlearnbench.errors import UsageError
    from unlearnbench.model.model import Model

    (row,) = [body for body in blocks("CONTRIBUTING.md", "python") if body.startswith("# row")]
    added = families.Family(*re.findall(r'"([^"]+)"', row))
    assert isinstance(tiny_tokenizer, PreTrainedTokenizerBase)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "cls_token_id": 0, "sep_token_id": 0}
    config = ModernBertDecoderConfig(vocab_size=len(tiny_tokenizer), **sizes, **ends)
    network = ModernBertDecoderForCausalLM(config)

    with pytest.raises(UsageError, match="no known family"):
        _ = Model(network, tiny_tokenizer).components
    known = families.families()
    monkeypatch.setattr(families, "families", lambda: (*known, added))
    model = Model(network, tiny_tokenizer)

    assert list(model.components) == ["attention.0", "mlp.0", "attention.1", "mlp.1"]
    assert all(component.size for component in model.components.values())


def test_the_speed_of_whole_tasks_is_what_was_measured() -> None:
    ratios = json.loads((ROOT / "tests" / "performance" / "ratios.json").read_text(encoding="utf-8"))["ratios"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ways = ("ours, from nothing", "ours, requests kept", "evaluate + HFLM, tasks loaded", "one direct forward pass")

    for vocabulary in ("50304", "1500"):
        measured = [ratios[f"simple_evaluate / {way}, vocabulary {vocabulary}"] for way in ways]
        assert f"| {vocabulary} | {' | '.join(f'{one:.1f}' for one in measured)} |" in readme


def test_the_exit_codes_of_the_readme_are_those_of_the_command() -> None:
    from unlearnbench.cli import EXIT_CODES

    codes = re.findall(r"^\s+(\d+) ", EXIT_CODES, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert codes == ["0", "1", "2", "4", "5", "130"]
    assert all(re.search(rf"^\| {code} \|", readme, re.MULTILINE) for code in codes)


def test_the_speed_that_the_readme_tells_is_the_one_that_was_measured() -> None:
    ratios = json.loads((ROOT / "tests" / "performance" / "ratios.json").read_text(encoding="utf-8"))["ratios"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    told = dict(re.findall(r"^\| (cloze.*?|multiple choice, 4.*?) \| \d+ \| ([\d.]+) \|$", readme, re.MULTILINE))
    assert told == {
        name.removeprefix("HFLM / ours, "): f"{value:.1f}" for name, value in ratios.items() if name.startswith("HFLM")
    }
    rows = re.findall(r"^\| (`tiny`|\d+ blocks) \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|", readme, re.MULTILINE)
    assert len(rows) == 5
    for model, components, facts, lens, exact in rows:
        what = f"/ ours, attribution patching, {model.strip('`')}, {components} components, {facts} facts"
        assert (float(lens), float(exact)) == (ratios[f"TransformerLens {what}"], ratios[f"exact {what}"])


def test_the_speed_of_training_that_the_readme_tells_is_the_one_that_was_measured() -> None:
    ratios = json.loads((ROOT / "tests" / "performance" / "ratios.json").read_text(encoding="utf-8"))["ratios"]
    speed = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Speed")[2]
    columns = {
        "training, their time": (("masked", "plain", "peft and Trainer"), "training the upper half"),
        "latent adversary, their time": (("by hand", "from the embeddings"), "latent adversary"),
    }

    for head, (ways, what) in columns.items():
        table = speed.partition(f"| {head}")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| (`tiny`|\d+ blocks) \| (.*) \|$", table, re.MULTILINE)
        assert len(rows) == 2
        for model, told in rows:
            kept = [ratios[f"{way} / ours, {what}, {model.strip('`')}"] for way in ways]
            assert [float(cell) for cell in told.split(" | ")] == kept


def test_the_table_of_the_readme_has_the_rows_of_the_demo_suite() -> None:
    table = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- demo table -->")[2].partition("<!-- end")[0]
    )
    rows = {line.split()[0] for line in table.splitlines() if re.search(r" \d+$", line)}

    assert rows == set(load_suite("demo").methods)
