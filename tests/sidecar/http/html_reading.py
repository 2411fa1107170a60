"""A page as a test reads it: its words, its tags, and whether a stranger wrote into it."""

from html.parser import HTMLParser

EVIL = """"><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;'"""


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def assert_no_injection(text: str) -> None:
    page = Page(text)
    assert not {"script", "iframe", "object", "style", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert "style" not in names
    sources = [value for name, value in page.attributes if name in ("src", "href", "action")]
    assert all(source.startswith("/") for source in sources)
    assert set(sources) >= {"/static/desireline.css"}
