"""A page as one text: nothing in it can become markup, and its policy names what it holds."""

import base64
import gzip
import hashlib
import json
from html.parser import HTMLParser

import pytest

from explorer import page_text

HOSTILE = """</script><script>hacked = 1</script><!-- <img src=x onerror="hacked = 1">'"&\u2028"""


class Elements(HTMLParser):
    """Elements in order, as (tag, attributes), and what scripts and styles hold, by id or tag."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.held = [], {}
        self._key = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._key = dict(attributes).get("id", tag) if tag in ("script", "style", "title") else None

    def handle_endtag(self, tag):
        self._key = None

    def handle_data(self, data):
        if self._key:
            self.held[self._key] = self.held.get(self._key, "") + data


def test_a_name_that_is_no_unicode():
    assert b"<title>a?b</title>" in page(title="a\udcffb")


def page(title="network", value="fine", packed=b"bytes"):
    return page_text.write(title, "single.js", {"about": {"name": value}}, {"synthesis": packed})


def hash_of(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_same_bytes_each_time():
    assert page() == page()


def test_hostile_text_is_data():
    usual, hostile = Elements(page().decode()), Elements(page(HOSTILE, HOSTILE).decode())
    assert hostile.elements == usual.elements
    assert json.loads(hostile.held["about"]) == {"name": HOSTILE}
    assert hostile.held["title"] == HOSTILE


def test_what_is_packed_comes_back():
    held = Elements(page(packed=b"</script>" * 99).decode()).held["synthesis"]
    assert gzip.decompress(base64.b64decode(held)) == b"</script>" * 99


def test_the_policy_names_the_script_and_the_style_and_nothing_else():
    elements = Elements(page().decode())
    policy = dict(
        line.split(" ", 1)
        for line in next(
            attributes["content"]
            for tag, attributes in elements.elements
            if attributes.get("http-equiv") == "Content-Security-Policy"
        ).split("; ")
    )
    script, style = elements.held["script"], elements.held["style"]
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'{hash_of(script)}' blob: 'wasm-unsafe-eval'",
        "worker-src": "blob:",
        "style-src": f"'{hash_of(style)}'",
        "img-src": "blob: data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert elements.elements.index(("style", {})) > next(
        index for index, (_, found) in enumerate(elements.elements) if "http-equiv" in found
    )


def test_nothing_is_loaded():
    for tag, attributes in Elements(page().decode()).elements:
        assert "src" not in attributes, tag
        assert attributes.get("href", "data:").startswith("data:")


def test_modules_come_after_those_that_they_name():
    names = [name for name, _ in page_text.modules("single.js")]
    assert names[-1] == "single.js"
    assert names.index("assets.js") < names.index("onnx_engine.js")
    assert not {"served.js", "socket_engine.js"} & {*names}


def test_a_circle_of_modules_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\n')
    monkeypatch.setattr(page_text, "PAGE", tmp_path)
    with pytest.raises(ValueError, match=r"a\.js → b\.js → a\.js"):
        page_text.modules("a.js")


def test_a_worker_is_one_text_without_imports():
    text = page_text.joined("onnx_worker.js")
    assert "\nimport " not in text
    assert "\nexport " not in text
    assert text.index("class RandomState") < text.index("self.onmessage")
