"""The ways to the tools that others have."""
