"""What a model is given of the files in its input."""

import base64

import pytest
from files_stage import MIB, STRANGER, pdf, word
from msgspec.structs import replace

from freddy.server.core import errors, items
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from promises import promise

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24
WAV = b"RIFF\x24\0\0\0WAVEfmt "
READS_ALL = Profile(name="all", provider="stage", images=True, audio=True, files=True)
READS_TEXT = Profile(name="plain", provider="stage")


def turn(*parts: items.Part, organization_id: str = "org_1") -> Turn:
    said = items.Message(id="msg_1", role="user", parts=parts)
    return Turn(model="stage", items=(said,), organization_id=organization_id)


def url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


DELETED = items.Text("[A file that was here has been deleted.]")


async def furnished(media, profile, *parts):
    (message,) = (await media.furnish(turn(*parts), profile)).items
    return message.parts


async def test_a_turn_without_files_is_the_same_turn(stage):
    asked = turn(items.Text("Hello"), items.Refusal("no"))
    assert await stage.media().furnish(asked, READS_TEXT) is asked
    assert await stage.media().furnish(replace(asked, items=()), READS_TEXT) == replace(asked, items=())


async def test_what_the_model_takes_as_it_is_stays_as_it_is(stage):
    parts = (
        items.Image(url="https://example.com/fox.png"),
        items.Image(url=url("image/png", PNG), detail="low"),
        items.Audio(data="UklGRg==", format="wav"),
        items.File(url="https://example.com/fox.pdf"),
        items.File(data=url("application/pdf", pdf("Foxes")), filename="foxes.pdf"),
    )
    assert await furnished(stage.media(), replace(READS_ALL, file_urls=True), *parts) == parts


@promise(48, 50)
async def test_images_sounds_and_documents_become_data_in_their_order(stage):
    picture = await stage.upload(PNG, "fox.png")
    sound = await stage.upload(WAV, "fox.wav")
    document = await stage.upload(pdf("Foxes"), "foxes.pdf")
    parts = (
        items.Text("Look:"),
        items.Image(file_id=picture.id, detail="high"),
        items.Audio(file_id=sound.id),
        items.File(file_id=document.id),
        items.File(file_id=picture.id),
        items.File(file_id=sound.id),
        items.File(file_id=document.id, filename="mine.pdf"),
        items.Text("What is it?"),
    )
    assert await furnished(stage.media(), READS_ALL, *parts) == (
        items.Text("Look:"),
        items.Image(url=url("image/png", PNG), detail="high"),
        items.Audio(data=base64.b64encode(WAV).decode(), format="wav"),
        items.File(data=url("application/pdf", pdf("Foxes")), filename="foxes.pdf"),
        items.Image(url=url("image/png", PNG)),
        items.Audio(data=base64.b64encode(WAV).decode(), format="wav"),
        items.File(data=url("application/pdf", pdf("Foxes")), filename="mine.pdf"),
        items.Text("What is it?"),
    )


async def test_a_model_that_reads_no_documents_is_told_their_text(stage):
    document = await stage.upload(pdf("Foxes are red."), "foxes.pdf")
    written = await stage.upload(word(), "foxes.docx")
    table = await stage.upload(b"name,age\nReineke,7", "foxes.csv")
    told = await furnished(
        stage.media(), READS_TEXT, *(items.File(file_id=each.id) for each in (document, written, table))
    )
    assert told[0] == items.Text("[File: foxes.pdf]\nFoxes are red.")
    assert told[1].text.startswith("[File: foxes.docx]\nFoxes\nThey are red.")
    assert told[2] == items.Text("[File: foxes.csv]\nname,age\nReineke,7")


async def test_a_model_is_told_the_text_of_kinds_that_it_does_not_take(stage):
    table = await stage.upload(b"name,age", "foxes.csv")
    assert await furnished(stage.media(), READS_ALL, items.File(file_id=table.id)) == (
        items.Text("[File: foxes.csv]\nname,age"),
    )
    reads_tables = replace(READS_ALL, file_types=("application/pdf", "text/csv"))
    assert await furnished(stage.media(), reads_tables, items.File(file_id=table.id)) == (
        items.File(data=url("text/csv", b"name,age"), filename="foxes.csv"),
    )


@pytest.mark.parametrize(
    ("data", "filename", "told"),
    [
        (url("application/pdf", pdf("Foxes")), "foxes.pdf", items.Text("[File: foxes.pdf]\nFoxes")),
        (url("text/plain", b"Foxes"), None, items.Text("[File: file]\nFoxes")),
        ("data:text/plain,Foxes%20are%20red", "a/foxes.txt", items.Text("[File: foxes.txt]\nFoxes are red")),
        ("data:;base64,Rm94ZXM=", "x.md", items.Text("[File: x.md]\nFoxes")),
        (base64.b64encode(b"Foxes").decode(), "foxes.txt", items.Text("[File: foxes.txt]\nFoxes")),
    ],
)
async def test_documents_in_the_request_itself_are_told_as_text_too(stage, data, filename, told):
    assert await furnished(stage.media(), READS_TEXT, items.File(data=data, filename=filename)) == (told,)


async def test_files_in_the_request_itself_are_given_as_what_they_are(stage):
    bare = base64.b64encode(pdf("Foxes")).decode()
    assert await furnished(
        stage.media(),
        READS_ALL,
        items.File(data=url("image/png", PNG), filename="fox.png"),
        items.File(data=url("application/octet-stream", WAV), filename="fox.wav"),
        items.File(data=bare, filename="foxes.pdf"),
        items.File(url=url("application/pdf", pdf("Foxes"))),
    ) == (
        items.Image(url=url("image/png", PNG)),
        items.Audio(data=base64.b64encode(WAV).decode(), format="wav"),
        items.File(data=url("application/pdf", pdf("Foxes")), filename="foxes.pdf"),
        items.File(data=url("application/pdf", pdf("Foxes"))),
    )


async def test_the_outputs_of_functions_are_furnished_too(stage):
    picture = await stage.upload(PNG, "fox.png")
    output = items.FunctionOutput(id="fco_1", call_id="call_1", parts=(items.Image(file_id=picture.id),))
    call = items.FunctionCall(id="fc_1", call_id="call_1", name="look", arguments="{}")
    asked = Turn(model="stage", items=(call, output), organization_id="org_1")
    told = await stage.media().furnish(asked, READS_ALL)
    assert told.items == (call, replace(output, parts=(items.Image(url=url("image/png", PNG)),)))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (items.Image(url="https://example.com/fox.png"), "does not read images"),
        (items.Audio(data="UklGRg==", format="wav"), "does not read audio"),
        (items.File(data=url("image/png", PNG), filename="fox.png"), "does not read images"),
        (items.File(data=url("audio/wav", WAV), filename="fox.wav"), "does not read audio"),
        (items.File(url="https://example.com/fox.pdf"), "does not read files"),
        (items.File(data=url("application/zip", b"PK\3\4"), filename="foxes.zip"), "is application/zip"),
    ],
)
async def test_what_a_model_cannot_take_is_refused_with_the_cure(stage, part, message):
    with pytest.raises(errors.InvalidRequest, match=message) as refused:
        await furnished(stage.media(), READS_TEXT, part)
    assert (refused.value.code, refused.value.param) == ("unsupported_input", "input")
    assert refused.value.details


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (items.Image(url="http://example.com/fox.png"), "does not fetch images"),
        (items.File(url="http://example.com/fox.pdf"), "does not fetch files"),
        (items.Image(url="file:///etc/passwd"), "begins with none of"),
        (items.File(url="ftp://example.com/fox.pdf"), "begins with none of"),
        (items.File(data=url("image/tiff", b"II*\0"), filename="fox.tiff"), "not an image that models read"),
    ],
)
async def test_addresses_that_nobody_fetches_are_refused_with_the_cure(stage, part, message):
    with pytest.raises(errors.InvalidRequest, match=message) as refused:
        await furnished(stage.media(), replace(READS_ALL, image_urls=False), part)
    assert refused.value.code == "unsupported_input"


async def test_a_file_that_is_none_of_its_part_is_refused(stage):
    document = await stage.upload(pdf("Foxes"), "foxes.pdf")
    for part in (items.Image(file_id=document.id), items.Audio(file_id=document.id)):
        with pytest.raises(errors.InvalidRequest) as refused:
            await furnished(stage.media(), READS_ALL, part)
        assert refused.value.code == "unsupported_input"


@pytest.mark.parametrize("data", ["data:text/plain", "data:text/plain;base64,***", "not base64 at all"])
async def test_data_that_is_none_is_refused(stage, data):
    with pytest.raises(errors.InvalidRequest) as refused:
        await furnished(stage.media(), READS_TEXT, items.File(data=data, filename="x.txt"))
    assert refused.value.code == "unreadable_file"


async def test_a_damaged_document_is_refused_by_name(stage):
    document = await stage.upload(pdf("Foxes")[:100], "foxes.pdf")
    with pytest.raises(errors.InvalidRequest, match=r"'foxes\.pdf' cannot be read"):
        await furnished(stage.media(), READS_TEXT, items.File(file_id=document.id))


async def test_files_of_nobody_and_of_others_are_not_found(stage):
    theirs = await stage.upload(PNG, "fox.png", caller=STRANGER)
    short = await stage.upload(PNG, "fox.png", expires_after=3600)
    stage.clock.advance(3600)
    for file_id in (theirs.id, short.id, "file_never", "x" * 500):
        said = turn(items.Image(file_id=file_id))
        with pytest.raises(errors.NotFound) as unknown:
            await stage.media().check("org_1", said.items)
        assert (unknown.value.code, unknown.value.param) == ("file_not_found", "file_id")
        assert await furnished(stage.media(), READS_ALL, *said.items[0].parts) == (DELETED,)


async def test_a_check_is_content_with_files_that_are_there(stage):
    picture = await stage.upload(PNG, "fox.png")
    await stage.media().check("org_1", turn(items.Image(file_id=picture.id), items.Text("Hi")).items)
    await stage.media().check("org_1", turn(items.Text("Hi")).items)
    assert stage.blobs.reads == []


async def test_a_turn_takes_so_much_and_no_more(stage):
    large = await stage.upload(PNG + b"\0" * MIB, "fox.png")
    media = stage.media(turn_bytes=2 * MIB)
    part = items.Image(file_id=large.id)
    assert len(await furnished(media, READS_ALL, part)) == 1
    with pytest.raises(errors.TooLarge) as refused:
        await furnished(media, READS_ALL, part, part)
    assert (refused.value.code, refused.value.param) == ("input_too_large", "input")
    text = await stage.upload(b"x" * 1000, "foxes.txt")
    with pytest.raises(errors.TooLarge):
        await furnished(stage.media(turn_bytes=900), READS_TEXT, items.File(file_id=text.id))


async def test_a_file_that_is_too_large_for_a_turn_is_not_even_read(stage):
    large = await stage.upload(PNG + b"\0" * MIB, "fox.png")
    with pytest.raises(errors.TooLarge):
        await furnished(stage.media(turn_bytes=1000), READS_ALL, items.Image(file_id=large.id))
    assert stage.blobs.reads == []


async def test_the_turns_of_a_conversation_read_a_file_once(stage):
    picture = await stage.upload(PNG, "fox.png")
    document = await stage.upload(pdf("Foxes"), "foxes.pdf")
    media = stage.media()
    for _ in range(3):
        await furnished(media, READS_ALL, items.Image(file_id=picture.id))
        await furnished(media, READS_TEXT, items.File(file_id=document.id))
    assert stage.blobs.reads.count(picture.blob) == 1
    assert stage.blobs.reads.count(document.blob) == 1


async def test_the_text_of_a_document_is_kept_beside_it(stage):
    document = await stage.upload(pdf("Foxes"), "foxes.pdf")
    for _ in range(2):
        # Two servers over one store: neither has the other's memory.
        told = await furnished(stage.media(), READS_TEXT, items.File(file_id=document.id))
        assert told == (items.Text("[File: foxes.pdf]\nFoxes"),)
    assert stage.blobs.reads.count(document.blob) == 1
    assert stage.kept == [document.blob, document.text_blob]


async def test_what_is_remembered_has_a_bound(stage):
    pictures = [await stage.upload(PNG + bytes([number]) * 1000, "fox.png") for number in range(3)]
    media = stage.media(cache_bytes=4000)
    for picture in (*pictures, *reversed(pictures)):
        await furnished(media, READS_ALL, items.Image(file_id=picture.id))
    reads = [stage.blobs.reads.count(picture.blob) for picture in pictures]
    assert reads == [2, 1, 1]
    large = await stage.upload(PNG + b"\0" * 5000, "fox.png")
    for _ in range(2):
        await furnished(media, READS_ALL, items.Image(file_id=large.id))
    assert stage.blobs.reads.count(large.blob) == 2


async def test_a_deleted_file_is_not_told_from_memory(stage):
    from files_stage import CALLER

    picture = await stage.upload(PNG, "fox.png")
    media = stage.media()
    await furnished(media, READS_ALL, items.Image(file_id=picture.id))
    await stage.files.delete(picture.id, CALLER)
    assert await furnished(media, READS_ALL, items.Image(file_id=picture.id)) == (DELETED,)
