"""Turns one document into text: a program of its own, run in a child process, which knows nothing of the server.

    python -I parsers.py FORMAT MAX_CHARACTERS MAX_MEMORY_BYTES MAX_SECONDS < document > text

Its end says how it went: 0, or one of the numbers below. Documents come from anybody, and parsers have faults: whatever
happens here, happens to nobody else.
"""

import contextlib
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

NO_TEXT, LOCKED, TOO_LARGE, DAMAGED = 10, 11, 12, 13

_EXPANDED = 512 * 1024 * 1024
"""Bytes that the parts of a zipped document may come to: more is a bomb."""
_PART = 128 * 1024 * 1024
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


class Refused(Exception):
    """Says with which number the program ends."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def pdf(data: bytes) -> Iterator[str]:
    import pypdfium2  # type: ignore[import-untyped]  # noqa: PLC0415 — after the limits are set

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Refused(LOCKED if "password" in str(error).lower() else DAMAGED) from error
    with contextlib.closing(document):
        several = len(document) > 1
        for number in range(len(document)):
            page = document[number]
            text = page.get_textpage().get_text_bounded().replace("\r\n", "\n").strip()
            page.close()
            if text:
                yield f"[Page {number + 1}]\n{text}\n\n" if several else text


def docx(data: bytes) -> Iterator[str]:
    with _opened(data) as archive:
        body = _xml(archive, "word/document.xml").find(f"{_W}body")
        if body is not None:
            yield from _blocks(body)
        for notes in ("word/footnotes.xml", "word/endnotes.xml"):
            if notes in archive.namelist():
                yield from _blocks(_xml(archive, notes))


def _blocks(element: ElementTree.Element) -> Iterator[str]:
    """Paragraphs and tables in their order, whatever they are wrapped in."""
    for child in element:
        if child.tag == f"{_W}p":
            yield _paragraph(child) + "\n"
        elif child.tag == f"{_W}tbl":
            for row in child.iter(f"{_W}tr"):
                cells = (" ".join("".join(_blocks(cell)).split()) for cell in row.findall(f"{_W}tc"))
                yield " | ".join(cells) + "\n"
            yield "\n"
        else:
            yield from _blocks(child)


def _paragraph(element: ElementTree.Element) -> str:
    pieces: list[str] = []
    for each in element.iter():
        if each.tag == f"{_W}t":
            pieces.append(each.text or "")
        elif each.tag == f"{_W}tab":
            pieces.append("\t")
        elif each.tag in (f"{_W}br", f"{_W}cr"):
            pieces.append("\n")
    return "".join(pieces)


def pptx(data: bytes) -> Iterator[str]:
    with _opened(data) as archive:
        slides = _xml(archive, "ppt/presentation.xml").iter(f"{_P}sldId")
        targets = _relations(archive, "ppt/presentation.xml")
        for number, slide in enumerate(slides, 1):
            name = targets[slide.attrib[f"{_R}id"]][1]
            said = _said(_xml(archive, name))
            notes = [target for kind, target in _relations(archive, name).values() if kind.endswith("/notesSlide")]
            told = "".join(f"Notes: {text}\n" for each in notes if (text := _said(_xml(archive, each), body=True)))
            if said or told:
                yield f"[Slide {number}]\n{said}\n{told}\n"


def _said(slide: ElementTree.Element, *, body: bool = False) -> str:
    """The paragraphs of a slide; with `body` those of its main text alone, without date and number."""
    shapes: Iterable[ElementTree.Element] = (slide,)
    if body:
        shapes = [shape for shape in slide.iter(f"{_P}sp") if shape.find(f".//{_P}ph[@type='body']") is not None]
    paragraphs = (paragraph for shape in shapes for paragraph in shape.iter(f"{_A}p"))
    lines = ("".join(run.text or "" for run in paragraph.iter(f"{_A}t")) for paragraph in paragraphs)
    return "\n".join(line for line in lines if line.strip())


def _relations(archive: zipfile.ZipFile, name: str) -> dict[str, tuple[str, str]]:
    """By id: the kind of the relation, and the part that it leads to."""
    folder, _, file = name.rpartition("/")
    path = f"{folder}/_rels/{file}.rels"
    if path not in archive.namelist():
        return {}
    return {
        each.attrib["Id"]: (each.attrib["Type"], _joined(folder, each.attrib["Target"]))
        for each in _xml(archive, path).iter(_RELATION)
    }


def _joined(folder: str, target: str) -> str:
    if target.startswith("/"):
        return target[1:]
    parts = folder.split("/")
    for part in target.split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def xlsx(data: bytes) -> Iterator[str]:
    import openpyxl  # type: ignore[import-untyped]  # noqa: PLC0415

    _opened(data).close()
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    for sheet in book.worksheets:
        lines: Iterator[list[str]] = (
            ["" if value is None else str(value) for value in row] for row in sheet.iter_rows(values_only=True)
        )
        rows = (" | ".join(row).rstrip(" |") for row in lines)
        first = next((row for row in rows if row), None)
        if first is None:
            continue
        yield f"[Sheet {sheet.title}]\n{first}\n"
        for row in rows:
            if row:
                yield row + "\n"
        yield "\n"


class _Page(HTMLParser):
    _HIDDEN = frozenset(("script", "style", "template", "noscript", "svg", "head"))
    _BLOCKS = frozenset(
        (
            "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset",
            "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
            "li", "main", "nav", "ol", "p", "pre", "section", "table", "title", "tr", "ul",
        )
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        if tag in self._HIDDEN:
            self._hidden.append(tag)
        elif tag in self._BLOCKS:
            self.pieces.append("\n")
        elif tag in ("td", "th"):
            self.pieces.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag == "body":
            self._hidden.clear()
        elif tag in self._BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


def html(data: bytes) -> Iterator[str]:
    page = _Page()
    page.feed(text_of(data))
    page.close()
    blank = True
    for line in "".join(page.pieces).splitlines():
        words = " ".join(line.split()).removeprefix("| ")
        if words:
            yield words + "\n"
        elif not blank:
            yield "\n"
        blank = not words


def text_of(data: bytes) -> str:
    """By its byte order mark, else UTF-8, else as most old files are written."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def text(data: bytes) -> Iterator[str]:
    told = text_of(data)
    if "\0" in told:
        raise Refused(DAMAGED)
    yield told.replace("\r\n", "\n")


def _opened(data: bytes) -> zipfile.ZipFile:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        # A document with a password is not a zip any more: [MS-OFFCRYPTO] wraps it.
        raise Refused(LOCKED)
    archive = zipfile.ZipFile(io.BytesIO(data))
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > _EXPANDED or any(entry.file_size > _PART for entry in entries):
        raise Refused(TOO_LARGE)
    return archive


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    data = archive.read(name)
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data:
        # These formats have none; where there is one, it is there to do harm.
        raise Refused(DAMAGED)
    return ElementTree.fromstring(data)  # noqa: S314 — without entities, and within limits


FORMATS = {"pdf": pdf, "docx": docx, "pptx": pptx, "xlsx": xlsx, "html": html, "text": text}


def _limit(memory: int, seconds: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 — there is none on Windows

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        # It writes no file, and dumps no core.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(form: str, most: int) -> int:
    out, length, said = sys.stdout.buffer, 0, False
    try:
        for piece in FORMATS[form](sys.stdin.buffer.read()):
            said = said or not piece.isspace()
            # Lone halves of characters cannot be written.
            out.write(piece[: most - length].encode(errors="replace"))
            length += len(piece)
            if length > most:
                break
        out.flush()
    except Refused as refused:
        return refused.status
    except MemoryError:
        return TOO_LARGE
    except Exception:  # noqa: BLE001 — of all that a foreign file can do to a parser, only that it did is told
        return DAMAGED
    return 0 if said else NO_TEXT


if __name__ == "__main__":
    _limit(int(sys.argv[3]), int(sys.argv[4]))
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
