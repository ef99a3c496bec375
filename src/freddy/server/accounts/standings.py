"""Who users are now: looked up, and remembered for seconds, so that requests with a token cost no look-up."""

from freddy.server.accounts import access, tokens
from freddy.server.accounts.remembered import Remembered
from freddy.server.core.accounts import Caller, Session
from freddy.server.ports.users import Standing, UserStore
from freddy.server.ports.world import Clock


class Standings:
    """What another process changes is seen after `seconds`, what this one changes at once: it says `forget`."""

    def __init__(self, store: UserStore, *, clock: Clock, seconds: float = 5.0) -> None:
        self._store = store
        self._clock = clock
        self._users: Remembered[str, Standing] = Remembered(clock, seconds=seconds)
        self._sessions: Remembered[str, Session] = Remembered(clock, seconds=seconds)

    async def of_session(self, claims: tokens.Claims, *, named: str | None) -> Caller:
        """Raises `errors.NotAuthenticated` where the session has ended or the user is no longer to be let in.

        `named` is the organization that the headers name: see `access.person`.
        """
        session = await self._sessions.get(claims.session_id, self._store.session)
        if session is None or session.user_id != claims.user_id or not session.lives(self._clock.now()):
            raise tokens.refused()
        return await self.of_user(claims.user_id, named=named, session_id=session.id)

    async def of_user(self, user_id: str, *, named: str | None, session_id: str | None = None) -> Caller:
        """Raises like `of_session`."""
        standing = await self._users.get(user_id, self._store.get)
        if standing is None or standing.user.deactivated_at is not None:
            raise tokens.refused()
        roles = {member.organization_id: member.role for member in standing.members}
        return access.person(user_id, roles, session_id=session_id, named=named)

    def forget(self) -> None:
        """Users, members or organizations have changed. That happens seldom, so all is forgotten."""
        self._users.forget()
        self._sessions.forget()

    def forget_session(self, session_id: str) -> None:
        """This one has ended, or goes on for longer. That happens often: the others stay."""
        self._sessions.forget(session_id)
