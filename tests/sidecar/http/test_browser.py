"""The pages in a real browser, by the W3C WebDriver protocol that chromedriver speaks."""

import base64
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sample_models import INTENT, sample_models

pytestmark = pytest.mark.browser

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


#: What chromedriver says of an element that a new page has taken away.
GONE = ("stale element", "inspector error")


class Browser:
    """One window of headless Chromium."""

    def __init__(self, driver: str, profile: Path, chromium: str) -> None:
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"], "binary": chromium}
        self._http = httpx.Client(base_url=driver, timeout=60)
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._session = ""
        self._session = f"/session/{self._do('POST', '/session', wanted)['sessionId']}"
        # A click may return before the next page is there; what is looked for is waited for.
        self._do("POST", "/timeouts", {"implicit": 10_000})

    def _do(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, self._session + path, json=body)
        value = answer.json()["value"]
        assert answer.is_success, value
        return value

    def open(self, url: str) -> None:
        self._do("POST", "/url", {"url": url})

    def url(self) -> str:
        return self._do("GET", "/url")

    def find(self, selector: str) -> str:
        body = {"using": "css selector", "value": selector}
        return self._do("POST", "/element", body)[ELEMENT]

    def _on(self, method: str, selector: str, what: str, body: dict[str, Any] | None) -> Any:
        """Do it to an element; a page that loads itself again may take it away in between."""
        for _ in range(3):
            try:
                return self._do(method, f"/element/{self.find(selector)}/{what}", body)
            except AssertionError as error:
                if not any(gone in str(error) for gone in GONE):
                    raise
        return self._do(method, f"/element/{self.find(selector)}/{what}", body)

    def type(self, selector: str, text: str) -> None:
        self._on("POST", selector, "value", {"text": text})

    def click(self, selector: str) -> None:
        self._on("POST", selector, "click", {})

    def text(self, selector: str = "body") -> str:
        return self._on("GET", selector, "text", None)

    def says(self, selector: str, words: str) -> bool:
        """Look until the words are there: a click may return before the next page is."""
        deadline = time.monotonic() + 10
        while words not in self.text(selector):
            if time.monotonic() > deadline:
                return False
        return True

    def ask(self, script: str) -> Any:
        return self._do("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    def look(self, *, width: int, scheme: str) -> None:
        """Set the width of the page and whether its reader prefers light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        for command, parameters in (
            ("Emulation.setEmulatedMedia", {"features": features}),
            ("Emulation.setDeviceMetricsOverride", size),
        ):
            self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, to: Path) -> None:
        parameters = {"captureBeyondViewport": True}
        command = {"cmd": "Page.captureScreenshot", "params": parameters}
        to.write_bytes(base64.b64decode(self._do("POST", "/goog/cdp/execute", command)["data"]))

    def close(self) -> None:
        self._do("DELETE", "")
        self._http.close()


@pytest.fixture(scope="module")
def driver() -> Iterator[tuple[str, str]]:
    """Addresses of chromedriver and Chromium; CI must have them."""
    found = [shutil.which(name) for name in ("chromedriver", "chromium")]
    if None in found:
        missing = "Chromium and chromedriver are not installed (apt-get install chromium-driver)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [found[0], f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    wait_until_ready(url)
    yield url, found[1]
    process.terminate()
    process.wait(10)


def wait_until_ready(url: str) -> None:
    last = time.monotonic() + 30
    while True:
        try:
            if httpx.get(f"{url}/status").json()["value"]["ready"]:
                return
        except httpx.TransportError:
            assert time.monotonic() < last, "chromedriver did not start within 30 s"


@pytest.fixture
def chromium(driver: tuple[str, str], tmp_path: Path) -> Iterator[Browser]:
    window = Browser(driver[0], tmp_path / "profile", driver[1])
    yield window
    window.close()


@pytest.fixture
def with_cycle(sidecar, cycle):
    sidecar.cycle = cycle
    return sidecar


def sign_in(chromium: Browser, server, keys) -> None:
    chromium.open(server.url)
    assert chromium.url().endswith("/login")
    chromium.type("#key", keys.create("Ada", ["admin"]))
    chromium.click(".sign-in button")
    chromium.find(".summary")


def test_a_person_signs_in_tries_a_query_rolls_back_and_leaves(
    chromium: Browser, server, keys, with_cycle
) -> None:
    sign_in(chromium, server, keys)
    chromium.type("input[type=search]", "red running shoes")
    chromium.click(".try button")
    assert chromium.text(".answers .title") == "red running shoes"
    assert "Generation 7 is live" in chromium.text(".summary")
    assert chromium.ask("document.querySelectorAll('.answers').length") == 2
    chromium.click(".summary .button")
    chromium.find("button.danger")
    assert with_cycle.live_number == 7
    chromium.click("button.danger")
    assert "generation 6 is live again" in chromium.text(".note")
    assert with_cycle.live_number == 6
    assert "Generation 6 is live" in chromium.text(".summary")
    chromium.click("header button")
    chromium.find("#key")
    chromium.open(server.url)
    assert chromium.url().endswith("/login")


def test_no_script_runs_whatever_is_typed(chromium: Browser, server, keys) -> None:
    sign_in(chromium, server, keys)
    chromium.type("input[type=search]", '"><script>document.title="owned"</script>')
    chromium.click(".try button")
    chromium.find(".answers")
    assert "owned" not in chromium.ask("document.title")
    assert chromium.ask("document.scripts.length") == 0
    assert chromium.ask("document.querySelector('input[type=search]').value").startswith('">')


@pytest.mark.parametrize("shape", [("light", 360), ("dark", 360), ("light", 1200), ("dark", 1200)])
def test_nothing_sticks_out_of_the_page(chromium, server, keys, with_cycle, shape) -> None:
    scheme, width = shape
    chromium.look(width=width, scheme=scheme)
    sign_in(chromium, server, keys)
    for page in ("/targets/products/revert", "/targets/nothing", "/"):
        chromium.open(server.url + page)
        assert_fits(chromium, width, scheme)
    chromium.type("input[type=search]", "tea water rain")
    chromium.click(".try button")
    chromium.find(".answers")
    assert_fits(chromium, width, scheme)
    if "SCREENSHOTS" in os.environ:
        chromium.screenshot(Path(os.environ["SCREENSHOTS"], f"target-{scheme}-{width}.png"))


def assert_fits(chromium: Browser, width: int, scheme: str) -> None:
    assert chromium.ask("document.documentElement.scrollWidth") <= width
    ground = chromium.ask("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness < 300) == (scheme == "dark")


def test_a_person_steers_a_run_by_its_buttons(chromium: Browser, server, keys, sidecar) -> None:
    sidecar.go()
    sign_in(chromium, server, keys)
    assert chromium.ask("document.querySelector('progress').value") == 12_050
    chromium.click(".run p a")
    chromium.find("h1 .state.running")
    chromium.click("button.pause")
    assert chromium.says(".note", "is paused")
    assert sidecar.controls.read().paused
    chromium.click("button.postpone")
    assert chromium.says(".note", "is postponed")
    chromium.click("button.resume")
    chromium.find("button.pause")
    assert not sidecar.controls.read().paused
    chromium.click("button.cut-over")
    chromium.find("button.postpone")
    assert not sidecar.controls.read().postponed
    chromium.click("button.danger")
    assert chromium.says(".note", "is cancelled")
    assert sidecar.controls.read().cancelled


def test_a_watched_run_comes_to_its_end_without_a_click(
    chromium: Browser, server, keys, sidecar
) -> None:
    sidecar.go()
    sign_in(chromium, server, keys)
    chromium.open(f"{server.url}/targets/products/run")
    chromium.find(".state.running")
    ended = datetime(2026, 5, 7, 13, 0, tzinfo=UTC)
    sidecar.go(ended_at=ended, outcome="done", sentence="cut-over: generation 8 is live")
    chromium.find(".state.done")
    assert "generation 8 is live" in chromium.text(".run .reason")


@pytest.mark.parametrize("shape", [("light", 360), ("dark", 1200)])
def test_nothing_of_a_run_sticks_out(chromium, server, keys, with_cycle, shape) -> None:
    scheme, width = shape
    with_cycle.go(throttled="CPU of node-1 at 91 %, above 85 %; live searches take 240 ms")
    with_cycle.controls.throttle(200, by="Ada")
    chromium.look(width=width, scheme=scheme)
    sign_in(chromium, server, keys)
    for page in ("/", "/targets/products/run"):
        chromium.open(server.url + page)
        chromium.find("progress")
        assert_fits(chromium, width, scheme)
        if "SCREENSHOTS" in os.environ:
            name = f"run{page.replace('/', '-')}-{scheme}-{width}.png"
            chromium.screenshot(Path(os.environ["SCREENSHOTS"], name))


@pytest.mark.parametrize("shape", [("light", 360), ("dark", 360), ("light", 1200), ("dark", 1200)])
def test_nothing_of_a_log_sticks_out(chromium, server, keys, sidecar, log_report, shape) -> None:
    scheme, width = shape
    sidecar.logs = log_report
    chromium.look(width=width, scheme=scheme)
    sign_in(chromium, server, keys)
    assert "tier 3 of 4" in chromium.text(".log")
    chromium.click(".log a")
    chromium.find(".ladder")
    assert_fits(chromium, width, scheme)
    assert chromium.ask("document.querySelectorAll('.through .column').length") == 20
    heights = chromium.ask(
        "Array.from(document.querySelectorAll('.through .column:not(.faint)'))"
        ".map(e => e.getBoundingClientRect().height)"
    )
    told = [place["clicks"] / place["impressions"] for place in log_report["figures"]["places"]]
    assert [round(height / heights[0], 1) for height in heights] == [
        round(share / told[0], 1) for share in told[: len(heights)]
    ]
    assert heights[0] > 50
    if "SCREENSHOTS" in os.environ:
        chromium.screenshot(Path(os.environ["SCREENSHOTS"], f"logs-{scheme}-{width}.png"))


def test_a_person_reads_the_log_again_and_the_page_shows_it_when_it_is_read(
    chromium: Browser, server, keys, sidecar, log_report
) -> None:
    sign_in(chromium, server, keys)
    assert "desireline logs products" in chromium.text(".log")
    chromium.click(".log a")
    chromium.click(".summary button")
    assert chromium.says(".note", "is being read")
    assert sidecar.readings == 1
    sidecar.logs, sidecar.reading = log_report, False
    chromium.find(".ladder")
    assert "Lacks dwell" in chromium.text(".lacks")
    assert "garden hose" in chromium.text("main")


@pytest.mark.parametrize("shape", [("light", 390), ("dark", 1280)])
def test_nothing_of_encoders_and_intent_sticks_out(
    chromium, server, keys, with_cycle, cycle, shape
) -> None:
    scheme, width = shape
    with_cycle.intent, with_cycle.models = INTENT, sample_models(cycle)
    chromium.look(width=width, scheme=scheme)
    sign_in(chromium, server, keys)
    for where in ("", "/models", "/models/7"):
        chromium.open(f"{server.url}/targets/products{where}")
        assert_fits(chromium, width, scheme)
    boxes = "Array.from(document.querySelectorAll('.line li'))"
    right = chromium.ask(f"{boxes}.map(e => e.getBoundingClientRect().right)")
    assert len(right) == 2
    assert max(right) < width
    chromium.click(".line a")
    chromium.find("h1 .state.retained")
