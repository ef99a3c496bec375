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
    stages: dict[int, list[str]] = {}

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
                assert getattr(item, "status", "in_progress") == "in_progress"
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
                assert (event.item_id, form) == (call.id, _form(call))
                assert event.index not in done
                arguments[event.index].append(delta)
            case events.ArgumentsDone(name=name, arguments=whole, form=form):
                call = begun[event.index]
                assert (event.item_id, name, form) == (call.id, call.name, _form(call))
                assert whole == "".join(arguments[event.index])
            case events.CallProgress(index, item_id, stage=stage):
                assert item_id == begun[index].id
                assert index not in done
                stages.setdefault(index, []).append(stage)
                assert stages[index] in _PROGRESS, stages[index]
            case events.ItemDone(index, item):
                assert item.id == begun[index].id
                assert index not in done
                if items.is_broken_off(item):
                    done[index] = item
                    continue
                if isinstance(item, _WORKED_ON):
                    assert _ended_well(item) == (stages[index][-1] == "completed"), (item, stages[index])
                    done[index] = item
                    continue
                earlier = [place for place in range(index) if not isinstance(begun[place], _WORKED_ON)]
                assert all(place in done for place in earlier), "what is said is done in the order of its places"
                assert not [place for place in parts if place[0] == index and place not in closed]
                assert _content(item) == _said(parts, arguments, index, item)
                assert getattr(item, "status", "completed") in ("completed", "incomplete")
                done[index] = item
    if ended:
        assert done.keys() == begun.keys()
    return tuple(done[index] for index in sorted(done))


_WORKED_ON = (items.HostedCall, items.McpTools)
"""Items that are done when somebody has answered, whatever was said meanwhile."""
_PROGRESS = [
    ["in_progress"],
    ["in_progress", "searching"],
    ["in_progress", "searching", "completed"],
    ["in_progress", "completed"],
    ["in_progress", "failed"],
]


def _form(call: items.Item) -> str:
    return "mcp" if isinstance(call, items.HostedCall) else call.form


def _ended_well(item: items.HostedCall | items.McpTools) -> bool:
    if isinstance(item, items.McpTools):
        return item.error is None
    # A search has no word for having failed.
    return item.status == "completed" or (item.status == "failed" and isinstance(item.work, items.FileSearch))


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
        case items.FunctionOutput() | items.ApprovalRequest():
            return []
    raise AssertionError(item)


def _said(parts, arguments, index: int, item: items.Item) -> object:
    if isinstance(item, items.FunctionCall):
        return "".join(arguments[index])
    told = [(form, part, "".join(pieces)) for (place, part, form), pieces in parts.items() if place == index]
    if isinstance(item, items.Reasoning):
        told.sort(key=lambda one: (one[0] != "thinking text", one[1]))
    return [text for _, _, text in told]
