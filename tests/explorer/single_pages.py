"""Single pages in a browser that has no network, and what they need to be made."""

import base64
import os
from unittest import mock

import numpy as np
import pytest

from explorer import page_text, single_page, web_runtime

_VALUES = """async (recipe) => {
  const { data, dims } = await engine.values(recipe);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { text: btoa(String.fromCharCode(...bytes)), dims };
}"""
_FILE = """async (message) => {
  const made = await (message.type ? engine.request(message) : engine.latents(0, message.recipe));
  const blob = made.blob ?? made;
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return [made.header ?? null, btoa(String.fromCharCode(...bytes))];
}"""


def runtime():
    """ONNX Runtime Web's files, of the npm package's directory dist in $STYLEGAN_ORT_WEB."""
    directory = os.environ.get("STYLEGAN_ORT_WEB")
    if not directory:
        pytest.skip("set STYLEGAN_ORT_WEB to the directory dist of the npm package onnxruntime-web")
    return web_runtime.read(directory)


class SinglePage:
    """A page that was opened from a file, offline. requests, complaints: what must not be."""

    def __init__(self, browser, file, query=""):
        self.context = browser.new_context(offline=True)
        self.page = self.context.new_page()
        self.requests, self.complaints = [], []
        self.page.on("request", self._ask)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(file.as_uri() + query)
        self.page.evaluate("started.then(() => engine.opened)")

    def _ask(self, request):
        # What the document makes for itself is no request.
        if not request.url.startswith(("blob:", "data:")):
            self.requests.append(request.url)

    def values(self, recipe):
        """Float images [1, R, R, C]."""
        made = self.page.evaluate(_VALUES, recipe)
        return np.frombuffer(base64.b64decode(made["text"]), np.float32).reshape(made["dims"])

    def file(self, message):
        """(header, bytes) of a request, or of latents where it has no type."""
        header, text = self.page.evaluate(_FILE, message)
        return header, base64.b64decode(text)


def write(scene, out, weights="float32"):
    """A page of a scene as a file; returns how far ONNX Runtime's images are from its own."""
    with mock.patch.object(page_text, "LEVEL", 1):  # the best takes seconds
        page, difference = single_page.assemble(scene, weights, runtime())
    out.write_bytes(page)
    return difference
