"""Text from journals as plain text: on a page, in Markdown; never markup, a link, or a control character."""

from __future__ import annotations

import html
import re

from suite.core.printable import printable

# Within a word an underscore is no mark: names of tables and metrics stay readable.
_MARKS = re.compile(r"([\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_BLOCK = re.compile(r"^(?:#(?=#*(?:\s|$))|[+-](?=\s)|[-=](?=[-=\s]+$)|\d(?=\d*[.)](?:\s|$)))")
"""What makes a heading or a list of a line that begins with it."""


def for_html(text: object) -> str:
    """Text for an element or a quoted attribute.

    >>> for_html("<b>\\x1b[2J")
    '&lt;b&gt;\\\\x1b[2J'
    """
    return html.escape(printable(text))


def for_markdown(text: object) -> str:
    """Text for a line, a list item or a cell: neither markup nor HTML, a link or another cell.

    >>> for_markdown("# a|b www.x.org")
    '&#35; a\\\\|b www&#46;x.org'
    """
    line = html.escape(" ".join(printable(text).split()), quote=False)
    line = _BLOCK.sub(lambda match: f"&#{ord(match[0])};", _MARKS.sub(r"\\\1", line))
    # Forges make links of bare addresses.
    return line.replace("://", ":&#47;/").replace("www.", "www&#46;")
