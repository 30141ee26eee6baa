"""Pages of A4: fonts, colours, and texts at their places. Measures are whole points from the lower left corner."""

from functools import cache
from pathlib import Path

from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfdoc import PDFDocument
from reportlab.pdfbase.ttfonts import TTFont, TTFontFace
from reportlab.pdfgen.canvas import Canvas

# Noto Sans, cut to Latin, Greek and Cyrillic letters and signs of currencies. What it lacks is an empty box.
NORMAL, BOLD = "NotoSans-Regular", "NotoSans-SemiBold"
_FONTS = Path(__file__).parent / "fonts"

WIDTH, HEIGHT = 595, 842
LEFT, RIGHT, BOTTOM = 48, 547, 62
_TOP = HEIGHT - 56

INK, MUTED = HexColor("#1b2733"), HexColor("#5b6875")
ACCENT, RULE, SHADE = HexColor("#0f4c5c"), HexColor("#e2e7ec"), HexColor("#f2f5f7")

_PAGES = "pages"
_FEWEST_POINTS = 4

# Streams are bytes, and not text: a fifth smaller, and sooner made.
rl_config.useA85 = 0


class _SubsetFont(TTFont):
    """Most texts are ASCII, which such a font writes as it is: they need not be looked up letter by letter."""

    def __init__(self, name: str) -> None:
        super().__init__(name, str(_FONTS / f"{name}.ttf"), asciiReadable=1)

    def splitString(self, text: str, doc: PDFDocument, encoding: str = "utf-8") -> list[tuple[int, bytes]]:  # noqa: N802 - its name in reportlab
        if doc in self.state and text.isascii() and text:
            return [(0, text.encode("ascii"))]
        found: list[tuple[int, bytes]] = super().splitString(text, doc, encoding)
        return found


@cache
def _registered() -> None:
    for name in (NORMAL, BOLD):
        pdfmetrics.registerFont(_SubsetFont(name))


class Sheet:
    """The page that is written, and the number of pages, which only the end knows.

    All texts of a page are one text object, and font and colour are named where they change: a long statement has a
    hundred thousand texts.
    """

    def __init__(self, canvas: Canvas) -> None:
        _registered()
        self._canvas = canvas
        self._page = 1
        self._begin()

    def _begin(self) -> None:
        self._text = self._canvas.beginText()
        self._font: tuple[str, int] | None = None
        self._color: Color | None = None
        self._rules: list[tuple[int, int, int, int]] = []

    def text(self, x: float, y: int, text: str, font: str, size: int, color: Color, width: int | None = None) -> None:
        """Begins at x. With `width` in smaller letters where it would be wider."""
        if width is not None:
            size = _fitting(text, font, size, width)
        if self._font != (font, size):
            self._font = font, size
            self._text.setFont(font, size)
        if self._color is not color:
            self._color = color
            self._text.setFillColor(color)
        self._text.setTextOrigin(x, y)
        self._text.textLine(text)

    def right_text(
        self, x: int, y: int, text: str, font: str, size: int, color: Color, width: int | None = None
    ) -> None:
        """Ends at x."""
        if width is not None:
            size = _fitting(text, font, size, width)
        self.text(round(x - text_width(text, font, size), 2), y, text, font, size, color)

    def rule(self, y: int) -> None:
        """A thin line from edge to edge, between two entries."""
        self._rules.append((LEFT, y, RIGHT, y))

    def line(self, y: int, color: Color) -> None:
        """From edge to edge."""
        self._canvas.setStrokeColor(color)
        self._canvas.line(LEFT, y, RIGHT, y)

    def box(self, x: int, y: int, width: int, height: int, color: Color) -> None:
        """Filled, with round corners."""
        self._canvas.setFillColor(color)
        self._canvas.roundRect(x, y, width, height, 4, stroke=0, fill=1)

    def letterhead(self, name: str, address: list[str], title: str, subtitle: str) -> int:
        """The head of the first page. Returns where its text goes on."""
        self.text(LEFT, _TOP, name, BOLD, 16, ACCENT, width=260)
        self.right_text(RIGHT, _TOP, title, BOLD, 13, INK)
        self.right_text(RIGHT, _TOP - 15, subtitle, NORMAL, 9, MUTED)
        y = _TOP - 15
        for line in address:
            self.text(LEFT, y, line, NORMAL, 8, MUTED, width=260)
            y -= 11
        y = min(y, _TOP - 26)
        self.line(y, ACCENT)
        return y - 26

    def running_head(self, name: str, text: str) -> int:
        """The head of the other pages."""
        self.text(LEFT, _TOP, name, BOLD, 9, ACCENT, width=200)
        self.right_text(RIGHT, _TOP, text, NORMAL, 8, MUTED, width=290)
        return _TOP - 26

    def foot(self, text: str) -> None:
        """What the page belongs to, and `Page n of m`."""
        self.rule(BOTTOM - 18)
        self.text(LEFT, BOTTOM - 30, text, NORMAL, 7, MUTED)
        begins = RIGHT - 58
        page = f"Page {self._page:,} of "
        self.text(begins, BOTTOM - 30, page, NORMAL, 7, MUTED)
        canvas = self._canvas
        canvas.setStrokeColor(RULE)
        canvas.lines(self._rules)
        canvas.drawText(self._text)
        canvas.saveState()
        canvas.translate(round(begins + text_width(page, NORMAL, 7), 2), BOTTOM - 30)
        canvas.doForm(_PAGES)
        canvas.restoreState()

    def turn(self) -> None:
        """Begin the next page. This one has its foot."""
        self._canvas.showPage()
        self._page += 1
        self._begin()

    def end(self) -> None:
        """Write the last page, and to all pages how many they are."""
        canvas = self._canvas
        canvas.showPage()
        canvas.beginForm(_PAGES, 0, -2, 40, 10)
        canvas.setFillColor(MUTED)
        canvas.setFont(NORMAL, 7)
        canvas.drawString(0, 0, f"{self._page:,}")
        canvas.endForm()
        canvas.save()

    def wrapped(self, text: str, font: str, size: int, width: int) -> list[str]:
        """The text in lines that are no wider. A word that is wider than a line is broken."""
        if text_width(text, font, size) <= width:
            return [text]
        lines, line = [], ""
        for word in text.split():
            longer = f"{line} {word}" if line else word
            while text_width(longer, font, size) > width:
                if line:
                    lines.append(line)
                    line, longer = "", word
                    continue
                most = next(
                    many
                    for many in range(len(longer) - 1, 0, -1)
                    if many == 1 or text_width(longer[:many], font, size) <= width
                )
                lines.append(longer[:most])
                longer = longer[most:]
            line = longer
        return [*lines, line] if line else lines


def _fitting(text: str, font: str, size: int, width: int) -> int:
    if len(text) * size <= width:  # no letter is wider than it is high
        return size
    while size > _FEWEST_POINTS and text_width(text, font, size) > width:
        size -= 1
    return size


def text_width(text: str, font: str, size: int) -> float:
    """In points. As `pdfmetrics.stringWidth`, which asks more for each character."""
    widths = _widths(font)
    em: float = sum([widths[character] for character in text])
    return em * size / 1000


class _Widths(dict[str, float]):
    """Of the characters of a font, in thousandths of its size."""

    def __init__(self, face: TTFontFace) -> None:
        self._face = face

    def __missing__(self, character: str) -> float:
        width: float = self._face.charWidths.get(ord(character), self._face.defaultWidth)
        self[character] = width
        return width


@cache
def _widths(font: str) -> _Widths:
    _registered()
    found = pdfmetrics.getFont(font)
    assert isinstance(found, TTFont)
    return _Widths(found.face)


def grouped(number: str) -> str:
    """`RM04 0404 0404 0404`: as people read it."""
    return " ".join(number[place : place + 4] for place in range(0, len(number), 4))
