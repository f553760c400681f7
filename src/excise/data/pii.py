"""Personal data in texts: addresses and numbers that identify a person, as spans to be masked.

Precision comes first: what has a checksum must pass it, what has none must look like nothing else. Each kind is one
expression, compiled once, that cannot run away: it begins only where a run of its characters begins, and every
repetition is bounded, so that the time is linear in the text.
"""

import re
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.corpus import Corpus
from excise.data import text
from excise.data.noisy import noisy_table
from excise.data.threads import Mapped, in_order
from excise.errors import SettingError
from excise.journal import Progress, silent

_PIECE_BYTES = 1 << 22

#: Top-level domains that addresses of people are under, beside those of countries: not all, for `a@b.shape` is code.
_DOMAINS = (
    "com|org|net|edu|gov|mil|int|info|biz|name|pro|mobi|asia|eu|online|site|tech|app|dev|cloud|email|xyz|top|club"
)
_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd "
    "cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge "
    "gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh "
    "ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw "
    "mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb "
    "sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk "
    "us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
).replace(" ", "|")
#: Letters of addresses: Latin, Greek, Cyrillic. In Chinese prose nothing says where a name of its own letters begins.
_LETTERS = "A-Za-z0-9\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff"
_EMAIL = re.compile(
    rf"(?<![{_LETTERS}._%+\-/=])[{_LETTERS}_][{_LETTERS}._%+\-]{{0,63}}+@"
    rf"(?:[{_LETTERS}](?:[{_LETTERS}\-]{{0,61}}[{_LETTERS}])?+\.){{1,6}}+"
    rf"(?<=[{_LETTERS}\-]{{2}}\.)(?:(?i:" + _DOMAINS + "|" + _COUNTRIES + r"))(?![A-Za-z0-9_(\[@])"
)
#: International numbers; North American ones with separators; Chinese mobile and landline numbers.
_PHONE = re.compile(
    r"(?<![\w.+\-/#=:])(?:"
    r"\+[1-9](?:[ .\-(]{0,2}[0-9)]){6,22}(?<=[0-9])"
    r"|(?:1[ .\-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}([.\-]))[2-9][0-9]{2}(?(1)\1|\-)[0-9]{4}"
    r"|1[3-9][0-9](?:[0-9]{8}|([ \-])[0-9]{4}\2[0-9]{4})"
    r"|\(?0(?:10|2[0-9]|[3-9][0-9]{2})(?:\) ?|\-)[2-8][0-9]{6,7}"
    r")(?![\w\-/=]|\.[0-9])",
    re.ASCII,  # a number is often between Chinese characters, which are no part of it
)
_IP = re.compile(r"(?<![\w.\-/])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w\-+]|\.[0-9])", re.ASCII)
_CARD = re.compile(
    r"(?<![\w.\-/=*+^])(?<!\w\()(?:[2-6][0-9]{12,18}"  # not an argument of a call, not a factor
    r"|[2-6][0-9]{3}([ \-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[47][0-9]{2}([ \-])[0-9]{6}\2[0-9]{5})"
    r"(?! ?[*+^]|[\w\-]|\.[0-9])",
    re.ASCII,
)
_ID = re.compile(
    r"(?<![\w.\-])[1-8][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
    r"(?![\w\-])",
    re.ASCII,
)
_IBAN = re.compile(
    r"(?<![\w\-])[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?![\w\-])", re.ASCII
)

#: Length of an IBAN by country. Source: the registry of SWIFT, release 99.
_IBAN_SIZES = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
#: First two digits of a resident id: provinces, municipalities, Hong Kong, Macau and Taiwan.
_PROVINCES = frozenset(
    {*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83}
)
#: What stands before four numbers with stops that are a version and not an address.
_VERSION = re.compile(
    r"(?:v|ver|version|release|rel|build|firmware|section|§|chapter|版|版本|第)[ .:=]{0,2}$", re.IGNORECASE
)
#: Calling codes with the digits that follow them, unassigned ones left out: +4294967296 is a number.
#: Source: ITU-T E.164.
_CALLING = re.compile(
    r"1[2-9][0-9]{9}|7[0-9]{10}|(?:20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])[0-9]{6,12}"
    r"|(?:2[1-69][0-9]|3[578][0-9]|42[013]|5[09][0-9]|6[7-9][0-9]|8[0578][0-9]|9[679][0-9])[0-9]{5,12}"
)
#: What stands before eleven digits that are a mobile number, and what makes them one on either side.
_CALL = re.compile(r"(?i:tel|phone|mobile|mob|cell|call|sms|contact|whatsapp|wechat)")
_HAN = re.compile(r"[\u4e00-\u9fff]")


def luhn(digits: str) -> bool:
    """The check of card numbers: every second digit from the right doubled, digits summed, a multiple of ten."""
    total = sum(map(int, digits[::-2]))
    return (total + sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])) % 10 == 0


def resident(number: str) -> bool:
    """The check of Chinese resident ids: province, birthday, and ISO 7064 mod 11-2 over all 18 places.

    Source: GB 11643-1999.
    """
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    places = [*map(int, number[:17]), 10 if number[17] in "Xx" else int(number[17])]
    weighed = sum(place * pow(2, 17 - i, 11) for i, place in enumerate(places))
    return int(number[:2]) in _PROVINCES and weighed % 11 == 1


def iban(number: str) -> bool:
    """The check of ISO 13616: the length of its country, and letters as numbers, head last, 1 modulo 97."""
    number = number.replace(" ", "")
    if len(number) != _IBAN_SIZES.get(number[:2]):
        return False
    return int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 == 1


def _is_card(match: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", match.group())
    two, four = int(digits[:2]), int(digits[:4])
    size = len(digits)
    issued = (
        (digits[0] == "4" and size in {13, 16, 19})  # Visa
        or ((51 <= two <= 55 or 2221 <= four <= 2720) and size == 16)  # Mastercard
        or (two in {34, 37} and size == 15)  # American Express
        or ((four == 6011 or two == 65 or 644 <= four // 10 <= 649) and size == 16)  # Discover
        or (two == 62 and size in {16, 17, 18, 19})  # UnionPay
        or (3528 <= four <= 3589 and size == 16)  # JCB
        or (two in {36, 38, 39} and size == 14)  # Diners Club
    )
    return issued and luhn(digits) and len(set(digits)) > 3


def _is_address(match: re.Match[str]) -> bool:
    """A public address: three numbers of four have two digits or more, for 1.2.3.4 is a version or a section."""
    parts = match.group().split(".")
    if any(int(part) > 255 or (part[0] == "0" and len(part) > 1) for part in parts):
        return False
    before = match.string[max(0, match.start() - 12) : match.start()]
    long = sum(len(part) > 1 for part in parts)
    return long >= 3 and not _VERSION.search(before) and IPv4Address(match.group()).is_global


def _is_email(match: re.Match[str]) -> bool:
    """Not one of the names that RFC 2606 reserves for examples, not `git@` of a repository."""
    local, _, domain = match.group().lower().partition("@")
    return local != "git" and not re.search(r"(?:^|\.)example\.(?:com|org|net|edu)$", domain) and ".." not in local


def _is_phone(match: re.Match[str]) -> bool:
    """8 to 15 digits, no lone one between separators; eleven bare ones only beside Chinese or a word that says so."""
    digits = re.sub(r"\D", "", match.group())
    groups = re.split(r"\D+", match.group().strip("+()"))
    if not 8 <= len(digits) <= 15 or len(set(digits)) <= 2 or any(len(group) < 2 for group in groups[1:]):
        return False
    if match.group()[0] == "+" and not _CALLING.fullmatch(digits):
        return False
    around = match.string[max(0, match.start() - 20) : match.start()], match.string[match.end() : match.end() + 8]
    return not match.group().isdigit() or bool(_CALL.search(around[0]) or _HAN.search("".join(around)))


class Kind(NamedTuple):
    """One kind of personal data.

    Attributes:
        mask: What stands in its place.
        says: In words.
        redundancy: 1 where a checksum or an unmistakable form says so, less where only the form does.
        expression: What it looks like.
        check: Whether a match is one.
    """

    mask: str
    says: str
    redundancy: float
    expression: re.Pattern[str]
    check: Callable[[re.Match[str]], bool]


#: By name; where two overlap the one that comes first here stays.
KINDS: dict[str, Kind] = {
    "id": Kind("<ID>", "a Chinese resident id", 1.0, _ID, lambda m: resident(m.group())),
    "iban": Kind("<IBAN>", "a bank account (IBAN)", 1.0, _IBAN, lambda m: iban(m.group())),
    "card": Kind("<CARD>", "a payment card", 1.0, _CARD, _is_card),
    "email": Kind("<EMAIL>", "an e-mail address", 1.0, _EMAIL, _is_email),
    "ip": Kind("<IP>", "a public IP address", 0.9, _IP, _is_address),
    "phone": Kind("<PHONE>", "a telephone number", 0.9, _PHONE, _is_phone),
}
#: What a text must hold for a kind to be looked for, linear in Arrow's own engine: a sieve without loss.
_SIEVES = {
    "email": "@",
    "ip": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
    "phone": r"[0-9][0-9 .()\-]{5,}[0-9]",
    "card": r"[0-9][0-9 \-]{11,}[0-9]",
    "id": r"[0-9]{17}",
    "iban": r"[A-Z]{2}[0-9]{2}[A-Z0-9 ]{10,}",
}


@dataclass(frozen=True)
class PiiSettings:
    """What is looked for.

    Attributes:
        kinds: Of email, phone, ip (IPv4), card, id (Chinese resident id), iban. Names of people, postal addresses,
            IPv6 and e-mail addresses in Chinese letters are not found, nor are those kept for examples (example.com) or
            numbers that a text has too little around to tell from others.
    """

    kinds: tuple[str, ...] = tuple(KINDS)

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise SettingError(f"pii.kinds has {kind!r}; it must be one of {', '.join(KINDS)}.")
        if not self.kinds:
            raise SettingError(f"pii.kinds names none; give one or more of {', '.join(KINDS)}.")


def find(
    corpus: Corpus, settings: PiiSettings, *, mapped: Mapped = in_order, progress: Progress = silent
) -> Iterator[pa.Table]:
    """Spans that are personal data.

    Args:
        corpus: The records; references are left out.
        settings: What is looked for.
        mapped: The engine.
        progress: Told the records read.

    Yields:
        FINDINGS of finder 'pii': start and stop in code points, value the mask. The reason does not quote the span.

    Cost: linear; texts without a candidate never leave Arrow.
    """
    kinds = tuple(kind for kind in KINDS if kind in settings.kinds)

    def searched(piece: text.Piece) -> list[tuple[int, int, int, str]]:
        texts = piece.texts()
        spans = []
        for row, wanted in candidates(texts, kinds).items():
            for start, stop, kind in spans_of(texts[row].as_py(), wanted):
                spans.append((piece.position + row, start, stop, kind))
        return spans

    empty = True
    for spans in mapped(searched, text.pieces(corpus, _PIECE_BYTES, progress, "looking for personal data", own=True)):
        if spans:
            empty = False
            yield _findings(corpus, spans)
    if empty:
        yield _findings(corpus, [])


def candidates(texts: pa.Array, kinds: tuple[str, ...]) -> dict[int, list[str]]:
    """The kinds that each row may hold, by row, ascending."""
    found: dict[int, list[str]] = {}
    for kind in kinds:
        may = pc.match_substring_regex(texts, _SIEVES[kind])
        for row in np.flatnonzero(may.to_numpy(zero_copy_only=False)).tolist():
            found.setdefault(row, []).append(kind)
    return dict(sorted(found.items()))


def spans_of(one: str, kinds: list[str]) -> list[tuple[int, int, str]]:
    """(start, stop, kind) in a text, ascending, none overlapping another."""
    taken: list[Any] = []
    for kind in kinds:
        for match in KINDS[kind].expression.finditer(one):
            start, stop = match.span()
            place = bisect(taken, (start,))
            free = (place == 0 or taken[place - 1][1] <= start) and (place == len(taken) or stop <= taken[place][0])
            if free and KINDS[kind].check(match):
                taken.insert(place, (start, stop, kind))
    return taken


def _findings(corpus: Corpus, spans: list[tuple[int, int, int, str]]) -> pa.Table:
    kinds = [KINDS[kind] for *_, kind in spans]
    position, start, stop = (np.array([span[i] for span in spans], np.int64) for i in range(3))
    return noisy_table(
        corpus,
        "pii",
        position,
        np.array([kind.redundancy for kind in kinds], np.float64),
        [f"code points {a} to {b} are {kind.says}" for (_, a, b, _), kind in zip(spans, kinds, strict=True)],
        [kind.mask for kind in kinds],
        (start, stop),
    )
