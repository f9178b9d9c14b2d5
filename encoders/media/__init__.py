"""Opening of media: `opener.MediaOpener` hands out pages and sound, opened in a child process that can be killed.

In the caller's process: `config`, `opened`, `opener`, `process`. In the child: `child`, `opening` and one module for
each kind of content (`document`, `office`, `plain_text`, `spreadsheet`, `picture`, `recording`). Both: `protocol`.
"""
