"""The page: every kind renders, nothing is fetched, nothing a text says becomes markup, the same bytes twice."""

import re
from html.parser import HTMLParser

import pytest

from cleaning_sample import CLEANING
from evidence_samples import AUGMENT, CLEAN, COMPARE, COMPRESS, OTHERS
from excise.evidence import plots, report

RUN = {"schema_version": 1, "kind": "run", "status": "done", "stages": [*OTHERS, CLEAN, COMPRESS, COMPARE]}
KINDS = {
    "clean": CLEAN,
    "cleaning with every part": CLEANING,
    "augment": AUGMENT,
    "compress": COMPRESS,
    "compare": COMPARE,
    "run": RUN,
}
VOID = {"meta", "input", "br", "path", "use"}


class Page(HTMLParser):
    """Tags, attributes and visible text of a page; checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open, self.unbalanced = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if "style" not in self.open and "pre" not in self.open:
            self.words.append(data)


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def page(kind):
    return report.page(KINDS[kind])


def test_is_well_formed_and_self_contained(page):
    found = Page(page)
    assert not found.unbalanced
    assert not found.open
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    links = [value for name, value in found.attributes if name in {"src", "href", "xlink:href"}]
    assert all(link.startswith("#") for link in links)
    assert "http" not in page
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))


def test_is_the_same_bytes_twice(kind, page, tmp_path):
    report.write(tmp_path / "report.html", KINDS[kind])
    assert (tmp_path / "report.html").read_bytes() == page.encode()
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_draws_in_the_pages_colours_and_holds_no_date(page):
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert set(re.findall(r"#[0-9a-fA-F]{6}\b", svg)) == set()
        assert "var(--" in svg
        assert "<metadata" not in svg
        assert not re.search(r"\d{4}-\d\d-\d\dT", svg)


def test_every_text_is_there_in_both_languages(page):
    assert page.count('lang="en"') - 1 == page.count('lang="zh"')  # one more: <html lang="en">
    assert not re.search(r'<span lang="..">[a-z]+\.[a-z_.]+</span>', page), "a key of WORDS without its text"


def test_texts_of_the_user_stay_text():
    page = report.page(CLEAN)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


def test_pairs_stand_side_by_side_with_the_difference_marked():
    page = report.page(CLEAN)
    assert "won a <mark>2</mark>,000 pound" in page
    assert "won a <mark>5</mark>,000 pound" in page
    assert "大家<mark>务必</mark>准时" in page


def test_many_pairs_are_folded_and_none_is_lost():
    page = report.page({**CLEAN, "pairs": [{**CLEAN["pairs"][0], "id": f"sms#{i}"} for i in range(30)]})
    assert [f"sms#{i}</h4>" in page for i in range(30)] == [True] * 20 + [False] * 10
    assert page.index("sms#4</h4>") < page.index(">15 more<") < page.index("sms#5</h4>")


def test_chinese_names_are_drawn_as_text():
    """matplotlib has no Chinese glyphs; warnings are errors here."""
    svg = plots.before_after("x", [("短信/第一批.jsonl", 2, 1), ("bad\x1b[2J", 1, 1)], str)
    assert "短信/第一批.jsonl</text>" in svg
    assert "\x1b" not in svg


@pytest.mark.parametrize(
    ("evidence", "headline"),
    [
        (CLEAN, "482 of 5,574 records went (8.65\u00a0%)"),
        ({**CLEAN, "after": CLEAN["before"], "removed": {}, "pairs": []}, "None of 5,574 records went"),
        (CLEANING, "703 of 5,574 records went (12.6\u00a0%), 117 were changed"),
        ({**CLEANING, "after": CLEANING["before"]}, "117 of 5,574 records were changed, none went"),
        (AUGMENT, "197 changed copies were added to 100 records"),
        (COMPRESS, "The model now takes 0.36× of its bytes"),
        (COMPARE, "Smaller: 0.36× on disk; slower here, writing and reading; predicts worse (bits per byte +2.7 %)"),
        (RUN, "Smaller: 0.36× on disk"),
    ],
)
def test_the_headline_says_what_was_gained_and_what_it_cost(evidence, headline):
    title = re.search(r"<h1>(.*?)</h1>", report.page(evidence), flags=re.DOTALL)[1]
    english = re.sub(r'<span lang="zh">.*?</span>', "", title)
    assert re.sub(r"<[^>]*>", "", english).startswith(headline)


def test_goals_and_their_outcome_are_shown():
    words = "".join(Page(report.page(COMPARE)).words)
    assert "Goal missed: bpb<=1.02x." in words
    assert "1.026× … 1.029×" in words


def test_a_run_lists_all_its_steps_and_details_those_with_numbers():
    words = "".join(Page(report.page(RUN)).words)
    assert "120 texts, 900 kB" in words
    assert "3,000,000 parameters, loss 7.60 → 4.10 nats per token" in words
    assert report.page(RUN).count("<h2>") == 3


def test_what_is_missing_is_left_out():
    least = {"schema_version": 1, "kind": "clean", "before": {"records": 2}, "after": {"records": 1}}
    page = report.page(least)
    assert "1 of 2 records" in page
    assert "<svg" not in page
    assert "The model" not in report.page({"schema_version": 1, "kind": "compress", "layers": []})


def test_clean_of_nothing():
    assert "None of 0 records" in report.page({"kind": "clean", "before": {"records": 0}, "after": {"records": 0}})
