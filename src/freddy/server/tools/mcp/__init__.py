"""Talks to MCP servers. Nothing here needs the package `mcp` before the first server is asked."""
