"""The page in a real browser: it shows what is there, as text, without a word of complaint from the browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from sink.http.server import HttpServer
from sink.view import BreakerView, PartitionView, QuarantineView
from tests.fix_sink import wait_until
from tests.views import FakeProcess, FakeWatch

UNKNOWN = "\N{EN DASH}"
HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"


@dataclass(slots=True)
class Shown:
    """A page in a browser, and the watch that it shows."""

    browser: Chrome
    watch: FakeWatch
    server: HttpServer

    def text(self, selector: str) -> str:
        return self.browser.find_element(By.CSS_SELECTOR, selector).text

    def until(self, selector: str, wanted: str) -> None:
        wait_until(lambda: wanted in self.text(selector), f"{selector} says {wanted}", seconds=30)

    def complaints(self) -> list[str]:
        return [str(entry["message"]) for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Start Debian's Chromium with an empty profile, which calls nobody."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "apt-get install chromium"
    assert driver, "apt-get install chromium-driver"
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        f"user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options=options, service=ChromeService(executable_path=driver))
    yield made
    made.quit()


@pytest.fixture
def shown(browser: Chrome) -> Iterator[Shown]:
    watch = FakeWatch()
    server = HttpServer("127.0.0.1", 0, FakeProcess(watch).answers())
    browser.set_window_size(1280, 900)
    browser.get(f"http://127.0.0.1:{server.port}/")
    page = Shown(browser, watch, server)
    page.until("#overall", "ready")
    yield page
    # a page that asks on after its server has gone complains to the next test
    browser.get("about:blank")
    page.complaints()
    server.close()


def test_it_shows_rate_lag_freshness_partitions_and_quarantine(shown: Shown) -> None:
    assert shown.text("h2") == "trades"
    assert shown.text(".rate .value") == "1,235 msg/s"
    assert shown.text(".lag .value") == "10 msg"
    assert shown.text(".lag .more") == "oldest 1.5 s"
    assert shown.text(".fresh .value") == "250 ms"
    rows = shown.browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert [row.text for row in rows[:2]] == ["0 reading 90 80 100 10 1.5 s", f"3 reading 7 {UNKNOWN} 7 0"]
    assert rows[2].text.startswith("decode 3 ")
    assert "wait 20 ms" in shown.text(".legend")
    plots = shown.browser.find_elements(By.CSS_SELECTOR, ".plot")
    assert [one.get_attribute("aria-label") for one in plots] == [
        "Messages a second, last five minutes: now 400, at most 400",
        "Lag in messages, last five minutes: now 4, at most 4",
        "Freshness, last five minutes: now 200 ms, at most 200 ms",
    ]
    curves = [one.get_attribute("d") or "" for one in shown.browser.find_elements(By.CSS_SELECTOR, ".plot .curve")]
    assert [curve.count("M") for curve in curves] == [1, 1, 2], "what nobody knows leaves a gap"
    assert shown.complaints() == []


def test_what_changes_is_shown_without_a_reload(shown: Shown) -> None:
    shown.browser.execute_script("window.same = document.querySelector('tbody th')")
    shown.watch.change(rate=2_500_000.0, connected={"database": False}, waiting_for="no answer at db:5432")
    shown.until(".rate .value", "2.50 M")
    assert shown.text("article .badge") == "not ready"
    assert shown.text(".reasons") == "no answer at db:5432"
    shown.watch.change(phase="halted", failure="mend the producer")
    shown.until("#overall", "1 halted")
    assert shown.text(".reasons") == "mend the producer"
    same = shown.browser.execute_script("return window.same.isConnected")
    assert same, "cells stay, so that a selection or the focus does"
    assert shown.complaints() == []


def test_names_and_sentences_are_text_and_never_markup(shown: Shown) -> None:
    shown.watch.change(
        topic=HOSTILE,
        group=HOSTILE,
        failure=HOSTILE,
        phase="halted",
        partitions=(PartitionView(partition=0, state=HOSTILE, reason=HOSTILE),),
        quarantined=(QuarantineView(reason=HOSTILE, messages=1, last_at=datetime.now(UTC)),),
        breaker=BreakerView(share=1, limit=0.5, why=HOSTILE),
    )
    shown.until(".reasons", HOSTILE)
    assert HOSTILE in shown.text(".names")
    assert shown.browser.find_elements(By.CSS_SELECTOR, "img, article script") == []
    assert shown.browser.title != "taken"
    assert shown.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_colours_that_one_prefers(shown: Shown, scheme: str) -> None:
    browser = shown.browser
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        wide = browser.execute_script("return document.scrollingElement.scrollWidth")
        colours = browser.execute_script(
            "const page = getComputedStyle(document.body); return [page.backgroundColor, page.color]"
            ".map((colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0))"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert wide <= 360
    ground, ink = colours
    assert abs(ground - ink) > 400, "readable"
    assert (ground > ink) == (scheme == "light")


def test_everything_that_is_drawn_or_scrolled_has_a_name_for_those_who_do_not_see(shown: Shown) -> None:
    unnamed = shown.browser.execute_script(
        "return [...document.querySelectorAll('svg, [tabindex], nav')]"
        ".filter((one) => !one.getAttribute('aria-label')).map((one) => one.outerHTML)"
    )
    assert unnamed == []
    headings = [one.tag_name for one in shown.browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
    assert headings[:3] == ["h1", "h2", "h3"]
    cells = shown.browser.find_elements(By.CSS_SELECTOR, "th:not([scope])")
    assert cells == []
    assert shown.browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"


def test_a_sink_that_ends_leaves_a_word_that_all_is_old(shown: Shown) -> None:
    shown.server.close()
    shown.until("#trouble", "what you see is old")
    assert "stale" in (shown.browser.find_element(By.TAG_NAME, "body").get_attribute("class") or "")
