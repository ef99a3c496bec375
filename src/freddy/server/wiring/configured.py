"""What organizations configure: assistants, rules, prompts."""

from msgspec import Struct

from freddy.server.accounts import development
from freddy.server.accounts.offices import Office
from freddy.server.config import Settings
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.assistants import Assistants
from freddy.server.resources.prompts import Prompts
from freddy.server.resources.rulebook import Rulebook
from freddy.server.resources.rules import Rules, collection
from freddy.server.resources.sample_assistants import SampleAssistants
from freddy.server.resources.sample_rules import SampleRules
from freddy.server.wiring.storage import Stores


class Kept(Struct, frozen=True):
    assistants: Assistants
    prompts: Prompts
    rulebook: Rulebook
    rules: Rules


def configured(settings: Settings, stores: Stores, people: Office, *, clock: Clock, ids: IdSource) -> Kept:
    records, most, changed = stores.records, settings.resources.most, people.audit.changed
    samples = development.ORGANIZATIONS if settings.development else ()
    sample_rules = SampleRules(samples)
    rule_records = collection(records, clock=clock, ids_from=ids, most=most, changed=changed)
    rulebook = Rulebook(
        rule_records,
        stores.attachments,
        clock=clock,
        characters=settings.rules.characters,
        samples=sample_rules,
    )
    return Kept(
        assistants=Assistants(
            records,
            clock=clock,
            ids_from=ids,
            defaults=people.organizations.defaults,
            most=most,
            changed=changed,
            samples=SampleAssistants(samples),
        ),
        prompts=Prompts(records=records, clock=clock, ids=ids, most=most, changed=changed),
        rulebook=rulebook,
        rules=Rules(
            rule_records,
            attachments=stores.attachments,
            records=records,
            forget=rulebook.forget,
            clock=clock,
            ids_from=ids,
            samples=sample_rules,
            attached=people.audit.attached,
        ),
    )
