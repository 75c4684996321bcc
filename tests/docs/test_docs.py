"""The documentation is executed.

* A ``python`` block runs, in the namespace of its page and in order, unless its fence says ``no-run``. What
  it prints is the ``output`` block right below it; without one it prints nothing.
* A ``console`` block is replayed: see ``tests/docs/console.py``.
* ``<!-- file: shop.py -->`` above a block writes it to a file that later blocks of the page use.
* ``<!-- examples/first.py -->`` above a block says that it is that file, and
  ``<!-- examples/orders.py: Order, Orders.find -->`` that it is those parts of it, which are not run.
"""

from __future__ import annotations

import os
import re
import sys
import types

import pytest

from tests.docs.console import Console
from tests.docs.pages import PAGES, ROOT, anchors_of, blocks_of, example_text, links_of

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
EXAMPLES = [block for block in BLOCKS if block.comment.startswith("examples/")]
LANGUAGES = {"python", "output", "console", "sh", "toml", "json", "yaml", "text", "http", "markdown"}


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of a reader: the examples, and an environment that sets nothing."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name in [name for name in os.environ if name.startswith("UNIMICRO_") or name == "TOKEN"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_does_what_it_says(page, folder, monkeypatch, capsys):
    namespace = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", namespace)
    console = Console(monkeypatch)
    printed = ""
    for block in blocks_of(page):
        if block.language == "output":
            assert printed == block.text, block
            printed = ""
        assert not printed, f"{block}: the block before printed {printed!r}"
        if block.comment.startswith("file: "):
            path = folder / block.comment.removeprefix("file: ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        if block.language == "console":
            console.replay(block.text)
        elif is_run(block):
            run(block, namespace)
            printed = capsys.readouterr().out
    assert not printed, f"the last block printed {printed!r}"


def is_run(block):
    """A whole example runs; a part of one would miss the rest, and a file is run by who imports it."""
    is_part = block.comment.startswith("examples/") and ":" in block.comment
    is_file = block.comment.startswith("file: ")
    return block.language == "python" and block.flags != "no-run" and not is_part and not is_file


def run(block, namespace):
    # The empty lines in front make a traceback name the line of the page.
    exec(compile("\n" * block.line + block.text, str(block.page), "exec"), namespace.__dict__)


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_shown_is_the_example_in_the_file(block):
    assert block.text == example_text(block.comment)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_of_a_language_that_these_tests_know(block):
    assert block.language in LANGUAGES
    assert block.flags in ("", "no-run")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(page):
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}"
        if anchor:
            assert anchor in anchors_of(target), f"{name_of(page)} links to {link}"


def test_every_page_is_reached_from_the_first():
    first = ROOT / "docs" / "index.md"
    linked = {(first.parent / link.partition("#")[0]).resolve() for link in links_of(first)}
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert pages - linked <= {first}


def test_all_three_examples_stand_on_the_first_page_in_full():
    shown = {block.comment for block in blocks_of(ROOT / "docs" / "index.md")}
    assert {"examples/hello.py", "examples/first.py", "examples/orders.py"} <= shown


FRAGMENTS = [path for path in sorted((ROOT / "changes").iterdir()) if path.name != "README.md"]


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_one_sentence_of_a_known_kind(fragment):
    assert re.fullmatch(r"[\w-]+\.(added|changed|fixed|removed)\.md", fragment.name)
    assert re.fullmatch(r"[^\n]+\.\n", fragment.read_text())
