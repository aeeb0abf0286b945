"""A page in a real browser: Debian's chromium, without a window. A script plays with it, and tells what it saw."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REQUIRED = os.environ.get("REQUIRE_CHROMIUM") == "1"

browser = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="no chromium here: apt-get install chromium, then make browser"
)
"""A test that needs one. `make browser` fails where there is none."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1"),
)
LONGEST = 120
"""Seconds. It takes two, on a machine that has nothing else to do."""

_BEFORE = """<script>
window.mistakes = [];
window.began = performance.now();
window.addEventListener("error", (event) => window.mistakes.push(String(event.message)));
window.addEventListener("securitypolicyviolation",
  (event) => window.mistakes.push("policy: " + event.violatedDirective));
window.alert = (text) => window.mistakes.push("alert: " + text);
</script>"""
_AFTER = """<script>
(() => {
  const told = {};
  const press = (key, on = document.getElementById("rows")) => on.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  try { (() => { PLAY })(); } catch (error) { window.mistakes.push(String(error)); }
  const pre = document.createElement("pre");
  pre.id = "told";
  pre.textContent = JSON.stringify({ ...told, mistakes: window.mistakes });
  document.body.append(pre);
})();
</script>"""


def played(directory: Path, page: str, play: str = "", fragment: str = "", *flags: str) -> dict[str, Any]:
    """Open a page, and run the script ``play`` once it is drawn. What it puts into ``told`` is returned.

    ``mistakes`` are the errors that any script of the page raised, alerts, and requests that the page's policy refused.
    """
    file = directory / "page.html"
    head, body = page.replace("<head>", f"<head>{_BEFORE}", 1), _AFTER.replace("PLAY", play)
    file.write_text(head.replace("</body>", f"{body}</body>"), encoding="utf-8")
    dumped = _chromium(directory, f"{file.as_uri()}{fragment}", "--dump-dom", *flags)
    found = re.search(r'<pre id="told">(.*?)</pre>', dumped, re.DOTALL)
    assert found is not None, dumped[-2000:]
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


def drawn(directory: Path, page: str, to: Path, *flags: str) -> None:
    """Write a picture of a page."""
    file = directory / "page.html"
    file.write_text(page, encoding="utf-8")
    _chromium(directory, file.as_uri(), f"--screenshot={to}", *flags)


def _chromium(directory: Path, address: str, *flags: str) -> str:
    assert CHROMIUM is not None, "no chromium here: apt-get install chromium"
    profile = directory / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, address]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONGEST)
    return done.stdout
