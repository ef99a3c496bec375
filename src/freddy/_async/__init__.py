"""The asynchronous client. `freddy._sync` is generated from this package."""
