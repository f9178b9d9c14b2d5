"""Chats without a document, answered by the untrained decoder: what must not change while it learns to read."""
