"""The page in a real browser, offline: it shows what the records say, and names stay names."""

import dataclasses
import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.leaderboard.board import Board
from unlearnbench.leaderboard.entries import Entry, read
from unlearnbench.leaderboard.page.contents import contents
from unlearnbench.leaderboard.page.html import BUNDLE, page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = '<img src=x onerror="window.hit=1"></script><script>window.hit=1</script>\u2028=1+1'


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'unlearnbench[browser]'")
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def shown(small_board: list[Entry], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A page, and what it was made from."""
    path = tmp_path_factory.mktemp("page") / "leaderboard.html"
    found = contents(Board.of(small_board), ["results"], path)
    path.write_text(page(found), "utf-8")
    return path, found


@dataclasses.dataclass
class Opened:
    """A page in a tab, and what it asked for and complained of."""

    tab: Any
    requests: list[str]
    complaints: list[str]


@pytest.fixture
def opened(browser: Any, shown: tuple[Path, dict[str, Any]]) -> Iterator[Opened]:
    """It, drawn."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    found = Opened(context.new_page(), [], [])
    found.tab.on("request", lambda request: found.requests.append(request.url))
    found.tab.on("console", lambda message: found.complaints.append(message.text))
    found.tab.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.tab.goto(shown[0].as_uri())
    drawn(found.tab)
    yield found
    context.close()


def drawn(tab: Any, times: int = 1) -> None:
    """Wait until it was drawn so often."""
    tab.wait_for_function(f"Number(document.body.dataset.drawn) >= {times}")


def column(tab: Any, number: int) -> list[str]:
    """The texts of a column."""
    found: list[str] = tab.locator(f"#table tbody tr:not(.detail) > :nth-child({number})").all_inner_texts()
    return [text.strip() for text in found]


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Opened, shown: tuple[Path, dict[str, Any]]) -> None:
    assert opened.requests == [shown[0].as_uri()]
    assert opened.complaints == []


def test_every_row_is_there_with_its_numbers(opened: Opened, shown: tuple[Path, dict[str, Any]]) -> None:
    rows = [row for row in shown[1]["rows"] if row["setting"] == 0]
    assert sorted(column(opened.tab, 2)) == sorted(
        row["method"] + (" invalid" if row["invalid"] and not row["seeds"] else "") for row in rows
    )
    scores = {row["method"]: row["S"] for row in rows}
    for name, text in zip(column(opened.tab, 2), column(opened.tab, 5), strict=True):
        one = scores.get(name.removesuffix(" invalid"))
        assert text == ("–" if one is None else f"{one[0]:.3f} [{one[1]:.2f}, {one[2]:.2f}]")
    assert "rows" in opened.tab.locator("#count").inner_text()


def test_a_column_is_sorted_with_the_keyboard_in_both_directions(opened: Opened) -> None:
    tab = opened.tab
    tab.locator("[data-sort=R]").focus()
    tab.keyboard.press("Enter")
    down = [text for text in column(tab, 7) if text != "–"]
    assert down == sorted(down, reverse=True)
    assert tab.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    tab.keyboard.press("Enter")
    up = [text for text in column(tab, 7) if text != "–"]
    assert up == sorted(up)
    assert tab.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    assert tab.evaluate("document.activeElement.dataset.sort") == "R", "the focus stays where it was"
    assert column(tab, 7)[len(up) :] == ["–"] * (len(column(tab, 7)) - len(up)), "what has no value comes last"


def test_filters_leave_what_they_say_and_the_address_keeps_them(browser: Any, opened: Opened) -> None:
    tab = opened.tab
    tab.locator("#method").fill("oracle")
    drawn(tab, 2)
    assert column(tab, 2) == ["oracle"]
    tab.locator("#against").select_option("B")
    address = tab.url
    assert "method=oracle" in address
    again = browser.new_page()
    again.goto(address)
    drawn(again)
    assert column(again, 2) == ["oracle"]
    assert again.locator("#against").input_value() == "B"
    again.close()


def test_the_chart_has_a_mark_for_every_row_that_it_is_about(
    opened: Opened, shown: tuple[Path, dict[str, Any]]
) -> None:
    rows = [row for row in shown[1]["rows"] if row["setting"] == 0 and row["F"] and row["R"]]
    assert opened.tab.locator("#trade .mark-symbol.role-mark path").count() == len(rows)
    assert opened.tab.locator("#trade-data tbody tr").count() == len(rows)
    boxes = opened.tab.locator("#trade .mark-text.role-mark text").all()
    names = [(one.text_content(), one.bounding_box()) for one in boxes]
    assert {"oracle", "none"} <= {name for name, _ in names}
    for (first, a), (second, b) in itertools.combinations(names, 2):
        right, below = (min(a[x] + a[w], b[x] + b[w]) - max(a[x], b[x]) for x, w in (("x", "width"), ("y", "height")))
        assert min(right, below) < 3, f"{first} lies on {second}"
    assert opened.tab.locator("#curves .mark-line path").count() >= 3, "two methods, and what they are read against"


def test_two_methods_are_compared_by_the_draws_that_they_share(
    opened: Opened, shown: tuple[Path, dict[str, Any]]
) -> None:
    tab, found = opened.tab, shown[1]["differences"][0]
    tab.locator("#first").select_option("oracle")
    drawn(tab, 2)
    tab.locator("#second").select_option("none")
    drawn(tab, 3)
    assert "oracle is more forgotten" in tab.locator("#verdict").inner_text()
    cells = tab.locator("#differences tbody tr").first.locator("td").all_inner_texts()
    pairs = [(a, b) for i, a in enumerate(found["methods"]) for b in found["methods"][i + 1 :]]
    value = dict(zip(pairs, found["pairs"], strict=True))["oracle", "none"][0][0]
    assert cells[2] == f"{value:.3f}"
    tab.locator("#first").select_option("none")
    drawn(tab, 4)
    tab.locator("#second").select_option("oracle")
    drawn(tab, 5)
    assert tab.locator("#differences tbody tr").first.locator("td").all_inner_texts()[2] == f"−{value:.3f}"


def test_what_is_behind_a_row_is_opened_by_its_name(opened: Opened, shown: tuple[Path, dict[str, Any]]) -> None:
    tab = opened.tab
    button = tab.locator("#table tbody th button", has_text="none")
    button.focus()
    tab.keyboard.press("Enter")
    detail = tab.locator("tr.detail")
    assert "sports/forget" in detail.inner_text()
    link = detail.locator("a").first.get_attribute("href")
    assert (shown[0].parent / link).resolve().is_file()
    assert tab.locator("[aria-expanded=true]").count() == 1


def test_downloads_hold_the_rows_that_are_shown(opened: Opened) -> None:
    tab = opened.tab
    with tab.expect_download() as waiting:
        tab.locator("#json").click()
    rows = json.loads(Path(waiting.value.path()).read_text())
    assert [row["method"] for row in rows] == [name.removesuffix(" invalid") for name in column(tab, 2)]
    with tab.expect_download() as waiting:
        tab.locator("#csv").click()
    lines = Path(waiting.value.path()).read_text().splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].startswith("method,model,facts,place_low")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_in_the_way_of_a_screen_reader(
    scheme: str, width: int, browser: Any, shown: tuple[Path, dict[str, Any]]
) -> None:
    """Axe finds no violation, with a row opened, in both themes and on a phone; and nothing is cut off there."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="pip install 'unlearnbench[browser]'")
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 800})
    tab = context.new_page()
    tab.goto(shown[0].as_uri())
    drawn(tab)
    tab.locator("#table tbody th button").first.click()
    for summary in tab.locator("summary").all():
        summary.click()
    tab.evaluate(axe.AXE_SCRIPT)
    found = tab.evaluate("axe.run().then((one) => one.violations.map((v) => [v.id, v.nodes.map((n) => n.html)]))")
    assert found == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_names_are_never_markup(browser: Any, small_board: list[Entry], tmp_path: Path) -> None:
    """A method, a model, a reason and a submitter may be called anything."""
    board = [renamed(one) if one.record.spec.method.name != "none" else one for one in small_board]
    text = page(contents(Board.of(board), ["results"], tmp_path / "x.html"))
    assert EVIL not in text
    assert text.count("</script>") == 3
    (tmp_path / "x.html").write_text(text, "utf-8")
    tab = browser.new_page()
    complaints = list[str]()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto((tmp_path / "x.html").as_uri())
    drawn(tab)
    tab.locator("#table tbody th button").first.click()
    assert tab.evaluate("window.hit") is None
    assert tab.locator("img").count() == 0
    assert any("onerror" in name for name in column(tab, 2))
    assert complaints == []
    tab.close()


def renamed(one: Entry) -> Entry:
    """A run of a method with such a name."""
    record = one.record
    spec = record.spec.model_copy(update={"method": record.spec.method.model_copy(update={"name": EVIL})})
    record = record.model_copy(update={"label": f"{EVIL}{record.label}", "spec": spec, "warnings": [EVIL]})
    return dataclasses.replace(one, record=record)


def test_only_the_scripts_of_the_page_may_run(shown: tuple[Path, dict[str, Any]]) -> None:
    """Each is named by its hash; nothing may be loaded, sent or evaluated."""
    text = shown[0].read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy[1]
    assert "connect-src" not in policy[1]
    assert not re.findall(
        r"<(?:link|img|iframe)\b|\bon(?:click|load|error)=", re.sub(r"<script.*?</script>", "", text, flags=re.S)
    )


def test_the_vendored_bundle_is_the_pinned_one() -> None:
    digest = hashlib.sha256(BUNDLE.read_bytes()).hexdigest()
    assert BUNDLE.with_suffix(".js.sha256").read_text().split()[0] == digest


def test_the_same_records_make_the_same_page(small_board: list[Entry], tmp_path: Path) -> None:
    first, second = (page(contents(Board.of(small_board), ["results"], tmp_path / "x.html")) for _ in range(2))
    assert first == second


@pytest.fixture(scope="session")
def small_board(committed: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """Runs at two seeds: the references, four methods of which two are localized, and a collapse."""
    methods = ("none", "oracle", "embeddings", "full_finetune", "npo", "random_mlps")
    names = (f"tiny/sports-people-64/{method}" for method in methods)
    return read([committed(tmp_path_factory.mktemp("board"), *names)]).entries
