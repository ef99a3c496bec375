"""The text of documents, sound ones and others."""

import asyncio

import pytest
from files_stage import MIB, bomb, excel, extractor, pdf, pieces, slides, word, zipped

from freddy.server.core import errors, media_types

OFFICE = "application/vnd.openxmlformats-officedocument."
WORD = OFFICE + "wordprocessingml.document"
EXCEL = OFFICE + "spreadsheetml.sheet"
SLIDES = OFFICE + "presentationml.presentation"


async def text(content, media_type, **limits):
    return await extractor(**limits).text(pieces(content), media_type=media_type, filename="the file")


@pytest.mark.parametrize(
    ("content", "media_type", "told"),
    [
        (pdf("Foxes are red."), "application/pdf", "Foxes are red."),
        (pdf("Foxes", "", "Badgers"), "application/pdf", "[Page 1]\nFoxes\n\n[Page 3]\nBadgers"),
        (word(), WORD, "Foxes\nThey are red.\tMostly.\nName | Age\nReineke | 7\n\nThe end."),
        (excel(), EXCEL, "[Sheet Foxes]\nName | Age\nReineke | 7\nSmirre\n\n[Sheet Badgers]\nGrimbart | 9.5"),
        (slides(), SLIDES, "[Slide 1]\nFoxes\nThey are red.\nNotes: Speak slowly.\n\n[Slide 2]\nName\nAge"),
        (
            b"<html><head><title>No</title><style>p{}</style></head><body><h1>Foxes</h1><script>alert(1)</script>"
            b"<p>They&nbsp;are   <b>red</b>.</p><table><tr><td>Name<td>Age</table></body></html>",
            "text/html",
            "Foxes\n\nThey are red.\n\nName | Age",
        ),
        (b"<p>Foxes<script>if (a < b) {", "text/html", "Foxes"),
        (b"name,age\r\nReineke,7\r\n", "text/csv", "name,age\nReineke,7"),
        (b'{"fox": "red"}', "application/json", '{"fox": "red"}'),
        ("\ufeffFüchse".encode(), "text/plain", "Füchse"),
        ("Füchse 🦊".encode("utf-16"), "text/plain", "Füchse 🦊"),
        ("Füchse".encode("utf-32"), "text/plain", "Füchse"),
        ("Füchse – 5 €".encode("cp1252"), "text/plain", "Füchse – 5 €"),
        (b"def fox():\n    return 'red'\n", "text/x-python", "def fox():\n    return 'red'"),
    ],
)
async def test_a_document_is_told_as_text(content, media_type, told):
    assert await text(content, media_type) == told


SECRET = word()
BILLION = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
    b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>&c;</w:body>'
    b"</w:document>"
)


@pytest.mark.parametrize(
    ("content", "media_type", "why"),
    [
        (pdf(""), "application/pdf", "has no text"),
        (pdf("Foxes")[:200], "application/pdf", "cannot be read"),
        (b"%PDF-1.7 and nothing else", "application/pdf", "cannot be read"),
        (word()[:1000], WORD, "cannot be read"),
        (excel()[:1000], EXCEL, "cannot be read"),
        (slides()[:1000], SLIDES, "cannot be read"),
        (zipped(other_xml=b"<x/>"), WORD, "cannot be read"),
        (zipped(other_xml=b"<x/>"), EXCEL, "cannot be read"),
        (zipped(other_xml=b"<x/>"), SLIDES, "cannot be read"),
        (zipped(word__document_xml=b"<w:document"), WORD, "cannot be read"),
        (zipped(word__document_xml=BILLION), WORD, "cannot be read"),
        (zipped(word__document_xml=b"<" * 50_000), WORD, "cannot be read"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 512, WORD, "is protected by a password"),
        (bomb(), WORD, "takes too much memory"),
        (b"   \n ", "text/plain", "has no text"),
        (b"\0\1\2", "text/plain", "cannot be read"),
        (b"<script>only()</script>", "text/html", "has no text"),
        (b"\xd0\xcf\x11\xe0", "application/msword", "is application/msword, whose text cannot be read"),
        (b"x", "application/octet-stream", "whose text cannot be read"),
    ],
)
async def test_what_cannot_be_read_is_said_with_its_cure(content, media_type, why):
    with pytest.raises(errors.InvalidRequest, match=why) as refused:
        await text(content, media_type)
    assert refused.value.code == "unreadable_file"
    assert refused.value.details


async def test_nested_elements_without_end_harm_nobody():
    deep = b"<w:p>" * 200_000
    content = zipped(
        word__document_xml=b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        b"<w:body>" + deep
    )
    with pytest.raises(errors.InvalidRequest):
        await text(content, WORD)


async def test_a_long_text_is_cut_and_says_so():
    told = await text(b"fox " * 1000, "text/plain", characters=100)
    assert told.startswith("fox fox")
    assert told.endswith("[The text goes on; only its first 100 characters are here.]")
    assert await text(b"x" * 100, "text/plain", characters=100) == "x" * 100


async def test_a_reading_without_end_is_stopped():
    async def endless():
        yield b"x"
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        with pytest.raises(errors.InvalidRequest, match="takes too long"):
            await extractor(seconds=0.5).text(endless(), media_type="text/plain", filename="x")


async def test_memory_has_a_bound():
    with pytest.raises(errors.InvalidRequest):
        await text(b"x" * (200 * MIB), "text/plain", memory_bytes=150 * MIB)


async def test_what_the_source_raises_goes_through():
    async def broken():
        yield b"x"
        raise errors.NotFound("gone")

    with pytest.raises(errors.NotFound):
        await extractor().text(broken(), media_type="text/plain", filename="x")


async def test_many_readings_share_two_processes():
    reading = extractor()
    told = await asyncio.gather(
        *(reading.text(pieces(b"%d" % number), media_type="text/plain", filename="x") for number in range(8))
    )
    assert told == [str(number) for number in range(8)]


async def test_a_reading_that_is_cancelled_ends_its_process():
    never = asyncio.Event()
    fed = asyncio.Event()

    async def endless():
        yield b"x"
        fed.set()
        await never.wait()
        yield b"x"

    reading = asyncio.ensure_future(extractor().text(endless(), media_type="text/plain", filename="x"))
    async with asyncio.timeout(30):
        await fed.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


@pytest.mark.parametrize(
    ("declared", "filename", "head", "told"),
    [
        (None, "a.pdf", b"%PDF-1.4", "application/pdf"),
        ("text/html", "a.html", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("application/octet-stream", "a.py", b"import os", "text/x-python"),
        ("video/mp2t", "a.ts", b"const x = 1", "text/plain"),
        ("video/mp2t", "a.ts", b"G\0\0\0", "video/mp2t"),
        ("application/zip", "a.docx", b"PK\3\4\0", WORD),
        (None, "notes", b"Foxes are red.", "text/plain"),
        (None, "notes", b"\0\1", "application/octet-stream"),
        ("image/JPG; x=y", "photo", b"", "image/jpg"),
        ("not a type", "photo", b"\0", "application/octet-stream"),
        (None, "song.mp3", b"ID3\4", "audio/mpeg"),
        ("text/plain", "data.csv", b"a,b", "text/csv"),
    ],
)
def test_the_kind_of_a_file_is_told_by_content_name_and_sender(declared, filename, head, told):
    assert media_types.told(declared, filename, head) == told
