"""The built site, read as its readers do; and its tours, run there as notebooks, against the same tours as scripts.

Built by the README's command into docs/_build/html; then `pytest -m site`. What needs a browser is skipped where there
is no Chromium.
"""

import contextlib
import functools
import html
import http.server
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pytest

from docs.links import CHAPTERS, rows

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "_build" / "html"
NOTEBOOKS = sorted((ROOT / "docs" / "_build" / "jupyter_execute").glob("ch0*/*.ipynb"))
PAGES = sorted(page for page in SITE.rglob("*.html") if "_static" not in page.parts)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ROWS = [row for chapter in CHAPTERS for row in rows(chapter)]

pytestmark = pytest.mark.site


@functools.cache
def read(page):
    return page.read_text(encoding="utf-8")


def page_of(file):
    return SITE / file.relative_to(ROOT).with_suffix(".html")


def is_tour(notebook):
    return any(cell["cell_type"] == "code" for cell in json.loads(notebook.read_text())["cells"])


def test_the_site_is_built():
    assert len(PAGES) > 50, "build it first: see the README"


# Without a browser


def test_every_line_of_source_has_its_anchor():
    for file in {row.file for row in ROWS}:
        lines = file.read_text(encoding="utf-8").splitlines()
        found = re.findall(r'<span id="L-(\d+)">(.*?)\n?</span>(?=<span id="L-|</pre>)', read(page_of(file)), re.DOTALL)
        assert len(found) > len(lines) / 2
        for number, marked in found:
            shown = html.unescape(re.sub("<[^>]+>", "", marked))
            assert shown == lines[int(number) - 1] or shown.startswith("# python ch"), f"{file}:{number}"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_row_leads_to_its_line(chapter):
    index = read(SITE / chapter.name / "README.html")
    for row in rows(chapter):
        target = f"{row.file.relative_to(chapter).with_suffix('.html').as_posix()}#L-{row.line}"
        assert f'href="{target}"' in index and f'id="L-{row.line}"' in read(page_of(row.file)), target


def test_every_internal_link_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"""(?:href|src)=["']([^"']*)["']""", read(page)):
            address = urllib.parse.urlsplit(html.unescape(target))
            if address.scheme in ("http", "https", "data", "mailto"):
                continue
            file = (page.parent / urllib.parse.unquote(address.path)).resolve() if address.path else page
            assert file.exists(), f"{page}: {target}"
            if address.fragment and file.suffix == ".html":
                assert re.search(f"""id=["']{re.escape(address.fragment)}["']""", read(file)), f"{page}: {target}"


def test_nothing_is_fetched_from_elsewhere():
    for page in PAGES:
        fetched = re.findall(r"""<(?:script|img|iframe|source)[^>]*src=["'](\w*:?//[^"']*)""", read(page))
        fetched += re.findall(r"""<link rel=["'](?:stylesheet|preload)[^>]*href=["'](\w*:?//[^"']*)""", read(page))
        assert not fetched, f"{page}: {fetched}"


def test_pictures_have_a_text_headings_their_order_and_flags_two_hyphens():
    for page in PAGES:
        article = re.search(r"<article.*</article>", read(page), re.DOTALL)[0]
        for picture in re.findall(r"<img[^>]*>", article):
            assert re.search(r'alt="(?!\.\./)[^"]+"', picture), f"{page}: {picture}"
        levels = [int(level) for level in re.findall(r"<h([1-6])", article)]
        assert levels[:1] in ([1], []) and all(b <= a + 1 for a, b in itertools.pairwise(levels)), f"{page}: {levels}"
        assert not re.search(r"[–—](device|data|out)\b", article), page
    assert "--device" in read(SITE / "index.html")


CHANGES = re.compile(
    r"0x[0-9a-fA-F]+|\d\.\de-\d\d|\bprocess(es)? \[?[\d, ]+\]?|[\d.,]+ ?(ns|us|ms|s|MB/s|KB|examples/s)\b"
    r"|\d+(?:\.\d+)?%|/\S*/",
    re.ASCII,
)


@pytest.mark.parametrize(
    "notebook", list(filter(is_tour, NOTEBOOKS)), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_tour_prints_the_same_as_a_notebook_and_as_a_script(notebook, tmp_path):
    script = ROOT / notebook.parent.name / f"{notebook.stem}.py"
    # With as many threads as the notebook had: sums round otherwise with another number.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["PYTHONPATH"] = str(ROOT)
    seen = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert seen.returncode == 0, seen.stderr
    titles = set(re.findall(r"^# %% (.*)$", script.read_text(encoding="utf-8"), re.MULTILINE))
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    as_notebook = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stdout")
    as_script = [line for line in seen.stdout.splitlines() if line.removeprefix("# ") not in titles]

    def lines(printed):
        told = [" ".join(CHANGES.sub("~", line).split()) for line in printed if line.strip()]
        if notebook.stem == "profiler_tour":  # its tables show whatever took longest
            return sorted(line for line in told if not re.search(r"\d|~|-{4}|^aten::", line))
        if notebook.stem == "dataloader_tour":  # it measures
            return sorted(re.sub(r"[\d.,]+|-{4,}", "~", line) for line in told)
        return told

    assert lines(as_notebook.splitlines()) == lines(as_script)
    drawn = [path for path in tmp_path.rglob("*") if path.suffix in (".png", ".gif")]
    shown = [output for output in outputs if {"image/png", "image/gif"} & set(output.get("data", {}))]
    assert len(shown) >= len(drawn), "every picture stands below the cell that drew it"


# In a browser


@pytest.fixture(scope="module")
def address():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            if self.path != "/favicon.ico":  # which browsers ask a host for, whatever the page says
                return super().do_GET()
            self.send_response(204)
            self.end_headers()

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *args):
            """A browser that goes on to the next page leaves pictures half fetched."""

    server = Server(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


LINE = re.compile("#L-")  # of an address; whoever has clicked must wait until the page is there


@contextlib.contextmanager
def reading(browser, address, **options):
    """A page of the browser; ends with an error if the page complained or asked another host for anything."""
    page, faults = browser.new_page(**options), []
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: request.url.startswith((address, "data:")) or faults.append(request.url))
    page.on("response", lambda response: response.status < 400 or faults.append(f"{response.status} {response.url}"))
    yield page
    page.close()
    assert not faults


def test_from_the_index_to_a_chapter_to_a_listing_to_its_picture(browser, address):
    with reading(browser, address) as page:
        page.goto(f"{address}/index.html")
        page.locator("article").get_by_role("link", name=re.compile("tensors and dynamic graphs")).click()
        row = page.locator("tr", has_text="x = torch.rand(2,3,4)").first
        row.get_by_role("link", name="tensors.py").click()
        page.wait_for_url(LINE)
        line = page.locator(urllib.parse.urlsplit(page.url).fragment.replace("L-", "#L-", 1))
        assert line.is_visible() and line.inner_text().strip()
        picture = page.locator("article img").last
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("picture => picture.complete && picture.naturalWidth > 300")


@pytest.mark.parametrize(
    "typed, there",
    [
        ("uninitialized = torch.Tensor(3,2)", "ch01_intro/tensors.html#L-"),
        ("x = tf.placeholder(tf.float32, shape=[None, 2], name='x-input')", "ch01_intro/xor_static_graph.html#L-"),
        ("loss.backward()", ".html#L-"),
        ("1.8", "ch01_intro/tensors.html#L-"),
    ],
)
def test_a_line_typed_from_the_page_is_found(browser, address, typed, there):
    with reading(browser, address) as page:
        page.goto(f"{address}/index.html")
        page.get_by_role("searchbox").or_(page.get_by_placeholder("Search")).first.fill(typed)
        page.keyboard.press("Enter")
        result = page.locator("#search-results li a").first
        result.wait_for()
        assert there in result.get_attribute("href")
        result.click()
        page.wait_for_url(LINE)
        fragment = urllib.parse.urlsplit(page.url).fragment
        assert page.locator(f"#{fragment}").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways_or_asks_another_host(browser, address, width):
    with reading(browser, address, viewport={"width": width, "height": 800}) as page:
        for path in PAGES:
            page.goto(f"{address}/{path.relative_to(SITE).as_posix()}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_light_and_dark(browser, address):
    colours = []
    for scheme in ("light", "dark"):
        with reading(browser, address, color_scheme=scheme) as page:
            page.goto(f"{address}/index.html")
            colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]
