"""Texts that would be more than texts if a page or a drawing took them as they are, and what must hold of both then."""

from html.parser import HTMLParser
from xml.etree import ElementTree

MARK = "hostile"
HOSTILE = (
    f"{MARK}\"'`</style></script><script>alert(1)</script><img src=x onerror=alert(1)>&amp;&#60;b>\u2028\u2029"
    "${x}]]>--!>"
)


class _Tags(HTMLParser):
    """Every tag with its attributes, and what stands inside of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes = [], []
        self.scripts, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        (self.scripts if self.cdata_elem == "script" else self.texts).append(data)


def assert_only_text(page, shown=True):
    """No tag, attribute or script on a page comes out of a hostile text; with `shown`, it is to be read there."""
    parsed = _Tags()
    parsed.feed(page)
    parsed.close()
    names = [name for name, _ in parsed.attributes]
    assert not [name for name in names if name.startswith("on") or not name.replace("-", "").isalnum()], names
    assert MARK not in "".join(names)
    assert "alert" not in "".join(parsed.scripts), "inside a script"
    assert parsed.tags.count("script") <= 1
    links = {kind: [value or "" for name, value in parsed.attributes if name == kind] for kind in ("src", "href")}
    assert all(link.startswith("data:image/") for link in links["src"]), links
    assert all(link.startswith(("#", "data:,")) for link in links["href"]), links
    if shown:
        assert HOSTILE in "".join(parsed.texts) + "".join(value or "" for _, value in parsed.attributes)


def assert_drawing_of_text(svg, *texts):
    """A whole document of XML, without scripts; `texts` are among what it says."""
    root = ElementTree.fromstring(svg)
    assert not [element for element in root.iter() if element.tag.rpartition("}")[2] in ("script", "img", "b")]
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    said = "".join(root.itertext())
    assert all(text in said for text in texts), said
