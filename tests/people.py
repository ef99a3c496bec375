"""Users and organizations for tests: an office over a database with a clock that stands, and a server's users."""

from pathlib import Path
from typing import Any

from gateway import Gateway
from starlette.datastructures import Headers

from freddy.server.accounts.offices import Terms, office
from freddy.server.accounts.passwords import Cost
from freddy.server.accounts.sign_in import SignedIn
from freddy.server.core.accounts import Organization, Role, User
from freddy.server.http.auth import Auth, Issued, People
from freddy.server.sealing import DerivedKeys
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.users import SqlUsers
from freddy.server.world import RandomIds
from freddy_fakes import FixedClock

PASSWORD = "correct horse battery"
ADDRESS = "192.0.2.1"
CHEAP = Cost(memory=8, passes=1)
"""Hashing is to take no time here."""


class Desk:
    """Everything of accounts, as a server has it. Another desk over the same database is another process."""

    def __init__(
        self, database: Database, home: Path, *, clock: FixedClock | None = None, cost: Cost = CHEAP, **terms: Any
    ) -> None:
        self.clock = clock or FixedClock()
        self.store, self.people, self.log = SqlAccounts(database), SqlUsers(database), SqlAudit(database)
        self.signing = DerivedKeys((), file=home / "secret_key")
        self.office = office(
            self.store,
            self.people,
            self.log,
            signing=self.signing,
            clock=self.clock,
            ids_from=RandomIds(),
            terms=Terms(**{"registration": True, **terms}),
            cost=cost,
        )
        self.auth = self.door()

    def door(self, issued: Issued | None = None) -> Auth:
        return Auth(
            self.office.verifier,
            anonymous=None,
            people=People(self.office.tokens, self.office.standings, issued),
        )

    async def user(
        self, email: str, *, organization: str = "org_a", role: Role = "member", password: str | None = PASSWORD
    ) -> User:
        place = Organization(id=organization, name=organization, created_at=1, updated_at=1)
        return await self.office.users.create(
            None, email, password=password, name=email.partition("@")[0], organization=place, role=role
        )

    async def login(self, email: str, password: str = PASSWORD, *, address: str = ADDRESS) -> SignedIn:
        return await self.office.sign_in.login(email, password, address=address)

    async def enter(self, credential: str, **headers: str) -> Any:
        """The caller that a bearer token or key leads to."""
        return await self.auth.caller(Headers({"authorization": f"Bearer {credential}", **headers}))

    async def caller(self, email: str, **headers: str) -> Any:
        return await self.enter((await self.login(email)).access_token, **headers)


class Person:
    """A user of a server, signed in."""

    def __init__(self, site: "Site", told: dict[str, Any]) -> None:
        self.id: str = told["user"]["id"]
        self.token: str = told["access_token"]
        self.refresh_token: str = told["refresh_token"]
        self.site = site

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return await self.site.ask(method, path, body, key=self.token, **headers)


class Site:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Any:
        more = {} if body is None else {"json": body}
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.gateway.http(key).request(method, path, headers=told, **more)

    async def register(self, email: str, password: str = PASSWORD) -> tuple[Person, str]:
        """With the id of the organization that comes with it."""
        reply = await self.ask("POST", "/v1/auth/register", {"email": email, "password": password, "full_name": "Ann"})
        assert reply.status_code == 201, reply.text
        person = await self.login(email, password)
        found = (await person.ask("GET", "/v1/organizations")).json()["organizations"]
        return person, found[0]["id"]

    async def login(self, email: str, password: str = PASSWORD) -> Person:
        reply = await self.ask("POST", "/v1/auth/login", {"email_or_username": email, "password": password})
        assert reply.status_code == 200, reply.text
        return Person(self, reply.json())

    async def invite(self, host: Person, organization: str, email: str, role: str) -> Person:
        """A new user with this role."""
        invited = await host.ask(
            "POST", f"/v1/organizations/{organization}/invite-user", {"email": email, "role_id": role}
        )
        assert invited.status_code == 201, invited.text
        done = await self.ask(
            "POST",
            "/v1/invitations/complete",
            {"email_key": invited.json()["email_key"], "full_name": email, "password": PASSWORD},
        )
        assert done.status_code == 200, done.text
        return await self.login(email)
