"""Rules and the rulebook over a database of their own, with a clock that stands."""

import msgspec

from freddy.server.core import items
from freddy.server.core.accounts import SCOPES, Caller
from freddy.server.core.request import Request
from freddy.server.core.rules import Rule
from freddy.server.resources.rulebook import Rulebook
from freddy.server.resources.rules import Aim, Rules, collection
from freddy.server.resources.sample_rules import SampleRules
from freddy.server.stores.sql.attachments import SqlAttachments
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.records import SqlRecords
from freddy_fakes import CountingIds, FixedClock

OURS, THEIRS = "org_ours", "org_theirs"


class Counted:
    """The records, and how often all of them were read."""

    def __init__(self, records: SqlRecords) -> None:
        self.reads = 0
        self._records = records

    def __getattr__(self, name):
        if name == "all":
            self.reads += 1
        return getattr(self._records, name)


class RulesStage:
    def __init__(self, database: Database) -> None:
        self.clock = FixedClock()
        self.changes = []
        self.attachment_changes = []
        ids, self.records, attachments = CountingIds(), Counted(SqlRecords(database)), SqlAttachments(database)
        samples = SampleRules((OURS,))
        rules = collection(self.records, clock=self.clock, ids_from=ids, most=20, changed=self._changed)
        self.rulebook = Rulebook(rules, attachments, clock=self.clock, samples=samples)
        self.rules = Rules(
            rules,
            attachments=attachments,
            records=self.records,
            forget=self.rulebook.forget,
            clock=self.clock,
            ids_from=ids,
            samples=samples,
            attached=self._attached,
        )

    async def _changed(self, caller, action, kind, before, after):
        self.changes.append((action, kind, before and before.version, after and after.version))

    async def _attached(self, caller, action, before, after):
        self.attachment_changes.append((action, before and before.priority, after and after.priority))

    async def made(self, content="Be kind.", *aims, organization=OURS, name="Kindness", **fields) -> str:
        """The id of a new rule. `aims` are pairs of entity type and id."""
        shown = await self.rules.create(
            caller(organization),
            name=name,
            rule=Rule(content=content, **fields),
            aims=[Aim(entity_type=kind, entity_id=entity_id) for kind, entity_id in aims],
        )
        return shown.kept.id

    async def ruling(self, *, by=None, assistant_rules=(), models=(), tokens=None, **asked):
        return await self.rulebook.ruling(
            request(**asked),
            by or caller(),
            assistant_rules=assistant_rules,
            model_names=models,
            context_tokens=tokens,
        )


def caller(organization=OURS, user=None) -> Caller:
    return Caller(organization, (organization,), frozenset(SCOPES), None if user else "key_1", user)


def request(said="Hello", *, context=None, stores=None, **fields) -> Request:
    message = items.Message(id="msg_1", role="user", parts=(items.Text(said),))
    return Request(
        model="stage",
        input=(message,),
        rule_context=None if context is None else msgspec.Raw(msgspec.json.encode(context)),
        echo={} if stores is None else {"vector_store_ids": msgspec.Raw(msgspec.json.encode(stores))},
        **fields,
    )
