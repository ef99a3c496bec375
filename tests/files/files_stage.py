"""Files over a real database and a real folder, with a clock that stands still; and documents to put into them."""

import contextlib
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import docx
import openpyxl
import pptx

from freddy.server.core.accounts import SCOPES, Caller
from freddy.server.core.files import Draft, File
from freddy.server.knowledge.extract import Extractor
from freddy.server.knowledge.files import Files
from freddy.server.runtime.media import Media
from freddy.server.stores.blobs.local import LocalBlobs
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.uploads import SqlFiles
from freddy.server.world import RandomIds
from freddy_fakes import FixedClock

CALLER = Caller("org_1", ("org_1",), frozenset(SCOPES), "key_1")
STRANGER = Caller("org_2", ("org_2",), frozenset(SCOPES), "key_2")
MIB = 1024 * 1024


class CountedBlobs(LocalBlobs):
    """Counts what is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reads: list[str] = []

    def read(self, name, start=0, end=None):
        self.reads.append(name)
        return super().read(name, start, end)


class Stage:
    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = FixedClock()
        self.store = SqlFiles(database)
        self.blobs = CountedBlobs(folder)
        self.files = Files(store=self.store, blobs=self.blobs, clock=self.clock, ids=RandomIds(), max_bytes=50 * MIB)
        self._folder = folder

    def media(self, *, turn_bytes: int = 10 * MIB, cache_bytes: int = 10 * MIB, characters: int = 100_000) -> Media:
        return Media(self.files, extractor(characters=characters), turn_bytes=turn_bytes, cache_bytes=cache_bytes)

    async def upload(
        self,
        content: bytes,
        filename: str,
        *,
        caller: Caller = CALLER,
        declared: str | None = None,
        expires_after: int | None = None,
    ) -> File:
        async with self.files.upload() as upload:
            await upload.receive(pieces(content), filename=filename, declared=declared)
            (file,) = await upload.keep(caller, Draft("user_data", expires_after))
        return file

    @property
    def kept(self) -> list[str]:
        """The names of all blobs."""
        return sorted(str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    async with Database(None) as database:
        yield Stage(database, folder / "files")


def extractor(*, characters: int = 100_000, seconds: float = 30.0, memory_bytes: int = 1024 * MIB) -> Extractor:
    return Extractor(characters=characters, seconds=seconds, memory_bytes=memory_bytes)


async def pieces(content: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def pdf(*pages: str) -> bytes:
    """A PDF whose pages say that; an empty one has nothing on it."""
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(pages)))
    parts = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>"]
    font = "<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    for number, text in enumerate(pages):
        said = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        parts.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources {font}/Contents {4 + 2 * number} 0 R>>"
        )
        parts.append(f"<</Length {len(said)}>>\nstream\n{said}\nendstream")
    body, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{part}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    tail = f"xref\n0 {len(parts) + 1}\n0000000000 65535 f \n{table}trailer\n<</Size {len(parts) + 1}/Root 1 0 R>>\n"
    return body + f"{tail}startxref\n{len(body)}\n%%EOF\n".encode()


def word() -> bytes:
    document = docx.Document()
    document.add_heading("Foxes", 1)
    document.add_paragraph("They are red.\tMostly.")
    table = document.add_table(rows=2, cols=2)
    for place, text in enumerate(("Name", "Age", "Reineke", "7")):
        table.cell(place // 2, place % 2).text = text
    document.add_paragraph("The end.")
    return _saved(document)


def excel() -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Foxes"
    for row in (["Name", "Age"], ["Reineke", 7], [], ["Smirre", None]):
        book.active.append(row)
    book.create_sheet("Empty")
    book.create_sheet("Badgers").append(["Grimbart", 9.5])
    return _saved(book)


def slides() -> bytes:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Foxes"
    slide.placeholders[1].text = "They are red."
    slide.notes_slide.notes_text_frame.text = "Speak slowly."
    last = show.slides.add_slide(show.slide_layouts[6])
    table = last.shapes.add_table(1, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Name", "Age"
    return _saved(show)


def bomb() -> bytes:
    """A Word document of a few hundred kilobytes that unfolds to a gigabyte."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as entry:
        for _ in range(1024):
            entry.write(b" " * MIB)
    return held.getvalue()


def zipped(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return held.getvalue()


def _saved(document) -> bytes:
    held = io.BytesIO()
    document.save(held)
    return held.getvalue()
