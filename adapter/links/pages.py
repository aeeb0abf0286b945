"""The page that a person sees who follows a link: what is asked, and a way to answer. Pure."""

from __future__ import annotations

import json
from typing import Any

_PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{title}</title>
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}}
button{{font:inherit;padding:.4rem 1.4rem;margin-right:1rem}}textarea{{font-family:monospace;width:100%}}</style>
<h1>{title}</h1>
{body}
"""
_FORM = '<form method="post" action="?token={token}">{fields}</form>'
_BUTTON = '<button name="value" value="{value}">{label}</button>'
_TEXT = """<p>Expected, as JSON: <code>{expected}</code></p>
<p><textarea name="value" rows="6" required></textarea></p><button>Send</button>"""


def page(token: str, description: Any, pending: bool) -> str:
    """HTML in which everything that comes from outside is escaped."""
    if not pending:
        return said("Already answered", "There is nothing left to do here.")
    if description == {"type": "boolean"}:
        fields = _BUTTON.format(value="true", label="Yes") + _BUTTON.format(value="false", label="No")
    else:
        fields = _TEXT.format(expected=_escaped(json.dumps(description) if description else "anything"))
    return _PAGE.format(title="Your answer is needed", body=_FORM.format(token=_escaped(token), fields=fields))


def said(title: str, text: str) -> str:
    """HTML that asks for nothing."""
    return _PAGE.format(title=_escaped(title), body=f"<p>{_escaped(text)}</p>")


def _escaped(text: str) -> str:
    # Only here: every Lambda loads this module, and few ever show a page.
    from html import escape

    return escape(text)
