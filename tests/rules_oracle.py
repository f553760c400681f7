"""The counters of the quality rules in plain, slow Python, from their definitions."""

import unicodedata
from collections import Counter

from excise.data.rules import STOP_WORDS

SPACELESS = ((0x0E00, 0x0EFF), (0x3041, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF))  # of those that tests use
MARKS = ".!?。！？｡．…؟۔।॥։።។။"
ENDS = MARKS + "\"'”’」』；»"
BULLETS = "•‣◦⁃∙●○■□▪▫◆◇·・"
CLOSING = "\"'”’」』»)）]】"
NOTICES = (
    *("javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"),
)


def letter(c):
    return unicodedata.category(c)[0] == "L"


def number(c):
    return unicodedata.category(c)[0] in "MN"


def lone(c):
    return (letter(c) or number(c)) and any(a <= ord(c) <= b for a, b in SPACELESS)


def units_of(line):
    """(word, kind) of a line: kind 'word', 'lone', or 'signs' where it belongs to a letter beside it."""
    units = []
    for chunk in line.split():
        segments = [""]
        for c in chunk:
            if lone(c):
                segments += [c, ""]
            else:
                segments[-1] += c
        for segment in filter(None, segments):
            if len(segment) == 1 and lone(segment):
                units.append((segment, "lone"))
            elif len(segments) == 1 or any(letter(c) or number(c) for c in segment):
                units.append((segment, "word"))
            else:
                units.append((segment, "signs"))
    return units


def ascii_lower(word):
    return "".join(c.lower() if c.isascii() else c for c in word)


def stop_form(word):
    kept = [i for i, c in enumerate(word) if not c.isascii() or c.isalnum()]
    return ascii_lower(word[kept[0] : kept[-1] + 1]) if kept else ""


def says(unit, rest):
    """The phrase that begins with this unit's first character, or with its first letter."""
    starts = {0, *[i for i, c in enumerate(unit) if letter(c)][:1]}
    found = []
    for start in sorted(starts):
        tail = ascii_lower((unit + rest)[start:])
        found += [p for p in ("lorem ipsum", *NOTICES) if tail.startswith(p)]
    return found


def sentences(line):
    count = 0
    for i, c in enumerate(line):
        after = line[i + 1] if i + 1 < len(line) else " "
        if c in MARKS and after not in MARKS:
            run = i
            while run > 0 and line[run - 1] in MARKS:
                run -= 1
            wide = any(not m.isascii() for m in line[run : i + 1])
            count += wide or after.isspace() or after in CLOSING
    return count


def ellipses(line):
    count, i = 0, 0
    while i < len(line):
        run = 1
        while i + run < len(line) and line[i + run] == line[i]:
            run += 1
        count += (line[i] in ".。" and run >= 3) or line[i] == "…"
        i += run
    return count


def again(items, sizes):
    seen, count, total = set(), 0, 0
    for item, size in zip(items, sizes, strict=True):
        if item in seen:
            count, total = count + 1, total + size
        seen.add(item)
    return count, total


def covered(units, starts, width):
    return sum(len(units[i]) for i in {j for s in starts for j in range(s, s + width)})


def top(units, width):
    runs = [tuple(units[i : i + width]) for i in range(len(units) - width + 1)]
    if len(runs) < 2:
        return 0
    times = Counter(runs)
    best = max(times, key=lambda run: (times[run], sum(map(len, run))))  # max keeps the first of equals
    return covered(units, [i for i, run in enumerate(runs) if run == best], width) if times[best] > 1 else 0


def repeated(units, width):
    runs = [tuple(units[i : i + width]) for i in range(len(units) - width + 1)]
    return covered(units, [i for i, run in enumerate(runs) if run in runs[:i]], width)


def counters(text, line_words=5, short_line=30, stop_words=STOP_WORDS):
    c = Counter(characters=len(text), newlines=text.count("\n"), hashes=text.count("#"))
    c["curly"] = text.count("{") + text.count("}")
    units, lines, stops, paragraphs = [], [], set(), [[]]
    for raw in text.split("\n"):
        line = raw.strip()
        if not line:
            paragraphs.append([])
            continue
        lines.append(line)
        paragraphs[-1].append(line)
        spaced = letters = 0
        dropped = False
        rest = raw
        for unit, kind in units_of(raw):
            rest = rest[rest.index(unit) + len(unit) :]
            if kind == "lone":
                letters += 1
                c["lone_letters"] += letter(unit)
                stops.add(unit)
            else:
                for phrase in says(unit, rest):
                    c["lorem"] += phrase == "lorem ipsum"
                    dropped |= phrase != "lorem ipsum"
                if kind == "signs":
                    continue
                spaced += 1
                c["word_characters"] += len(unit)
                c["letter_words"] += any(map(letter, unit))
                if len(unit.encode()) <= 32:
                    stops.add(stop_form(unit))
            units.append(unit)
        c["words"] += spaced
        c["lone"] += letters
        dotted = line.endswith(("...", "。。。", "…"))
        end = line[-1] in ENDS
        c["lines"] += 1
        c["line_characters"] += len(line)
        c["ellipses"] += ellipses(line)
        c["bullet_lines"] += line[0] in BULLETS or (line[0] in "-*" and raw.lstrip()[1:2].isspace())
        c["ellipsis_lines"] += dotted
        c["end_lines"] += end
        c["short_lines"] += len(line) + 3 * letters < short_line
        if end and not dotted and not dropped and 3 * spaced + 2 * letters >= 3 * line_words:
            c["kept_lines"] += 1
            c["kept_sentences"] += max(1, sentences(line))
    c["stop_words"] = len(stops & set(stop_words))
    c["repeated_lines"], c["repeated_line_characters"] = again(lines, map(len, lines))
    whole = ["\n".join(p) for p in paragraphs if p]
    c["paragraphs"] = len(whole)
    sizes = [len(p) - p.count("\n") for p in whole]
    c["repeated_paragraphs"], c["repeated_paragraph_characters"] = again(whole, sizes)
    c["unit_characters"] = sum(map(len, units))
    scale = 1.5 if c["lone"] > c["words"] else 1
    for n in range(2, 11):
        width = -int(-scale * n // 1)
        c[f"top_{n}" if n < 5 else f"repeated_{n}"] = (top if n < 5 else repeated)(units, width)
    return c
