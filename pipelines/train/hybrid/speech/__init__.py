"""Generated speech with known content: read sentences, two-speaker calls, calls with a page."""
