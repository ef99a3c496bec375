"""What must hold for the events of any run: checked event by event."""

from collections.abc import Iterable

from freddy.server.core import events, items


def check_events(told: Iterable[events.Event], *, ended: bool = True) -> tuple[items.Item, ...]:
    """The items of the events, in the order of their places. Fails when the events are not well formed.

    Takes the events of a turn or of a whole run. With `ended`, nothing may be left open.
    """
    begun: dict[int, items.Item] = {}
    done: dict[int, items.Item] = {}
    parts: dict[tuple[int, int, str], list[str]] = {}
    closed: set[tuple[int, int, str]] = set()
    said: set[tuple[int, int, str]] = set()
    arguments: dict[int, list[str]] = {}

    def is_open(event, form):
        assert event.item_id == begun[event.index].id
        assert event.index not in done
        place = (event.index, event.part, form)
        assert place in parts, f"{event} is about a part that was not announced"
        assert place not in closed
        return place

    def begin(event, form):
        assert event.item_id == begun[event.index].id
        assert event.index not in done
        assert event.part == len(
            [1 for index, _, kind in parts if (index, _group(kind)) == (event.index, _group(form))]
        )
        assert not [p for p in parts if p[0] == event.index and p not in closed], "two parts are open at once"
        parts[event.index, event.part, form] = []

    for event in told:
        match event:
            case events.ItemAdded(index, item):
                assert index == len(begun), f"place {index} was told when {len(begun)} was next"
                assert item.id not in {other.id for other in begun.values()}
                assert item.status == "in_progress"
                begun[index] = item
                arguments[index] = []
            case events.PartAdded(content=content):
                begin(event, "text" if isinstance(content, items.Text) else "refusal")
                assert content in (items.Text(""), items.Refusal(""))
            case events.ReasoningPartAdded(kind=kind):
                begin(event, f"thinking {kind}")
            case events.TextDelta(delta=delta):
                place = is_open(event, "text")
                assert place not in said
                parts[place].append(delta)
            case events.RefusalDelta(delta=delta):
                place = is_open(event, "refusal")
                assert place not in said
                parts[place].append(delta)
            case events.ReasoningDelta(delta=delta, kind=kind):
                place = is_open(event, f"thinking {kind}")
                assert place not in said
                parts[place].append(delta)
            case events.AnnotationAdded():
                assert is_open(event, "text") not in said
            case events.TextDone(text=text):
                place = is_open(event, "text")
                assert place not in said
                assert text == "".join(parts[place])
                said.add(place)
            case events.RefusalDone(refusal=text):
                place = is_open(event, "refusal")
                assert place not in said
                assert text == "".join(parts[place])
                said.add(place)
            case events.ReasoningDone(text=text, kind=kind):
                place = is_open(event, f"thinking {kind}")
                assert place not in said
                assert text == "".join(parts[place])
                said.add(place)
            case events.PartDone(content=content):
                form = "text" if isinstance(content, items.Text) else "refusal"
                place = is_open(event, form)
                assert place in said
                assert (content.text if form == "text" else content.refusal) == "".join(parts[place])
                closed.add(place)
            case events.ReasoningPartDone(text=text, kind=kind):
                place = is_open(event, f"thinking {kind}")
                assert place in said
                assert text == "".join(parts[place])
                closed.add(place)
            case events.ArgumentsDelta(delta=delta, form=form):
                call = begun[event.index]
                assert (event.item_id, form) == (call.id, call.form)
                assert event.index not in done
                arguments[event.index].append(delta)
            case events.ArgumentsDone(name=name, arguments=whole, form=form):
                call = begun[event.index]
                assert (event.item_id, name, form) == (call.id, call.name, call.form)
                assert whole == "".join(arguments[event.index])
            case events.ItemDone(index, item):
                assert item.id == begun[index].id
                assert index == len(done), "items are done in the order of their places"
                assert not [place for place in parts if place[0] == index and place not in closed]
                assert _content(item) == _said(parts, arguments, index, item)
                assert item.status in ("completed", "incomplete")
                done[index] = item
    if ended:
        assert done.keys() == begun.keys()
    return tuple(done[index] for index in sorted(done))


def _group(kind: str) -> str:
    return kind if kind.startswith("thinking") else "message"


def _content(item: items.Item) -> object:
    match item:
        case items.Message():
            return [part.text if isinstance(part, items.Text) else part.refusal for part in item.parts]
        case items.Reasoning():
            return [*item.texts, *item.summaries]
        case items.FunctionCall():
            return item.arguments
    raise AssertionError(item)


def _said(parts, arguments, index: int, item: items.Item) -> object:
    if isinstance(item, items.FunctionCall):
        return "".join(arguments[index])
    told = [(form, part, "".join(pieces)) for (place, part, form), pieces in parts.items() if place == index]
    if isinstance(item, items.Reasoning):
        told.sort(key=lambda one: (one[0] != "thinking text", one[1]))
    return [text for _, _, text in told]
