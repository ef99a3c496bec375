"""How what requests lead to is kept sealed for a while: plans of runs, and answers to requests that may come again."""

from msgspec.structs import replace

from freddy.server.core import plan
from freddy.server.ports.sealer import Name
from freddy.server.resources.resealing import Anew, Form, Places
from freddy.server.runtime.repeats import answer_bound_to


def of_plans() -> Form:
    def places(name: Name, data: bytes) -> Places:
        tools = plan.read(data).tools
        return {} if tools is None else {tools: plan.bound_to(*name)}

    def swapped(data: bytes, anew: Anew) -> bytes:
        made = plan.read(data)
        return plan.write(replace(made, tools=None if made.tools is None else anew.get(made.tools, made.tools)))

    return Form(places, swapped)


def of_answers() -> Form:
    def places(name: Name, data: bytes) -> Places:
        return {data: answer_bound_to(*name)}

    def swapped(data: bytes, anew: Anew) -> bytes:
        return anew.get(data, data)

    return Form(places, swapped)
