"""Screens and scenes with detected things in them, and what is asked about those."""
