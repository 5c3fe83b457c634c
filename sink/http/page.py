"""The page for people: one document that asks for nothing but /status, under a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The document, and its content security policy."""

    body: bytes
    policy: str


def page() -> Page:
    """Put the page together from the files beside this one."""
    folder = files(__package__)
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    document = (folder / "page.html").read_text(encoding="utf-8")
    return Page(
        body=document.replace("/* page.css */", style).replace("/* page.js */", script).encode(),
        policy=(
            "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
            f" frame-ancestors 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
        ),
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
