"""Configured things: assistants, rules, prompts."""
