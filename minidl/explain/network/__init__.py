"""Watching a network: what is in it, how it learned, and what it sees. Each section of the page is a file."""
