"""Visible: characters that act instead of being read, shown as signs.

A control character moves the cursor of a terminal or recolours it; a direction mark turns text around on any screen; a
zero-width space hides. In a report and on a terminal each is one sign that a person can see.
"""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup, escape

#: Code points that are told by number: C1 controls, soft hyphen, direction marks, invisible operators, line and
#: paragraph separators, the byte order mark, lone surrogates, tags. Joiners (U+200C, U+200D) stay: scripts need them.
_NAMELESS = [
    *range(0x80, 0xA0),
    0xAD,
    0x061C,
    0x180E,
    *(0x200B, 0x200E, 0x200F),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    *range(0xD800, 0xE000),
    *range(0xE0000, 0xE0080),
]
#: C0 controls by number; line feed and tab are layout and stay.
_CONTROLS = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
)
_SIGNS: Final[dict[int, str]] = {
    **{code: f"⟨{name}⟩" for code, name in enumerate(_CONTROLS.split()) if chr(code) not in "\n\t"},
    0x7F: "⟨DEL⟩",
    **{code: f"⟨U+{code:04X}⟩" for code in _NAMELESS},
}
_SIGN = re.compile(r"⟨(?:[A-Z]{2,3}[1-4]?|U\+[0-9A-F]{4,5})⟩")


def visible(text: str) -> str:
    r"""The text with a sign in place of each character that would act: '\x1b[2J' becomes '⟨ESC⟩[2J'."""
    return text.translate(_SIGNS)


def shown(text: str) -> Markup:
    """The text as HTML: escaped, its signs set apart from what is written."""
    told = str(escape(visible(text)))
    return Markup(_SIGN.sub(r'<span class="sign">\g<0></span>', told))
