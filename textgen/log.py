"""The logger of the library: silent unless the program that uses it asks for its messages."""

from __future__ import annotations

import logging

logger = logging.getLogger("textgen")
"""Warnings about results, such as fewer texts than were asked for."""
logger.addHandler(logging.NullHandler())
