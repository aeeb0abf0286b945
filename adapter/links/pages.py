"""The page that a person sees behind a link: the question, and a way to answer it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{title}</title>
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}}
button,select{{font:inherit;padding:.4rem 1.4rem;margin-right:1rem}}textarea{{font-family:monospace;width:100%}}</style>
<h1>{title}</h1>
{body}
"""
_FORM = '<form method="post" action="?token={token}">{fields}</form>'
_BUTTON = '<button name="value" value="{value}">{label}</button>'
_OPTION = '<option value="{value}">{label}</option>'
_LIST = '<p><select name="value" required>{options}</select></p><button>Send</button>'
_TEXT = """<p>Expected, as JSON: <code>{expected}</code></p>
<p><textarea name="value" rows="6" required></textarea></p><button>Send</button>"""

_PLAIN: Mapping[str, list[tuple[str, Any]]] = {"boolean": [("Yes", True), ("No", False)], "null": [("Nothing", None)]}

BUTTONS = 6
"""Up to so many choices are buttons; more are a list."""


def page(token: str, schema: Any, pending: bool) -> str:
    """The page as HTML. Everything that comes from outside is escaped."""
    if not pending:
        return said("Already answered", "There is nothing left to do here.")
    choices = _choices(schema)
    if not choices:
        fields = _TEXT.format(expected=_escaped(json.dumps(schema) if schema else "anything"))
    elif len(choices) <= BUTTONS:
        fields = _each(_BUTTON, choices)
    else:
        fields = _LIST.format(options=_each(_OPTION, choices))
    return _PAGE.format(title="Your answer is needed", body=_FORM.format(token=_escaped(token), fields=fields))


def _choices(schema: Any) -> list[tuple[str, Any]]:
    """All values that fit, each once and with its label; empty if they can't be listed."""
    if not isinstance(schema, dict):
        return []
    if isinstance(schema.get("enum"), list):
        examples = schema.get("examples")
        listed = examples if isinstance(examples, list) else schema["enum"]
        return [(value if isinstance(value, str) else json.dumps(value), value) for value in listed]
    if isinstance(schema.get("anyOf"), list):
        members = [_choices(member) for member in schema["anyOf"] if not _stands_for_another(member)]
        return [choice for member in members for choice in member] if all(members) else []
    return list(_PLAIN.get(str(schema.get("type")), ()))


def _stands_for_another(schema: Any) -> bool:
    """Whether this is the codec's tagged form of a value that another member describes."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return isinstance(properties, dict) and properties.keys() == {"$type", "value"}


def _each(template: str, choices: list[tuple[str, Any]]) -> str:
    return "".join(
        template.format(value=_escaped(json.dumps(value)), label=_escaped(label)) for label, value in choices
    )


def said(title: str, text: str) -> str:
    """The page that tells something, and asks for nothing."""
    return _PAGE.format(title=_escaped(title), body=f"<p>{_escaped(text)}</p>")


def _escaped(text: str) -> str:
    # Imported only here: every Lambda loads this module, and few ever show a page.
    from html import escape

    return escape(text)
