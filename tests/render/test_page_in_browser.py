"""The page opened from disk in a headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import neurodeploy as nd
from tests.render.browser import Browser

FOCUSABLE = "a[href], button, select, summary, [tabindex='0']"
WIDEST = "document.documentElement.scrollWidth"
TAB = 9


def troubles(browser: Browser) -> list[Any]:
    """Messages of the console, exceptions, and requests for anything but the page."""
    told: list[Any] = []
    for event in browser.events:
        method, parameters = event["method"], event["params"]
        if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            told.append(parameters)
        if method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("file:///", "data:image/png;base64,")):
                told.append(url)
    files = {
        e["params"]["request"]["url"]
        for e in browser.events
        if e["method"] == "Network.requestWillBeSent"
        and e["params"]["request"]["url"].startswith("file:")
    }
    return [*told, *(["another file"] if len(files) > 1 else [])]


def seen(browser: Browser, page: Path, width: int = 1280, scheme: str = "light") -> None:
    browser.sized(width)
    browser.scheme(scheme)
    browser.open(page)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_asked_for_and_nothing_overflows(
    browser: Browser, page_file: Path, width: int, scheme: str
) -> None:
    seen(browser, page_file, width, scheme)
    assert troubles(browser) == []
    assert browser.value(WIDEST) == width
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    text = browser.value(
        "getComputedStyle(document.querySelector('svg text')).fill + ' ' + "
        "getComputedStyle(document.body).color"
    )
    light = [sum(map(int, c.split("(")[1].rstrip(")").split(","))) for c in text.split(") ")]
    dark = scheme == "dark"
    assert (sum(map(int, background[4:-1].split(","))) < 150) == dark
    assert all((level > 400) == dark for level in light)


def test_the_keyboard_reaches_everything_in_order(browser: Browser, page_file: Path) -> None:
    seen(browser, page_file)
    script = (
        f'[...document.querySelectorAll("{FOCUSABLE}")]'
        ".filter(e => e.checkVisibility({contentVisibilityAuto: true}))"
        ".map((e, i) => (e.dataset.order = i)).length"
    )
    n = browser.value(script)
    assert n > 40
    place = "(e => e.dataset.order ?? (e.scrollWidth > e.clientWidth ? 'scrolls' : e.outerHTML))"
    order = []
    while len(order) < n:
        browser.press("Tab", TAB)
        found = browser.value(f"{place}(document.activeElement)")
        # Chromium lets keys scroll what is wider than its place.
        order += [found] if found != "scrolls" else []
    assert order == list(map(str, range(n)))
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.value(outline) != "none"


def test_tips_by_pointer_and_by_keys(browser: Browser, page_file: Path) -> None:
    seen(browser, page_file)
    chart = "document.querySelector('[data-chart=errors] svg')"
    centred = f"{chart}.scrollIntoView({{block: 'center', behavior: 'instant'}})"
    drawn = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r())))"
    browser.value(centred)
    browser.value(drawn)
    browser.value(f"{chart}.focus({{preventScroll: true}})")
    browser.press("ArrowRight", 39)
    told = "document.querySelector('#tip').hidden ? '' : document.querySelector('#tip').textContent"
    assert browser.value(told).startswith("relu_1, clipping: ")
    browser.press("ArrowRight", 39)
    assert not browser.value(told).startswith("relu_1, clipping: ")
    browser.press("Escape", 27)
    assert browser.value(told) == ""
    box = browser.value(
        f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
        f"([...{chart}.querySelectorAll('.tip')].map(e => e.getBoundingClientRect())"
        ".sort((a, b) => b.width * b.height - a.width * a.height)[0])"
    )
    browser("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    assert " %" in browser.value(told)


def test_samples_are_picked_and_tables_sorted(browser: Browser, page_file: Path) -> None:
    seen(browser, page_file)
    pick = "document.querySelector('.pick[data-label=Sample]')"
    shown = f"[...{pick}.children].filter(e => e.open).map(e => e.textContent.slice(0, 8))"
    assert browser.value(shown) == ["Sample 0"]
    browser.value(
        f"(s => {{ s.selectedIndex = 2; s.dispatchEvent(new Event('change')); }})"
        f"({pick}.querySelector('select'))"
    )
    assert browser.value(shown) == ["Sample 2"]
    column = (
        "[...document.querySelectorAll('#network table tbody tr')].slice(0, 3)"
        ".map(r => Number(r.cells[3].textContent))"
    )
    before = browser.value(column)
    button = "document.querySelectorAll('#network th')[3].querySelector('button')"
    browser.value(f"{button}.click()")
    assert browser.value(column) == sorted(before)
    browser.value(f"{button}.click()")
    assert browser.value(column) == sorted(before, reverse=True)
    assert browser.value(f"{button}.parentNode.ariaSort") == "descending"


def test_without_javascript_it_says_the_same(browser: Browser, page_file: Path) -> None:
    seen(browser, page_file)
    texts = "[...document.querySelectorAll('main td, main p, dd')].map(e => e.textContent).join()"
    with_it = browser.value(texts)
    browser("Emulation.setScriptExecutionDisabled", value=True)
    try:
        seen(browser, page_file, 360)
        # The protocol's own scripts still run.
        assert browser.value(texts) == with_it
        assert browser.value("document.querySelectorAll('select, th button, #tip').length") == 0
        assert browser.value("document.querySelectorAll('.pick > details').length") > 2
        assert browser.value("document.querySelectorAll('.tip > title').length") > 20
        assert browser.value(WIDEST) == 360
    finally:
        browser("Emulation.setScriptExecutionDisabled", value=False)


def test_on_paper_the_contents_are_gone_and_nothing_is_cut(
    browser: Browser, page_file: Path
) -> None:
    browser.sized(700)
    browser.open(page_file)
    browser("Emulation.setEmulatedMedia", media="print", features=[])
    assert browser.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.value(
        "[...document.querySelectorAll('figure')].every(f => f.scrollWidth <= f.clientWidth)"
    )
    printed = browser("Page.printToPDF")["data"]
    assert len(printed) > 20_000
    browser.scheme("light")


def test_the_page_of_the_demonstration(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from neurodeploy.stages import demo_network

    monkeypatch.setattr(demo_network, "EPOCHS", 2)
    training = nd.Samples("digits@train")
    real = nd.convert(demo_network.train(training), training, method="rate", timesteps=8)
    net = real.quantize(fit="loihi1")
    page = tmp_path / "digits.html"
    nd.report(net, "digits", page, samples=64, board="loihi1")
    seen(browser, page, 360, "dark")
    assert troubles(browser) == []
    assert browser.value(WIDEST) == 360
    assert page.stat().st_size < 1_500_000


def test_the_page_of_a_network_for_cifar10(
    browser: Browser, shared_dir: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    spec = f"cifar10:{shared_dir / 'data' / 'cifar10'}"
    model = f"{shared_dir / 'models' / 'zoo.py'}:vgg_cifar10"
    weights = shared_dir / "models" / "vgg_cifar10.pt"
    real = nd.convert(
        *(model, f"{spec}@train#first=8"), weights=weights, method="graded", timesteps=2
    )
    page = tmp_path / "vgg.html"
    nd.report(real.quantize(fit="loihi2"), spec, page, samples=4, board="loihi2")
    seen(browser, page)
    assert troubles(browser) == []
    assert browser.value(WIDEST) == 1280
    assert browser.value("document.querySelectorAll('figure.chart svg').length") > 15
    assert page.stat().st_size < 1_500_000
    assert str(shared_dir) not in page.read_text(encoding="utf-8")
