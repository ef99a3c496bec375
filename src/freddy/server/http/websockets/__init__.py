"""The WebSocket of `/v1/responses`: one connection, on which a client asks for one response after the other."""
