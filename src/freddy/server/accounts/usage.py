"""Who used what: questions of callers, what is left of budgets, and the adding up of calls."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from freddy.server.accounts.api_keys import ApiKeys
from freddy.server.accounts.organizations import Organizations
from freddy.server.core import errors, money, periods
from freddy.server.core.accounts import ApiKey, Caller, KeyChange, OrganizationChange
from freddy.server.core.limits import Limits, Month, month
from freddy.server.core.periods import Span
from freddy.server.core.usage import Budget, Sums
from freddy.server.ports.stores import AccountStore
from freddy.server.ports.usage import Part, Question, Trait, UsageStore
from freddy.server.ports.world import Clock

_AT_ONCE: Final = 1000
"""Calls that are added up or deleted in one transaction: others wait for that."""


class KeyBudget(Struct, frozen=True):
    key: ApiKey
    budget: Budget


class Budgets(Struct, frozen=True):
    """Of one organization in one month. `by_keys` is what all keys spent together: they have no limit in common."""

    month: Month
    organization: Budget
    by_keys: Budget
    keys: tuple[KeyBudget, ...]


class BudgetChange(Struct, frozen=True, kw_only=True):
    """US dollars a month; None takes the limit away, `UNSET` leaves it. `key` has the new budget of `key_id`."""

    organization: float | UnsetType | None = UNSET
    key_id: str | None = None
    key: float | UnsetType | None = UNSET


class Ledger:
    """Callers that see only what is their own are told only what they used themselves.

    The defaults hold where an organization or a key has no budget of its own.
    """

    def __init__(
        self,
        store: UsageStore,
        *,
        accounts: AccountStore,
        organizations: Organizations,
        keys: ApiKeys,
        clock: Clock,
        organization_defaults: Limits | None = None,
        key_defaults: Limits | None = None,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._organizations = organizations
        self._keys = keys
        self._clock = clock
        self._organization_defaults = organization_defaults or Limits()
        self._key_defaults = key_defaults or Limits()

    def now(self) -> int:
        return int(self._clock.now())

    async def parts(
        self,
        caller: Caller,
        since: int,
        until: int,
        *,
        each: Span | None = None,
        by: Sequence[Trait] = (),
        having: Mapping[Trait, str] | None = None,
        keys_only: bool = False,
    ) -> Sequence[Part]:
        """What was used from hour to hour, told apart by spans and traits."""
        wanted = dict(having or {})
        if caller.sees_only is not None:
            if wanted.get("user", caller.sees_only) != caller.sees_only:
                return ()
            wanted["user"] = caller.sees_only
        question = Question(
            organization_id=caller.organization_id,
            slices=periods.slices(since, until, longest=each or "month"),
            each=each,
            by=tuple(by),
            having=wanted,
            keys_only=keys_only,
        )
        return await self._store.parts(question)

    async def total(self, caller: Caller, since: int, until: int, *, keys_only: bool = False) -> Sums:
        parts = await self.parts(caller, since, until, keys_only=keys_only)
        return parts[0].sums if parts else Sums()

    async def key_names(self, caller: Caller) -> Mapping[str, str]:
        """What the keys of the organization are called, by their ids."""
        return {key.id: key.name for key in await self._accounts.list_keys(caller.organization_id)}

    async def key(self, caller: Caller, key_id: str, within: Month) -> tuple[KeyBudget, Sums]:
        """What one key used. Raises `errors.NotFound`, `errors.PermissionDenied`."""
        _require_all(caller)
        key = await self._keys.get(caller, key_id)
        parts = await self.parts(caller, within.since, within.until, having={"key": key_id})
        sums = parts[0].sums if parts else Sums()
        return KeyBudget(key, Budget(self._key_limit(key), sums.cost)), sums

    async def budgets(self, caller: Caller, within: Month) -> Budgets:
        """Raises `errors.NotFound`, and `errors.PermissionDenied` for those who see only what is their own."""
        _require_all(caller)
        organization = await self._organizations.get(caller.organization_id)
        spent = {
            part.traits[0]: part.sums.cost for part in await self.parts(caller, within.since, within.until, by=("key",))
        }
        keys = await self._accounts.list_keys(caller.organization_id)
        return Budgets(
            month=within,
            organization=Budget(_budget(organization.limits, self._organization_defaults), sum(spent.values())),
            by_keys=Budget(None, sum(cost for key_id, cost in spent.items() if key_id)),
            keys=tuple(KeyBudget(key, Budget(self._key_limit(key), spent.get(key.id, 0))) for key in keys),
        )

    async def set_budgets(self, caller: Caller, asked: BudgetChange) -> None:
        """The key goes first: one that is not there changes nothing.

        Raises `errors.NotFound`, `errors.InvalidValue`.
        """
        for budget in (asked.organization, asked.key):
            if budget is not UNSET:
                Limits(monthly_budget=budget)
        if asked.key_id is not None and asked.key is not UNSET:
            await self._keys.change(caller, asked.key_id, KeyChange(budget=asked.key))
        if asked.organization is not UNSET:
            await self._organizations.change(
                caller, caller.organization_id, OrganizationChange(budget=asked.organization)
            )

    def _key_limit(self, key: ApiKey) -> int | None:
        return _budget(key.limits, self._key_defaults)


class Bookkeeping:
    """Adds calls to their sums, and deletes those that are older than `days` (0 keeps them). The sums stay."""

    def __init__(self, store: UsageStore, *, clock: Clock, days: int) -> None:
        self._store = store
        self._clock = clock
        self._days = days

    async def sum_up(self) -> None:
        while await self._store.sum_up(_AT_ONCE) == _AT_ONCE:
            pass

    async def sweep(self) -> None:
        if not self._days:
            return
        before = int(self._clock.now()) - self._days * periods.DAY
        while await self._store.forget(before, _AT_ONCE) == _AT_ONCE:
            pass


def of_month(year: int, number: int) -> Month:
    return month(periods.month(year, number))


def _budget(own: Limits | None, defaults: Limits) -> int | None:
    dollars = (own or Limits()).over(defaults).monthly_budget
    return None if dollars is None else money.nanos(dollars)


def _require_all(caller: Caller) -> None:
    if caller.sees_only is not None:
        raise errors.PermissionDenied(
            "Budgets are told to those who see the whole organization",
            details="ask an owner or an admin, or look at your own usage with GET /v1/usage",
        )
