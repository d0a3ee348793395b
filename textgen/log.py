"""The logger of the library: its warnings reach stderr unless the program configures logging."""

from __future__ import annotations

import logging

logger = logging.getLogger("textgen")
"""Warnings about results, such as fewer texts than were asked for."""
