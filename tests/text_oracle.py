"""The data engine once more in plain Python, slow and obvious: what the kernels are checked against."""

import unicodedata

M64 = (1 << 64) - 1
SEED, BASE = 0xCBF29CE484222325, 0x9E3779B97F4A7C15
BINS = 120

#: Names of the scripts without blanks between words, as they begin the names of their characters.
ALONE = (
    "CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC", "VERTICAL IDEOGRAPHIC", "HANGZHOU", "MASU MARK",
    "HIRAGANA", "KATAKANA", "HENTAIGANA", "VERTICAL KANA", "COMBINING KATAKANA", "BOPOMOFO", "THAI", "LAO", "KHMER",
    "MYANMAR", "YI SYLLABLE", "TAI LE", "NEW TAI LUE", "TAI THAM", "TAI VIET", "BALINESE", "JAVANESE",
)  # fmt: skip
#: Names of the punctuation that carries meaning, and how those of percent in any script end.
OPERATORS = (
    "NUMBER SIGN", "AMPERSAND", "ASTERISK", "HYPHEN-MINUS", "SOLIDUS", "REVERSE SOLIDUS", "COMMERCIAL AT",
)  # fmt: skip
SHARES = ("PERCENT SIGN", "PER MILLE SIGN", "PER TEN THOUSAND SIGN")


def folded(text: str) -> str:
    """Lower case, NFKC, lower case; one code point at a time, as Unicode's simple mappings."""
    return lower(unicodedata.normalize("NFKC", lower(text)))


def lower(text: str) -> str:
    return "".join("i" if c == "İ" else c.lower() for c in text)


def normalised(text: str) -> str:
    return " ".join(folded(text).split())


def tokens(text: str) -> list[str]:
    """Words, symbols, and the code points of scripts without blanks."""
    found, word = [], ""
    for c in folded(text) + " ":
        letter = c == "_" or unicodedata.category(c)[0] in "LMN"
        letter &= not 0xFE00 <= ord(c) < 0xFE10 and ord(c) < 0x40000
        alone = letter and unicodedata.name(c, "").startswith(ALONE)
        alone |= unicodedata.category(c)[0] == "S"
        alone |= unicodedata.name(c, "") in OPERATORS or unicodedata.name(c, "").endswith(SHARES)
        if letter and not alone:
            word += c
            continue
        if word:
            found.append(word)
            word = ""
        if alone:
            found.append(c)
    return found


def shingles(text: str) -> set[tuple[str, ...]]:
    """Runs of five tokens, or of all where there are fewer."""
    words = tokens(text)
    width = min(5, len(words))
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)} if width else set()


def jaccard(a: str, b: str) -> float:
    one, other = shingles(a), shingles(b)
    return len(one & other) / len(one | other) if one | other else 0.0


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


def token(word: str) -> int:
    """Its bytes by eights, little end first; the last ones, of which there may be none, go into splitmix64."""
    data, h = word.encode(), SEED
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        h = ((h ^ int.from_bytes(data[at : at + 8], "little")) * BASE) & M64
        h ^= h >> 32
    return mix(h ^ int.from_bytes(data[whole:], "little"))


def hashed(shingle: tuple[str, ...]) -> int:
    """A polynomial over tokens, splitmix64 over all."""
    total = 0
    for word in shingle:
        total = (total * BASE + token(word)) & M64
    return mix(total)


def signature(text: str) -> list[int]:
    """One permutation, 120 bins, empty ones filled from bins drawn for them."""
    bins: list[int | None] = [None] * BINS
    for shingle in shingles(text):
        h = hashed(shingle)
        place, value = ((h >> 32) * BINS) >> 32, h & 0xFFFFFFFF
        bins[place] = value if bins[place] is None else min(bins[place], value)
    filled = list(bins)
    for place, value in enumerate(filled):
        attempt, donor = 0, value
        while donor is None:
            attempt += 1
            donor = filled[((mix(place << 32 | attempt) >> 32) * BINS) >> 32]
        bins[place] = donor
    return bins
